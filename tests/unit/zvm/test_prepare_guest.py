"""The script that makes an installed Linux ready to be an image: on a root file system that does not run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "zvm-image" / "prepare-guest.sh"
PROGRAMS = ("vmur", "chccwdev", "blkid", "losetup", "systemctl", "cloud-init")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for name in PROGRAMS:
        program = made / "usr" / "sbin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o755)
    for name in ("etc/ssh/ssh_host_rsa_key", "etc/machine-id", "var/lib/cloud/instance/boot-finished"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("of the first server\n")
    return made


def _run(folder: Path, root: Path, sender: str = "zcc00001") -> subprocess.CompletedProcess[str]:
    share, iucv = folder / "feilong" / "tools" / "share", folder / "iucv"
    share.mkdir(parents=True, exist_ok=True)
    iucv.mkdir(exist_ok=True)
    (share / "zvmguestconfigure").write_text("#!/bin/bash\nauthorizedSenders='*'\n")
    (share / "zvmguestconfigure.service").write_text("[Unit]\n# plain\n")
    (share / "zvmguestconfigure.service.ubuntu").write_text("[Unit]\nDefaultDependencies=no\n")
    (iucv / "iucvserv").write_text("server")
    (iucv / "iucvserd.service").write_text("[Service]\n")
    places = ["--feilong", str(folder / "feilong"), "--iucv", str(iucv), "--root", str(root)]
    return subprocess.run(
        [str(SCRIPT), *places, "--sender", sender],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_guest_is_configured_by_its_connector_only_and_has_nothing_of_its_own(tmp_path: Path, root: Path) -> None:
    result = _run(tmp_path, root)
    assert result.returncode == 0, result.stderr
    engine = root / "usr" / "bin" / "zvmguestconfigure"
    assert engine.read_text() == "#!/bin/bash\nauthorizedSenders='ZCC00001'\n"
    assert engine.stat().st_mode & 0o777 == 0o755
    assert (root / "etc" / "iucv_authorized_userid").read_text() == "ZCC00001"
    units = root / "etc" / "systemd" / "system"
    assert "plain" in (units / "zvmguestconfigure.service").read_text()
    wants = units / "multi-user.target.wants"
    assert {path.name for path in wants.iterdir()} == {"zvmguestconfigure.service", "iucvserd.service"}
    assert all((root / path.readlink().relative_to("/")).is_file() for path in wants.iterdir())
    assert "ConfigDrive" in (root / "etc" / "cloud" / "cloud.cfg.d" / "90-zvm.cfg").read_text()
    assert (root / "etc" / "machine-id").read_text() == ""
    assert not (root / "etc" / "ssh" / "ssh_host_rsa_key").exists() and not (root / "var" / "lib" / "cloud").exists()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert _run(tmp_path, root).returncode == 0
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_debians_family_has_the_unit_that_does_not_wait(tmp_path: Path, root: Path) -> None:
    (root / "etc" / "debian_version").touch()
    assert _run(tmp_path, root).returncode == 0
    unit = root / "etc" / "systemd" / "system" / "zvmguestconfigure.service"
    assert "DefaultDependencies=no" in unit.read_text()


def test_what_is_missing_is_said_before_anything_is_changed(tmp_path: Path, root: Path) -> None:
    (root / "usr" / "sbin" / "vmur").unlink()
    before = sorted(root.rglob("*"))
    result = _run(tmp_path, root)
    assert result.returncode == 1 and "missing: vmur in the guest" in result.stderr
    assert sorted(root.rglob("*")) == before
    assert "is no userid" in _run(tmp_path, root, "TOO.LONG").stderr
