"""Volume groups: virtual disks and the media repository, with their free space."""

from __future__ import annotations

from dataclasses import dataclass

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import backing
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.storage import Content, MediaRepository, OpticalMedia, VirtualDisk, VolumeGroup
from bigiron.sim.powervm.model.world import World

MAX_DISK_NAME = 15


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A virtual disk as a client lists it: an existing one by its udid, else a new one."""

    udid: str | None
    name: str
    capacity: float
    label: str = "None"
    base: str | None = None
    file_format: str | None = None


@dataclass(frozen=True, slots=True)
class MediaSpec:
    """A virtual optical medium as a client lists it."""

    name: str
    udid: str | None = None
    size: float = 0.0
    mount: str = "rw"


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """A media repository as a client lists it."""

    name: str
    size: float
    media: tuple[MediaSpec, ...] = ()


def apply(
    world: World, vios: Vios, group: VolumeGroup, disks: list[DiskSpec], repository: RepositorySpec | None
) -> None:
    """Make the group's contents what a client's document says; raises BadRequest with nothing changed."""
    kept = _plan_disks(vios, group, disks)
    media = _plan_media(group, repository)
    needed = sum(s.capacity for _, s in kept) + (repository.size if repository else 0.0)
    if needed > group.capacity + 1e-6:
        raise BadRequest(
            f"Volume group {group.name} of {vios.name} has {group.capacity:g} GB, {needed:g} GB would be needed."
        )
    _refuse_mapped(world, vios, group, {id(d) for d, _ in kept if d}, {id(m) for m, _ in media if m})
    sources = {d.udid: d for g in vios.groups for d in g.disks}
    contents = [_copied(group, spec, sources) if disk is None else disk.content for disk, spec in kept]
    before: list[VirtualDisk | OpticalMedia] = [*group.disks, *(group.repository.media if group.repository else [])]
    group.disks = [
        _settle_disk(world, group, disk, spec, content) for (disk, spec), content in zip(kept, contents, strict=True)
    ]
    if repository is None:
        group.repository = None
    else:
        group.repository = MediaRepository(
            name=repository.name, size=repository.size, media=[_settle_media(world, m, s) for m, s in media]
        )
    for item in before:
        world.release(item.content)
    world.changed(group, "Other", vios)
    world.touch(vios)


def _plan_disks(vios: Vios, group: VolumeGroup, specs: list[DiskSpec]) -> list[tuple[VirtualDisk | None, DiskSpec]]:
    plan: list[tuple[VirtualDisk | None, DiskSpec]] = []
    names: set[str] = set()
    elsewhere = {d.name: g.name for g in vios.groups if g is not group for d in g.disks}
    for spec in specs:
        disk = next((d for d in group.disks if spec.udid and d.udid == spec.udid), None)
        if spec.udid and disk is None:
            raise BadRequest(f"Volume group {group.name} has no virtual disk {spec.name} with udid {spec.udid}.")
        if spec.name in names:
            raise BadRequest(f"A virtual disk named {spec.name} already exists in volume group {group.name}.")
        if spec.name in elsewhere:
            raise BadRequest(
                f"A virtual disk named {spec.name} already exists on {vios.name}, in volume group "
                f"{elsewhere[spec.name]}."
            )
        if disk is None and len(spec.name) > MAX_DISK_NAME:
            raise BadRequest(f"Virtual disk name {spec.name!r} is longer than {MAX_DISK_NAME} characters.")
        if disk is not None and spec.capacity < disk.capacity:
            raise BadRequest(f"Virtual disk {spec.name} cannot shrink from {disk.capacity:g} to {spec.capacity:g} GB.")
        if spec.capacity <= 0:
            raise BadRequest(f"Virtual disk {spec.name} needs a DiskCapacity above zero.")
        names.add(spec.name)
        plan.append((disk, spec))
    return plan


def _plan_media(group: VolumeGroup, spec: RepositorySpec | None) -> list[tuple[OpticalMedia | None, MediaSpec]]:
    if spec is None:
        return []
    present = {m.name: m for m in group.repository.media} if group.repository else {}
    plan = [(present.get(m.name), m) for m in spec.media]
    used = sum(found.size if found else item.size for found, item in plan)
    if used > spec.size + 1e-6:
        raise BadRequest(f"Media repository {spec.name} has {spec.size:g} GB, {used:g} GB would be needed.")
    return plan


def _refuse_mapped(world: World, vios: Vios, group: VolumeGroup, disks: set[int], media: set[int]) -> None:
    mapped = {(t.kind, t.key) for s in vios.servers for t in s.targets}
    gone = [(backing.DISK, d.udid, d.name) for d in group.disks if id(d) not in disks]
    if group.repository:
        gone += [(backing.MEDIA, m.udid, m.name) for m in group.repository.media if id(m) not in media]
    for kind, udid, name in gone:
        if (kind, udid) in mapped:
            raise BadRequest(f"{kind} {name} of {vios.name} is mapped to a partition. Remove the mapping first.")


def _settle_disk(
    world: World, group: VolumeGroup, disk: VirtualDisk | None, spec: DiskSpec, content: Content | None
) -> VirtualDisk:
    if disk is None:
        disk = VirtualDisk(
            name=spec.name,
            udid=f"03{group.serial}.{world.next_serial()}",
            capacity=spec.capacity,
            base=spec.base,
            content=content,
        )
    disk.name, disk.capacity, disk.label = spec.name, spec.capacity, spec.label
    disk.file_format = spec.file_format or disk.file_format
    return disk


def _copied(group: VolumeGroup, spec: DiskSpec, sources: dict[str, VirtualDisk]) -> Content | None:
    if spec.base is None:
        return None
    source = sources.get(spec.base)
    if source is None:
        raise BadRequest(f"Virtual disk {spec.name} of {group.name}: there is no BaseImage {spec.base} on the VIOS.")
    return source.content


def _settle_media(world: World, media: OpticalMedia | None, spec: MediaSpec) -> OpticalMedia:
    return media or OpticalMedia(name=spec.name, udid=f"0e{spec.name}", size=spec.size, mount=spec.mount)
