"""What becomes of an uploaded file: optical media, or the content of a disk."""

from __future__ import annotations

from pathlib import Path

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import pool
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.reach import need_vios
from bigiron.sim.powervm.model.storage import Content, LogicalUnit, OpticalMedia, VirtualDisk
from bigiron.sim.powervm.model.world import Upload, World

ISO = "BROKERED_MEDIA_ISO"
IMAGE = "BROKERED_DISK_IMAGE"
GB = 2**30
ROUNDING = 0.01
"""GB; clients round the sizes of disks to hundredths."""


def check(world: World, record: Upload, size: int | None = None) -> None:
    """Refuse a File that could never be placed; `size` is what came, before that the File's own word counts."""
    size = record.size if size is None else size
    vios = world.vios(record.vios_uuid or "")
    need_vios(vios)
    if record.file_type == ISO:
        _room_for_media(vios, record, size)
    elif record.file_type == IMAGE:
        disk = _target(world, vios, record.target_udid)
        if size > (disk.capacity + ROUNDING) * GB:
            raise BadRequest(
                f"File {record.filename} has {size} bytes and does not fit on {disk.name} of {disk.capacity:g} GB."
            )
        if isinstance(disk, LogicalUnit) and not pool.has_room(world, disk, Content(file="", size=size, sha256="")):
            raise BadRequest(
                f"File {record.filename} has {size} bytes, more than is free in the tier of {disk.name}. "
                "Remove logical units or add physical volumes to the shared storage pool."
            )
    else:
        raise BadRequest(f"FileEnumType {record.file_type!r} is unknown. Use {ISO} or {IMAGE}.")


def receive(world: World, record: Upload, path: Path) -> None:
    """Put the bytes where the File said."""
    size = path.stat().st_size
    check(world, record, size)
    vios = world.vios(record.vios_uuid or "")
    content = Content(file=world.store(path), size=size, sha256=record.sha256 or "")
    if record.file_type == ISO:
        _add_media(world, vios, record, content)
    else:
        _fill_disk(world, vios, record, content)


def _room_for_media(vios: Vios, record: Upload, size: int) -> None:
    group = vios.repository_group
    if group is None or group.repository is None:
        raise BadRequest(f"Virtual I/O Server {vios.name} has no media repository for {record.filename}: create one.")
    repository = group.repository
    if any(m.name == record.filename for m in repository.media):
        raise BadRequest(f"Virtual optical media {record.filename} already exists on {vios.name}. Delete it first.")
    used = sum(m.size for m in repository.media)
    if used + size / GB > repository.size:
        raise BadRequest(
            f"Media repository {repository.name} of {vios.name} has {repository.size:g} GB, {used:g} GB of them used: "
            f"{record.filename} of {size} bytes does not fit."
        )


def _add_media(world: World, vios: Vios, record: Upload, content: Content) -> None:
    group = vios.repository_group
    if group is None or group.repository is None:
        raise BadRequest(f"Virtual I/O Server {vios.name} has no media repository.")
    size = max(round(content.size / GB, 4), 0.0001)
    group.repository.media.append(
        OpticalMedia(name=record.filename, udid=f"0e{record.filename}", size=size, content=content)
    )
    world.changed(group, "Other", vios)
    world.touch(vios)


def _fill_disk(world: World, vios: Vios, record: Upload, content: Content) -> None:
    disk = _target(world, vios, record.target_udid)
    before, disk.content = disk.content, content
    world.release(before)
    if isinstance(disk, LogicalUnit):
        tier = next(t for p in world.state.pools for t in p.tiers if disk in t.units)
        world.changed(disk, "Other", tier)
        world.touch(pool.owner(world, tier), tier)
    else:
        world.touch(vios, *[g for g in vios.groups if disk in g.disks])


def _target(world: World, vios: Vios, udid: str | None) -> LogicalUnit | VirtualDisk:
    if not udid:
        raise BadRequest("A disk image needs a TargetDeviceUniqueDeviceID.")
    unit = pool.find_unit(world, udid)
    if unit is not None:
        return unit
    disk = next((d for g in vios.groups for d in g.disks if d.udid == udid), None)
    if disk is None:
        raise BadRequest(f"Virtual I/O Server {vios.name} has no device with the udid {udid}.")
    return disk
