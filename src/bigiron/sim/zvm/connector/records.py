"""What the Cloud Connector's server keeps in its databases, held against the z/VM: neither may know of guests alone."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

Finding = dict[str, str]

_GUESTS, _NETWORK, _FCP = "sdk_guest.sqlite", "sdk_network.sqlite", "sdk_fcp.sqlite"


def audit(databases: Path, known: Collection[str], foreign: Collection[str]) -> list[Finding]:
    """Every difference as {kind, object, detail}, given the userids of the directory and those that came with it."""
    return list(_guests(databases, known, foreign)) + list(_adapters(databases, known)) + list(_fcp(databases, known))


def _guests(databases: Path, known: Collection[str], foreign: Collection[str]) -> Iterator[Finding]:
    registered = {userid.upper() for (userid,) in _rows(databases / _GUESTS, "SELECT userid FROM guests")}
    for userid in sorted(registered - set(known)):
        yield _finding("registered-without-entry", userid, "the server knows it, and it is not in the directory")
    for userid in sorted(set(known) - set(foreign) - registered):
        yield _finding("unregistered-userid", userid, "it is in the directory, and the server knows nothing of it")


def _adapters(databases: Path, known: Collection[str]) -> Iterator[Finding]:
    for userid, vdev in _rows(databases / _NETWORK, "SELECT userid, interface FROM switch"):
        if userid.upper() not in known:
            yield _finding("adapter-of-nobody", f"{userid}/{vdev}", "the server has it, and its userid is gone")


def _fcp(databases: Path, known: Collection[str]) -> Iterator[Finding]:
    statement = "SELECT fcp_id, assigner_id, reserved, connections FROM fcp WHERE reserved != 0 OR connections != 0"
    for device, userid, reserved, connections in _rows(databases / _FCP, statement):
        if userid.upper() not in known:
            held = f"{connections} volume(s)" if connections else "a reservation" if reserved else "nothing"
            yield _finding("fcp-device-of-nobody", device.upper(), f"the server holds {held} on it for {userid}")


def _rows(path: Path, statement: str) -> list[tuple[str, ...]]:
    """What a database answers; one that the server has not made yet holds nothing."""
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(statement).fetchall()


def _finding(kind: str, name: str, detail: str) -> Finding:
    return {"kind": kind, "object": name, "detail": detail}
