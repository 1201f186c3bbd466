"""Starts, stops, pauses and restarts guests; what is already so is a success. Knows their states between looks."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from bigiron.errors import Conflict, NotFound, PlatformError, Timeout, Unavailable
from bigiron.model import GuestEvent, PowerState
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import Ledger

LOG = logging.getLogger(__name__)

_STOP_S = 120
_POLL_S = 1
_SHUTDOWN = " softoff "
"""Stands in the connector's words where the guest's system was told to shut down, and CP did not log the guest off."""
_SLACK_S = 120.0
"""What a call may take beyond the time that it is told to wait: the connector's own pauses come on top."""


class Power:
    """The power of the guests; one action at a time for each of them.

    CP answers `on` for a paused guest, so that is remembered, over restarts too.
    """

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self._api = api
        self._ledger = ledger
        self._guard = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._ending: Counter[str] = Counter()
        self._captured: set[str] = set()
        self._states: dict[str, tuple[PowerState, float]] = {}
        self._callbacks: list[Callable[[GuestEvent], None]] = []

    def subscribe(self, callback: Callable[[GuestEvent], None]) -> None:
        """Call back whenever a look at a guest shows another state than before."""
        self._callbacks.append(callback)

    # States

    def state(self, guest: Guest, max_age_s: float = 0.0) -> PowerState:
        """The guest's state, asked for unless it is known and no older than that. Raises NotFound.

        A guest that is captured is off for a while and will run again: CHANGING, as nobody must act on that.
        """
        with self._guard:
            known = self._states.get(guest.instance)
            if guest.instance in self._captured:
                return PowerState.CHANGING
        if known is not None and time.monotonic() - known[1] < max_age_s:
            return known[0]
        asked = time.monotonic()
        power = self._seen(guest, self._api.power_state(guest.userid))
        if power is PowerState.STOPPED and known is not None and known[0] is not PowerState.STOPPED:
            # CP says the same of a userid that is no longer in the directory.
            self._api.entry(guest.userid)
        return self._remember(guest, power, asked)

    def last_known(self, guest: Guest) -> PowerState:
        """The state at the last look; UNKNOWN before the first."""
        with self._guard:
            known = self._states.get(guest.instance)
        return known[0] if known is not None else PowerState.UNKNOWN

    def _seen(self, guest: Guest, answer: str) -> PowerState:
        if answer == "off":
            return PowerState.STOPPED
        if answer != "on":
            return PowerState.UNKNOWN
        entry = self._ledger.find(guest.instance)
        return PowerState.PAUSED if entry is not None and entry.paused else PowerState.RUNNING

    def _remember(self, guest: Guest, power: PowerState, asked: float) -> PowerState:
        """Keep what was seen, unless something newer is known: a look may be overtaken by an operation."""
        with self._guard:
            known = self._states.get(guest.instance)
            if known is not None and known[1] > asked:
                return known[0]
            if power is PowerState.STOPPED:
                # Whoever starts it again starts it anew.
                self._ledger.change(guest.instance, paused=False)
            self._states[guest.instance] = (power, asked)
        if known is not None and known[0] is not power:
            for callback in self._callbacks:
                callback(GuestEvent(guest.instance, power))
        return power

    def _made(self, guest: Guest, power: PowerState) -> None:
        with self._guard:
            self._ledger.change(guest.instance, paused=power is PowerState.PAUSED)
            self._states[guest.instance] = (power, time.monotonic())

    def forget(self, instance: str) -> None:
        """The guest is gone."""
        with self._guard:
            self._states.pop(instance, None)
            self._locks.pop(instance, None)

    # Operations

    def start(self, guest: Guest) -> None:
        """Start the guest; one that runs already is no error, and a paused one goes on."""
        with self._locked(guest):
            if self._ending[guest.instance]:
                raise Conflict(f"Guest {guest.name} is being deleted and is not started any more.")
            entry = self._ledger.find(guest.instance)
            if entry is not None and entry.paused and self.state(guest) is PowerState.PAUSED:
                self.unpause(guest)
                return
            self._api.action(guest.userid, "start", what=f"Starting guest {guest.name}")
            self._made(guest, PowerState.RUNNING)

    def stop(self, guest: Guest, timeout_s: int = 0) -> None:
        """Stop the guest: with a time-out by its operating system first, which the connector gives 15 s at least."""
        with self._locked(guest):
            if timeout_s and not self._shut_down(guest, timeout_s):
                LOG.warning("guest %s did not shut down within %d s and is stopped", guest.name, timeout_s)
            if self.last_known(guest) is not PowerState.STOPPED or not timeout_s:
                what = f"Stopping guest {guest.name}"
                timeout = _STOP_S + _SLACK_S
                fields = {"timeout": _STOP_S, "poll_interval": _POLL_S}
                self._api.action(guest.userid, "stop", what=what, timeout_s=timeout, **fields)
                self._made(guest, PowerState.STOPPED)

    def _shut_down(self, guest: Guest, timeout_s: int) -> bool:
        """Have the operating system stop; False where it did not in time."""
        if self.state(guest) is PowerState.STOPPED:
            return True
        deadline = time.monotonic() + timeout_s
        fields = {"timeout": timeout_s, "poll_interval": _POLL_S}
        try:
            self._api.action(
                guest.userid, "softstop", what=f"Shutting down guest {guest.name}",
                timeout_s=timeout_s + _SLACK_S, **fields,
            )  # fmt: skip
        except NotFound:
            raise
        except (Unavailable, Timeout) as error:
            LOG.info("guest %s may be shutting down: %s", guest.name, error)
            if not self._goes_off(guest, deadline):
                return False
        except PlatformError as error:
            LOG.info("guest %s is not shut down: %s", guest.name, error)
            return False
        self._made(guest, PowerState.STOPPED)
        return True

    def _goes_off(self, guest: Guest, deadline: float) -> bool:
        """Whether the guest is off by then; to stop it before that would cut its system off in its shutdown."""
        while self.state(guest) is not PowerState.STOPPED:
            if time.monotonic() > deadline:
                return False
            self._api.connector.pause(_POLL_S)
        return True

    def restart(self, guest: Guest, hard: bool) -> None:
        """Restart the guest; one that is stopped is started. A soft restart that the guest does not do becomes hard."""
        with self._locked(guest):
            if not hard and self.state(guest) is PowerState.RUNNING and self._reboot(guest):
                return
            # Not the connector's own `reset`: it asks the guest to end, and looks every ten seconds.
            self.stop(guest)
            self.start(guest)

    def _reboot(self, guest: Guest) -> bool:
        timeout = self._api.connector.options.reachable_timeout_s + _SLACK_S
        try:
            self._api.action(guest.userid, "reboot", what=f"Rebooting guest {guest.name}", timeout_s=timeout)
        except (NotFound, Timeout, Unavailable):
            raise
        except PlatformError as error:
            LOG.warning("guest %s does not reboot by itself and is restarted: %s", guest.name, error)
            return False
        self._made(guest, PowerState.RUNNING)
        return True

    def pause(self, guest: Guest) -> None:
        """Stop the guest's processors; one that is paused already is no error. Raises Conflict for a stopped one."""
        with self._locked(guest):
            power = self.state(guest)
            if power is PowerState.PAUSED:
                return
            if power is not PowerState.RUNNING:
                raise Conflict(f"Guest {guest.name} is {power.value} and cannot be paused. Start it first.")
            self._api.action(guest.userid, "pause", what=f"Pausing guest {guest.name}")
            self._made(guest, PowerState.PAUSED)

    def unpause(self, guest: Guest) -> None:
        """Let the guest's processors go on. Raises Conflict for a stopped guest."""
        with self._locked(guest):
            power = self.state(guest)
            if power is PowerState.STOPPED:
                raise Conflict(f"Guest {guest.name} is stopped and cannot be unpaused. Start it instead.")
            self._api.action(guest.userid, "unpause", what=f"Unpausing guest {guest.name}")
            self._made(guest, PowerState.RUNNING)

    @contextlib.contextmanager
    def capture(self, guest: Guest) -> Iterator[None]:
        """Around the capture of a guest, which the connector may stop for it and starts again; it does not when the
        capture fails."""
        with self._locked(guest):
            before = self.state(guest)
            with self._guard:
                self._captured.add(guest.instance)
            try:
                yield
            except PlatformError as error:
                self._release(guest)
                if before not in (PowerState.STOPPED, PowerState.CHANGING):
                    self._started_again(guest, halted=_SHUTDOWN in error.message)
                raise
            finally:
                self._release(guest)

    def _release(self, guest: Guest) -> None:
        with self._guard:
            self._captured.discard(guest.instance)

    def _started_again(self, guest: Guest, halted: bool) -> None:
        """Start a guest that a failed capture has stopped, or restart one whose system was `halted` for it only."""
        try:
            if self.state(guest) is PowerState.STOPPED:
                self.start(guest)
            elif halted:
                self.restart(guest, hard=True)
        except PlatformError as error:
            LOG.error("guest %s was stopped for a capture that failed, and does not start: %s", guest.name, error)

    @contextlib.contextmanager
    def ending(self, instance: str) -> Iterator[None]:
        """Nothing starts the guest while it is taken apart: a reboot may have waited for its turn until now."""
        with self._guard:
            self._ending[instance] += 1
        try:
            yield
        finally:
            with self._guard:
                self._ending -= Counter([instance])

    @contextlib.contextmanager
    def _locked(self, guest: Guest) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(guest.instance, threading.RLock())
        with lock:
            yield
