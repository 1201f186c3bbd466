"""Images in the Cloud Connector: imported when a guest first needs them, known from then on, removed with age."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from bigiron import naming
from bigiron.errors import NotFound
from bigiron.imagecache import CachedImage, ImageCache
from bigiron.model import ImageSource
from bigiron.zvm import disks, header
from bigiron.zvm.api import Api
from bigiron.zvm.errors import Exists
from bigiron.zvm.header import Header
from bigiron.zvm.transfer import Transfer

LOG = logging.getLogger(__name__)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ConnectorImage:
    """An image that the connector has: what it is called there, and the disk that it holds."""

    name: str
    distro: str
    disk: Header


class Images:
    """The connector's images as this host uses them."""

    def __init__(self, api: Api, transfer: Transfer, cache: ImageCache) -> None:
        self._api = api
        self._transfer = transfer
        self.cache = cache
        self._lock = threading.Lock()
        self._known: dict[str, ConnectorImage] = {}
        self._importing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def ensure(self, image: ImageSource) -> tuple[ConnectorImage, bool]:
        """Have the image in the connector; says whether it was fetched now. Raises InvalidSpec for what is none."""
        name = naming.zvm_image(image.id)
        with self._lock:
            turn = self._importing[name]
        with turn:
            found = self._find(name)
            if found is not None:
                return found, False
            return self._import(name, image), True

    def forget(self, name: str) -> None:
        """The connector does not have it any more."""
        with self._lock:
            self._known.pop(name, None)

    def _find(self, name: str) -> ConnectorImage | None:
        with self._lock:
            known = self._known.get(name)
        if known is not None:
            return known
        try:
            record = self._api.image(name)
        except NotFound:
            return None
        return self._remember(
            ConnectorImage(name, str(record["imageosdistro"]), header.of_text(str(record["disk_size_units"])))
        )

    def _import(self, name: str, image: ImageSource) -> ConnectorImage:
        distro = disks.checked_distro(image.name, image.distro)
        what = f"Importing image {image.name} ({image.id})"
        with image.open() as stream:
            beginning = _read_exactly(stream, header.HEADER_BYTES)
            disk = header.parse(image.name, beginning)
            whole = cast(BinaryIO, _Joined(beginning, stream))
            with self._transfer.placed(whole, image.size_bytes, what) as path:
                try:
                    self._api.import_image(name, path, distro, what)
                except Exists:
                    LOG.info("image %s was imported by another host meanwhile", image.name)
        return self._remember(ConnectorImage(name, distro, disk))

    def _remember(self, image: ConnectorImage) -> ConnectorImage:
        with self._lock:
            self._known[image.name] = image
        return image

    # Ageing

    def trim(self, used: Collection[str], min_age_s: float) -> Sequence[str]:
        """Remove Glance's images that nothing here uses; other names in the connector are other people's."""
        keys = {naming.zvm_image(image_id) for image_id in used}
        return self.cache.trim(self._cached, self._remove, keys, min_age_s)

    def _cached(self) -> Sequence[CachedImage]:
        names = [str(record["imagename"]) for record in self._api.images()]
        return [CachedImage(name, name, in_use=False) for name in names if _is_glance(name)]

    def _remove(self, image: CachedImage) -> bool:
        self.forget(image.name)
        self._api.delete_image(image.name)
        return True


def _is_glance(name: str) -> bool:
    return _UUID.fullmatch(name) is not None


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


class _Joined:
    """A stream whose beginning has been read already."""

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        self._beginning = beginning
        self._rest = rest

    def read(self, count: int = -1) -> bytes:
        if not self._beginning:
            return self._rest.read(count)
        data, self._beginning = (
            (self._beginning, b"") if count < 0 else (self._beginning[:count], self._beginning[count:])
        )
        return data + self._rest.read() if count < 0 else data
