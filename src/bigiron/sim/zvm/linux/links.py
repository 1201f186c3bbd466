"""Minidisks that the connector's Linux has linked and brought online, under names such as dasdb."""

from __future__ import annotations

import contextlib
import string
from collections.abc import Iterator

from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Link, Minidisk

_FIRST_ALIAS = 0xAD00
_NOT_CONNECTED = 3


def link(system: System, userid: str, vdev: str) -> tuple[Link, Minidisk]:
    """Link a userid's minidisk for writing. The caller holds the system's lock. Raises ToolError."""
    userid = userid.upper()
    disk = system.disk(userid, vdev)
    if disk is None or disk.virtual:
        raise ToolError(_NOT_CONNECTED, _error(f"Failed to connect disk: {userid}:{vdev} rc: 107"))
    if any((each.userid, each.vdev) == (userid, disk.vdev) for each in system.state.links.values()):
        raise ToolError(_NOT_CONNECTED, _error(f"Failed to connect disk: {userid}:{vdev} rc: 104"))
    names = (f"dasd{first}{last}" for first in ("", *string.ascii_lowercase) for last in string.ascii_lowercase)
    device = next(name for name in names if name not in system.state.links and name != "dasda")
    made = Link(device, userid, disk.vdev, f"{_FIRST_ALIAS + len(system.state.links):04x}")
    system.state.links[device] = made
    system.touch()
    return made, disk


def unlink(system: System, userid: str, vdev: str) -> None:
    """Take a minidisk offline and detach it. The caller holds the system's lock. Raises ToolError."""
    for device, each in system.state.links.items():
        if (each.userid, each.vdev) == (userid.upper(), vdev.upper().zfill(4)):
            del system.state.links[device]
            system.touch()
            return
    raise ToolError(_NOT_CONNECTED, _error(f"Failed to disconnect disk: {userid}:{vdev} rc: 40"))


@contextlib.contextmanager
def linked(system: System, userid: str, vdev: str) -> Iterator[Minidisk]:
    """Have a minidisk linked for a while; the block runs without the system's lock."""
    with system.lock:
        made, disk = link(system, userid, vdev)
    try:
        yield disk
    finally:
        with system.lock:
            system.state.links.pop(made.device, None)
            system.touch()


def disk_of(system: System, node: str) -> Minidisk:
    """The minidisk behind /dev/dasdb or its partition /dev/dasdb1. Raises ToolError."""
    device = node.removeprefix("/dev/").rstrip(string.digits)
    made = system.state.links.get(device)
    disk = system.disk(made.userid, made.vdev) if made else None
    if disk is None:
        raise ToolError(1, f"{node}: No such file or directory\n")
    return disk


def _error(text: str) -> str:
    return f"ERROR: {text}\n"
