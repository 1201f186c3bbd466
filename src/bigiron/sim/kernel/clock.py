"""Simulated time: it can run faster than the machine's clock or be advanced at once, so that tests need not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Seconds since the epoch as the simulated platform sees them."""

    def __init__(
        self,
        scale: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition(threading.RLock())
        self._scale = _checked(scale)
        self._base = wall()
        self._since = monotonic()
        self._closed = False

    @property
    def scale(self) -> float:
        """Simulated seconds per real second."""
        return self._scale

    def now(self) -> float:
        """Return the simulated time in seconds since the epoch."""
        with self._changed:
            return self._base + (self._monotonic() - self._since) * self._scale

    def milliseconds(self) -> int:
        """Return the simulated time as the REST API writes it."""
        return int(self.now() * 1000)

    def set_scale(self, scale: float) -> None:
        """Run at another speed from now on; 0 stops the time."""
        with self._changed:
            self._base, self._since = self.now(), self._monotonic()
            self._scale = _checked(scale)
            self._changed.notify_all()

    def advance(self, seconds: float) -> None:
        """Jump forward; whoever sleeps past the new time wakes."""
        if seconds < 0:
            raise ValueError(f"time cannot run backwards: advance by {seconds} s; give a positive number")
        with self._changed:
            self._base += seconds
            self._changed.notify_all()

    def begin_at(self, time: float) -> None:
        """Go on from an earlier life's time, unless it is later already."""
        self.advance(max(0.0, time - self.now()))

    def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds, or until the clock is closed."""
        if seconds > 0:
            self.wait_until(self.now() + seconds)

    def wait_until(self, deadline: float) -> bool:
        """Wait for a simulated time; False when the clock was closed first."""
        with self._changed:
            while not self._closed:
                left = deadline - self.now()
                if left <= 0:
                    return True
                self._changed.wait(left / self._scale if self._scale else None)
            return False

    def close(self) -> None:
        """Wake everyone who sleeps, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _checked(scale: float) -> float:
    if scale < 0:
        raise ValueError(f"clock scale {scale} is negative; give 0 or more simulated seconds per second")
    return scale
