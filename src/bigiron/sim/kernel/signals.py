"""The signals that tell a simulator's process to end."""

from __future__ import annotations

import signal
from queue import SimpleQueue


class EndSignals:
    """SIGTERM and SIGINT, noted from when this is made, in the main thread.

    A signal's handler runs in the middle of whatever the main thread does. Setting a threading.Event there waits for
    ever when the main thread just holds the event's lock, to wait for it; SimpleQueue.put may interrupt its own get.
    """

    def __init__(self) -> None:
        self._received: SimpleQueue[int] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._received.put(number))

    def wait(self) -> None:
        """Return when one has been received."""
        self._received.get()
