"""The storage steps of a spawn: the image, the disks, the config drive, and one mapping write for them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bigiron import naming
from bigiron.hypervisor import CONFIG_DRIVE, Step, Values
from bigiron.model import GuestSpec, ImageSource
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import ImageCache
from bigiron.powervm.disk.driver import Disk, DiskDriver
from bigiron.powervm.keys import IMAGE, LPAR, MAPPED, OPTICAL, disk_key
from bigiron.powervm.mapping import AddMappings, Backing, RemoveMappings
from bigiron.powervm.media import MediaRepositories, Medium


class CacheImage(Step):
    """Has the root disk's image in the pool; it stays there, whatever becomes of the guest."""

    provides = IMAGE

    def __init__(self, driver: DiskDriver, image: ImageSource, cache: ImageCache, owner: str) -> None:
        self.name = f"cache image {image.id}"
        self._driver = driver
        self._image = image
        self._cache = cache
        self._owner = owner

    def execute(self, values: Values) -> Backing:
        # Kept from being removed until the disk is made, which releases it.
        self._cache.take(self._driver.image_key(self._image.id), self._owner)
        return self._driver.ensure_image(self._image)

    def revert(self, values: Values) -> None:
        self._cache.holds.release(self._driver.image_key(self._image.id), self._owner)


class CreateDisk(Step):
    """Creates one of the guest's disks."""

    def __init__(self, driver: DiskDriver, guest: GuestSpec, index: int, cache: ImageCache) -> None:
        disk = guest.disks[index]
        self.name = f"create disk {index} ({disk.role.value})"
        self.needs = (IMAGE,) if disk.image is not None else ()
        self.provides = disk_key(index)
        self._driver = driver
        self._guest = guest
        self._index = index
        self._cache = cache
        self._disk: Disk | None = None

    def execute(self, values: Values) -> Disk:
        source = self._guest.disks[self._index].image
        self._disk = self._driver.create(self._guest, self._index, values[IMAGE] if source is not None else None)
        if source is not None:
            self._cache.holds.release(self._driver.image_key(source.id), self._guest.uuid)
        return self._disk

    def revert(self, values: Values) -> None:
        if self._disk is not None:
            self._driver.delete(self._disk.backing)
        else:
            self._driver.discard(self._guest, self._index)


class UploadConfigDrive(Step):
    """Makes the config drive an optical medium."""

    name = "upload config drive"
    needs = (CONFIG_DRIVE,)
    provides = OPTICAL

    def __init__(self, media: MediaRepositories, name: str) -> None:
        """`name` is what the medium is called."""
        self._media = media
        self._name = name
        self._medium: Medium | None = None

    def execute(self, values: Values) -> Medium:
        self._medium = self._media.upload(self._name, values[CONFIG_DRIVE])
        return self._medium

    def revert(self, values: Values) -> None:
        if self._medium is not None:
            self._media.delete(self._medium)
        else:
            self._media.discard(self._name)


class MapStorage(Step):
    """Presents disks and config drive to the partition, with one write for each VIOS."""

    name = "map storage"
    provides = MAPPED

    def __init__(self, connection: Connection, guest: GuestSpec) -> None:
        disks = tuple(disk_key(index) for index in range(len(guest.disks)))
        self.needs = (LPAR, *disks, *((OPTICAL,) if guest.config_drive else ()))
        self._connection = connection
        self._guest = guest
        self._written: tuple[str, ...] = ()

    def execute(self, values: Values) -> None:
        backings: defaultdict[str, list[Backing]] = defaultdict(list)
        for index in range(len(self._guest.disks)):
            disk = values[disk_key(index)]
            for vios in disk.vios_uuids:
                backings[vios].append(disk.backing)
        if self._guest.config_drive:
            medium = values[OPTICAL]
            backings[medium.vios_uuid].append(medium.backing)
        self._written = tuple(backings)
        lpar = values[LPAR]
        self._connection.vioses.write_all(
            {
                vios: AddMappings(self._guest.uuid, lpar.uuid, tuple(wanted), lpar.id)
                for vios, wanted in backings.items()
            }
        )

    def revert(self, values: Values) -> None:
        if self._written:
            change = RemoveMappings(self._guest.uuid, values[LPAR].uuid)
            self._connection.vioses.write_all(dict.fromkeys(self._written, change))


def storage_steps(
    connection: Connection, driver: DiskDriver, media: MediaRepositories, guest: GuestSpec, cache: ImageCache
) -> Sequence[Step]:
    """The steps that give a guest its storage; the last provides MAPPED."""
    steps: list[Step] = []
    image = next((disk.image for disk in guest.disks if disk.image is not None), None)
    if image is not None:
        steps.append(CacheImage(driver, image, cache, guest.uuid))
    steps += [CreateDisk(driver, guest, index, cache) for index in range(len(guest.disks))]
    if guest.config_drive:
        steps.append(UploadConfigDrive(media, naming.config_drive(guest.uuid)))
    return [*steps, MapStorage(connection, guest)]
