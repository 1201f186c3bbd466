"""A guest's root disk as a stream of bytes, read through the management partition while the guest runs or not.

The disk is mapped to the management partition as well, which scans for it and reads the device; where that partition
is itself the VIOS that has the disk, it reads the device that the VIOS serves the guest from.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from bigiron.errors import PlatformError, Unavailable, Unsupported
from bigiron.model import DiskBytes
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import Disk, DiskDriver
from bigiron.powervm.management.access import Access
from bigiron.powervm.management.partition import Management, management_partition, own_partition
from bigiron.powervm.management.scsi import ScsiDisks
from bigiron.powervm.mapping import AddMappings, Backing, BackingKind, RemoveMappings, client_slot, device_name, mapped
from bigiron.powervm.partition import Lpar

LOG = logging.getLogger(__name__)

_BUFFER = 1 << 20


class Snapshots:
    """Reads the root disks of guests."""

    def __init__(self, connection: Connection, disks: DiskDriver, access: Access) -> None:
        self._connection = connection
        self._disks = disks
        self._access = access
        self._scsi = ScsiDisks(connection.options.management_root, access)

    @contextlib.contextmanager
    def root_disk(self, lpar: Lpar) -> Iterator[DiskBytes]:
        """The root disk's bytes, for as long as the context lasts; whatever was mapped for it is undone at its end.

        Raises Unsupported where this process does not run in the management partition.
        """
        here = own_partition(self._connection, f"A snapshot of guest {lpar.name}")
        disk = self._root_of(lpar)
        with contextlib.ExitStack() as undo:
            if here.vios and disk.backing.kind is BackingKind.VIRTUAL_DISK and here.uuid in disk.vios_uuids:
                path = self._own_device(here, lpar, disk.backing)
            else:
                path = self._attach(here, lpar, disk, undo)
            stream = undo.enter_context(self._open(path, lpar))
            size = stream.seek(0, os.SEEK_END)
            if size <= 0:
                raise PlatformError(f"Device {path}, the root disk of guest {lpar.name}, has no size.")
            stream.seek(0)
            whole = io.BufferedReader(WholeStream(stream, f"Device {path} of guest {lpar.name}", size), _BUFFER)
            yield DiskBytes(size, cast(BinaryIO, whole))

    def reconcile(self) -> None:
        """Take back the mappings of guests' disks that an earlier process made and did not remove."""
        here = management_partition(self._connection)
        if here is None:
            return
        ours = [lpar.uuid for lpar in self._connection.mirror.lpars() if lpar.instance]
        for vios in self._connection.vioses.all():
            document = self._connection.vioses.document(vios.uuid)
            mine = mapped(document, here.uuid)
            guests = [one for uuid in ours for one in mapped(document, uuid)] if mine else []
            for backing in mine:
                if any(backing.same(one) for one in guests):
                    LOG.warning("A snapshot of disk %s was interrupted; removing its mapping", backing.name)
                    self._detach(here, vios.uuid, backing)

    def _root_of(self, lpar: Lpar) -> Disk:
        for disk in self._disks.find(lpar.uuid):
            if self._disks.is_root(disk.backing):
                return disk
        raise Unsupported(f"Guest {lpar.name} has no root disk in {self._disks.label}, so there is none to be read.")

    def _own_device(self, here: Management, lpar: Lpar, backing: Backing) -> Path:
        name = device_name(self._connection.vioses.document(here.uuid), lpar.uuid, backing)
        # An absolute name replaces what it is joined to.
        return self._connection.options.management_root / Path("/dev", name).relative_to("/")

    def _attach(self, here: Management, lpar: Lpar, disk: Disk, undo: contextlib.ExitStack) -> Path:
        vios = self._serving(here, lpar, disk)
        # What an interrupted snapshot left would be taken for the disk as it is mapped now.
        self._scsi.remove(disk.backing.udid)
        undo.callback(self._detach, here, vios, disk.backing)
        document = self._connection.vioses.write(vios, AddMappings(lpar.name, here.uuid, (disk.backing,)))
        return self._scsi.find(disk.backing.udid, client_slot(document, here.uuid, disk.backing))

    def _serving(self, here: Management, lpar: Lpar, disk: Disk) -> str:
        active = {vios.uuid for vios in self._connection.vioses.active()} - {here.uuid}
        for uuid in disk.vios_uuids:
            if uuid in active:
                return uuid
        raise Unavailable(f"None of the VIOSes that serve the root disk of guest {lpar.name} is up. Start one.")

    def _detach(self, here: Management, vios: str, backing: Backing) -> None:
        """Let go of the device and take the mapping back; what fails twice is logged, as the bytes are read by then.

        The next snapshot, the guest's deletion or the next start removes what is left.
        """
        change = RemoveMappings(backing.name, here.uuid, only=backing.same)
        _twice(f"device of disk {backing.name}", lambda: self._scsi.remove(backing.udid))
        _twice(f"mapping of disk {backing.name}", lambda: self._connection.vioses.write(vios, change))

    def _open(self, path: Path, lpar: Lpar) -> BinaryIO:
        try:
            return self._access.open(path)
        except OSError as error:
            raise PlatformError(
                f"Device {path}, the root disk of guest {lpar.name}, cannot be read: {error}. See 'Snapshots' in the "
                "operator's guide."
            ) from error


class WholeStream(io.RawIOBase):
    """A device's bytes, with an error where they end before its size is reached: never a short image."""

    def __init__(self, stream: BinaryIO, label: str, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._label = label
        self._size = size
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")[: self._left]
        try:
            count = self._stream.readinto(target) if target else 0  # type: ignore[attr-defined]
        except OSError as error:
            raise PlatformError(f"{self._label} cannot be read on: {error}.") from error
        if not count and self._left:
            raise PlatformError(f"{self._label} ends {self._left} bytes before its size of {self._size} bytes.")
        self._left -= count
        return int(count)


def _twice(what: str, work: Callable[[], object]) -> None:
    for attempt in range(2):
        try:
            work()
            return
        except PlatformError as error:
            report: Callable[..., None] = LOG.info if attempt == 0 else LOG.error
            report("The %s in the management partition could not be removed: %s", what, error)
