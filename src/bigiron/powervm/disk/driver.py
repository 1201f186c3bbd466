"""What a source of guests' disks answers, and the sizes and names that all of them agree on."""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bigiron.errors import InvalidSpec, NoCapacity, Unsupported
from bigiron.model import DiskRole, DiskSpec, GuestSpec, ImageSource
from bigiron.powervm.disk.cache import CachedImage
from bigiron.powervm.mapping import Backing

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Capacity:
    """A pool's size and what is taken of it, in GB."""

    total_gb: float
    used_gb: float

    @property
    def free_gb(self) -> float:
        return max(0.0, self.total_gb - self.used_gb)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a guest: what to map, and on which VIOSes (those that are up now)."""

    backing: Backing
    size_gb: float
    vios_uuids: tuple[str, ...]


class DiskDriver(abc.ABC):
    """One pool of disks. Every method may be called from many threads at once and raises PlatformError."""

    @abc.abstractmethod
    def start(self) -> None:
        """Find the pool; raises InvalidSpec that names the option where it is not there or not the only one."""

    @abc.abstractmethod
    def capacity(self) -> Capacity:
        """The pool as it is now, read from the platform."""

    @abc.abstractmethod
    def known_capacity(self) -> Capacity:
        """The pool as it was read last, without a remote call."""

    @property
    def shared_uuid(self) -> str | None:
        """What identifies the pool on every host that has it; None where this host alone has it."""
        return None

    @abc.abstractmethod
    def ensure_image(self, image: ImageSource) -> Backing:
        """The cached copy of the image, uploaded now if it is not there; concurrent callers share one upload."""

    @abc.abstractmethod
    def image_key(self, image_id: str) -> str:
        """What names of cached images have of the image's id."""

    @abc.abstractmethod
    def cached_images(self) -> Sequence[CachedImage]:
        """Every complete image that hosts like this one have cached in the pool, read now."""

    @abc.abstractmethod
    def remove_image(self, image: CachedImage) -> bool:
        """Delete a cached image unless something depends on it by now; says whether it was deleted."""

    @abc.abstractmethod
    def create(self, guest: GuestSpec, index: int, image: Backing | None = None) -> Disk:
        """Create `guest.disks[index]`, as a copy of the cached image where one is given."""

    @abc.abstractmethod
    def discard(self, guest: GuestSpec, index: int) -> None:
        """Delete `guest.disks[index]` by its name, asking the platform: for a creation that ended nobody knows how.

        A disk of that name that is mapped is not what this creation made, and stays.
        """

    @abc.abstractmethod
    def delete(self, backing: Backing) -> None:
        """Delete a disk that is mapped no more; one that is gone already is no error."""

    @abc.abstractmethod
    def find(self, lpar_uuid: str) -> Sequence[Disk]:
        """The guest's disks that this pool made, found by their mappings."""

    @abc.abstractmethod
    def name(self, guest: GuestSpec, index: int) -> str:
        """What `guest.disks[index]` is called in the pool; raises InvalidSpec for more than it can name."""

    @abc.abstractmethod
    def grow(self, disk: Disk, size_gb: float) -> None:
        """Enlarge a guest's disk, mapped as it is, to `size_gb`; it can never become smaller again."""

    def root(self, lpar_uuid: str) -> Disk:
        """The disk that the guest boots from; raises Unsupported where this pool made none for it."""
        for disk in self.find(lpar_uuid):
            if is_root_disk(disk.backing):
                return disk
        raise Unsupported(f"LPAR {lpar_uuid} has no root disk in {self.label}.")

    def check_growth(self, guest: GuestSpec, disk: Disk, size_gb: float) -> None:
        """Raise NoCapacity for a disk that cannot become so large, without a remote call."""
        pool = self.known_capacity()
        if size_gb > pool.total_gb:
            raise NoCapacity(
                f"Guest {guest.name} asks for a disk of {size_gb:g} GB, and {self.label} has {pool.total_gb:.1f} GB "
                "in all. Use a smaller flavor, or enlarge the pool."
            )

    @abc.abstractmethod
    def names_of(self, instance_uuid: str) -> re.Pattern[str]:
        """What the whole name of each of the guest's disks matches."""

    @abc.abstractmethod
    def leftovers(self, instance_uuid: str) -> Sequence[Backing]:
        """The guest's disks found by their names that nothing is mapped to: what an interrupted spawn left."""

    def reconcile(self) -> None:
        """Remove what an earlier process of this host began in the pool and did not complete, guests' disks apart."""
        return

    def check(self, guest: GuestSpec, freed_gb: float = 0.0) -> None:
        """Raise InvalidSpec or NoCapacity for disks that cannot be made, without a remote call.

        `freed_gb` is what other disks take now that go before.
        """
        pool = self.known_capacity()
        for index, disk in enumerate(guest.disks):
            self.name(guest, index)
            size = size_gb(disk)
            if size > pool.total_gb:
                raise NoCapacity(
                    f"Guest {guest.name} asks for a {disk.role.value} disk of {size:g} GB, and {self.label} has "
                    f"{pool.total_gb:.1f} GB in all. Use a smaller flavor or image, or enlarge the pool."
                )

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The pool's name for messages."""


def image_gb(image: ImageSource) -> int:
    """The image's size in whole GB, rounded up."""
    return max(1, math.ceil(image.size_bytes / GIB))


def size_gb(disk: DiskSpec) -> float:
    """The disk's size: the flavor's, or the image's where the flavor says 0. Raises InvalidSpec if the two clash."""
    if disk.image is None:
        if disk.size_gb <= 0:
            raise InvalidSpec(f"The {disk.role.value} disk has a size of {disk.size_gb:g} GB and no image.")
        return disk.size_gb
    if disk.image.size_bytes <= 0:
        raise InvalidSpec(f"Image {disk.image.name} ({disk.image.id}) is empty: upload it again.")
    if disk.size_gb and disk.image.size_bytes > disk.size_gb * GIB:
        raise InvalidSpec(
            f"Image {disk.image.name} of {disk.image.size_bytes / GIB:.2f} GB does not fit the {disk.role.value} disk "
            f"of {disk.size_gb:g} GB. Use a flavor with a larger disk."
        )
    return disk.size_gb or image_gb(disk.image)


def ordinal(guest: GuestSpec, index: int) -> int:
    """How many disks of the same role come before this one."""
    return sum(1 for disk in guest.disks[:index] if disk.role is guest.disks[index].role)


def role_name(role: DiskRole, number: int) -> str:
    """The role as disk names have it: boot, rescue, swap, eph0, eph1..."""
    base = {DiskRole.ROOT: "boot", DiskRole.SWAP: "swap", DiskRole.EPHEMERAL: "eph", DiskRole.RESCUE: "rescue"}[role]
    return f"{base}{number}" if role is DiskRole.EPHEMERAL or number else base


def is_rescue_disk(backing: Backing) -> bool:
    """Whether a disk of ours is a rescue disk, by its name in a pool or a volume group."""
    return backing.base_name.startswith(("rescue_", "r_"))


def is_root_disk(backing: Backing) -> bool:
    """Whether a disk of ours is the one that its guest boots from, by its name in a pool or a volume group."""
    return backing.base_name.startswith(("boot_", "b_"))
