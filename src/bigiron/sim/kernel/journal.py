"""A record of every request, for benchmarks, fault sweeps and tests that count calls."""

from __future__ import annotations

import collections
import itertools
import threading
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as it was served."""

    time: float
    method: str
    path: str
    template: str
    query: str
    status: int
    """0: the connection was cut before an answer."""
    request_bytes: int
    response_bytes: int
    milliseconds: float
    session: int
    user: str
    memento: str
    if_match: bool
    fault: str
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the control address shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """A ring of the last requests."""

    def __init__(self, limit: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._entries: collections.deque[Entry] = collections.deque(maxlen=limit)
        self._numbers = itertools.count(1)

    def add(self, entry: Entry) -> None:
        """Keep an entry; beyond the limit the oldest goes."""
        with self._lock:
            self._entries.append(replace(entry, number=next(self._numbers)))

    def entries(self) -> list[Entry]:
        """Return what is kept, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget what is kept; the numbers go on."""
        with self._lock:
            self._entries.clear()
