"""Config drives as real cloud-init reads them: Debian's package, unpacked into the cache and not installed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pycdlib

from bigiron.lab import debian
from bigiron.lab.paths import cache_root

_READ = """
import json, sys
packages, drive, macs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.append(packages)
from cloudinit.sources import DataSourceConfigDrive
from cloudinit.sources.helpers import openstack
found = DataSourceConfigDrive.read_config_drive(drive)
print(json.dumps({
    "metadata": found["metadata"], "userdata": found["userdata"].decode(),
    "network": openstack.convert_net_json(found["networkdata"], known_macs=macs),
}, default=repr))
"""


def packages() -> Path:
    """Where the module cloudinit is, with what it needs and this environment has not."""
    cache = cache_root()
    folder = cache / "cloud-init" / "usr" / "lib" / "python3" / "dist-packages"
    if not (folder / "cloudinit").is_dir():
        debian.unpack(cache, "cloud-init", ("cloud-init", "python3-configobj"), "this test needs it")
    return folder


def extract(stream: BinaryIO, folder: Path) -> Path:
    """The files of an ISO, as a guest mounts it."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(stream)
    for parent, _folders, names in iso.walk(rr_path="/"):
        for name in names:
            out = io.BytesIO()
            iso.get_file_from_iso_fp(out, rr_path=f"{parent.rstrip('/')}/{name}")
            target = folder / parent.strip("/") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(out.getvalue())
    iso.close()
    return folder


def read(installed: Path, drive: Path, macs: Mapping[str, str]) -> dict[str, Any]:
    """What cloud-init makes of a drive's files: metadata, userdata, and network with devices named by MAC."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _READ, str(installed), str(drive), json.dumps(dict(macs))],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found
