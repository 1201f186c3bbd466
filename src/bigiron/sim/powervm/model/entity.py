"""What every simulated object has, and how objects turn into JSON-able values and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bigiron.sim.kernel.values import dump, load

__all__ = ["Entity", "dump", "load"]


@dataclass(slots=True, kw_only=True, eq=False)
class Entity:
    """An object with an address of its own; `version` grows with each change, so that renderings can be cached."""

    KIND: ClassVar[str] = ""
    uuid: str
    version: int = 0
