"""From the world's objects to what a guest finds in its partition. Callers hold the world's lock."""

from __future__ import annotations

from collections.abc import Iterator

from bigiron.sim.powervm.guests.hardware import Adapter, Hardware, Storage
from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.partition import FIRMWARE, IBM_I, Lpar, Partition, Vios
from bigiron.sim.powervm.model.sriov import VirtualNic
from bigiron.sim.powervm.model.world import World

RMC_SWITCH = "MGMTSWITCH"
_LOCAL_DISK = Storage(slot=0, lua="0x8000000000000000", name="hdisk0", gigabytes=100.0)


class Inventory:
    """The storage and adapters of every partition, indexed once so that reading all partitions takes linear time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._switches = {switch.id: switch.name for switch in world.state.switches}
        self._units = {unit.udid: (unit.name, unit.capacity) for pool in world.state.pools for unit in pool.units}
        self._servers: dict[str, list[tuple[Vios, ServerAdapter]]] = {}
        for vios in world.vioses:
            for server in vios.servers:
                if server.client:
                    self._servers.setdefault(server.client.upper(), []).append((vios, server))

    def hardware(self, partition: Partition) -> Hardware:
        """One partition as its firmware sees it."""
        storage = tuple(self._storage(partition))
        if _has_own_disk(partition) and all(device.optical for device in storage):
            storage = (_LOCAL_DISK, *storage)
        return Hardware(
            lpar_id=partition.id,
            uuid=partition.uuid,
            name=partition.name,
            memory_mb=partition.memory.desired,
            processors=partition.processors.vcpus,
            ibm_i=partition.type == IBM_I,
            load_source=_load_source(partition),
            menu=partition.state == FIRMWARE,
            boot_string=partition.boot_string,
            adapters=tuple(self._adapters(partition)),
            storage=storage,
        )

    def _adapters(self, partition: Partition) -> Iterator[Adapter]:
        found = [self._ethernet(adapter) for adapter in partition.adapters]
        if isinstance(partition, Lpar):
            found += [self._vnic(vnic) for vnic in partition.vnics]
        yield from sorted(found, key=lambda adapter: adapter.slot)

    def _ethernet(self, adapter: VirtualEthernet) -> Adapter:
        switch = self._switches.get(adapter.switch_id, "?")
        return Adapter(adapter.mac, adapter.slot, adapter.pvid, switch, tuple(adapter.tagged), switch == RMC_SWITCH)

    def _vnic(self, vnic: VirtualNic) -> Adapter:
        way = vnics.active(self._world, vnic)
        port = vnics.find_port(self._world, way.adapter, way.port)
        return Adapter(vnic.mac, vnic.slot, vnic.pvid, port.label if port else "?", vnic=True)

    def _storage(self, partition: Partition) -> Iterator[Storage]:
        for vios, server in self._servers.get(partition.uuid.upper(), []):
            for target in server.targets:
                yield self._device(vios, server, target)

    def _device(self, vios: Vios, server: ServerAdapter, target: Target) -> Storage:
        if target.kind in ("", "VirtualOpticalMedia"):
            return self._optical(vios, server, target)
        name, gigabytes = self._units.get(target.key) or _local(vios, target.key) or (target.key, 0.0)
        return Storage(server.client_slot, target.lua, name, target.kind, vios.name, gigabytes)

    def _optical(self, vios: Vios, server: ServerAdapter, target: Target) -> Storage:
        media = [m for group in vios.groups if group.repository for m in group.repository.media if m.udid == target.key]
        if not target.kind or not media:
            return Storage(server.client_slot, target.lua, target.name, "Optical", vios.name, optical=True)
        medium = media[0]
        file = self._world.media_dir / medium.content.file if medium.content else None
        return Storage(
            server.client_slot, target.lua, medium.name, target.kind, vios.name, medium.size, media=file, optical=True
        )


def _load_source(partition: Partition) -> int:
    """The slot that an IBM i partition is told to load from; 0 where it is told none."""
    told = partition.tagged_io.load_source if isinstance(partition, Lpar) and partition.tagged_io else ""
    return int(told) if told.isdigit() else 0


def _has_own_disk(partition: Partition) -> bool:
    """VIOSes, the management partition and what came with the system document start from disks of their own."""
    return isinstance(partition, Vios) or partition.management or (isinstance(partition, Lpar) and partition.foreign)


def _local(vios: Vios, udid: str) -> tuple[str, float] | None:
    """The name and size in GB of a virtual disk or physical volume of one VIOS."""
    for group in vios.groups:
        for disk in group.disks:
            if disk.udid == udid:
                return disk.name, disk.capacity
    for volume in vios.volumes:
        if volume.udid == udid:
            return volume.name, volume.size / 1024
    return None
