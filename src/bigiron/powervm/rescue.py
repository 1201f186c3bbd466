"""Rescue: a guest starts from a disk made of another image, its own disks beside it, and later from its own again.

What to start from is the boot string of the PowerOn job: the Open Firmware paths of the disk, one for each VIOS that
presents it. It holds for that one start, so that the guest's own boot list stays as it is and nobody needs a menu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bigiron import naming
from bigiron.errors import InvalidSpec, Unavailable
from bigiron.hypervisor import Step
from bigiron.model import GuestSpec
from bigiron.powervm import ibmi
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import ImageCache
from bigiron.powervm.disk.driver import DiskDriver, is_rescue_disk
from bigiron.powervm.disk.steps import CacheImage, CreateDisk, UploadConfigDrive
from bigiron.powervm.guest import Guests
from bigiron.powervm.keys import BOOT
from bigiron.powervm.mapping import Backing, BackingKind, mapped
from bigiron.powervm.marks import RESCUES, Marks
from bigiron.powervm.media import MediaRepositories
from bigiron.powervm.partition import Lpar
from bigiron.powervm.power import Power
from bigiron.powervm.power_steps import Start, Stop
from bigiron.powervm.presented import Presented
from bigiron.powervm.rescue_steps import (
    DeleteRescue,
    MapRescue,
    UnmapRescue,
    boot_string,
)


class Rescue:
    """The steps that rescue guests and take that back."""

    def __init__(
        self,
        connection: Connection,
        guests: Guests,
        power: Power,
        disks: DiskDriver,
        media: MediaRepositories,
        images: ImageCache,
    ) -> None:
        self._connection = connection
        self._guests = guests
        self._power = power
        self._disks = disks
        self._media = media
        self._images = images
        self._marks = Marks(connection.options.state_path, RESCUES)

    def steps(self, spec: GuestSpec) -> Sequence[Step]:
        """The steps of a rescue; `spec` has the rescue disk and nothing else that counts.

        Raises, before anything is changed, InvalidSpec or NoCapacity for a disk that cannot be made, and InvalidSpec
        for a guest that is rescued already.
        """
        lpar = self._guests.find(spec.uuid)
        ibmi.check_rescue(lpar)
        (disk,) = spec.disks
        if disk.image is None:
            raise InvalidSpec(f"Guest {spec.name} is to be rescued without an image: name one.")
        self._disks.check(spec)
        self._connection.vioses.active()
        if self._presented(lpar, is_rescue_disk):
            raise InvalidSpec(f"Guest {spec.name} is rescued already: unrescue it first.")
        self._marks.set(spec.uuid)
        own = self._presented(lpar, _named(naming.config_drive(spec.uuid))) if spec.config_drive else ()
        steps: list[Step] = [
            Stop(self._power, lpar),
            CacheImage(self._disks, disk.image, self._images, spec.uuid),
            CreateDisk(self._disks, spec, 0, self._images),
        ]
        if spec.config_drive:
            steps.append(UploadConfigDrive(self._media, naming.rescue_drive(spec.uuid)))
        steps += [MapRescue(self._connection, spec, lpar, own), Start(self._power, lpar, BOOT)]
        return steps

    def undo_steps(self, uuid: str) -> Sequence[Step]:
        """The steps that give a rescued guest its own disks and config drive back and delete what the rescue made.

        Raises Unavailable, before anything is changed, where a VIOS that presents any of it is down.
        """
        lpar = self._guests.find(uuid)
        made = self._made(lpar, uuid)
        self._need_serving(lpar, made)
        own: tuple[Presented, ...] = ()
        if any(one.backing.kind is BackingKind.OPTICAL for one in made) and (
            medium := self._media.find(naming.config_drive(uuid))
        ):
            own = (Presented(medium.vios_uuid, medium.backing),)
        return (
            Stop(self._power, lpar, boot=self._boot_string(lpar)),
            UnmapRescue(self._connection, lpar, uuid, made, own),
            Start(self._power, lpar, BOOT),
            DeleteRescue(self._disks, self._media, self._marks, uuid, made),
        )

    def is_rescued(self, uuid: str) -> bool:
        """Whether the guest is presented something of a rescue."""
        return self._marks.is_set(uuid) and bool(self._made(self._guests.find(uuid), uuid))

    def boot(self, uuid: str) -> str:
        """The boot string of the guest's next start: its rescue disk's while it is rescued, else empty."""
        return self._boot_string(self._guests.find(uuid)) if self.is_rescued(uuid) else ""

    def is_marked(self, uuid: str) -> bool:
        """Whether there may be something of a rescue, mapped or not."""
        return self._marks.is_set(uuid)

    def forget(self, uuid: str) -> None:
        """The guest and all that belonged to it is gone."""
        self._marks.clear(uuid)

    def _made(self, lpar: Lpar, uuid: str) -> tuple[Presented, ...]:
        """What a rescue made and the guest is presented."""
        drive = _named(naming.rescue_drive(uuid))
        return self._presented(lpar, lambda backing: is_rescue_disk(backing) or drive(backing))

    def _boot_string(self, lpar: Lpar) -> str:
        """What a rescued guest was started from."""
        vioses = self._connection.vioses
        return boot_string([vioses.document(vios.uuid) for vios in vioses.all()], lpar, is_rescue_disk)

    def _presented(self, lpar: Lpar, accepts: Callable[[Backing], bool]) -> tuple[Presented, ...]:
        vioses = self._connection.vioses
        return tuple(
            Presented(vios.uuid, backing)
            for vios in vioses.all()
            for backing in mapped(vioses.document(vios.uuid), lpar.uuid)
            if accepts(backing)
        )

    def _need_serving(self, lpar: Lpar, made: Sequence[Presented]) -> None:
        users = {one.vios_uuid for one in made}
        serving = {vios.uuid for vios in self._connection.vioses.active()}
        if down := [vios.name for vios in self._connection.vioses.all() if vios.uuid in users - serving]:
            raise Unavailable(
                f"The rescue disk of LPAR {lpar.name} is mapped by VIOS {', '.join(down)}, which is down. Bring it up "
                "and unrescue the server again."
            )


def _named(name: str) -> Callable[[Backing], bool]:
    return Backing(BackingKind.OPTICAL, name).same
