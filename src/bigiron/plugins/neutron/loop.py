"""The agent's work loop: one thread does everything to the bridges, and whatever happens only fills its queue.

RPC, the platform's events and the clock put something in the queue; what arrives while the thread works is done
together. A pass that fails is made good by comparing everything, soon, and after a pause that grows with each
comparison that fails as well.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bigiron.errors import PlatformError
from bigiron.plugins.neutron.kinds import SEA, Kind
from bigiron.plugins.neutron.ports import Gather, Place, Port
from bigiron.powervm.events import LOST, RestEvent
from bigiron.powervm.network.vif_events import VifEvent, parse

LOG = logging.getLogger(__name__)

_BRIDGE = "/NetworkBridge/"
"""Part of the address that the platform's event of a changed bridge names, or of a load group in it."""

_PARTITION, _STATE = "LogicalPartition", "PartitionState"
"""Resource and word of the detail in the platform's event of a partition that was started or stopped."""

GATHER_S = 0.2
"""How long a bridge update waits for announcements that come together; an update itself takes seconds."""


@dataclass(frozen=True, slots=True)
class _Heal:
    """Compare everything."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Look:
    """Compare everything if a bridge is not as it was left."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """End the loop."""


_Item = VifEvent | _Heal | _Look | _Stop


class Reconciles(Protocol):
    """The work itself: see reconcile.Reconciler, and vnics.VnicReconciler of SR-IOV."""

    @property
    def devices(self) -> int: ...
    def handle(self, events: Sequence[VifEvent], gather: Gather) -> bool: ...
    def heal(self) -> bool: ...
    def changed(self) -> bool: ...
    def plugged(self, port_id: str) -> Port | None: ...
    def subports(self, port_id: str) -> frozenset[str]: ...
    def waits_for(self, partition: str) -> bool: ...
    def expect(self, port_id: str, place: Place | None) -> None: ...
    def forget(self, port_id: str) -> None: ...


class WorkLoop:
    """Feeds the reconciler; `run` works until `stop`, everything else may be called from any thread."""

    def __init__(
        self,
        reconciler: Reconciles,
        host: str,
        heal_interval: float,
        exception_interval: float,
        clock: Callable[[], float] = time.monotonic,
        kind: Kind = SEA,
    ) -> None:
        self._kind = kind
        self._reconciler = reconciler
        self._host = host
        self._heal_interval = heal_interval
        self._exception_interval = exception_interval
        self._clock = clock
        self._queue: queue.Queue[_Item] = queue.Queue()
        self._stopping = threading.Event()
        self._failures = 0
        self._next_heal = clock() + heal_interval

    @property
    def devices(self) -> int:
        """How many ports have an adapter here, as far as known."""
        return self._reconciler.devices

    def run(self) -> None:
        """Compare everything once, then work until `stop`."""
        self.heal_soon("the agent starts")
        while not self._stopping.is_set():
            self.step()

    def step(self, timeout: float | None = None) -> None:
        """Wait for something to do, for no longer than `timeout` seconds, and do it."""
        events, look, heal = self._next(timeout)
        if self._stopping.is_set():
            return
        # A guest's start waits for its announcement; comparing everything can wait for that.
        if events and not self._attempt(
            "wiring announced adapters", partial(self._reconciler.handle, events, self._gather)
        ):
            # Their servers wait: failures of others before them must not put this off.
            self._next_heal = min(self._next_heal, self._clock() + self._exception_interval)
        if heal or (look and not self._attempt("looking at the bridges", self._unchanged)):
            self._heal()

    def _unchanged(self) -> bool:
        if self._reconciler.changed():
            LOG.info("Comparing everything: another client has changed a bridge")
            return False
        return True

    def _heal(self) -> None:
        pause = self._heal_interval
        if self._attempt("comparing everything", self._reconciler.heal):
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
        self._queue.put(_Heal(reason))

    def on_event(self, event: RestEvent) -> None:
        """A listener for the platform's event stream."""
        if event.type in LOST:
            self.heal_soon(f"the platform reports {event.type}")
            return
        partition = event.object_of(_PARTITION)
        if partition and _STATE in event.detail and self._reconciler.waits_for(partition):
            self.heal_soon(f"the state of partition {partition} has changed")
        if _BRIDGE in event.data:
            self._queue.put(_Look())
        announced = parse(event)
        if announced is not None and announced.vif_type == self._kind.vif_type:
            self._queue.put(announced)
            if announced.trunk:
                self.heal_soon(f"port {announced.port} of a trunk was announced, and its subports go with it")

    def port_changed(
        self, port_id: str, host: str | None, physical_network: str, vlan: int, enabled: bool, active: bool
    ) -> None:
        """Neutron has changed a port: of interest if it is plugged here and now differs, or if it is to be.

        A port without an adapter stays as it is: reported up before the compute service waits for it, it would be
        waited for in vain.
        """
        here = host == self._host and enabled
        self._reconciler.expect(port_id, Place(physical_network, vlan) if here else None)
        known = self._reconciler.plugged(port_id)
        if known is None:
            return
        if host != self._host:
            self._reconciler.forget(port_id)
        elif (known.physical_network, known.vlan, known.enabled) != (physical_network, vlan, enabled) or (
            enabled and not active
        ):
            self._queue.put(VifEvent("plug", known.mac, self._kind.vif_type, port_id))

    def subport_changed(self, port_id: str, host: str | None, vlan: int, enabled: bool, active: bool) -> None:
        """Neutron has changed a trunk's subport: of interest if its trunk's adapter is to carry it or no longer to."""
        known = self._reconciler.plugged(port_id)
        if host == self._host and (enabled != active or (known is not None and known.vlan != vlan)):
            self.heal_soon(f"subport {port_id} has changed")

    def port_gone(self, port_id: str) -> None:
        """The port was deleted, or is no longer bound here; the adapter of its trunk, if it has one, carries it yet."""
        known = self._reconciler.plugged(port_id)
        self._reconciler.forget(port_id)
        if known is not None and known.parent:
            self.heal_soon(f"subport {port_id} has left its trunk")

    def trunk_changed(self, port_id: str, subports: frozenset[str]) -> None:
        """Neutron tells which subports a trunk's own port has: of interest if its adapter carries one that has left."""
        if self._reconciler.subports(port_id) - subports:
            self.heal_soon(f"subports have left the trunk of port {port_id}")

    def addresses_changed(self, port_id: str, allowed: str) -> None:
        """Neutron tells which MACs a port's guest may use: of interest if its adapter lets others through."""
        known = self._reconciler.plugged(port_id)
        if known is not None and known.allowed != allowed:
            self.heal_soon(f"the addresses that the guest of port {port_id} may use have changed")

    def port_arrived(self, port_id: str) -> None:
        """The port's binding to this host was activated; its adapter may have come with a migrated guest."""
        self.heal_soon(f"port {port_id} was activated on this host")

    def _next(self, timeout: float | None) -> tuple[list[VifEvent], bool, bool]:
        """All that there is to do: the announcements, whether to look at the bridges, whether to compare everything."""
        due = max(0.0, self._next_heal - self._clock())
        items: list[_Item] = []
        try:
            items.append(self._queue.get(timeout=due if timeout is None else min(due, timeout)))
        except queue.Empty:
            if timeout is None or due <= timeout:
                items.append(_Heal("it is time"))
        items += self._waiting()
        events = [item for item in items if isinstance(item, VifEvent)]
        reasons = [item.reason for item in items if isinstance(item, _Heal)]
        if reasons:
            LOG.debug("Comparing everything: %s", "; ".join(reasons))
        return events, any(isinstance(item, _Look) for item in items), bool(reasons)

    def _waiting(self) -> list[_Item]:
        items = []
        while True:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                return items

    def _gather(self) -> list[VifEvent]:
        """What is announced within a moment; anything else goes back."""
        self._stopping.wait(GATHER_S)
        items = self._waiting()
        for item in items:
            if not isinstance(item, VifEvent):
                self._queue.put(item)
        return [item for item in items if isinstance(item, VifEvent)]

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
