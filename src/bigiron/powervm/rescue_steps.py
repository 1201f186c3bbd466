"""The steps of a rescue and of its end that are more than those of a spawn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron import naming
from bigiron.errors import PlatformError
from bigiron.hypervisor import STOPPED, Step, Values
from bigiron.model import GuestSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import DiskDriver, is_rescue_disk, is_root_disk
from bigiron.powervm.keys import BOOT, OPTICAL, STARTED, disk_key
from bigiron.powervm.mapping import Backing, BackingKind, boot_paths
from bigiron.powervm.marks import Marks
from bigiron.powervm.media import MediaRepositories, Medium
from bigiron.powervm.partition import Lpar
from bigiron.powervm.presented import Presented, exchange

LOG = logging.getLogger(__name__)


class MapRescue(Step):
    """Presents the rescue disk, and the rescue's config drive in the place of the guest's own: a guest that finds two
    takes either. One write for each VIOS."""

    name = "map the rescue disk"
    provides = BOOT

    def __init__(self, connection: Connection, guest: GuestSpec, lpar: Lpar, own: Collection[Presented]) -> None:
        """`own` is the guest's own config drive where it is presented."""
        self.needs = (STOPPED, disk_key(0), *((OPTICAL,) if guest.config_drive else ()))
        self._connection = connection
        self._guest = guest
        self._lpar = lpar
        self._own = own
        self._added: tuple[Presented, ...] = ()

    def execute(self, values: Values) -> str:
        disk = values[disk_key(0)]
        added = [Presented(vios, disk.backing) for vios in disk.vios_uuids]
        if self._guest.config_drive:
            medium = values[OPTICAL]
            added.append(Presented(medium.vios_uuid, medium.backing))
        self._added = tuple(added)
        written = exchange(self._connection, self._lpar, self._guest.uuid, self._added, self._own)
        return boot_string(written, self._lpar, is_rescue_disk)

    def revert(self, values: Values) -> None:
        if self._added:
            exchange(self._connection, self._lpar, self._guest.uuid, self._own, self._added)


class UnmapRescue(Step):
    """Takes away what the rescue presented and presents the guest's own config drive again."""

    name = "unmap the rescue disk"
    needs = (STOPPED,)
    provides = BOOT

    def __init__(
        self, connection: Connection, lpar: Lpar, uuid: str, made: Collection[Presented], own: Collection[Presented]
    ) -> None:
        self._connection = connection
        self._lpar = lpar
        self._uuid = uuid
        self._made = made
        self._own = own

    def execute(self, values: Values) -> str:
        exchange(self._connection, self._lpar, self._uuid, self._own, self._made)
        vioses = self._connection.vioses
        return boot_string([vioses.document(vios.uuid) for vios in vioses.all()], self._lpar, is_root_disk)

    def revert(self, values: Values) -> None:
        exchange(self._connection, self._lpar, self._uuid, self._made, self._own)


class DeleteRescue(Step):
    """Deletes what the rescue made, once the guest runs without it.

    What cannot be deleted is no reason to take the guest down again: its mark stays, so that the guest's next rescue
    or its end removes it.
    """

    name = "delete the rescue disk"
    needs = (STARTED,)

    def __init__(
        self, disks: DiskDriver, media: MediaRepositories, marks: Marks, uuid: str, made: Sequence[Presented]
    ) -> None:
        self._disks = disks
        self._media = media
        self._marks = marks
        self._uuid = uuid
        self._made = made

    def execute(self, values: Values) -> None:
        # A unit that several VIOSes present is one disk.
        disks = {one.backing.name: one.backing for one in self._made if is_rescue_disk(one.backing)}
        media = [one for one in self._made if one.backing.kind is BackingKind.OPTICAL]
        jobs: list[Callable[[], None]] = [lambda: self._delete_disks(disks.values()), lambda: self._delete_media(media)]
        # Each is tried, whatever came of the other.
        outcomes = [self._done(job) for job in jobs]
        if all(outcomes):
            self._marks.clear(self._uuid)

    def _delete_disks(self, backings: Collection[Backing]) -> None:
        unmapped = [one for one in self._disks.leftovers(self._uuid) if is_rescue_disk(one)] if not backings else ()
        for backing in (*backings, *unmapped):
            self._disks.delete(backing)

    def _delete_media(self, presented: Sequence[Presented]) -> None:
        for one in presented:
            self._media.delete(Medium(one.backing, one.vios_uuid))
        if not presented:
            self._media.discard(naming.rescue_drive(self._uuid))

    def _done(self, job: Callable[[], None]) -> bool:
        """Whether the work is done, at the second try at the latest."""
        try:
            job()
            return True
        except PlatformError as error:
            LOG.warning("Instance %s: what its rescue made is not deleted yet, trying again: %s", self._uuid, error)
        try:
            job()
            return True
        except PlatformError as error:
            LOG.error(
                "Instance %s: something of its rescue is left until its next rescue or its end: %s", self._uuid, error
            )
            return False


def boot_string(documents: Collection[VIOS], lpar: Lpar, accepts: Callable[[Backing], bool]) -> str:
    """The PowerOn job's boot string for those of the guest's disks, by each VIOS that presents them."""
    return " ".join(path for document in documents for path in boot_paths(document, lpar.uuid, accepts))
