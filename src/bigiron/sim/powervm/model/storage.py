"""Storage: physical volumes, volume groups with virtual disks and media, and the shared storage pool."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from bigiron.sim.powervm.model.entity import Entity


@dataclass(slots=True, kw_only=True)
class Content:
    """The bytes behind a disk or medium: a file below the simulator's media directory."""

    file: str
    size: int
    sha256: str
    own: bool = False
    """Whether a guest has written to it: the file is then as long as the disk and nothing else shares it."""
    written: list[int] = field(default_factory=list)
    """The megabytes of an own content that a guest wrote: each takes space of its own in a shared storage pool."""
    base: str | None = None
    """The file that an own content began as a copy of: in a shared storage pool the rest of its blocks are shared."""
    base_size: int = 0


@dataclass(slots=True, kw_only=True)
class PhysicalVolume:
    """A disk that a VIOS sees; sizes in MB."""

    name: str
    udid: str
    size: int
    location: str
    description: str = "SAS Disk Drive"
    unique_id: str = ""
    fibre_channel: bool = False
    state: str = "active"
    group: str | None = None
    """The volume group it belongs to, or 'caavg_private'/'ssp' where the cluster holds it."""
    label: str | None = None

    @property
    def page83(self) -> str | None:
        """The SCSI identification descriptor, as the API encodes it; only SAN disks have one."""
        return base64.b64encode(self.unique_id[7:39].encode()).decode() if self.fibre_channel else None


@dataclass(slots=True, kw_only=True)
class VirtualDisk:
    """A logical volume in a volume group; capacity in GB."""

    name: str
    udid: str
    capacity: float
    label: str = "None"
    base: str | None = None
    file_format: str | None = None
    content: Content | None = None
    foreign: bool = False
    """Came with the system document: nobody's leftover."""

    @property
    def is_image(self) -> bool:
        """Whether bytes were uploaded into it, as into a cached image; a guest's disk is a copy of one."""
        return self.content is not None and self.base is None


@dataclass(slots=True, kw_only=True)
class OpticalMedia:
    """An ISO in a media repository; size in GB."""

    name: str
    udid: str
    size: float
    mount: str = "rw"
    content: Content | None = None


@dataclass(slots=True, kw_only=True)
class MediaRepository:
    """Where a VIOS keeps virtual optical media; size in GB."""

    name: str
    size: float
    media: list[OpticalMedia] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class VolumeGroup(Entity):
    """A volume group of a VIOS; capacity in GB."""

    KIND: ClassVar[str] = "VolumeGroup"
    name: str
    udid: str
    serial: str
    capacity: float
    disks: list[VirtualDisk] = field(default_factory=list)
    repository: MediaRepository | None = None

    @property
    def used(self) -> float:
        return sum(d.capacity for d in self.disks) + (self.repository.size if self.repository else 0.0)

    @property
    def free(self) -> float:
        return max(0.0, round(self.capacity - self.used, 4))


@dataclass(slots=True, kw_only=True, eq=False)
class LogicalUnit(Entity):
    """A disk or image in a tier; capacity in GB."""

    KIND: ClassVar[str] = "LogicalUnit"
    udid: str
    name: str
    capacity: float
    thin: bool = True
    type: str = "VirtualIO_Disk"
    cloned_from: str | None = None
    content: Content | None = None

    @property
    def is_image(self) -> bool:
        return self.type == "VirtualIO_Image"


@dataclass(slots=True, kw_only=True, eq=False)
class Tier(Entity):
    """A part of the pool with disks of one class; capacity in GB."""

    KIND: ClassVar[str] = "Tier"
    name: str
    udid: str
    capacity: float
    default: bool = True
    units: list[LogicalUnit] = field(default_factory=list)

    @property
    def used(self) -> float:
        """GB taken: a thick unit takes all of it, a thin one what it holds, and what several share counts once."""
        return space((unit, unit.content) for unit in self.units)


def space(units: Iterable[tuple[LogicalUnit, Content | None]]) -> float:
    """GB that units with such contents take of their tier.

    An image's blocks stay as long as anything uses them, be it a clone that was never written.
    """
    thick, within, shared = 0.0, set(), dict[str, int]()
    for unit, content in units:
        if not unit.thin:
            thick += unit.capacity
            within |= {content.file} if content is not None else set()
        elif content is not None and content.own:
            shared[content.file] = len(content.written) << 20
            if content.base is not None:
                shared[content.base] = max(content.base_size, shared.get(content.base, 0))
        elif content is not None:
            shared[content.file] = max(content.size, shared.get(content.file, 0))
    return round(thick + sum(size for file, size in shared.items() if file not in within) / 2**30, 4)


@dataclass(slots=True, kw_only=True, eq=False)
class SharedStoragePool(Entity):
    """The pool of a cluster."""

    KIND: ClassVar[str] = "SharedStoragePool"
    name: str
    udid: str
    volumes: list[PhysicalVolume] = field(default_factory=list)
    tiers: list[Tier] = field(default_factory=list)
    threshold: int = 75

    @property
    def units(self) -> list[LogicalUnit]:
        return [u for t in self.tiers for u in t.units]


@dataclass(slots=True, kw_only=True, eq=False)
class Cluster(Entity):
    """VIOSes that share a storage pool."""

    KIND: ClassVar[str] = "Cluster"
    id: str
    name: str
    pool: str
    """The pool's uuid."""
    nodes: list[str]
    """The uuids of its VIOSes."""
    repository: list[PhysicalVolume] = field(default_factory=list)
