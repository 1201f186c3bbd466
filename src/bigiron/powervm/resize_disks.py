"""The disks of a guest that gets another shape: which of them are made, grow and go, and the steps that do it.

A disk can only grow, so it stays larger when the rest is undone. A disk that goes is unmapped first and deleted last,
when nothing can fail any more that would need it back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bigiron.errors import PlatformError
from bigiron.hypervisor import Step, Values
from bigiron.model import DiskRole, GuestSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import ImageCache
from bigiron.powervm.disk.driver import Disk, DiskDriver, is_rescue_disk, is_root_disk
from bigiron.powervm.disk.steps import CreateDisk
from bigiron.powervm.keys import ADDED, DROPPED, GROWN, disk_key
from bigiron.powervm.partition import Lpar
from bigiron.powervm.presented import Presented, exchange

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """What happens to a guest's disks: those that grow and to how many GB, indexes of new ones, and those that go."""

    grow: tuple[tuple[Disk, float], ...]
    add: tuple[int, ...]
    drop: tuple[Disk, ...]

    @property
    def remaps(self) -> bool:
        """Whether what the guest is presented changes, for which it must be stopped."""
        return bool(self.add or self.drop)


def plan(disks: DiskDriver, guest: GuestSpec, lpar: Lpar) -> DiskPlan:
    """What makes the guest's disks those of the spec; one that the spec has smaller stays as it is.

    Raises InvalidSpec or NoCapacity for what cannot be made. A root disk that the spec does not name stays.
    """
    found = {disk.backing.base_name: disk for disk in disks.find(lpar.uuid)}
    grow: list[tuple[Disk, float]] = []
    add: list[int] = []
    kept = {name for name, disk in found.items() if is_root_disk(disk.backing) or is_rescue_disk(disk.backing)}
    for index, spec in enumerate(guest.disks):
        name = disks.name(guest, index)
        disk = disks.root(lpar.uuid) if spec.role is DiskRole.ROOT else found.get(name)
        kept.add(name)
        if disk is None:
            add.append(index)
        elif disk.size_gb < spec.size_gb:
            disks.check_growth(guest, disk, spec.size_gb)
            grow.append((disk, spec.size_gb))
    if add:
        disks.check(replace(guest, disks=tuple(guest.disks[index] for index in add)))
    return DiskPlan(tuple(grow), tuple(add), tuple(disk for name, disk in found.items() if name not in kept))


class GrowDisks(Step):
    """Enlarges disks, which nothing can undo."""

    name = "grow disks"
    provides = GROWN

    def __init__(self, disks: DiskDriver, guest: GuestSpec, growth: Sequence[tuple[Disk, float]]) -> None:
        self._disks = disks
        self._guest = guest
        self._growth = growth

    def execute(self, values: Values) -> None:
        for disk, size_gb in self._growth:
            self._disks.grow(disk, size_gb)

    def revert(self, values: Values) -> None:
        for disk, size_gb in self._growth:
            LOG.warning(
                "Disk %s of guest %s may have grown from %g to %g GB, and stays so: a disk cannot shrink.",
                disk.backing.name,
                self._guest.name,
                disk.size_gb,
                size_gb,
            )


class MapDisks(Step):
    """Presents the new disks after those that the guest has, with one write for each VIOS."""

    name = "map new disks"
    provides = ADDED

    def __init__(self, connection: Connection, lpar: Lpar, uuid: str, indexes: Sequence[int]) -> None:
        self.needs = tuple(disk_key(index) for index in indexes)
        self._connection = connection
        self._lpar = lpar
        self._uuid = uuid
        self._indexes = indexes
        self._added: tuple[Presented, ...] = ()

    def execute(self, values: Values) -> None:
        disks = [values[disk_key(index)] for index in self._indexes]
        self._added = tuple(Presented(vios, disk.backing) for disk in disks for vios in disk.vios_uuids)
        exchange(self._connection, self._lpar, self._uuid, self._added, ())

    def revert(self, values: Values) -> None:
        if self._added:
            exchange(self._connection, self._lpar, self._uuid, (), self._added)


class UnmapDisks(Step):
    """Takes away disks that the guest is to have no more; undone, it has them again."""

    name = "unmap old disks"
    provides = DROPPED

    def __init__(self, connection: Connection, lpar: Lpar, uuid: str, disks: Sequence[Disk]) -> None:
        self._connection = connection
        self._lpar = lpar
        self._uuid = uuid
        self._dropped = tuple(Presented(vios, disk.backing) for disk in disks for vios in disk.vios_uuids)

    def execute(self, values: Values) -> None:
        exchange(self._connection, self._lpar, self._uuid, (), self._dropped)

    def revert(self, values: Values) -> None:
        exchange(self._connection, self._lpar, self._uuid, self._dropped, ())


class DeleteDisks(Step):
    """Deletes the disks that were taken away, once the guest runs without them.

    A delete that is answered with an error may have had its effect, and is tried once more: the disk is gone then.
    """

    name = "delete old disks"

    def __init__(self, disks: DiskDriver, dropped: Sequence[Disk]) -> None:
        self._disks = disks
        self._dropped = dropped

    def execute(self, values: Values) -> None:
        for disk in self._dropped:
            try:
                self._disks.delete(disk.backing)
            except PlatformError as error:
                LOG.warning("Disk %s is not deleted yet, trying again: %s", disk.backing.name, error)
                self._disks.delete(disk.backing)


def steps(
    connection: Connection, disks: DiskDriver, images: ImageCache, guest: GuestSpec, lpar: Lpar, todo: DiskPlan
) -> Sequence[Step]:
    """The steps, one after the other, up to where the guest can start again."""
    chain: list[Step] = []
    if todo.grow:
        chain.append(GrowDisks(disks, guest, todo.grow))
    chain += [CreateDisk(disks, guest, index, images) for index in todo.add]
    if todo.add:
        chain.append(MapDisks(connection, lpar, guest.uuid, todo.add))
    if todo.drop:
        chain.append(UnmapDisks(connection, lpar, guest.uuid, todo.drop))
    return chain
