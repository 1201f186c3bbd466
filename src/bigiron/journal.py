"""What a client of a platform's REST service tells of each of its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the journal sees it; sizes in bytes, status 0 where no answer came."""

    method: str
    path: str
    status: int
    bytes_sent: int
    bytes_received: int
    milliseconds: float


Journal = Callable[[Call], None]
