"""Glance images as the platforms read them: raw bytes, a size, perhaps a checksum, and streams."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import nova.privsep.qemu
from nova import exception
from nova.compute import utils as compute_utils
from nova.virt import images
from oslo_concurrency import processutils

from bigiron import errors
from bigiron.plugins.nova import inspection

CONVERTER = "qemu-img"

Download = Callable[[], Iterable[bytes] | None]
"""Begins to fetch an image's bytes; None where it has none."""


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
    """An ImageSource over a raw image of Glance; nothing is downloaded before `open`."""

    def __init__(
        self,
        image_id: str,
        name: str,
        size_bytes: int,
        download: Download,
        folder: Path,
        distro: str | None = None,
        *,
        inspect: bool = True,
    ) -> None:
        """`folder` is for what must be a file while it is looked at; without `inspect` the platform does so itself."""
        self.distro = distro
        self.id = image_id
        self.name = name
        self.size_bytes = size_bytes
        # Glance's own checksums are MD5 and SHA-512; the image API that Nova offers a driver passes on neither.
        self.sha256: str | None = None
        self._download = download
        self._folder = folder
        self._inspect = inspect

    def open(self) -> BinaryIO:
        """A new stream from the image's first byte; raises NotFound for an image that has no data.

        Reading raises InvalidSpec, before it gives any byte, where the image is something else than raw.
        """
        chunks = _begun(self._download, self.id)
        if self._inspect:
            chunks = inspection.checked(chunks, self.id, "raw", self._folder)
        return cast(BinaryIO, io.BufferedReader(ChunkStream(chunks)))


class ConvertedImage:
    """An ImageSource over a qcow2 image of Glance: `open` downloads it and converts it to raw.

    Its size is that of the disk inside, which the image's header tells. Raises, when it is made, Unsupported where
    qemu-img is missing, and InvalidSpec for an image that is not what it says or that refers to other files.
    """

    def __init__(
        self,
        image_id: str,
        name: str,
        download: Download,
        folder: Path,
        file_bytes: int = 0,
        size_bytes: int | None = None,
    ) -> None:
        """`file_bytes` is what a download delivers, where Glance says so; `size_bytes` saves a look at the header."""
        if not can_convert():
            raise errors.Unsupported(
                f"Image {image_id} has the disk format qcow2, and {CONVERTER}, which converts it, is not installed on "
                "this host. Install the package qemu-utils (qemu-img on Red Hat's systems), or upload the image as raw."
            )
        self.id = image_id
        self.name = name
        self.sha256: str | None = None
        self.distro: str | None = None
        self._download = download
        self._folder = folder
        self._file_bytes = file_bytes
        self.size_bytes = size_bytes or self._disk_bytes()

    def open(self) -> BinaryIO:
        """A new stream of the converted image; its file goes when the stream is closed."""
        with contextlib.ExitStack() as stack:
            fetched = stack.enter_context(inspection.scratch_file(self._folder))
            raw = fetched.with_suffix(".raw")
            with compute_utils.disk_ops_semaphore:
                self._fetch(fetched)
                self._convert(fetched, raw)
            fetched.unlink()
            return cast(BinaryIO, io.BufferedReader(_OwnFile(raw, stack.pop_all())))

    def _disk_bytes(self) -> int:
        with inspection.scratch_file(self._folder) as path:
            head = inspection.head(_begun(self._download, self.id))
            with inspection.usable(self._folder):
                path.write_bytes(head)
            inspection.check_format(path, self.id, "qcow2")
            return int(images.get_image_format(str(path)).virtual_size)

    def _fetch(self, path: Path) -> None:
        with path.open("wb") as file:
            for chunk in _begun(self._download, self.id):
                with inspection.usable(self._folder):
                    file.write(chunk)
        fetched = path.stat().st_size
        if self._file_bytes and fetched != self._file_bytes:
            raise errors.InvalidSpec(
                f"Image {self.name} ({self.id}) delivered {fetched} bytes where {self._file_bytes} were announced: "
                "upload it again."
            )
        inspection.check_format(path, self.id, "qcow2")

    def _convert(self, path: Path, raw: Path) -> None:
        try:
            # Once more by the program that will read it: it must find the same.
            found = images.qemu_img_info(str(path), "qcow2")
            data_file = ((found.format_specific or {}).get("data") or {}).get("data-file")
            if found.backing_file is not None or data_file is not None:
                raise errors.InvalidSpec(f"Image {self.id} refers to another file. Upload it flattened.")
            nova.privsep.qemu.unprivileged_convert_image(str(path), str(raw), "qcow2", "raw", str(path.parent), False)
        except (processutils.ProcessExecutionError, exception.NovaException) as error:
            raise errors.PlatformError(f"Image {self.id} cannot be converted to raw: {error}") from error


class _OwnFile(io.FileIO):
    """A file that goes, with its directory, when it is closed."""

    def __init__(self, path: Path, owner: contextlib.ExitStack) -> None:
        self._owner = owner
        super().__init__(path)

    def close(self) -> None:
        super().close()
        self._owner.close()


def can_convert() -> bool:
    """Whether qcow2 images can be used here."""
    return shutil.which(CONVERTER) is not None


def _begun(download: Download, image_id: str) -> Iterable[bytes]:
    chunks = download()
    if chunks is None:
        raise errors.NotFound(f"image {image_id} has no data in Glance; upload it again")
    return chunks
