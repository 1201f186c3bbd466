"""Looks at what an image really is before any of it is trusted, with Nova's own rules for disk formats."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import nova.conf
from nova import exception
from nova.virt import images

from bigiron import errors

CONF = nova.conf.CONF

SCRATCH = "bigiron-image-"
HEAD_BYTES = 1 << 20
"""More than any format needs to be known by: the last of them, VHDX, has its tables before this."""


def check_format(path: Path, image_id: str, disk_format: str) -> None:
    """Raise InvalidSpec unless the file, or its beginning, is of the format and passes Nova's safety checks.

    As Nova does everywhere, a raw image may have a partition table and may be nothing else.
    """
    if CONF.workarounds.disable_deep_image_inspection:
        return
    try:
        images.do_image_deep_inspection({"disk_format": disk_format}, image_id, str(path))
    except exception.ImageUnacceptable as error:
        raise errors.InvalidSpec(
            f"Image {image_id} is registered as {disk_format} and is refused: {error.kwargs.get('reason', error)}. "
            "Upload it again with the disk format that it has, and without backing or data files."
        ) from error


def checked(chunks: Iterable[bytes], image_id: str, disk_format: str, folder: Path) -> Iterator[bytes]:
    """The same chunks, after their beginning has been looked at."""
    rest = iter(chunks)
    begun = head(rest)
    with scratch_file(folder) as path:
        with usable(folder):
            path.write_bytes(begun)
        check_format(path, image_id, disk_format)
    yield begun
    yield from rest


def head(chunks: Iterable[bytes]) -> bytes:
    """The first chunks, as many as it takes to know any format."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) >= HEAD_BYTES:
            break
    return bytes(found)


@contextlib.contextmanager
def scratch_file(folder: Path) -> Iterator[Path]:
    """A file name in a directory of its own below the folder, which goes with all that is in it."""
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder)
    with own as name:
        yield Path(name, "image")


@contextlib.contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Raise PlatformError, which names the option, where what is done inside meets no rights or no room."""
    try:
        yield
    except OSError as error:
        raise errors.PlatformError(
            f"{folder} cannot hold images that are looked at or converted: {error}. Make room or mend its rights, or "
            "name another directory in nova.conf: [powervm] image_conversion_path, [zvm] image_tmp_path."
        ) from error


def clear(folder: Path) -> None:
    """Remove what an earlier process left in the folder."""
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
