"""How much the driver does at once, whatever the platform."""

from __future__ import annotations

from typing import Any


def parallel_steps(conf: Any) -> int:
    """How many steps may run at once: four side by side in each of the builds that Nova runs at once."""
    return 4 * (conf.max_concurrent_builds or 32)
