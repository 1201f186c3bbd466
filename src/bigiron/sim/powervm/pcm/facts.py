"""What a sample holds of the system: unchanging values that samples share, without the counters.

The counters follow from them and from the sample's time, so that an idle system of any size costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bigiron.sim.powervm.model import backing, capacity, slots, vnics
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.partition import Partition, Processors, Vios
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.pcm.load import Meter, Share

_MODES = {
    "capped": "cap",
    "uncapped": "uncap",
    "keep idle procs": "keep_idle_procs",
    "sre idle proces": "share_idle_procs",
    "sre idle procs active": "share_idle_procs_active",
    "sre idle procs always": "share_idle_procs_always",
}


@dataclass(frozen=True, slots=True)
class Ethernet:
    """A virtual Ethernet adapter."""

    vlan: int
    switch: int
    location: str
    device: str
    weight: float
    """Its part of what goes through: no two adapters of a partition need have the same counters."""


@dataclass(frozen=True, slots=True)
class LogicalPort:
    """A logical port of an SR-IOV adapter: it belongs to a VIOS and carries the frames of a client's vNIC."""

    number: int
    location: str
    adapter: int
    port: int
    client: str
    weight: float
    active: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """A virtual SCSI adapter of a partition: the VIOS's short id and slot at the other end."""

    location: str
    vios: int
    vios_slot: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A virtual Fibre Channel adapter of a partition."""

    location: str
    vios: int
    wwpns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """A partition; `meter` is None while it is off."""

    id: int
    uuid: str
    name: str
    type: str
    state: str
    rmc: str
    memory: int
    mode: str
    vcpus: int
    weight: int | None
    share: Share
    meter: Meter | None
    ethernets: tuple[Ethernet, ...] = ()
    disks: tuple[Disk, ...] = ()
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A VIOS's end of a virtual SCSI pair."""

    name: str
    location: str
    client: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class ServedChannel:
    """A VIOS's end of a virtual Fibre Channel pair."""

    name: str
    location: str
    wwpn: str
    client: str | None


@dataclass(frozen=True, slots=True)
class FibrePort:
    """A physical Fibre Channel port with the pairs that go through it."""

    name: str
    wwpn: str
    location: str
    served: tuple[ServedChannel, ...]


@dataclass(frozen=True, slots=True)
class Sea:
    """A shared Ethernet adapter and the devices that it joins."""

    device: str
    location: str
    joined: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoragePool:
    """A shared storage pool, in MB."""

    name: str
    disks: tuple[str, ...]
    total: int
    used: int


