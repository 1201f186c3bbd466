"""Spool files: cards and printed lines on their way to a userid's reader, with their bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bigiron.sim.zvm.errors import CpError
from bigiron.sim.zvm.model.values import SpoolFile

LAST_NUMBER = 9999


class Spool:
    """All readers of a system. The numbers of a reader go from 1 to 9999 and begin anew, past those in use."""

    def __init__(self, files: list[SpoolFile], following: int, folder: Path) -> None:
        self.files = files
        self.following = following
        self._folder = folder

    def reader(self, userid: str) -> list[SpoolFile]:
        """What waits in a userid's reader, oldest first."""
        return [file for file in self.files if file.owner == userid]

    def content(self, file: SpoolFile) -> bytes:
        """The bytes of a file."""
        return self._path(file.number).read_bytes()

    def add(
        self, owner: str, origin: str, spool_class: str, device: str, name: tuple[str, str], data: bytes, now: float
    ) -> SpoolFile:
        """Put a file into a reader. CP refuses when all numbers are taken."""
        number = self._free_number()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path(number).write_bytes(data)
        file = SpoolFile(number, owner, origin, spool_class, device, name[0], name[1], len(data), now)
        self.files.append(file)
        return file

    def find(self, userid: str, number: str) -> SpoolFile:
        """The file of that number in a userid's reader. Raises CpError."""
        for file in self.reader(userid):
            if number.isdigit() and file.number == int(number):
                return file
        raise CpError(42, f"HCPCSU042E {userid} spool file {number} does not exist")

    def change(self, file: SpoolFile, **values: str) -> SpoolFile:
        """Give a file another class or owner; it goes to the end of its new reader."""
        changed = replace(file, **values)  # type: ignore[arg-type]
        if changed.owner != file.owner:
            self.files.remove(file)
            self.files.append(changed)
        else:
            self.files[self.files.index(file)] = changed
        return changed

    def remove(self, file: SpoolFile) -> None:
        """Purge a file."""
        self.files.remove(file)
        self._path(file.number).unlink(missing_ok=True)

    def purge(self, userid: str) -> int:
        """Purge a whole reader; tells how many files went."""
        doomed = self.reader(userid)
        for file in doomed:
            self.remove(file)
        return len(doomed)

    def _free_number(self) -> int:
        taken = {file.number for file in self.files}
        if len(taken) >= LAST_NUMBER:
            raise CpError(431, "HCPSPG431E Maximum number of spool files reached")
        while self.following in taken:
            self.following = self.following % LAST_NUMBER + 1
        number, self.following = self.following, self.following % LAST_NUMBER + 1
        return number

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}"
