"""The bytes of a disk as partitions read and write them: those of its image until something is written over them.

A disk keeps no file of its own as long as nothing wrote to it: it shares the file of the image that it was made from,
which may be shorter than the disk, and the rest reads as zeros.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from bigiron.sim.powervm.model import backing, pool
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.storage import Content, LogicalUnit, VirtualDisk
from bigiron.sim.powervm.model.world import World

Disk = LogicalUnit | VirtualDisk

_GB = 2**30
_MOST = 1 << 30
"""Bytes that one call copies; the kernel takes no more than two GB at a time."""


def size(disk: Disk) -> int:
    """The disk's size in bytes, whole blocks of 512."""
    return round(disk.capacity * _GB) // 512 * 512


def find(world: World, kind: str, key: str) -> Disk | None:
    """The disk behind a mapping, or None for what is no disk, such as a medium."""
    if kind == backing.UNIT:
        return pool.find_unit(world, key)
    if kind == backing.DISK:
        return next((d for v in world.vioses for g in v.groups for d in g.disks if d.udid == key), None)
    return None


def present(world: World, disk: Disk, path: Path) -> None:
    """Make a file that reads as the disk does: its own file by another name, or a sparse copy of what it shares."""
    own = world.media_dir / disk.content.file if disk.content is not None else None
    path.unlink(missing_ok=True)
    if own is not None and own.stat().st_size == size(disk):
        with contextlib.suppress(OSError):  # another file system
            os.link(own, path)
            return
    _copy(own, path, size(disk))


def write(world: World, disk: Disk, offset: int, data: bytes) -> None:
    """Write as a guest does; the first write gives the disk a file of its own. The caller holds the world's lock.

    Raises OSError, nothing written, when a shared storage pool has no room for the blocks.
    """
    if offset < 0 or offset + len(data) > size(disk):
        raise ValueError(f"{len(data)} bytes at {offset} lie outside of {disk.name} with its {size(disk)} bytes")
    if not data:
        return
    before = disk.content
    owned = before is not None and before.own and not _is_shared(world, before)
    after = _written(world, disk, before, owned, range(offset >> 20, (offset + len(data) - 1 >> 20) + 1))
    if isinstance(disk, LogicalUnit) and not pool.has_room(world, disk, after):
        raise OSError(errno.ENOSPC, f"the shared storage pool of {disk.name} is full")
    if not owned:
        world.media_dir.mkdir(parents=True, exist_ok=True)
        _copy(world.media_dir / before.file if before is not None else None, world.media_dir / after.file, size(disk))
    disk.content = after
    if not owned:
        world.release(before)
    with (world.media_dir / disk.content.file).open("r+b") as file:
        file.seek(offset)
        file.write(data)
    _announce(world, disk)


def _written(world: World, disk: Disk, before: Content | None, owned: bool, chunks: range) -> Content:
    """The disk's content once these megabytes are written."""
    if before is not None and owned:
        return dataclasses.replace(before, written=sorted({*before.written, *chunks}))
    taken = (len(before.written) << 20) + before.base_size if before is not None and before.own else 0
    return Content(
        file=world.new_hex(24),
        size=size(disk),
        sha256="",
        own=True,
        written=list(chunks),
        base=before.file if before is not None else None,
        base_size=(taken if before.own else before.size) if before is not None else 0,
    )


def _is_shared(world: World, content: Content) -> bool:
    disks: list[Disk] = [unit for each in world.state.pools for unit in each.units]
    disks += [disk for vios in world.vioses for group in vios.groups for disk in group.disks]
    return sum(1 for disk in disks if disk.content is not None and disk.content.file == content.file) > 1


def _announce(world: World, disk: Disk) -> None:
    if isinstance(disk, LogicalUnit):
        tier = next(t for p in world.state.pools for t in p.tiers if disk in t.units)
        world.changed(disk, "Other", tier)
        world.touch(tier, pool.owner(world, tier))
    else:
        vios = _vios_of(world, disk)
        world.changed(next(g for g in vios.groups if disk in g.disks), "Other", vios)


def _vios_of(world: World, disk: VirtualDisk) -> Vios:
    return next(v for v in world.vioses for g in v.groups if disk in g.disks)


def _copy(source: Path | None, target: Path, length: int) -> None:
    """Copy what holds data and leave the rest a hole."""
    part = target.with_name(target.name + ".part")
    with part.open("wb") as out:
        if source is not None:
            with source.open("rb") as content:
                for start, end in _extents(content.fileno()):
                    _copy_range(content.fileno(), out.fileno(), start, min(end, length))
        out.truncate(length)
    part.replace(target)


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch of a file that is no hole."""
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    os.lseek(target, start, os.SEEK_SET)
    while start < end:
        copied = os.sendfile(target, source, start, min(end - start, _MOST))
        if copied == 0:
            raise OSError(errno.EIO, "the content is shorter than it was")
        start += copied
