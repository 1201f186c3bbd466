"""Tells Nova of guests that started or stopped without it: once, confirmed, and never of its own operations."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from nova.virt import event as virtevent
from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import Hypervisor
from bigiron.model import GuestEvent, PowerState

LOG = logging.getLogger(__name__)

CONFIRM_AFTER_S = 15.0
"""A guest that restarts by itself is stopped for some seconds, which Nova would take for a stop."""

_TRANSITIONS = {
    PowerState.RUNNING: virtevent.EVENT_LIFECYCLE_STARTED,
    PowerState.STOPPED: virtevent.EVENT_LIFECYCLE_STOPPED,
    PowerState.CRASHED: virtevent.EVENT_LIFECYCLE_STOPPED,
}


class LifecycleReporter:
    """Turns a platform's events into Nova's: waits a moment, asks the platform again and reports what still holds."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        emit: Callable[[virtevent.LifecycleEvent], None],
        confirm_after_s: float | None = None,
    ) -> None:
        self._hypervisor = hypervisor
        self._emit = emit
        self._confirm_after_s = CONFIRM_AFTER_S if confirm_after_s is None else confirm_after_s
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._known: dict[str, PowerState] = {}
        self._operations: Counter[str] = Counter()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Follow the platform's events from now on."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bigiron-lifecycle", daemon=True)
        self._thread.start()
        self._hypervisor.subscribe(self.notice)

    def stop(self) -> None:
        """Stop the thread; safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(timeout=10)
            self._thread = None

    @contextlib.contextmanager
    def operation(self, uuid: str, leaves: PowerState | None = None) -> Iterator[None]:
        """Events of this guest are ours until this ends, and `leaves` is the state that Nova then knows of."""
        with self._changed:
            self._operations[uuid] += 1
            self._due.pop(uuid, None)
        try:
            yield
            if leaves is not None:
                with self._changed:
                    self._known[uuid] = leaves
        finally:
            with self._changed:
                self._operations[uuid] -= 1
                if not self._operations[uuid]:
                    del self._operations[uuid]

    def forget(self, uuid: str) -> None:
        """The guest is gone."""
        with self._changed:
            self._due.pop(uuid, None)
            self._known.pop(uuid, None)

    def notice(self, event: GuestEvent) -> None:
        """Called by the platform for each change; a later one of the same guest replaces it."""
        with self._changed:
            if self._operations[event.uuid] or self._known.get(event.uuid) is event.power:
                # What was waiting to be confirmed is undone or overtaken by this.
                self._due.pop(event.uuid, None)
                return
            self._due[event.uuid] = time.monotonic() + self._confirm_after_s
            self._changed.notify_all()

    def _run(self) -> None:
        while (uuid := self._next()) is not None:
            try:
                self._confirm(uuid)
            except Exception:
                # A thread that ends here would leave Nova without any events until its next restart.
                LOG.exception("the power state of instance %s could not be reported", uuid)

    def _next(self) -> str | None:
        """The next guest to confirm, or None to end."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                due = min(self._due, key=self._due.__getitem__, default=None)
                if due is not None and self._due[due] <= now:
                    del self._due[due]
                    return due
                self._changed.wait(None if due is None else self._due[due] - now)
        return None

    def _confirm(self, uuid: str) -> None:
        try:
            power = self._hypervisor.guest(uuid, fresh=True).power
        except errors.NotFound:
            return
        except errors.PlatformError as error:
            LOG.info("the power state of instance %s is asked for again: %s", uuid, error)
            with self._changed:
                self._due.setdefault(uuid, time.monotonic() + self._confirm_after_s)
            return
        transition = _TRANSITIONS.get(power)
        with self._changed:
            if transition is None or self._operations[uuid] or self._known.get(uuid) is power:
                return
            self._known[uuid] = power
        LOG.info("instance %s is %s, and not by Nova's doing", uuid, power.value)
        self._emit(virtevent.LifecycleEvent(uuid, transition))
