"""Marks of uploads under way."""

from __future__ import annotations

from pathlib import Path

from bigiron.powervm.marks import UPLOADS, Marks


def test_a_mark_outlives_the_process_and_ends_with_the_upload(tmp_path: Path) -> None:
    Marks(tmp_path, UPLOADS).set("i_0123")
    later = Marks(tmp_path, UPLOADS)
    assert later.is_set("i_0123")
    assert not later.is_set("i_4567")
    assert (tmp_path / "uploads" / "i_0123").stat().st_mode & 0o777 == 0o600
    later.clear("i_0123")
    later.clear("i_0123")
    assert not Marks(tmp_path, UPLOADS).is_set("i_0123")