@dataclass(frozen=True, slots=True)
class ViosFacts:
    """A VIOS as a partition, and its devices."""

    partition: PartitionFacts
    reached: bool
    """Whether the management side can ask it."""
    ports: tuple[tuple[str, str], ...]
    """(device, location) of each physical Ethernet port."""
    seas: tuple[Sea, ...]
    servers: tuple[Server, ...]
    fibre: tuple[FibrePort, ...]
    pools: tuple[StoragePool, ...]
    disk_location: str
    logical_ports: tuple[LogicalPort, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessorPool:
    """A shared processor pool; the default pool has all processors."""

    id: int
    name: str
    maximum: float


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The managed system with everything on it."""

    name: str
    mtms: str
    memory: int
    memory_free: int
    firmware_memory: int
    processors: float
    processors_free: float
    pools: tuple[ProcessorPool, ...]
    lpars: tuple[PartitionFacts, ...]
    vioses: tuple[ViosFacts, ...]


_DONATING = frozenset({"sre idle procs active", "sre idle procs always"})
"""Ways of sharing in which a partition that runs gives away the idle time of its own processors."""
MeterOf = Callable[[Partition], Meter | None]


def share_of(processors: Processors) -> Share:
    """What a partition with these processors may use."""
    if processors.dedicated:
        return Share(processors.vcpus, processors.vcpus, None, processors.sharing in _DONATING)
    limit = processors.units if processors.sharing == "capped" else float(processors.vcpus)
    return Share(processors.units, limit, processors.pool)


def collect(world: World, meter_of: MeterOf) -> SystemFacts:
    """The facts as they are now; the caller holds the world's lock."""
    system = world.system
    disks, channels = _client_ends(world)
    logical = _logical_ports(world)
    return SystemFacts(
        name=system.name,
        mtms=str(system.mtms),
        memory=system.memory,
        memory_free=capacity.memory_free(world),
        firmware_memory=system.firmware_memory,
        processors=system.processors,
        processors_free=capacity.units_free(world),
        pools=tuple(ProcessorPool(p.id, p.name, p.maximum or system.processors) for p in world.state.processor_pools),
        lpars=tuple(_partition(world, p, meter_of(p), disks, channels) for p in world.lpars),
        vioses=tuple(_vios(world, v, meter_of(v), logical) for v in world.vioses),
    )


def _partition(
    world: World,
    partition: Partition,
    meter: Meter | None,
    disks: Mapping[str, tuple[Disk, ...]],
    channels: Mapping[str, tuple[Channel, ...]],
) -> PartitionFacts:
    processors = partition.processors
    trunks = slots.trunks_of(world, partition) if isinstance(partition, Vios) else []
    return PartitionFacts(
        id=partition.id,
        uuid=partition.uuid,
        name=partition.name,
        type=partition.type,
        state=partition.state,
        rmc=partition.rmc,
        memory=partition.memory.desired,
        mode=_MODES.get(processors.sharing, processors.sharing),
        vcpus=processors.vcpus,
        weight=None if processors.dedicated else processors.weight,
        share=share_of(processors),
        meter=meter,
        ethernets=tuple(_ethernet(world, partition, a) for a in (*trunks, *partition.adapters)),
        disks=disks.get(partition.uuid, ()),
        channels=channels.get(partition.uuid, ()),
    )


def _ethernet(world: World, partition: Partition, adapter: VirtualEthernet) -> Ethernet:
    location = slots.location(world, partition.id, adapter.slot)
    device = adapter.device or f"ent{adapter.slot}"
    return Ethernet(adapter.pvid, adapter.switch_id, location, device, _weight(adapter.slot))


def _weight(slot: int) -> float:
    """Between 0.5 and 1, from what never changes while the adapter is there."""
    return 1 - slot % 8 / 16


def _logical_ports(world: World) -> dict[str, tuple[LogicalPort, ...]]:
    """The logical ports behind vNICs, by the uuid of the VIOS that they belong to."""
    found: dict[str, tuple[LogicalPort, ...]] = {}
    known = {logical.id: (adapter, port) for adapter, port, logical in vnics.logical_ports(world)}
    for lpar in world.lpars:
        for vnic in lpar.vnics:
            first = min(vnic.backing, key=lambda one: one.priority)
            for way in vnic.backing:
                adapter, port = known[way.logical]
                one = LogicalPort(
                    number=way.logical,
                    location=f"{port.location}-S{way.logical & 0xFF}",
                    adapter=adapter.drc_index,
                    port=port.id,
                    client=lpar.uuid,
                    weight=_weight(vnic.slot),
                    active=way is first,
                )
                found[way.vios] = (*found.get(way.vios, ()), one)
    return found


def _client_ends(world: World) -> tuple[dict[str, tuple[Disk, ...]], dict[str, tuple[Channel, ...]]]:
    """The virtual SCSI and Fibre Channel adapters of client partitions, by their uuid."""
    disks: dict[str, tuple[Disk, ...]] = {}
    channels: dict[str, tuple[Channel, ...]] = {}
    for vios in world.vioses:
        for server in vios.servers:
            if server.client is not None:
                where = slots.location(world, server.client_id, server.client_slot)
                disks[server.client] = (*disks.get(server.client, ()), Disk(where, vios.id, server.slot))
        for pair in vios.fibre:
            if pair.client is not None:
                where = slots.location(world, pair.client_id, pair.client_slot)
                one = Channel(where, vios.id, tuple(pair.wwpns))
                channels[pair.client] = (*channels.get(pair.client, ()), one)
    return disks, channels


def _vios(world: World, vios: Vios, meter: Meter | None, logical: Mapping[str, tuple[LogicalPort, ...]]) -> ViosFacts:
    return ViosFacts(
        partition=_partition(world, vios, meter, {}, {}),
        reached=vios.is_up,
        ports=tuple((port.name, port.location) for port in vios.ethernet),
        seas=tuple(_seas(world, vios)),
        servers=tuple(
            Server(s.name, slots.location(world, vios.id, s.slot), s.client, _weight(s.slot)) for s in vios.servers
        ),
        fibre=tuple(_fibre(world, vios)),
        pools=tuple(_storage_pools(world, vios)),
        disk_location=vios.volumes[0].location if vios.volumes else "",
        logical_ports=logical.get(vios.uuid, ()),
    )


def _seas(world: World, vios: Vios) -> list[Sea]:
    found = []
    for sea in slots.seas_of(world, vios):
        trunks = [_ethernet(world, vios, trunk) for trunk in sea.trunks]
        where = trunks[0].location if trunks else sea.location
        found.append(Sea(sea.device, where, (sea.backing, *(trunk.device for trunk in trunks))))
    return found


def _fibre(world: World, vios: Vios) -> list[FibrePort]:
    found = []
    for port in (port for card in vios.fibre_cards for port in card.ports):
        served = [
            ServedChannel(pair.name, slots.location(world, vios.id, pair.slot), wwpn.lower(), pair.client)
            for pair in vios.fibre
            if pair.port == port.name
            for wwpn in pair.wwpns[:1]
        ]
        found.append(FibrePort(port.name, port.wwpn.lower(), port.location, tuple(served)))
    return found


def _storage_pools(world: World, vios: Vios) -> list[StoragePool]:
    return [
        StoragePool(
            name=pool.name,
            disks=tuple(volume.name for volume in pool.volumes),
            total=int(sum(tier.capacity for tier in pool.tiers) * 1024),
            used=int(sum(tier.used for tier in pool.tiers) * 1024),
        )
        for pool in backing.pools_of(world, vios)
    ]
