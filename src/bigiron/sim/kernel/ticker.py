"""The thread in which a simulator's time goes on while nobody asks for anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Ticker:
    """Has what is due done, again and again, and the store told when that or anything else is to be saved."""

    def __init__(self, name: str, pause_s: float, is_unsaved: Callable[[], bool], touch: Callable[[], None]) -> None:
        """`is_unsaved` does what is due and says whether there is something to save, of which `touch` tells; `name` is
        the simulator's in the log."""
        self._name = name
        self._pause_s = pause_s
        self._is_unsaved = is_unsaved
        self._touch = touch
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started; safe to call twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            try:
                unsaved = self._is_unsaved()
            except Exception:  # time must go on for the rest of the system
                LOG.exception("what was due on %s was not done", self._name)
                continue
            if unsaved:
                self._touch()
