"""Tells Neutron which direct ports of a host have their vNIC, and what physical ports the host has for more.

Nothing is to be wired: a vNIC carries its VLAN itself. A port is reported up once its vNIC is there. As for SEA there
are two ways in: `handle`, for vNICs that the compute service has just announced, and `heal`, which compares everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from bigiron import naming
from bigiron.plugins.neutron.ports import Announce, Gather, Port, PortBook, Server, latest
from bigiron.powervm.network.sriov import PhysicalPort
from bigiron.powervm.network.vif_events import VifEvent
from bigiron.powervm.network.vnic_reader import Vnic


class Platform(Protocol):
    """The platform's physical ports and vNICs: see powervm.network.vnic_reader.VnicReader."""

    def ports(self) -> tuple[PhysicalPort, ...]: ...
    def of(self, partitions: Collection[str]) -> list[Vnic]: ...


@dataclass(slots=True)
class VnicReconciler(PortBook):
    """Works for one host; `handle` and `heal` are called from one thread."""

    title = "vNIC"
    server: Server
    platform: Platform
    announce: Announce = lambda ports: None
    ports_read: Callable[[tuple[PhysicalPort, ...], Sequence[Port]], None] = lambda physical, plugged: None
    """Takes the physical ports and Neutron's ports that have their vNIC, as often as either may have changed."""

    def __post_init__(self) -> None:
        PortBook.__init__(self)

    def handle(self, events: Sequence[VifEvent], gather: Gather = tuple) -> bool:
        """Report the announced vNICs; there is nothing that could be worth waiting for more of them.

        The guests of those that Neutron has told of may start before it is asked.
        """
        self._begin()
        last = latest(events)
        announced = list(self._expected(last))
        if announced:
            self.announce(announced)
        ports = self._lookup(last.values())
        self._settle(last, ports, {port.id for port in ports if port.enabled}, announced)
        # What was looked up says nothing of guarantees.
        self.ports_read(self.platform.ports(), [port for port in self.server.ports() if port.id in self._plugged])
        return True

    def heal(self) -> bool:
        """Compare all direct ports of this host with the vNICs, and read the physical ports again."""
        self._begin()
        physical, ports = self.platform.ports(), self.server.ports()
        guests = {naming.lpar_uuid(port.guest) for port in ports if port.guest}
        there = {(vnic.partition, vnic.mac, vnic.vlan) for vnic in self.platform.of(guests)} if guests else set()
        plugged = [p for p in ports if p.guest and (naming.lpar_uuid(p.guest), p.mac, p.vlan) in there]
        self._compared(ports, plugged, {port.id for port in plugged if port.enabled})
        self.ports_read(physical, plugged)
        return True
