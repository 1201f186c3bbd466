"""The event stream: each application has a queue of its own and waits for what comes."""

from __future__ import annotations

import collections
import threading
import time
import uuid as uuidlib
from collections.abc import Callable
from dataclasses import dataclass

from bigiron.sim.powervm.numbers import Numbers

LONG_POLL_SECONDS = 10.0
_IDLE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it is served; `id` grows by one from event to event."""

    type: str
    id: int
    data: str = ""
    detail: str = ""

    @property
    def uuid(self) -> str:
        """The event's own uuid."""
        return str(uuidlib.uuid5(uuidlib.NAMESPACE_OID, f"event/{self.id}"))


@dataclass(slots=True)
class _Queue:
    events: collections.deque[Event]
    last_asked: float


class EventHub:
    """Passes events on to every application that asks; a queue that overflows is replaced by MISSING_EVENTS."""

    def __init__(self, numbers: Numbers, limit: int = 2000, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._numbers = numbers
        self._limit = limit
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._queues: dict[str, _Queue] = {}
        self._closed = False

    def publish(self, type_: str, data: str = "", detail: str = "") -> Event:
        """Put an event into every queue."""
        with self._changed:
            event = self._event(type_, data, detail)
            for queue in self._queues.values():
                if len(queue.events) >= self._limit:
                    queue.events.clear()
                    queue.events.append(self._event("MISSING_EVENTS", "", ""))
                else:
                    queue.events.append(event)
            self._changed.notify_all()
            return event

    def take(self, application: str, wait: float = LONG_POLL_SECONDS) -> list[Event]:
        """Return an application's events, waiting for the first; a new application learns at once that it is new."""
        with self._changed:
            now = self._monotonic()
            self._forget_idle(now)
            if application not in self._queues:
                self._queues[application] = _Queue(collections.deque(), now)
                return [self._event("NEW_CLIENT", "", "")]
            queue = self._queues[application]
            queue.last_asked = now
            self._changed.wait_for(lambda: bool(queue.events) or self._closed, wait)
            queue.last_asked = self._monotonic()
            taken = list(queue.events)
            queue.events.clear()
            return taken

    def close(self) -> None:
        """Answer everyone who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _event(self, type_: str, data: str, detail: str) -> Event:
        return Event(type_, self._numbers.next(), data, detail)

    def _forget_idle(self, now: float) -> None:
        for name in [n for n, q in self._queues.items() if now - q.last_asked > _IDLE_SECONDS]:
            del self._queues[name]
