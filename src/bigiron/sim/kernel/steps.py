"""The steps of an end: each is taken, also after one that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable

LOG = logging.getLogger(__name__)


def take_all(*steps: Callable[[], object], after: BaseException | None = None) -> None:
    """Take every step, in order. Raises what failed first; the failures behind it, or those `after` one, are logged."""
    first = after
    for step in steps:
        try:
            step()
        except Exception as error:  # whatever it is, the steps behind it must be taken
            if first is None:
                first = error
            else:
                LOG.exception("the end goes on although a step of it failed")
    if first is not None and first is not after:
        raise first
