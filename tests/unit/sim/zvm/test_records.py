"""The server's databases held against the directory."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bigiron.sim.zvm.connector import records


def database(path: Path, table: str, *rows: tuple[object, ...]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table}")
        name, width = table.split("(")[0], len(rows[0])
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * width)})", rows)


def test_nothing_is_known_before_the_server_has_run(tmp_path: Path) -> None:
    assert records.audit(tmp_path, {"MAINT"}, {"MAINT"}) == []


def test_what_one_side_knows_alone_is_found(tmp_path: Path) -> None:
    database(tmp_path / "sdk_guest.sqlite", "guests(id, userid)", (1, "BOTH"), (2, "gone"))
    database(tmp_path / "sdk_network.sqlite", "switch(userid, interface)", ("BOTH", "1000"), ("GONE", "1000"))
    database(
        tmp_path / "sdk_fcp.sqlite", "fcp(fcp_id, assigner_id, reserved, connections)", ("1a00", "BOTH", 1, 1),
        ("1a01", "GONE", 1, 0), ("1a02", "", 0, 0),
    )  # fmt: skip
    found = records.audit(tmp_path, {"MAINT", "BOTH", "LONELY"}, {"MAINT"})
    assert [(each["kind"], each["object"]) for each in found] == [
        ("registered-without-entry", "GONE"),
        ("unregistered-userid", "LONELY"),
        ("adapter-of-nobody", "GONE/1000"),
        ("fcp-device-of-nobody", "1A01"),
    ]
