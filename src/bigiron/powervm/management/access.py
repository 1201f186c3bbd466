"""How files of the management partition are reached that may need the superuser's rights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol, cast


class Access(Protocol):
    """Reads devices and writes control files of /sys; both raise OSError."""

    def write(self, path: Path, text: str) -> None:
        """Write to a control file that is there already."""
        ...

    def open(self, path: Path) -> BinaryIO:
        """A device or file, to be read from its first byte."""
        ...


class DirectAccess:
    """With this process's own rights, which are enough for the superuser and on a simulated host."""

    def write(self, path: Path, text: str) -> None:
        # A control file cannot be made or cut to length.
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def open(self, path: Path) -> BinaryIO:
        return cast(BinaryIO, path.open("rb"))
