"""The loop of an agent: one thread makes all passes, and whatever happens only fills its queue.

What arrives while the thread works is done together. A pass that fails is made good by comparing everything, soon, and
after a pause that grows with each comparison that fails as well.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from bigiron.errors import PlatformError
from bigiron.plugins.neutron.kinds import Kind

LOG = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Heal:
    """Compare everything."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Stop:
    """End the loop."""


class PassLoop(ABC, Generic[Item]):
    """`run` works until `stop`; everything else that is public may be called from any thread."""

    what = "working"
    """What a pass over items does, in words that follow "failed at"."""

    def __init__(
        self,
        kind: Kind,
        host: str,
        heal_interval: float,
        exception_interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._host = host
        self._heal_interval = heal_interval
        self._exception_interval = exception_interval
        self._clock = clock
        self._queue: queue.Queue[Item | Heal | _Stop] = queue.Queue()
        self._stopping = threading.Event()
        self._failures = 0
        self._next_heal = clock() + heal_interval

    @abstractmethod
    def _work(self, items: list[Item]) -> bool:
        """A pass over what has come; says whether all went well."""

    @abstractmethod
    def _compare(self) -> bool:
        """A pass that compares everything; says whether all went well."""

    def _due(self) -> tuple[float, Item | Heal]:
        """When something is to be done though nothing comes, and what."""
        return self._next_heal, Heal("it is time")

    def run(self) -> None:
        """Compare everything once, then work until `stop`."""
        self.heal_soon("the agent starts")
        while not self._stopping.is_set():
            self.step()

    def step(self, timeout: float | None = None) -> None:
        """Wait for something to do, for no longer than `timeout` seconds, and do it."""
        items, heal = self._next(timeout)
        if self._stopping.is_set():
            return
        # A guest's start waits for its announcement; comparing everything can wait for that.
        if items and not self._attempt(self.what, partial(self._work, items)):
            # Their servers wait: failures of others before them must not put this off.
            self._next_heal = min(self._next_heal, self._clock() + self._exception_interval)
        if heal:
            self._heal()

    def _heal(self) -> None:
        pause = self._heal_interval
        if self._attempt("comparing everything", self._compare):
            self._failures = 0
        else:
            pause = min(pause, self._exception_interval * 2 ** min(self._failures, 16))
            self._failures += 1
        self._next_heal = self._clock() + pause

    def stop(self) -> None:
        """Let `run` return after the pass that it is in."""
        self._stopping.set()
        self._queue.put(_Stop())

    def heal_soon(self, reason: str) -> None:
        """Ask for a comparison."""
        self._queue.put(Heal(reason))

    def _next(self, timeout: float | None) -> tuple[list[Item], bool]:
        """All that there is to do: what has come, and whether to compare everything."""
        at, then = self._due()
        due = max(0.0, at - self._clock())
        found: list[Item | Heal | _Stop] = []
        try:
            found.append(self._queue.get(timeout=due if timeout is None else min(due, timeout)))
        except queue.Empty:
            if timeout is None or due <= timeout:
                found.append(then)
        found += self._waiting()
        items = [item for item in found if not isinstance(item, Heal | _Stop)]
        reasons = [item.reason for item in found if isinstance(item, Heal)]
        if reasons:
            LOG.debug("Comparing everything: %s", "; ".join(reasons))
        return items, bool(reasons)

    def _waiting(self) -> list[Item | Heal | _Stop]:
        items = []
        while True:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                return items

    def _gathered(self, seconds: float) -> Sequence[Item]:
        """What comes within a moment; anything else goes back."""
        self._stopping.wait(seconds)
        items = self._waiting()
        for item in items:
            if isinstance(item, Heal | _Stop):
                self._queue.put(item)
        return [item for item in items if not isinstance(item, Heal | _Stop)]

    def _attempt(self, what: str, work: Callable[[], bool]) -> bool:
        """Do one pass and say whether all went well."""
        try:
            return work()
        except PlatformError as error:
            LOG.error("The %s agent of host %s failed at %s: %s", self._kind.title, self._host, what, error)
        except Exception:
            # The loop must outlive any mistake: the ports of the whole host depend on it.
            LOG.exception("The %s agent of host %s failed at %s", self._kind.title, self._host, what)
        return False
