"""The contents of minidisks: sparse files by extent, and beside each what a Linux has put on it.

The bytes are those that images bring. What the simulated guest itself writes (files in /etc, a file system made with
mkfs) is kept beside them as a list of files, and travels with a capture.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from bigiron.sim.kernel.store import write_private
from bigiron.sim.kernel.values import dump, load
from bigiron.sim.zvm.model.values import Minidisk


@dataclass(frozen=True, slots=True)
class Written:
    """What is on a disk beside its bytes. File contents are bytes, read as Latin-1."""

    os_version: str = ""
    """The operating system of the image, such as rhel9.4."""
    filesystem: str = ""
    """What mkfs or mkswap has made of its first partition."""
    files: dict[str, str] = field(default_factory=dict)


_VOLUME = "lun-"


def volume(lun: str) -> Minidisk:
    """A logical unit, as far as it is a disk with files on it; its bytes are none of this system's."""
    return Minidisk("", "FB-512", 0, 0, f"{_VOLUME}{lun}")


class Disks:
    """The contents of all minidisks on volumes, and what guests have written to logical units."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, disk: Minidisk) -> Path:
        """The file that holds a disk's bytes, as large as the disk."""
        return self._folder / disk.key

    def create(self, disk: Minidisk) -> None:
        """Have an empty disk."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path(disk).open("wb") as stream:
            stream.truncate(disk.bytes)
        self._beside(disk).unlink(missing_ok=True)

    def drop(self, disk: Minidisk) -> None:
        """Forget a disk's content."""
        self.path(disk).unlink(missing_ok=True)
        self._beside(disk).unlink(missing_ok=True)

    def sweep(self, kept: set[str]) -> None:
        """Forget the content of every extent but these, as after an end between two changes."""
        if self._folder.is_dir():
            for file in self._folder.iterdir():
                if file.name.removesuffix(".json") not in kept and not file.name.startswith(_VOLUME):
                    file.unlink()

    def holds_data(self, disk: Minidisk) -> bool:
        """Whether anything but zeros was ever written to it."""
        return data_end(self.path(disk)) > 0

    def written(self, disk: Minidisk) -> Written:
        """What is on a disk beside its bytes."""
        try:
            return load(Written, json.loads(self._beside(disk).read_bytes()))
        except FileNotFoundError:
            return Written()

    def write(self, disk: Minidisk, written: Written) -> None:
        """Keep that."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._beside(disk), json.dumps(dump(written)).encode())

    def _beside(self, disk: Minidisk) -> Path:
        return self._folder / f"{disk.key}.json"


def data_end(path: Path) -> int:
    """Where the last data of a sparse file ends; what follows are zeros that were never written."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        size, end, position = os.fstat(handle).st_size, 0, 0
        while position < size:
            try:
                start = os.lseek(handle, position, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                break
            end = position = os.lseek(handle, start, os.SEEK_HOLE)
        return end
    finally:
        os.close(handle)
