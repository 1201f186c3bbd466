"""A partition's console: what was printed on it, kept within bounds, with a sequence number for each character.

It outlives power cycles, as the log of a console server does. Readers ask for what came after a sequence number, and
may wait for it; who keeps a picture of the screen is told of every write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

LIMIT = 64 * 1024

Listener = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Console text from sequence number `start` up to, not including, `end`."""

    start: int
    end: int
    text: str


class Console:
    """Bounded console text. Lines end in a bare newline; sequence numbers count characters since the first one."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._text = ""
        self._dropped = 0
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []

    @property
    def end(self) -> int:
        """The sequence number that the next character gets."""
        with self._changed:
            return self._end()

    def write(self, text: str) -> None:
        """Append text, drop the oldest beyond the limit and wake who waits."""
        if not text:
            return
        with self._changed:
            kept = self._text + text
            excess = max(0, len(kept) - self._limit)
            self._text = kept[excess:]
            self._dropped += excess
            listeners = tuple(self._listeners)
            self._changed.notify_all()
        for listener in listeners:
            listener()

    def read(self, since: int = 0) -> Excerpt:
        """What was printed from `since` on; starts later when that part is no longer kept."""
        with self._changed:
            return self._read(since)

    def wait(self, since: int, seconds: float) -> Excerpt:
        """As `read`, but waits up to so many real seconds for something to read."""
        with self._changed:
            self._changed.wait_for(lambda: self._end() > since, seconds)
            return self._read(since)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each write; returns the function that ends it."""
        with self._changed:
            self._listeners.append(listener)

        def stop() -> None:
            with self._changed:
                self._listeners.remove(listener)

        return stop

    def _end(self) -> int:
        return self._dropped + len(self._text)

    def _read(self, since: int) -> Excerpt:
        start = min(max(since, self._dropped), self._end())
        return Excerpt(start, self._end(), self._text[start - self._dropped :])
