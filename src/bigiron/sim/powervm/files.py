"""Files that clients upload: their records, and their bytes on their way to the world."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import uuid as uuidlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from bigiron.sim.powervm.errors import BadRequest, NotFound, RestError

LIMIT = 100
"""The real server keeps no more File records than this."""
TYPES = frozenset({"BROKERED_MEDIA_ISO", "BROKERED_DISK_IMAGE"})
_CHUNK = 1 << 16
_ZEROS = bytes(_CHUNK)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A File as a client declared it; `received` is None until its content came."""

    uuid: str
    filename: str
    file_type: str
    vios_uuid: str | None
    target_udid: str | None
    size: int
    sha256: str | None
    media_type: str
    created: int
    received: int | None = None


class Files:
    """The records, and the contents in a directory; `deliver` hands a finished upload to the world.

    A content stays readable under its record until the record is deleted, by a hard link that costs no space.
    """

    def __init__(
        self,
        directory: Path,
        deliver: Callable[[FileRecord, Path], None],
        changed: Callable[[], None],
        records: list[dict[str, Any]],
    ) -> None:
        self._directory = directory
        self._deliver = deliver
        self._changed = changed
        self._lock = threading.Lock()
        self._records = {record.uuid: record for record in (FileRecord(**each) for each in records)}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in directory.iterdir():
            if path.name not in self._records:
                path.unlink()

    def to_state(self) -> list[dict[str, Any]]:
        """Return the records as JSON-able values."""
        with self._lock:
            return [dataclasses.asdict(record) for record in self._records.values()]

    def records(self) -> list[FileRecord]:
        """Return all records."""
        with self._lock:
            return list(self._records.values())

    def get(self, uuid: str) -> FileRecord:
        """Return a record; raises NotFound."""
        with self._lock:
            record = self._records.get(uuid.lower())
        if record is None:
            raise NotFound(f"There is no File {uuid}.")
        return record

    def create(self, record: FileRecord) -> FileRecord:
        """Keep a new record."""
        if record.file_type not in TYPES:
            raise BadRequest(f"FileEnumType {record.file_type!r} is not one of {', '.join(sorted(TYPES))}.")
        record = replace(record, uuid=str(uuidlib.uuid4()))
        with self._lock:
            if len(self._records) >= LIMIT:
                raise RestError(f"There are {LIMIT} Files already. Delete those that are no longer needed.")
            self._records[record.uuid] = record
        self._changed()
        return record

    def delete(self, uuid: str) -> None:
        """Forget a record; what the world has of its content stays."""
        record = self.get(uuid)
        with self._lock:
            self._records.pop(record.uuid, None)
        (self._directory / record.uuid).unlink(missing_ok=True)
        self._changed()

    def receive(self, uuid: str, stream: IO[bytes], counted: Callable[[int], None]) -> FileRecord:
        """Take a content from a stream, check it and deliver it; on a refusal nothing of it stays."""
        record = self.get(uuid)
        part = self._directory / f"{record.uuid}.{uuidlib.uuid4().hex}"
        try:
            size = self._copy(record, stream, part, counted)
            kept = self._directory / record.uuid
            kept.unlink(missing_ok=True)
            os.link(part, kept)
            try:
                self._deliver(record, part)
            except RestError:
                kept.unlink(missing_ok=True)
                raise
        finally:
            part.unlink(missing_ok=True)
        done = replace(record, received=size)
        with self._lock:
            if record.uuid in self._records:
                self._records[record.uuid] = done
        self._changed()
        return done

    def content(self, uuid: str) -> Path:
        """Return where a content lies; raises NotFound before it came."""
        path = self._directory / self.get(uuid).uuid
        if not path.exists():
            raise NotFound(f"The File {uuid} has no content yet.")
        return path

    @staticmethod
    def _copy(record: FileRecord, stream: IO[bytes], part: Path, counted: Callable[[int], None]) -> int:
        digest, size = hashlib.sha256(), 0
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                if chunk == _ZEROS:
                    out.seek(_CHUNK, os.SEEK_CUR)  # disks are mostly empty: a hole takes no space
                else:
                    out.write(chunk)
                size += len(chunk)
                counted(len(chunk))
            out.truncate(size)
        if record.size and size != record.size:
            raise BadRequest(f"The content of File {record.filename} has {size} bytes; {record.size} were announced.")
        if record.sha256 and digest.hexdigest() != record.sha256.lower():
            raise BadRequest(f"The content of File {record.filename} does not have the SHA256 that was announced.")
        return size
