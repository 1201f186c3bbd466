"""vNICs: a port's adapter on SR-IOV hardware, backed by logical ports that Virtual I/O Servers drive.

Resource: LogicalPartition/<uuid>/VirtualNICDedicated. Each backing device names a VIOS, an SR-IOV adapter and one of
its physical ports; the platform makes the logical port and fails over between them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pypowervm.util import VLANList
from pypowervm.wrappers.iocard import VNIC, VNICBackDev
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.managed_system import System

from bigiron.errors import Conflict, InvalidSpec, NoCapacity, Unavailable, Unsupported
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.network import macs, sriov
from bigiron.powervm.network.children import PartitionAdapters
from bigiron.powervm.network.sriov import PhysicalPort, Wanted
from bigiron.powervm.vios import Vios

LOG = logging.getLogger(__name__)

_FRESH_S = 5.0
"""So old may the reading of the ports be that a choice begins with; what the platform refuses is chosen anew."""
_TRIES = 3


class VirtualNics(PartitionAdapters):
    """Creates, finds, deletes and announces the vNICs of the system's LPARs; safe to share between threads."""

    wrapper = VNIC
    what = "vNIC"

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(connection)
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._seen: System | None = None
        self._made: list[tuple[PhysicalPort, float]] = []
        """Logical ports made since the system was read, which its document does not show."""

    def check(self, nic: NicSpec) -> None:
        """Raise for a vNIC that cannot be made now; one request, where the ports were not read a moment ago."""
        want = self.check_binding(nic)
        self._choose(nic, want)
        self._vioses(want.redundancy)

    def create(self, lpar_uuid: str, nic: NicSpec) -> str:
        """Create the port's vNIC; returns its href. Where others have taken the room meanwhile, chooses anew."""
        want = self.check_binding(nic)
        chosen = self._choose(nic, want)
        for _ in range(_TRIES - 1):
            try:
                return self._create(lpar_uuid, nic, want, chosen)
            except (NoCapacity, Conflict) as error:
                again = self._choose(nic, want, fresh=True)
                if _places(again) == _places(chosen):
                    raise
                LOG.info("Other SR-IOV ports are chosen now: %s", error)
                chosen = again
        return self._create(lpar_uuid, nic, want, chosen)

    def check_binding(self, nic: NicSpec) -> Wanted:
        """What the port's binding asks for; raises for what no system of this kind can do, and asks it nothing."""
        if nic.vlan is not None and not sriov.LOWEST_VLAN <= nic.vlan <= sriov.HIGHEST_VLAN:
            raise InvalidSpec(
                f"Port {nic.id} has the VLAN {nic.vlan}; an SR-IOV port tags frames with one of {sriov.LOWEST_VLAN}.."
                f"{sriov.HIGHEST_VLAN}. Use another VLAN, or a flat network for untagged frames."
            )
        want = sriov.wanted(nic)
        system = self._connection.system
        if not system.get_capability("vnic_capable"):
            raise Unsupported(f"Port {nic.id} needs a vNIC, and the firmware of this system makes none; update it.")
        if want.redundancy > 1 and not system.get_capability("vnic_failover_capable"):
            raise Unsupported(
                f"Port {nic.id} needs {want.redundancy} logical ports, and the firmware of this system has no failover "
                "of vNICs; set vnic_required_vfs to 1 in its binding:profile, or update the firmware."
            )
        return want

    def _choose(self, nic: NicSpec, want: Wanted, fresh: bool = False) -> tuple[PhysicalPort, ...]:
        """The ports for the vNIC; none is refused by what was read a moment ago and may have changed since."""
        if not fresh and self._clock() - self._read_at < _FRESH_S:
            try:
                return sriov.choose(self._ports(), nic, want)
            except (NoCapacity, InvalidSpec) as error:
                LOG.debug("The SR-IOV ports are read again: %s", error)
        return sriov.choose(self._ports(fresh=True), nic, want)

    def _ports(self, fresh: bool = False) -> list[PhysicalPort]:
        """The physical ports, what this process has made on them since the last reading counted."""
        with self._lock:
            document = self._connection.document
            if fresh:
                document.refresh()
                self._read_at = self._clock()
                self._made.clear()
            elif document.last is not self._seen:
                self._made.clear()
            self._seen = document.last
            return [self._with_made(port) for port in sriov.physical_ports(document.last)]

    def _with_made(self, port: PhysicalPort) -> PhysicalPort:
        made = [capacity for one, capacity in self._made if one.location == port.location]
        return replace(port, allocated=port.allocated + sum(made), logical=port.logical + len(made))

    def _vioses(self, redundancy: int) -> list[Vios]:
        """The VIOSes that can serve a vNIC, by id; raises Unavailable where none does."""
        serving = self._connection.vioses.active()
        able = [
            vios
            for vios in serving
            if (document := self._connection.vioses.last(vios.uuid)).vnic_capable
            and (redundancy == 1 or document.vnic_failover_capable)
        ]
        if not able:
            names = ", ".join(vios.name for vios in serving)
            raise Unavailable(
                f"Of the VIOSes that serve ({names}) none can serve a vNIC; update one to 2.2.5 or later."
            )
        return able

    def _create(self, lpar_uuid: str, nic: NicSpec, want: Wanted, chosen: Sequence[PhysicalPort]) -> str:
        vioses = self._vioses(want.redundancy)
        # The first VIOS carries the traffic while all is well: ports take turns.
        turn = int(nic.mac[-2:], 16)
        devices = [
            VNICBackDev.bld(
                self._adapter,
                vioses[(turn + place) % len(vioses)].uuid,
                port.adapter,
                port.port,
                capacity=want.capacity,
                failover_pri=place + 1 if want.redundancy > 1 else None,
                max_capacity=want.max_capacity,
            )
            for place, port in enumerate(chosen)
        ]
        # Frames of other VLANs and other addresses do not leave the port, as elsewhere in OpenStack.
        wrapper = VNIC.bld(
            self._adapter,
            pvid=nic.vlan,
            allowed_vlans=VLANList.NONE,
            mac_addr=nic.mac,
            allowed_macs=macs.to_wire(nic.details.get(macs.ALLOWED, macs.NONE)).split(),
            back_devs=devices,
        )
        if want.redundancy > 1:
            wrapper.auto_pri_failover = True
        with translated(f"Creating the vNIC {nic.mac} of partition {lpar_uuid} on {_places(chosen)}"):
            made = wrapper.create(parent_type=LPAR, parent_uuid=lpar_uuid)
        with self._lock:
            self._made += [(port, want.capacity or port.granularity) for port in chosen]
        return str(made.related_href)


def _places(ports: Sequence[PhysicalPort]) -> str:
    return ", ".join(port.location for port in ports)
