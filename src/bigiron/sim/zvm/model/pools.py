"""DASD pools: which extents are free, and where a new minidisk goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.values import ECKD, Minidisk, Pool, Volume

_FIRST_CYLINDER, _FIRST_BLOCK = 1, 16
"""What lies before belongs to the volume's label."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A free or used part of a volume; `owner` and `vdev` are empty where it is free."""

    volume: Volume
    start: int
    size: int
    owner: str = ""
    vdev: str = ""

    @property
    def end(self) -> int:
        """Its last cylinder or block."""
        return self.start + self.size - 1


def used(volume: Volume, entries: Iterable[Entry]) -> list[Extent]:
    """The extents of a volume that minidisks have, in order."""
    found = [
        Extent(volume, disk.start, disk.size, entry.userid, disk.vdev)
        for entry in entries
        for disk in directory.minidisks(entry)
        if disk.volume == volume.label
    ]
    return sorted(found, key=lambda extent: extent.start)


def free(volume: Volume, kind: str, entries: Iterable[Entry]) -> list[Extent]:
    """The gaps between them."""
    position = _FIRST_CYLINDER if kind == ECKD else _FIRST_BLOCK
    gaps = []
    for extent in [*used(volume, entries), Extent(volume, volume.size, 0)]:
        if extent.start > position:
            gaps.append(Extent(volume, position, extent.start - position))
        position = max(position, extent.start + extent.size)
    return gaps


def allocate(pool: Pool, vdev: str, size: int, mode: str, entries: Iterable[Entry]) -> Minidisk:
    """A new minidisk in the first gap that holds it. SMAPI 408/24 where none does."""
    known = list(entries)
    for volume in pool.volumes:
        for gap in free(volume, pool.kind, known):
            if gap.size >= size:
                return Minidisk(
                    vdev, "3390" if pool.kind == ECKD else "FB-512", gap.start, size, volume.label, mode or "MR"
                )
    unit = "cylinders" if pool.kind == ECKD else "blocks"
    raise SmapiError(408, 24, f"Not enough free disk available: no volume of {pool.name} has {size} {unit} in a row")


def statement(disk: Minidisk) -> str:
    """The MDISK statement of a minidisk on a volume."""
    return f"MDISK {disk.vdev} {disk.device_type} {disk.start} {disk.size} {disk.volume} {disk.mode}"
