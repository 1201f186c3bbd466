"""Looks at the guests now and then, as z/VM reports nothing by itself: who has stopped, and whether it answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bigiron.errors import NotFound, PlatformError
from bigiron.zvm.errors import AWAY
from bigiron.zvm.guests import Guest, Guests
from bigiron.zvm.power import Power

LOG = logging.getLogger(__name__)

_AWAY_S = 60.0
_LOOKERS = 8


class Watch:
    """A thread that asks for each guest's power state; what differs from the last look, `Power` tells."""

    def __init__(
        self,
        pause_s: float,
        guests: Guests,
        power: Power,
        ping: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ping` asks the connector for something, and fails where it does not answer."""
        self._pause_s = pause_s
        self._guests = guests
        self._power = power
        self._ping = ping
        self._clock = clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._callbacks: list[Callable[[bool], None]] = []
        self._away_since: float | None = None
        self._told_away = False
        self._gone: set[str] = set()

    def subscribe(self, callback: Callable[[bool], None]) -> None:
        """Call back with False once the connector has not answered for a while, True when it does again."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Start the thread, unless the options say that nothing is to be asked."""
        if self._pause_s <= 0:
            return
        self._thread = threading.Thread(target=self._run, name="bigiron-zvm-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; safe to call twice."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def first_look(self) -> None:
        """Ask for the state of every guest, several at a time: Nova asks for each as it starts."""
        guests = self._guests.all()
        if not guests:
            return
        with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="bigiron-zvm-look") as pool:
            list(pool.map(self._quietly, guests))

    def _quietly(self, guest: Guest) -> None:
        try:
            self._power.state(guest)
        except PlatformError as error:
            LOG.info("the state of guest %s is not known: %s", guest.name, error)

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            try:
                self.look()
            except Exception:
                # A thread that ends here would leave Nova without any events until its next restart.
                LOG.exception("the guests could not be looked at")

    def look(self) -> None:
        """Ask for the state of every guest, once."""
        try:
            self._look()
        except AWAY as error:
            # Also where its web side answers, and its server behind that does not or takes no token.
            self._away(error)
        else:
            if not self._stopping.is_set():
                self._back()

    def _look(self) -> None:
        guests = self._guests.all()
        if not guests:
            # The scheduler likes an empty host best.
            self._ping()
        for guest in guests:
            if self._stopping.is_set():
                return
            try:
                self._power.state(guest, max_age_s=self._pause_s / 2)
                self._gone.discard(guest.instance)
            except NotFound:
                if guest.instance not in self._gone:
                    LOG.warning("guest %s (%s) is gone from z/VM, and not by our doing", guest.name, guest.userid)
                self._gone.add(guest.instance)
            except AWAY:
                raise
            except PlatformError as error:
                LOG.info("the state of guest %s is not known: %s", guest.name, error)

    def _away(self, error: PlatformError) -> None:
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
            LOG.warning("the Cloud Connector does not answer: %s", error)
        if not self._told_away and now - self._away_since >= _AWAY_S:
            self._told_away = True
            self._tell(False)

    def _back(self) -> None:
        self._away_since = None
        if self._told_away:
            self._told_away = False
            self._tell(True)

    def _tell(self, reachable: bool) -> None:
        for callback in self._callbacks:
            callback(reachable)
