"""noVNC's pages are found where they are, and said to be missing with what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from bigiron.lab import debian, lifecycle, novnc
from bigiron.lab.errors import LabError


@pytest.fixture(autouse=True)
def not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novnc, "INSTALLED", Path("/nowhere/novnc"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def pages(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / novnc.PAGE).touch()
    return folder


def test_what_is_in_the_cache_serves(tmp_path: Path) -> None:
    assert novnc.find(tmp_path) is None
    unpacked = pages(tmp_path / "novnc" / "nowhere" / "novnc")
    assert novnc.find(tmp_path) == unpacked
    assert novnc.obtain(tmp_path) == unpacked


def test_what_is_installed_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = pages(tmp_path / "usr")
    monkeypatch.setattr(novnc, "INSTALLED", installed)
    assert novnc.find(tmp_path) == installed


def test_a_machine_without_apt_is_told_what_to_install_and_the_lab_goes_on(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no apt-get to fetch it: install the package novnc"):
        novnc.obtain(tmp_path)
    assert "consoles have no web page" in lifecycle._pages(tmp_path)


def test_a_download_that_fails_leaves_no_half_unpacked_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (tools / name).write_text("#!/bin/sh\necho E: no network >&2\nexit 100\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    with pytest.raises(LabError, match=r"E: no network.*name the fix"):
        debian.unpack(tmp_path, "novnc", ("novnc",), "name the fix")
    assert not (tmp_path / "novnc").exists()
