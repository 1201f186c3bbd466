"""The platform's event stream: one thread reads it and hands small values to all who listen."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.event import Event as EventWrapper

from bigiron.errors import Unavailable
from bigiron.powervm.errors import translated

LOG = logging.getLogger(__name__)

NEW_CLIENT = "NEW_CLIENT"
CACHE_CLEARED = "CACHE_CLEARED"
MISSING_EVENTS = "MISSING_EVENTS"
ADD_URI = "ADD_URI"
MODIFY_URI = "MODIFY_URI"
DELETE_URI = "DELETE_URI"
CUSTOM_CLIENT_EVENT = "CUSTOM_CLIENT_EVENT"
LOST = frozenset({NEW_CLIENT, CACHE_CLEARED, MISSING_EVENTS})
"""After one of these, events may have been missed: read again whatever is kept."""

_POLL_TIMEOUT_S = 60.0
_RETRY_S = (1.0, 2.0, 5.0)
_AWAY_S = 30.0
"""A service that restarts is back sooner, and nobody need know."""


@dataclass(frozen=True, slots=True)
class RestEvent:
    """One event; `detail` says what changed."""

    type: str
    data: str
    detail: str

    def object_of(self, resource: str) -> str | None:
        """The uuid, in upper case, where the event is about an object of that resource type, else None."""
        parts = self.data.split("?", 1)[0].rstrip("/").split("/")
        if len(parts) >= 2 and parts[-2] == resource:
            return parts[-1].upper()
        return None


Listener = Callable[[RestEvent], None]


class EventLoop:
    """Reads the event stream in a daemon thread; listeners are called from it, one event at a time, in order."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        # Not derived from the session token: it may be logged, and it lives on when the session logs on again.
        self._application = uuid.uuid4().hex
        self._listeners: list[Listener] = []
        self._watchers: list[Callable[[bool], None]] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def subscribe(self, listener: Listener) -> None:
        """Call back for every event from now on; a listener must be quick and must not raise."""
        self._listeners = [*self._listeners, listener]

    def watch(self, watcher: Callable[[bool], None]) -> None:
        """Call back with False once the stream has been interrupted for a while, and with True when it is back."""
        self._watchers = [*self._watchers, watcher]

    def start(self) -> None:
        """Register with the service, so that nothing read from now on can change unnoticed, and start the thread."""
        with translated("Subscribing to the event stream"):
            first = self._poll()
        if not any(event.type == NEW_CLIENT for event in first):
            raise Unavailable("The REST service did not acknowledge a new subscriber of its event stream.")
        self._thread = threading.Thread(target=self._run, name="powervm events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Deliver nothing more. The thread ends with the poll that it is in, which the service answers within 10 s."""
        self._stopping.set()
        self._listeners = []
        self._watchers = []

    def _run(self) -> None:
        failures = 0
        away = False
        broken_at = 0.0
        while not self._stopping.is_set():
            try:
                events = self._poll()
            except Exception as error:
                if self._stopping.is_set():
                    return
                if failures == 0:
                    unexpected = not isinstance(error, pvm.Error)
                    LOG.warning("The event stream is interrupted; trying again: %s", error, exc_info=unexpected)
                    broken_at = time.monotonic()
                if not away and time.monotonic() - broken_at >= _AWAY_S:
                    away = True
                    self._tell(reachable=False)
                self._stopping.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1
                continue
            if failures:
                LOG.info("The event stream is back after %d failed polls", failures)
                # An answer may have been lost on the way, and its events with it.
                events = [RestEvent(MISSING_EVENTS, "", ""), *events]
                failures = 0
                if away:
                    away = False
                    self._tell(reachable=True)
            for event in events:
                self._deliver(event)

    def _tell(self, reachable: bool) -> None:
        for watcher in self._watchers:
            try:
                watcher(reachable)
            except Exception:
                # As for listeners.
                LOG.exception("A watcher of the event stream failed")

    def _deliver(self, event: RestEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                # One listener's mistake must not end the stream for the others.
                LOG.exception("A listener failed on %s", event)

    def _poll(self) -> list[RestEvent]:
        response = self._adapter.read(
            "Event",
            xag=[],
            add_qp=[("QUEUE_CLIENTKEY_METHOD", "USE_APPLICATIONID"), ("QUEUE_APPLICATIONID", self._application)],
            timeout=_POLL_TIMEOUT_S,
        )
        return [
            RestEvent(wrapper.etype or "", wrapper.data or "", wrapper.detail or "")
            for wrapper in EventWrapper.wrap(response)
        ]


def post_custom(adapter: Adapter, data: str, detail: str) -> None:
    """Send an event of ours to every subscriber of the platform's stream, other programs' included."""
    with translated(f"Posting a custom event for {data}"):
        EventWrapper.bld(adapter, data, detail).create()
