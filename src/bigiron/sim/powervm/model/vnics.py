"""vNICs: creation and removal, with the rules of physical ports, capacity, VIOSes, slots and MACs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import adapters, slots
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.reach import need_dlpar, need_vios
from bigiron.sim.powervm.model.sriov import (
    MAX_MIN,
    BackingDevice,
    LogicalPort,
    PhysicalPort,
    SriovAdapter,
    VirtualNic,
)
from bigiron.sim.powervm.model.world import World

MAX_BACKING = 6
LOWEST_PVID, HIGHEST_PVID = 2, 4094
OPERATIONAL, LINK_DOWN, POWERED_OFF = "OPERATIONAL", "LINK_DOWN", "POWERED_OFF"


@dataclass(frozen=True, slots=True)
class BackingSpec:
    """A backing device as a client asks for it; None leaves the choice to the system. Capacities are percentages."""

    vios: str
    adapter: int
    port: int
    capacity: float | None = None
    max_capacity: float | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class VnicSpec:
    """A vNIC as a client asks for it; None leaves the choice to the system."""

    backing: tuple[BackingSpec, ...]
    mac: str | None = None
    pvid: int = 0
    pvid_priority: int = 0
    allowed_vlans: str = "ALL"
    allowed_macs: str = "ALL"
    auto_failback: bool = False
    slot: int | None = None
    high_slot: bool = False


def create(world: World, lpar: Lpar, spec: VnicSpec) -> VirtualNic:
    """Give a partition a new vNIC with a logical port for each backing device; raises BadRequest or Busy."""
    need_dlpar(lpar, "add a virtual NIC to")
    if spec.pvid and not LOWEST_PVID <= spec.pvid <= HIGHEST_PVID:
        raise BadRequest(f"PortVLANID {spec.pvid} is outside {LOWEST_PVID}..{HIGHEST_PVID}; 0 leaves frames untagged.")
    if not 1 <= len(spec.backing) <= MAX_BACKING:
        raise BadRequest(f"A vNIC has 1 to {MAX_BACKING} backing devices, not {len(spec.backing)}.")
    mac = adapters.check_mac(world, spec.mac) if spec.mac else slots.new_mac(world)
    allowed = adapters.check_allowed_macs(spec.allowed_macs)
    placed = _place(world, spec)
    if spec.slot is not None:
        slot = slots.claim(world, lpar, spec.slot)
    else:
        slot = slots.highest(world, lpar) if spec.high_slot else slots.lowest(world, lpar)
    vnic = VirtualNic(
        uuid=world.new_uuid(VirtualNic.KIND),
        slot=slot,
        mac=mac,
        pvid=spec.pvid,
        pvid_priority=spec.pvid_priority,
        allowed_vlans=spec.allowed_vlans,
        allowed_macs=allowed,
        auto_failback=spec.auto_failback,
    )
    for backing, port, capacity in placed:
        vnic.backing.append(_back(world, vnic, backing, port, capacity))
    lpar.vnics.append(vnic)
    world.added(vnic, lpar)
    _settle(world, lpar, vnic)
    return vnic


def delete(world: World, lpar: Lpar, vnic: VirtualNic) -> None:
    """Take a vNIC and its logical ports away; its VIOSes must be there to give them up."""
    need_dlpar(lpar, "remove a virtual NIC from")
    for backing in vnic.backing:
        need_vios(world.vios(backing.vios))
    _release(world, vnic)
    lpar.vnics.remove(vnic)
    world.removed(vnic, lpar)
    _settle(world, lpar, vnic)


def drop_client(world: World, lpar: Lpar) -> None:
    """A partition goes, and the logical ports of its vNICs with it."""
    for vnic in lpar.vnics:
        _release(world, vnic)
        for backing in vnic.backing:
            world.touch(world.vios(backing.vios))


def set_port(world: World, port: PhysicalPort, *, link: bool | None = None, label: str | None = None) -> None:
    """A cable is pulled or plugged, or an operator labels a port: clients are told that the ports have changed."""
    port.link = port.link if link is None else link
    port.label = port.label if label is None else label
    world.touch(*(vnic for lpar in world.lpars for vnic in lpar.vnics))
    world.changed(world.system, "SRIOVPhysicalPort.ConfigChange")


def find_port(world: World, adapter: int, port: int) -> PhysicalPort | None:
    """The physical port of that id on the adapter of that id."""
    found = next((a for a in world.state.sriov if a.id == adapter), None)
    return None if found is None else next((p for p in found.ports if p.id == port), None)


def logical_ports(world: World) -> Iterator[tuple[SriovAdapter, PhysicalPort, LogicalPort]]:
    """Every logical port with where it is."""
    for adapter in world.state.sriov:
        for port in adapter.ports:
            for logical in port.logical:
                yield adapter, port, logical


def logical_port(world: World, backing: BackingDevice) -> LogicalPort | None:
    """The logical port behind a backing device."""
    port = find_port(world, backing.adapter, backing.port)
    return None if port is None else next((one for one in port.logical if one.id == backing.logical), None)


def status(world: World, backing: BackingDevice) -> str:
    """Whether frames can pass this way now."""
    port = find_port(world, backing.adapter, backing.port)
    if not world.vios(backing.vios).is_up:
        return POWERED_OFF
    return OPERATIONAL if port is not None and port.link else LINK_DOWN


def active(world: World, vnic: VirtualNic) -> BackingDevice:
    """The backing device that carries the frames: the first by priority of those that can, else the first."""
    ranked = sorted(vnic.backing, key=lambda one: one.priority)
    return next((one for one in ranked if status(world, one) == OPERATIONAL), ranked[0])


def _place(world: World, spec: VnicSpec) -> list[tuple[BackingSpec, PhysicalPort, float]]:
    """The physical port and the capacity of each backing device, checked together."""
    found: list[tuple[BackingSpec, PhysicalPort, float]] = []
    for backing in spec.backing:
        vios = world.partition(backing.vios)
        if not isinstance(vios, Vios):
            raise BadRequest(f"AssociatedVirtualIOServer must link to a Virtual I/O Server; {backing.vios} is none.")
        need_vios(vios)
        adapter, port = _shared_port(world, backing)
        capacity = port.granularity if backing.capacity is None else backing.capacity
        _check_capacity(adapter, port, capacity, backing.max_capacity)
        taken = [other for _, where, other in found if where is port]
        if len(port.logical) + len(taken) >= port.max_ports:
            raise BadRequest(
                f"SR-IOV physical port {port.location} has insufficient resources for another logical port: all "
                f"{port.max_ports} are configured."
            )
        free = 100.0 - port.allocated - sum(taken)
        if capacity > free + 1e-6:
            raise BadRequest(
                f"SR-IOV physical port {port.location} has insufficient capacity: {capacity:g}% was asked for and "
                f"{free:g}% is available."
            )
        if backing.priority is not None and not 1 <= backing.priority <= 100:
            raise BadRequest(f"FailOverPriority must be within 1..100, not {backing.priority}.")
        found.append((backing, port, capacity))
    return found


def _shared_port(world: World, backing: BackingSpec) -> tuple[SriovAdapter, PhysicalPort]:
    adapter = next((one for one in world.state.sriov if one.id == backing.adapter), None)
    if adapter is None or not adapter.is_shared:
        raise BadRequest(f"There is no SR-IOV adapter with id {backing.adapter} in shared mode that is running.")
    port = next((one for one in adapter.ports if one.id == backing.port), None)
    if port is None:
        raise BadRequest(f"SR-IOV adapter {backing.adapter} has no physical port {backing.port}.")
    return adapter, port


def _check_capacity(adapter: SriovAdapter, port: PhysicalPort, capacity: float, limit: float | None) -> None:
    steps = capacity / port.granularity
    if not 0 < capacity <= 100 or not math.isclose(steps, round(steps), abs_tol=1e-6):
        raise BadRequest(
            f"CurrentCapacityPercentage {capacity:g}% is not a multiple of {port.granularity:g}%, the granularity of "
            f"SR-IOV physical port {port.location}, up to 100%."
        )
    if limit is None or limit == 100.0:
        return
    if adapter.personality != MAX_MIN:
        raise BadRequest(f"SR-IOV adapter {adapter.id} cannot limit the capacity of a logical port.")
    if not capacity <= limit <= 100:
        raise BadRequest(f"MaxCapacityPercentage {limit:g}% is outside {capacity:g}%..100%.")


def _back(world: World, vnic: VirtualNic, spec: BackingSpec, port: PhysicalPort, capacity: float) -> BackingDevice:
    taken = {one.id for _, _, one in logical_ports(world)}
    first = 0x27000000 + (spec.adapter << 16) + (spec.port << 8)
    logical = LogicalPort(
        uuid=world.new_uuid(LogicalPort.KIND),
        id=next(n for n in range(first + 1, first + 256) if n not in taken),
        vios=world.vios(spec.vios).uuid,
        vnic=vnic.uuid,
        mac=vnic.mac,
        pvid=vnic.pvid,
        capacity=capacity,
        max_capacity=100.0 if spec.max_capacity is None else spec.max_capacity,
    )
    port.logical.append(logical)
    world.touch(logical)
    return BackingDevice(
        vios=logical.vios, adapter=spec.adapter, port=spec.port, logical=logical.id, priority=spec.priority or 50
    )


def _release(world: World, vnic: VirtualNic) -> None:
    for adapter in world.state.sriov:
        for port in adapter.ports:
            port.logical = [one for one in port.logical if one.vnic != vnic.uuid]
    world.touch(world.system)


def _settle(world: World, lpar: Lpar, vnic: VirtualNic) -> None:
    """The documents of the partition, the VIOSes and the system show what has changed."""
    world.changed(lpar, VirtualNic.KIND)
    world.touch(world.system, *(world.vios(backing.vios) for backing in vnic.backing))
