"""What a VIOS can put behind a mapping, found by kind and key, and who has it mapped."""

from __future__ import annotations

from collections.abc import Iterator

from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.storage import (
    LogicalUnit,
    OpticalMedia,
    PhysicalVolume,
    SharedStoragePool,
    VirtualDisk,
    VolumeGroup,
)
from bigiron.sim.powervm.model.world import World

UNIT = "LogicalUnit"
DISK = "VirtualDisk"
MEDIA = "VirtualOpticalMedia"
VOLUME = "PhysicalVolume"
EMPTY = ""

Backing = LogicalUnit | VirtualDisk | OpticalMedia | PhysicalVolume


def pools_of(world: World, vios: Vios) -> list[SharedStoragePool]:
    """The shared storage pools of the clusters that a VIOS is in."""
    ids = {c.pool for c in world.state.clusters if vios.uuid in c.nodes}
    return [p for p in world.state.pools if p.uuid in ids]


def candidates(world: World, vios: Vios) -> Iterator[tuple[str, str, Backing, VolumeGroup | None]]:
    """(kind, key, object, its volume group) of everything that the VIOS could map."""
    for pool in pools_of(world, vios):
        for unit in pool.units:
            yield UNIT, unit.udid, unit, None
    for group in vios.groups:
        for disk in group.disks:
            yield DISK, disk.udid, disk, group
        for media in group.repository.media if group.repository else []:
            yield MEDIA, media.udid, media, group
    for volume in vios.volumes:
        yield VOLUME, volume.udid, volume, None


def catalogue(world: World, vios: Vios) -> dict[tuple[str, str], Backing]:
    """Everything that the VIOS could map, by kind and key."""
    return {(kind, key): found for kind, key, found, _ in candidates(world, vios)}


def name_of(backing: Backing) -> str:
    """The name that the VIOS knows it by."""
    return backing.name


def users(world: World, kind: str, key: str) -> list[tuple[Vios, ServerAdapter, Target]]:
    """Every mapping of a piece of storage."""
    return [
        (vios, server, target)
        for vios in world.vioses
        for server in vios.servers
        for target in server.targets
        if (target.kind, target.key) == (kind, key)
    ]


def mapped_keys(world: World) -> set[tuple[str, str]]:
    """(kind, key) of all storage that is mapped anywhere."""
    return {(t.kind, t.key) for v in world.vioses for s in v.servers for t in s.targets}
