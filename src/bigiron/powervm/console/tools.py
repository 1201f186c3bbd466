"""The management partition's commands for virtual terminals: `mkvterm` and `rmvterm`.

A partition has one terminal. `mkvterm --id N` attaches to it; `mkvterm --id N --vnc --local` serves it by VNC on a
port of the loopback address and prints the port. Both end with 3 where it is open already, and the latter then prints
the port of the VNC server that runs, if it is one.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import subprocess
import tempfile
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bigiron.errors import Busy, PlatformError, Unavailable

LOG = logging.getLogger(__name__)

ALREADY_OPEN = 3
_RUN_S = 60.0
_END_S = 5.0
_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin")
_SAID = 500


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended: its status and what it printed."""

    status: int
    printed: str
    complaint: str


Run = Callable[[Sequence[str]], Ran]


def run(argv: Sequence[str]) -> Ran:
    """Run a command to its end. Raises Unavailable where it does not start or does not end in time."""
    # Not by subprocess.run: under eventlet it raises a TimeoutExpired that is not subprocess's.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=printed, stderr=complaints)
        except OSError as error:
            raise Unavailable(f"{argv[0]} cannot be run: {error}.") from error
        try:
            status = process.wait(_RUN_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise Unavailable(f"{' '.join(argv)} did not end within {_RUN_S:.0f} s.") from error
        return Ran(status, _text(printed), _text(complaints).strip())


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


class Attachment:
    """An attached terminal: `fd` tells when there is something to `read`; `end` closes it."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Start the command on a pseudo-terminal, as the real one expects. Raises OSError."""
        self.fd, inner = os.openpty()
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        try:
            tty.setraw(inner)
            os.set_blocking(self.fd, False)
            self._process = subprocess.Popen(
                argv, stdin=inner, stdout=inner, stderr=self._complaints, start_new_session=True
            )
        except BaseException:
            os.close(self.fd)
            self._complaints.close()
            raise
        finally:
            os.close(inner)
        # Not by os.read and os.write: eventlet's wait until they can do something, and the loop with them.
        self._file = io.FileIO(self.fd, "r+b", closefd=False)

    def read(self, most: int) -> bytes | None:
        """What was printed, None where there is nothing yet, b"" at the end; of a terminal that is an OSError."""
        return self._file.read(most)

    def write(self, data: bytes) -> int:
        """Type; returns how much of it there was room for."""
        return self._file.write(data) or 0

    def end(self) -> Ran:
        """End the command, if it has not ended by itself, and free what it held; waits a few seconds at most."""
        os.close(self.fd)
        status = self._wait(0.5)
        if status is None:
            self._process.terminate()
            status = self._wait(_END_S)
        if status is None:
            self._process.kill()
            status = self._process.wait()
        with self._complaints as complaints:
            complaints.seek(0)
            said = complaints.read(_SAID).decode(errors="replace").strip()
        return Ran(status, "", said)

    def _wait(self, seconds: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None


class Tools:
    """The commands below one root directory."""

    def __init__(self, root: Path, run: Run = run) -> None:
        self._root = root
        self._run = run
        path = os.pathsep.join(str(root / folder) for folder in _FOLDERS)
        found = shutil.which("mkvterm", path=path)
        self._found = found is not None
        self._mkvterm = found or "mkvterm"
        self._rmvterm = shutil.which("rmvterm", path=path) or "rmvterm"

    def available(self, serial: str) -> bool:
        """Whether they are here and those of the system with that serial number: ids mean nothing on another."""
        if not self._found:
            return False
        try:
            lines = (self._root / "proc/ppc64/lparcfg").read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("serial_number=") and line.endswith(serial) for line in lines)

    def attach(self, lpar_id: int) -> Attachment:
        """Begin to read a partition's terminal. Raises Unavailable."""
        argv = [self._mkvterm, "--id", str(lpar_id)]
        try:
            return Attachment(argv)
        except OSError as error:
            raise Unavailable(f"{' '.join(argv)} cannot be run: {error}.") from error

    def serve_vnc(self, lpar_id: int) -> int:
        """Have a partition's terminal served by VNC; returns the loopback port.

        Raises Busy where somebody has it open otherwise, and Unavailable.
        """
        argv = [self._mkvterm, "--id", str(lpar_id), "--vnc", "--local"]
        ran = self._run(argv)
        first = ran.printed.split("\n", 1)[0].strip()
        if ran.status in (0, ALREADY_OPEN) and first.isdigit():
            return int(first)
        if ran.status == ALREADY_OPEN:
            raise Busy(
                f"Somebody has the terminal of partition {lpar_id} open on the management partition; "
                f"`rmvterm --id {lpar_id}` there closes it."
            )
        raise Unavailable(f"{' '.join(argv)} ended with {ran.status}: {ran.complaint or 'no message'}")

    def close(self, lpar_id: int) -> None:
        """Close a partition's terminal, whoever has it open. Raises PlatformError."""
        argv = [self._rmvterm, "--id", str(lpar_id)]
        ran = self._run(argv)
        if ran.status != 0:
            raise PlatformError(f"{' '.join(argv)} ended with {ran.status}: {ran.complaint or 'no message'}")
