"""Uploaded contents on the simulator's disk: the same bytes, and no room for what is empty."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.files import FileRecord, Files

BLOCK = 1 << 16


def record(size: int) -> FileRecord:
    return FileRecord("", "disk", "BROKERED_DISK_IMAGE", None, None, size, None, "application/octet-stream", 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(BLOCK),
        bytes(3 * BLOCK) + b"data",
        b"data" + bytes(5 * BLOCK),
        b"x" * BLOCK + bytes(BLOCK) + b"y" * (BLOCK + 1),
        bytes(BLOCK + 1),
    ],
    ids=["nothing", "a hole", "a hole first", "a hole last", "a hole between", "a hole and a byte"],
)
def test_holes_change_no_byte(tmp_path: Path, content: bytes) -> None:
    delivered: list[bytes] = []
    files = Files(tmp_path, lambda _record, path: delivered.append(path.read_bytes()), lambda: None, [])
    made = files.create(record(len(content)))
    counted: list[int] = []
    done = files.receive(made.uuid, io.BytesIO(content), counted.append)
    assert delivered == [content]
    assert files.content(made.uuid).read_bytes() == content
    assert (done.received, sum(counted)) == (len(content), len(content))


def test_an_empty_disk_takes_no_room(tmp_path: Path) -> None:
    files = Files(tmp_path, lambda _record, _path: None, lambda: None, [])
    made = files.create(record(64 * BLOCK))
    files.receive(made.uuid, io.BytesIO(bytes(64 * BLOCK)), lambda _count: None)
    assert files.content(made.uuid).stat().st_blocks * 512 < BLOCK


def test_a_hole_counts_for_the_size_that_was_announced(tmp_path: Path) -> None:
    files = Files(tmp_path, lambda _record, _path: None, lambda: None, [])
    made = files.create(record(4 * BLOCK))
    with pytest.raises(BadRequest, match=f"has {3 * BLOCK} bytes; {4 * BLOCK} were announced"):
        files.receive(made.uuid, io.BytesIO(bytes(3 * BLOCK)), lambda _count: None)
