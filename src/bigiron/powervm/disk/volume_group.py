"""Disks in a volume group of one VIOS: virtual disks, root disks as whole copies of cached images."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Sequence

from pypowervm.wrappers.storage import VG

from bigiron import naming
from bigiron.errors import Conflict, InvalidSpec, NoCapacity, PlatformError, Unavailable
from bigiron.model import DiskRole, GuestSpec, ImageSource
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import CachedImage, cached
from bigiron.powervm.disk.driver import Capacity, Disk, DiskDriver, image_gb, ordinal, size_gb
from bigiron.powervm.disk.group_disks import AddDisk, GrowDisk, RemoveDisk, VirtualDisk, disk_named, disks_of
from bigiron.powervm.disk.groups import COPY_TIMEOUT_S, Group, VolumeGroups
from bigiron.powervm.disk.upload import CheckedStream, Uploads
from bigiron.powervm.mapping import Backing, BackingKind, mapped, users
from bigiron.powervm.marks import UPLOADS, Marks

LOG = logging.getLogger(__name__)

_EPHEMERAL_LETTERS = "efghjklmnopq"
_LETTERS = {DiskRole.ROOT: "b", DiskRole.SWAP: "s", DiskRole.RESCUE: "r"}
_OURS = re.compile(r"[brs]_.+|[efghj-q]_[0-9a-f]{13}")

_IMAGE = re.compile(r"i_[0-9a-f]{13}")


class LocalVolumeGroup(DiskDriver):
    """The volume group that `volume_group_name` names, which must be on exactly one VIOS that is up."""

    def __init__(self, connection: Connection, groups: VolumeGroups) -> None:
        self._connection = connection
        self._groups = groups
        self._uploads = Uploads(connection)
        self._marks = Marks(connection.options.state_path, UPLOADS)
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._known = Capacity(0.0, 0.0)

    def start(self) -> None:
        wanted = self._connection.options.volume_group_name
        if not wanted:
            raise InvalidSpec(f"[powervm] volume_group_name must name the group for disks: {self._names()}.")
        found = self._groups.named(wanted)
        if not found:
            unread = self._groups.unread()
            kind, but = (Unavailable, f"; VIOS {' and '.join(unread)} does not serve") if unread else (InvalidSpec, "")
            raise kind(f"[powervm] volume_group_name is {wanted}, and the VIOSes have: {self._names()}{but}.")
        if len(found) > 1:
            vioses = " and ".join(group.vios.name for group in found)
            raise InvalidSpec(
                f"[powervm] volume_group_name is {wanted}, and VIOSes {vioses} each have a group of that name. Rename "
                "one of them."
            )
        self._group: Group = found[0]
        self._known = _capacity(self._group.writer.document())

    @property
    def label(self) -> str:
        return self._group.label

    def capacity(self) -> Capacity:
        self._known = _capacity(self._group.fresh())
        return self._known

    def known_capacity(self) -> Capacity:
        return self._known

    def check(self, guest: GuestSpec, freed_gb: float = 0.0) -> None:
        """Also refuses what does not fit into the free room: virtual disks are not thin."""
        super().check(guest, freed_gb)
        needed = sum(size_gb(disk) for disk in guest.disks)
        if needed > self._known.free_gb + freed_gb:
            raise NoCapacity(
                f"Guest {guest.name} asks for {needed:g} GB of disks, and {self.label} has "
                f"{self._known.free_gb:.1f} of {self._known.total_gb:.1f} GB free. Delete what is not needed or "
                "enlarge the group."
            )

    def ensure_image(self, image: ImageSource) -> Backing:
        name = naming.volume_group_image(image.id)
        with self._locks[image.id]:
            present = disk_named(self._group.writer.document(), name)
            if present is None:
                present = disk_named(self._group.fresh(), name)
            if present is not None and self._marks.is_set(name):
                LOG.warning("An upload of image %s was interrupted; removing what it left", image.id)
                self._remove(name)
                present = None
            return (present or self._upload(name, image)).backing

    def image_key(self, image_id: str) -> str:
        return naming.volume_group_image(image_id)

    def cached_images(self) -> Sequence[CachedImage]:
        return [
            cached(disk.name, disk.backing, self._mapped(disk.name))
            for disk in disks_of(self._group.fresh())
            if _IMAGE.fullmatch(disk.name) and not self._marks.is_set(disk.name)
        ]

    def remove_image(self, image: CachedImage) -> bool:
        """A disk made from an image is a whole copy of it, so only an upload or a mapping keeps one."""
        if self._marks.is_set(image.key) or self._mapped(image.key):
            return False
        self._remove(image.key)
        LOG.info("Removed virtual disk %s, a cached image that nobody used", image.key)
        return True

    def create(self, guest: GuestSpec, index: int, image: Backing | None = None) -> Disk:
        self._serving()
        disk = guest.disks[index]
        name = self.name(guest, index)
        if disk_named(self._group.writer.document(), name) is not None:
            self._make_way(name)
        made = self._add(AddDisk(guest.uuid, self.label, name, size_gb(disk), image.udid if image is not None else ""))
        return Disk(made.backing, made.size_gb, (self._group.vios.uuid,))

    def discard(self, guest: GuestSpec, index: int) -> None:
        name = self.name(guest, index)
        if disk_named(self._group.fresh(), name) is not None and not self._mapped(name):
            self._remove(name)

    def delete(self, backing: Backing) -> None:
        name = backing.base_name
        if disk_named(self._group.writer.document(), name) is None:
            self._group.fresh()
        self._remove(name)

    def find(self, lpar_uuid: str) -> Sequence[Disk]:
        vios = self._group.vios.uuid
        known = {disk.name: disk for disk in disks_of(self._group.writer.document())}
        found: list[Disk] = []
        for backing in mapped(self._connection.vioses.document(vios), lpar_uuid):
            name = backing.base_name
            if backing.kind is BackingKind.VIRTUAL_DISK and _OURS.fullmatch(name):
                size = known[name].size_gb if name in known else 0.0
                found.append(Disk(backing, size, (vios,)))
        return found

    def name(self, guest: GuestSpec, index: int) -> str:
        role, number = guest.disks[index].role, ordinal(guest, index)
        if role is not DiskRole.EPHEMERAL:
            return naming.volume_group_disk(_LETTERS[role], guest.uuid)
        if number >= len(_EPHEMERAL_LETTERS):
            raise InvalidSpec(f"A guest can have {len(_EPHEMERAL_LETTERS)} ephemeral disks; this one asks for more.")
        return naming.volume_group_disk(_EPHEMERAL_LETTERS[number], guest.uuid)

    def check_growth(self, guest: GuestSpec, disk: Disk, size_gb: float) -> None:
        """Also refuses what does not fit into the free room: virtual disks are not thin."""
        super().check_growth(guest, disk, size_gb)
        more = size_gb - disk.size_gb
        if more > self._known.free_gb:
            raise NoCapacity(
                f"Guest {guest.name} asks for {more:.1f} GB more of disk, and {self.label} has "
                f"{self._known.free_gb:.1f} of {self._known.total_gb:.1f} GB free. Delete what is not needed or "
                "enlarge the group."
            )

    def grow(self, disk: Disk, size_gb: float) -> None:
        self._serving()
        name = disk.backing.base_name
        change = GrowDisk(name, self.label, name, size_gb)
        self._known = _capacity(self._group.writer.submit(change, COPY_TIMEOUT_S))

    def names_of(self, instance_uuid: str) -> re.Pattern[str]:
        letters = (*_LETTERS.values(), *_EPHEMERAL_LETTERS)
        return re.compile("|".join(naming.volume_group_disk(letter, instance_uuid) for letter in letters))

    def leftovers(self, instance_uuid: str) -> Sequence[Backing]:
        names = self.names_of(instance_uuid)
        document = self._connection.vioses.document(self._group.vios.uuid)
        left = [disk.backing for disk in disks_of(self._group.fresh()) if names.fullmatch(disk.name)]
        return [backing for backing in left if not users(document, backing)]

    def _upload(self, name: str, image: ImageSource) -> VirtualDisk:
        size, pool = image_gb(image), _capacity(self._group.writer.document())
        if size > pool.free_gb:
            raise NoCapacity(
                f"Image {image.name} needs {size} GB in {self.label}, which has {pool.free_gb:.1f} of "
                f"{pool.total_gb:.1f} GB free. Delete what is not needed or enlarge the group."
            )
        vios = self._serving()
        self._marks.set(name)
        try:
            made = self._add(AddDisk(image.id, self.label, name, size))
            with image.open() as source:
                stream = CheckedStream(source, f"Image {image.name} ({image.id})", image.size_bytes, image.sha256)
                self._uploads.disk(vios, name, made.udid, image.size_bytes, image.sha256, stream)
        except Exception:
            # Whatever broke it, an incomplete copy must be gone before its mark is.
            self._clean_up(name)
            raise
        self._group.writer.invalidate()
        self._marks.clear(name)
        LOG.info("Uploaded image %s (%s) as virtual disk %s", image.name, image.id, name)
        return made

    def _clean_up(self, name: str) -> None:
        try:
            self._group.fresh()
            self._remove(name)
            self._marks.clear(name)
        except PlatformError as error:
            # The mark stays, so that the next use of the image removes what is left.
            LOG.warning("Virtual disk %s could not be removed from %s: %s", name, self.label, error)

    def _add(self, change: AddDisk) -> VirtualDisk:
        document = self._group.writer.submit(change, COPY_TIMEOUT_S)
        self._known = _capacity(document)
        made = disk_named(document, change.name)
        if made is None:
            raise Conflict(f"{self.label} accepted virtual disk {change.name} and does not list it.")
        return made

    def _remove(self, name: str) -> None:
        self._known = _capacity(self._group.writer.submit(RemoveDisk(name, name), COPY_TIMEOUT_S))

    def _make_way(self, name: str) -> None:
        """Delete a disk of that name that an interrupted spawn left; one that is mapped is refused."""
        if self._mapped(name):
            raise Conflict(
                f"Virtual disk {name} exists in {self.label} and is mapped to a partition. Remove the mapping and the "
                "disk if they are not needed."
            )
        LOG.warning("Removing virtual disk %s, which nothing is mapped to, before making it anew", name)
        self._remove(name)

    def _mapped(self, name: str) -> bool:
        document = self._connection.vioses.document(self._group.vios.uuid)
        return bool(users(document, Backing(BackingKind.VIRTUAL_DISK, name)))

    def _serving(self) -> str:
        vios = self._group.vios
        if vios.uuid not in {one.uuid for one in self._connection.vioses.active()}:
            raise Unavailable(f"VIOS {vios.name}, which has {self.label}, is down. Start it.")
        return vios.uuid

    def _names(self) -> str:
        return ", ".join(sorted(group.label for group in self._groups.active())) or "none"


def _capacity(document: VG) -> Capacity:
    return Capacity(document.capacity, document.capacity - document.free_space)
