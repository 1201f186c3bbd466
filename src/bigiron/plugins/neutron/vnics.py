"""Tells Neutron which direct ports of a host have their vNIC, and what physical ports the host has for more.

Nothing is to be wired: a vNIC carries its VLAN itself. A port is reported up once its vNIC is there. As for SEA there
are two ways in: `handle`, for vNICs that the compute service has just announced, and `heal`, which compares everything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bigiron import naming
from bigiron.plugins.neutron.ports import PortBook, latest
from bigiron.plugins.neutron.reconcile import Announce, Gather, Port, Server
from bigiron.powervm.network.sriov import PhysicalPort
from bigiron.powervm.network.vif_events import VifEvent
from bigiron.powervm.network.vnic_reader import Vnic

LOG = logging.getLogger(__name__)


class Platform(Protocol):
    """The platform's physical ports and vNICs: see powervm.network.vnic_reader.VnicReader."""

    def ports(self) -> tuple[PhysicalPort, ...]: ...
    def of(self, partitions: Collection[str]) -> list[Vnic]: ...


@dataclass(slots=True)
class VnicReconciler(PortBook):
    """Works for one host; `handle` and `heal` are called from one thread."""

    server: Server
    platform: Platform
    announce: Announce = lambda ports: None
    ports_read: Callable[[tuple[PhysicalPort, ...], Sequence[Port]], None] = lambda physical, plugged: None
    """Takes the physical ports and Neutron's ports that have their vNIC, as often as either may have changed."""
    _plugged: dict[str, Port] = field(default_factory=dict)

    def handle(self, events: Sequence[VifEvent], gather: Gather = tuple) -> bool:
        """Report the announced vNICs; there is nothing that could be worth waiting for more of them."""
        last = latest(events)
        ports = self._lookup(last.values())
        gone = {device for device, event in last.items() if event.action == "unplug"}
        self._plugged = {port.id: port for port in (*self._plugged.values(), *ports) if not gone & {port.id, port.mac}}
        down = gone | {port.id for port in ports if not port.enabled}
        self._report([port.id for port in ports if port.enabled], sorted(down))
        # What was looked up says nothing of guarantees.
        self.ports_read(self.platform.ports(), [port for port in self.server.ports() if port.id in self._plugged])
        return True

    def heal(self) -> bool:
        """Compare all direct ports of this host with the vNICs, and read the physical ports again."""
        physical, ports = self.platform.ports(), self.server.ports()
        guests = {naming.lpar_uuid(port.guest) for port in ports if port.guest}
        there = {(vnic.partition, vnic.mac, vnic.vlan) for vnic in self.platform.of(guests)} if guests else set()
        plugged = [p for p in ports if p.guest and (naming.lpar_uuid(p.guest), p.mac, p.vlan) in there]
        self._plugged = {port.id: port for port in plugged}
        self.ports_read(physical, plugged)
        carrying = {port.id for port in plugged if port.enabled}
        up = [port.id for port in ports if port.id in carrying and not port.active]
        down = [port.id for port in ports if port.id not in carrying and port.active]
        LOG.info(
            "Compared: %d direct ports bound here, %d with a vNIC, %d come up, %d go down",
            len(ports), len(plugged), len(up), len(down),
        )  # fmt: skip
        self._report(up, down)
        return True
