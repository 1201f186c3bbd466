"""Disk images in the format of z/VM's zthin tools, written to minidisks and made of them.

A header of 512 bytes (what it is of, its size, its compression), then the disk's bytes, compressed with gzip unless the
level is 0. What a simulated guest has written follows as a last section, so that a capture carries it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from bigiron.sim.kernel.values import dump, load
from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.model.disks import Written, data_end
from bigiron.sim.zvm.model.values import Minidisk

HEADER_BYTES = 512
CKD_TAG, FBA_DISK_TAG, FBA_PART_TAG = "xCAT CKD Disk Image:", "xCAT FBA Disk Image:", "xCAT FBA Part Image:"
_CHUNK = 1 << 20
_HOLE = 1 << 16
_MARK = b"\0bigiron-guest\0\0\0"
"""Ends an image whose last section are the files of a simulated guest; the section's length stands before it."""
_LENGTH_BYTES = 8
_FAILED = 3


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of an image."""

    tag: str
    size: int
    unit: str
    compression: int

    @property
    def fixed_block(self) -> bool:
        """Whether it is of a fixed-block disk."""
        return self.tag in (FBA_DISK_TAG, FBA_PART_TAG)


def error(text: str) -> ToolError:
    """How the zthin tools fail."""
    return ToolError(_FAILED, f"ERROR: {text}\n")


def read_header(path: Path) -> Header:
    """The header of an image. Raises ToolError."""
    try:
        with path.open("rb") as stream:
            text = stream.read(HEADER_BYTES).decode("latin-1")
    except OSError as failure:
        raise error(f"The specified image file was not found: {path}.") from failure
    if text[:20] not in (CKD_TAG, FBA_DISK_TAG, FBA_PART_TAG):
        raise error("Disk image type not recognized")
    size = text[20:36].split()
    if len(size) != 2 or not size[0].isdigit() or not int(size[0]):
        raise error(f"{path} does not contain cylinder/record information.  This appears to be a dummy image file.")
    level = text[54:55]
    return Header(text[:20], int(size[0]), size[1], int(level) if level.isdigit() else 6)


def header(disk: Minidisk, compression: int) -> bytes:
    """The header of an image of a minidisk."""
    tag, unit = (FBA_PART_TAG, "BLK") if disk.fixed_block else (CKD_TAG, "CYL")
    text = f"{tag}{f'{disk.size} {unit}':>16} HLen: 0055 GZIP: {compression}"
    return text.encode().ljust(HEADER_BYTES)


def check_fits(found: Header, disk: Minidisk) -> None:
    """Refuse an image of the other kind or of a larger disk. Raises ToolError."""
    if found.fixed_block and not disk.fixed_block:
        raise error("Specified image is of a fixed-block volume, but specified disk is not a fixed-block volume.")
    if disk.fixed_block and not found.fixed_block:
        raise error("Specified image is of a Count-Key-Data volume, but specified disk is not a Count-Key-Data volume.")
    if found.size > disk.size:
        unit = "blocks" if found.fixed_block else "cylinders"
        raise error(
            f"Target disk is too small for specified image, deploy to target disk:{disk.size} {unit}, image need "
            f"minimum:{found.size} {unit}"
        )


def unpack(image: Path, target: Path, size: int, compression: int, skip: int = HEADER_BYTES) -> Written:
    """Write an image's bytes to the file of a disk and return what a guest had written. Raises ToolError."""
    with target.open("r+b") as disk:
        disk.truncate(0)
        try:
            with _content(image, compression, skip) as source:
                length = _copy_sparsely(source.read, disk, size)
        except (OSError, EOFError, zlib.error) as failure:
            disk.truncate(0)
            disk.truncate(size)
            raise error(f"Failed deploying disk image {image.name} at stage(rc): zcat(1) {failure}") from failure
        written, length = _take_section(disk, length)
        disk.truncate(length)
        disk.truncate(size)
    return written


@contextlib.contextmanager
def _content(image: Path, compression: int, skip: int) -> Iterator[IO[bytes]]:
    with image.open("rb") as stream:
        stream.seek(skip)
        if not compression:
            yield stream
            return
        with gzip.GzipFile(fileobj=stream, mode="rb") as unzipped:
            yield cast(IO[bytes], unzipped)


def _copy_sparsely(read: Callable[[int], bytes], disk: BinaryIO, size: int) -> int:
    """Copy all but zeros; how much there was."""
    length = 0
    while chunk := read(_HOLE):
        length += len(chunk)
        if length > size + _CHUNK:
            raise OSError("the image holds more than the disk")
        if chunk.count(0) == len(chunk):
            disk.seek(len(chunk), 1)
        else:
            disk.write(chunk)
    return length


def _take_section(disk: BinaryIO, length: int) -> tuple[Written, int]:
    tail = len(_MARK) + _LENGTH_BYTES
    if length < tail:
        return Written(), length
    disk.seek(length - tail)
    end = disk.read(tail)
    if end[_LENGTH_BYTES:] != _MARK:
        return Written(), length
    section = int.from_bytes(end[:_LENGTH_BYTES], "big")
    disk.seek(length - tail - section)
    return load(Written, json.loads(disk.read(section))), length - tail - section


def section(written: Written) -> bytes:
    """The last section of an image: what a guest has written, nothing where it wrote nothing."""
    if written == Written():
        return b""
    data = json.dumps(dump(written)).encode()
    return data + len(data).to_bytes(_LENGTH_BYTES, "big") + _MARK


def pack(source: Path, disk: Minidisk, written: Written, image: Path, compression: int) -> None:
    """Make an image of a minidisk: its bytes up to the last data, and what a guest has written."""
    with image.open("wb") as target:
        target.write(header(disk, compression))
        if compression:
            with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=compression, mtime=0) as zipped:
                _put(source, written, zipped.write)
        else:
            _put(source, written, target.write)


def _put(source: Path, written: Written, write: Callable[[bytes], object]) -> None:
    left = data_end(source)
    with source.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
            write(chunk)
            left -= len(chunk)
    write(section(written))
