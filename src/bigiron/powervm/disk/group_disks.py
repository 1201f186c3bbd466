"""The virtual disks of a volume group's document, and the changes that add and remove them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pypowervm.const import UOM_NS
from pypowervm.wrappers.storage import VG, VDisk

from bigiron.errors import NoCapacity, NotFound
from bigiron.powervm.mapping import Backing, BackingKind

_NS = f"{{{UOM_NS}}}"


@dataclass(frozen=True, slots=True)
class VirtualDisk:
    """A virtual disk; `udid` is empty as long as the platform has not made it."""

    name: str
    udid: str
    size_gb: float

    @property
    def backing(self) -> Backing:
        return Backing(BackingKind.VIRTUAL_DISK, self.name, self.udid)


@dataclass(frozen=True, slots=True)
class AddDisk:
    """Create a disk, as a copy of the disk whose udid is `source` where that is given."""

    owner: str
    group: str
    name: str
    size_gb: float
    source: str = ""

    def in_place(self, doc: VG) -> bool:
        return disk_named(doc, self.name) is not None

    def apply(self, doc: VG) -> None:
        # Others of the same batch take their room before the platform counts it.
        free = doc.free_space - sum(disk.size_gb for disk in disks_of(doc) if not disk.udid)
        if self.size_gb > free:
            raise NoCapacity(
                f"Virtual disk {self.name} of {self.size_gb:g} GB does not fit {self.group}, which has {free:.1f} GB "
                "free. Delete what is not needed or enlarge the group."
            )
        doc.virtual_disks.append(VDisk.bld(doc.adapter, self.name, self.size_gb, base_image=self.source or None))


@dataclass(frozen=True, slots=True)
class RemoveDisk:
    """Delete the disk of that name."""

    owner: str
    name: str

    def in_place(self, doc: VG) -> bool:
        return disk_named(doc, self.name) is None

    def apply(self, doc: VG) -> None:
        for node in list(_nodes(doc)):
            if _disk(node).name == self.name:
                node.getparent().remove(node)


@dataclass(frozen=True, slots=True)
class GrowDisk:
    """Enlarge the disk of that name to `size_gb`; one that is larger already stays."""

    owner: str
    group: str
    name: str
    size_gb: float

    def in_place(self, doc: VG) -> bool:
        disk = disk_named(doc, self.name)
        return disk is not None and disk.size_gb >= self.size_gb

    def apply(self, doc: VG) -> None:
        node = next((node for node in _nodes(doc) if _disk(node).name == self.name), None)
        if node is None:
            raise NotFound(f"{self.group} has no virtual disk {self.name}.")
        capacity = node.find(f"{_NS}DiskCapacity")
        more = self.size_gb - float(capacity.text)
        if more > doc.free_space:
            raise NoCapacity(
                f"Virtual disk {self.name} cannot grow to {self.size_gb:g} GB in {self.group}, which has "
                f"{doc.free_space:.1f} GB free. Delete what is not needed or enlarge the group."
            )
        capacity.text = str(self.size_gb)


def disks_of(doc: VG) -> Sequence[VirtualDisk]:
    """The group's disks, names without their path."""
    return [_disk(node) for node in _nodes(doc)]


def disk_named(doc: VG, name: str) -> VirtualDisk | None:
    """The group's disk of that name."""
    return next((disk for disk in disks_of(doc) if disk.name == name), None)


def _nodes(doc: VG) -> Iterator[Any]:
    return iter(doc.element.element.iter(f"{_NS}VirtualDisk"))


def _disk(node: Any) -> VirtualDisk:
    return VirtualDisk(
        name=node.findtext(f"{_NS}DiskName", "").rsplit("/", 1)[-1],
        udid=node.findtext(f"{_NS}UniqueDeviceID", ""),
        size_gb=float(node.findtext(f"{_NS}DiskCapacity", "0") or 0),
    )
