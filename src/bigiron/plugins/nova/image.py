"""Glance images as the platforms read them: a size, perhaps a checksum, and streams of bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

from bigiron import errors


class ChunkStream(io.RawIOBase):
    """A readable file over the chunks that Glance's client yields; it asks for a chunk when a reader wants it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__()
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class GlanceImage:
    """An ImageSource over Glance; nothing is downloaded before `open`."""

    def __init__(
        self, image_id: str, name: str, size_bytes: int, download: Callable[[], Iterable[bytes] | None]
    ) -> None:
        self.id = image_id
        self.name = name
        self.size_bytes = size_bytes
        # Glance's own checksums are MD5 and SHA-512; the image API that Nova offers a driver passes on neither.
        self.sha256: str | None = None
        self._download = download

    def open(self) -> BinaryIO:
        """A new stream from the image's first byte; raises NotFound for an image that has no data."""
        chunks = self._download()
        if chunks is None:
            raise errors.NotFound(f"image {self.id} has no data in Glance; upload it again")
        return cast(BinaryIO, io.BufferedReader(ChunkStream(chunks)))
