"""The work loop of the PowerVM agents: RPC and the platform's events put into its queue what there is to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bigiron.plugins.neutron.kinds import SEA, Kind
from bigiron.plugins.neutron.passes import PassLoop
from bigiron.plugins.neutron.ports import Gather, Place, Port
from bigiron.powervm.events import LOST, RestEvent
from bigiron.powervm.network.vif_events import VifEvent, parse

_PARTITION, _STATE = "LogicalPartition", "PartitionState"
"""Resource and word of the detail in the platform's event of a partition that was started or stopped."""

GATHER_S = 0.2
"""How long a bridge update waits for announcements that come together; an update itself takes seconds."""


class Reconciles(Protocol):
    """The work itself: see reconcile.Reconciler, and vnics.VnicReconciler of SR-IOV."""

    @property
    def devices(self) -> int: ...
    def handle(self, events: Sequence[VifEvent], gather: Gather) -> bool: ...
    def heal(self) -> bool: ...
    def plugged(self, port_id: str) -> Port | None: ...
    def subports(self, port_id: str) -> frozenset[str]: ...
    def waits_for(self, partition: str) -> bool: ...
    def expect(self, port_id: str, place: Place | None) -> None: ...
    def forget(self, port_id: str) -> None: ...


class WorkLoop(PassLoop[VifEvent]):
    """Feeds the reconciler; `run` works until `stop`, everything else may be called from any thread."""

    what = "wiring announced adapters"

    def __init__(
        self,
        reconciler: Reconciles,
        host: str,
        heal_interval: float,
        exception_interval: float,
        clock: Callable[[], float] = time.monotonic,
        kind: Kind = SEA,
    ) -> None:
        super().__init__(kind, host, heal_interval, exception_interval, clock)
        self._reconciler = reconciler

    @property
    def devices(self) -> int:
        """How many ports have an adapter here, as far as known."""
        return self._reconciler.devices

    def _work(self, items: list[VifEvent]) -> bool:
        return self._reconciler.handle(items, lambda: self._gathered(GATHER_S))

    def _compare(self) -> bool:
        return self._reconciler.heal()

    def on_event(self, event: RestEvent) -> None:
        """A listener for the platform's event stream."""
        if event.type in LOST:
            self.heal_soon(f"the platform reports {event.type}")
            return
        partition = event.object_of(_PARTITION)
        if partition and _STATE in event.detail and self._reconciler.waits_for(partition):
            self.heal_soon(f"the state of partition {partition} has changed")
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
