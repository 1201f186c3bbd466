"""The root disk of a guest as an image: captured by the connector, fetched byte by byte, and removed there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any, BinaryIO, cast

from bigiron.errors import PlatformError
from bigiron.model import DiskBytes, DiskRole
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import Ledger
from bigiron.zvm.power import Power
from bigiron.zvm.transfer import Transfer, delete_image, folder_of

LOG = logging.getLogger(__name__)

_DEFAULT_ROOT = "0100"
_PREFIX = "bigiron-snap-"


def left_of(image: str, userids: Collection[str]) -> bool:
    """Whether an image of the connector's is what a snapshot of one of these guests has left that was ended."""
    userid = image.removeprefix(_PREFIX).rpartition("-")[0].upper()
    return image.startswith(_PREFIX) and userid in userids


class Captures:
    """Takes images of guests' root disks.

    A running guest is shut down for it and started again by the connector, as a minidisk cannot be read while a guest
    writes to it.
    """

    def __init__(self, api: Api, transfer: Transfer, ledger: Ledger, power: Power) -> None:
        self._api = api
        self._transfer = transfer
        self._ledger = ledger
        self._power = power

    @contextlib.contextmanager
    def root_disk(self, guest: Guest) -> Iterator[DiskBytes]:
        """The root disk's bytes, with the header that deploys need; gone from the connector when the context ends."""
        name = f"{_PREFIX}{guest.userid.lower()}-{uuid.uuid4().hex[:12]}"
        try:
            self._capture(guest, name)
            record = self._api.image(name)
            path = self._path(guest, record)
            what = f"Fetching the image of guest {guest.name}"
            with self._transfer.fetched(name, path, what) as chunks:
                size = int(record["image_size_in_bytes"])
                stream = io.BufferedReader(_Checked(chunks, size, str(record["md5sum"]), guest.name))
                yield DiskBytes(size, cast(BinaryIO, stream))
        finally:
            delete_image(self._api, name)

    def _capture(self, guest: Guest, name: str) -> None:
        what = f"Capturing guest {guest.name}"
        timeout = self._api.connector.options.deploy_timeout_s
        with self._power.capture(guest):
            self._api.action(guest.userid, "capture", what=what, timeout_s=timeout, image=name)

    def _path(self, guest: Guest, record: Mapping[str, Any]) -> str:
        """Where the connector has put it: under the number of the disk that was captured."""
        entry = self._ledger.find(guest.instance)
        roots = [disk.vdev for disk in entry.disks if disk.role is DiskRole.ROOT] if entry is not None else []
        repository = self._api.connector.options.connector_image_repository
        folder = folder_of(repository, str(record["imageosdistro"]), str(record["imagename"]))
        return f"{folder}/{roots[0] if roots else _DEFAULT_ROOT}"


class _Checked(io.RawIOBase):
    """A readable file over chunks that fails where they end early, or are not what was captured."""

    def __init__(self, chunks: Iterator[bytes], size: int, md5: str, guest: str) -> None:
        super().__init__()
        self._chunks = chunks
        self._left = size
        self._wanted = md5
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._guest = guest
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._check()
                return 0
            self._left -= len(chunk)
            self._md5.update(chunk)
            self._rest = memoryview(chunk)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _check(self) -> None:
        if self._left or self._md5.hexdigest() != self._wanted:
            raise PlatformError(f"The image of guest {self._guest} came damaged from the Cloud Connector; try again.")
