"""vmur: punching files, and listing and receiving what is in the connector's own reader."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bigiron.sim.zvm.connector.presence import mapped
from bigiron.sim.zvm.errors import CpError, ToolError
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import SpoolFile

BUSY = "vmur: A concurrent instance of vmur is already active\n"
_HEADER = "ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST\n"
_CARD = 80


def run(system: System, arguments: Sequence[str], root: Path) -> str:
    """What vmur prints. Raises ToolError."""
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    try:
        if command in ("punch", "pun"):
            return _punch(system, rest[-1], root)
        if command in ("list", "li"):
            return _HEADER + "".join(_line(file) for file in system.spool.reader(system.state.connector))
        if command in ("receive", "re"):
            return _receive(system, rest)
    except CpError as error:
        raise ToolError(1, f"vmur: {error.message}\n") from error
    raise ToolError(1, f"vmur: unknown command {command!r}\n")


def _punch(system: System, path: str, root: Path) -> str:
    file = Path(mapped(path, str(root)))
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ToolError(1, f"vmur: Failed to open file {path}: {error.strerror}\n") from error
    if not data:
        raise ToolError(1, f"vmur: File {path} is empty\n")
    connector = system.state.connector
    name = (file.stem, file.suffix.removeprefix("."))
    made = system.spool.add(connector, connector, "A", "PUN", name, data, system.clock.now())
    system.touch()
    return f"Reader file with spoolid {made.number:04d} created.\n"


def _line(file: SpoolFile) -> str:
    when = time.strftime("%m/%d %H:%M:%S", time.gmtime(file.time))
    records = max(1, -(-file.size // _CARD))
    return (
        f"{file.origin:<8} {file.number:04d} {file.spool_class} {file.device} {records:08d} 001 NONE {when} "
        f"{file.name:<8}  {file.type:<8} {file.owner}\n"
    )


def _receive(system: System, words: Sequence[str]) -> str:
    """Only `receive -t -O number`, which prints a text file, is called by the server. The file is purged then."""
    numbers = [word for word in words if not word.startswith("-")]
    if "-O" not in words or not numbers:
        raise ToolError(1, "vmur: only receive -O is simulated\n")
    file = system.spool.find(system.state.connector, numbers[0])
    text = system.spool.content(file).decode("utf-8", "replace")
    system.spool.remove(file)
    system.touch()
    return text
