"""Sending bytes to a VIOS through the platform's File resource: disk images and optical media.

The File is only the descriptor of one upload. The platform holds at most a hundred, so each is deleted whatever
happens, also one whose creation was answered by a broken connection.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any, BinaryIO

from pypowervm import exceptions as pvm_errors
from pypowervm.wrappers.vios_file import File, FileType

from bigiron.errors import InvalidSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.marks import FILES, Marks

LOG = logging.getLogger(__name__)

_CHUNK = 1 << 20


class CheckedStream:
    """A stream that raises where it is not exactly as announced, before its last bytes are handed on.

    Raising in the middle aborts the transfer, so the platform never sees a complete upload of wrong bytes.
    """

    def __init__(self, stream: BinaryIO, label: str, size: int, sha256: str | None = None) -> None:
        self._stream = stream
        self._label = label
        self._size = size
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._ahead = b""
        self._sent = 0
        self.problem: Exception | None = None
        """What went wrong with the bytes, as opposed to their transfer."""

    def read(self, size: int = _CHUNK) -> bytes:
        """The next bytes; one block is kept back so that the last goes out only after the check."""
        block, self._ahead = self._ahead, self._next(size)
        if not block and self._ahead:
            block, self._ahead = self._ahead, self._next(size)
        if not self._ahead:
            self._check()
        return block

    def _next(self, size: int) -> bytes:
        try:
            block = self._stream.read(size)
        except Exception as error:
            # The session would report it as a failure of the platform's.
            self.problem = error
            raise
        self._digest.update(block)
        self._sent += len(block)
        return block

    def _check(self) -> None:
        if self._sent != self._size:
            self._fail(f"{self._label} delivered {self._sent} bytes where {self._size} were announced")
        if self._sha256 and self._digest.hexdigest() != self._sha256.lower():
            self._fail(f"{self._label} has the SHA-256 {self._digest.hexdigest()} where {self._sha256} was announced")

    def _fail(self, reason: str) -> None:
        self.problem = problem = InvalidSpec(f"{reason}: upload it again.")
        raise problem


class Uploads:
    """Uploads over one connection; what this host has begun to upload is noted where it outlives the process."""

    def __init__(self, connection: Connection) -> None:
        self._adapter = connection.adapter
        self._marks = Marks(connection.options.state_path, FILES)

    def reconcile(self) -> None:
        """Delete the descriptors that an earlier process of this host left; reads them only if it left any."""
        marks = set(self._marks.all())
        if not marks:
            return
        with translated("Reading the upload descriptors"):
            known = File.get(self._adapter, service="web", xag=[])
        gone = [self._forget(one.uuid, one.file_name) for one in known if _mark(one.file_name) in marks]
        if all(gone):
            for mark in marks:
                self._marks.clear(mark)

    def disk(self, vios_uuid: str, name: str, udid: str, size: int, sha256: str | None, stream: CheckedStream) -> None:
        """Write the stream into the disk or logical unit with that udid, through the VIOS."""
        descriptor = File.bld(self._adapter, name, FileType.DISK_IMAGE, vios_uuid, sha256, size, tdev_udid=udid)
        with translated(f"Uploading {name} through VIOS {vios_uuid}"):
            self._send(descriptor, stream)

    def optical(self, vios_uuid: str, name: str, size: int, stream: CheckedStream) -> None:
        """Make the stream an optical medium of that name in the VIOS's media repository."""
        descriptor = File.bld(self._adapter, name, FileType.MEDIA_ISO, vios_uuid, f_size=size)
        with translated(f"Uploading optical medium {name} to VIOS {vios_uuid}"):
            self._send(descriptor, stream)

    def _send(self, descriptor: Any, stream: CheckedStream) -> None:
        name = descriptor.file_name
        self._marks.set(_mark(name))
        try:
            created = descriptor.create()
        except pvm_errors.Error:
            if self._forget_all(name):
                self._marks.clear(_mark(name))
            raise
        try:
            # No helper may retry: the stream cannot be read twice.
            self._adapter.upload_file(created.element, stream, chunksize=_CHUNK, helpers=[])
        except pvm_errors.Error:
            if stream.problem is not None:
                raise stream.problem from None
            raise
        finally:
            if self._forget(created.uuid, name):
                self._marks.clear(_mark(name))

    def _forget(self, uuid: str, name: str) -> bool:
        """Delete the descriptor; a failure is tried once more and then only logged, for the bytes are in place.

        Says whether it is gone; one that is not goes at the next start.
        """
        for attempt in range(2):
            try:
                self._adapter.delete(File.schema_type, root_id=uuid, service="web")
                return True
            except pvm_errors.HttpNotFound:
                return True
            except pvm_errors.Error as error:
                report: Callable[..., None] = LOG.debug if attempt == 0 else LOG.warning
                report("The upload descriptor %s of %s could not be deleted: %s", uuid, name, error)
        return False

    def _forget_all(self, name: str) -> bool:
        """Delete descriptors of that name: the answer to a creation was lost, so their uuids are not known."""
        try:
            known = File.get(self._adapter, service="web", xag=[])
        except pvm_errors.Error as error:
            LOG.warning("Upload descriptors of %s, if any, could not be looked for: %s", name, error)
            return False
        gone = [self._forget(one.uuid, name) for one in known if one.file_name == name]
        return all(gone)


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
