"""The folder of the Cloud Connector's server: its options, its token, and stand-ins for the paths it has built in."""

from __future__ import annotations

import configparser
import hashlib
import io
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from bigiron.sim.kernel.store import write_private

_PROGRAMS = (
    "sudo", "vmcp", "udevadm", "udevsettle", "hexdump", "scp", "lschp", "zhypinfo",
)  # fmt: skip
_OWNERS_ONLY = 0o700
_SOCKET_PATH_LENGTH = 107
"""What Linux allows."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the server's files are."""

    folder: Path
    environment: Path
    """The virtual environment that it is installed in."""

    @property
    def root(self) -> Path:
        """Below it lie the paths that the server has built in, and the programs that stand in for others."""
        return self.folder / "root"

    @property
    def programs(self) -> Path:
        """The programs that come first in the server's PATH."""
        return self.root / "usr" / "bin"

    @property
    def site(self) -> Path:
        """What the server's processes import before they run."""
        return self.folder / "site"

    @property
    def home(self) -> Path:
        """The server's HOME, which holds zvmsdk.conf."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """The server's TMPDIR."""
        return self.folder / "tmp"

    @property
    def logs(self) -> Path:
        """What the server and its processes write."""
        return self.folder / "logs"

    @property
    def token(self) -> Path:
        """The file with the shared secret, for which the server gives its tokens."""
        return self.folder / "token"

    @property
    def socket(self) -> Path:
        """Where the processes reach the simulator; a path that is too long for a socket has one in /tmp instead."""
        path = self.folder / "socket"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LENGTH:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"bigiron-zvm-{os.getuid()}-{digest}" / "socket"

    @property
    def images(self) -> Path:
        """The server's image repository."""
        return self.folder / "images"

    @property
    def databases(self) -> Path:
        """The server's SQLite files."""
        return self.folder / "databases"

    @property
    def files(self) -> Path:
        """Where PUT /files stores what is sent."""
        return self.folder / "files"


class NoConnector(Exception):
    """The server is not installed where it was looked for."""


def default_environment() -> Path:
    """$BIGIRON_ZVM_CONNECTOR, or where `make connector` installs the server: inside bigiron's own environment."""
    return Path(os.environ.get("BIGIRON_ZVM_CONNECTOR") or Path(sys.prefix) / "zvm-connector")


def check(environment: Path) -> None:
    """Refuse an environment without the server. Raises NoConnector."""
    missing = [name for name in ("python", "sdkserver", "zvmsdk-wsgi") if not (environment / "bin" / name).exists()]
    if missing:
        raise NoConnector(
            f"there is no z/VM Cloud Connector in {environment} ({', '.join(missing)} missing): `make connector` "
            "installs it, or name its virtual environment with --connector"
        )


def prepare(layout: Layout, port: int, pool: str, profile: str, options: Mapping[str, Any], sysinfo: str) -> None:
    """Write what the server reads, and keep what it wrote in an earlier life."""
    for folder in (
        layout.folder, layout.site, layout.home, layout.temporary, layout.logs, layout.images, layout.files,
        layout.databases, layout.programs, layout.root / "etc/zvmsdk", layout.root / "var/lib/zvmsdk",
        layout.root / "tmp", layout.root / "proc", layout.root / "opt",
        layout.root / "sys/bus/ccw/drivers/vmur/0.0.000c",
    ):  # fmt: skip
        folder.mkdir(mode=_OWNERS_ONLY, parents=True, exist_ok=True)
    _own(layout.socket.parent)
    if not layout.token.exists():
        write_private(layout.token, secrets.token_hex(20).encode())
    (layout.root / "proc/sysinfo").write_text(sysinfo)
    (layout.root / "sys/bus/ccw/drivers/vmur/0.0.000c/online").write_text("1\n")
    _copy_setup_disk(layout)
    write_private(layout.home / "zvmsdk.conf", _options(layout, port, pool, profile, options).encode())
    _write_site(layout)
    _write_programs(layout)


def _own(folder: Path) -> None:
    """Have a folder that nobody else can enter. Raises PermissionError where it is somebody else's."""
    folder.mkdir(mode=_OWNERS_ONLY, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone; remove it, or give a shorter --state")


def _copy_setup_disk(layout: Layout) -> None:
    """The package installs this script into a folder of its environment where the server does not look for it."""
    for found in layout.environment.glob("lib/python*/site-packages/var/lib/zvmsdk/setupDisk"):
        shutil.copyfile(found, layout.root / "var/lib/zvmsdk/setupDisk")


def _options(layout: Layout, port: int, pool: str, profile: str, options: Mapping[str, Any]) -> str:
    sections: dict[str, dict[str, Any]] = {
        "logging": {"log_dir": f"{layout.logs}/", "log_level": "logging.INFO"},
        "zvm": {"disk_pool": pool, "user_profile": profile},
        "network": {"my_ip": "127.0.0.1"},
        "image": {"sdk_image_repository": layout.images},
        "file": {"file_repository": layout.files},
        "wsgi": {"auth": "token", "token_path": layout.token},
        "sdkserver": {"bind_addr": "127.0.0.1", "bind_port": port},
        "database": {"dir": f"{layout.databases}/"},
    }
    for section, values in options.items():
        sections.setdefault(section, {}).update(values)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_dict(sections)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _write_site(layout: Layout) -> None:
    package = resources.files(__package__)
    (layout.site / "bigiron_presence.py").write_text(package.joinpath("presence.py").read_text())
    (layout.site / "serve.py").write_text(package.joinpath("wsgi.py").read_text())
    (layout.site / "sitecustomize.py").write_text("import bigiron_presence\n\nbigiron_presence.install()\n")


def _write_programs(layout: Layout) -> None:
    """One script under many names. The interpreter skips its site packages, so that it starts quickly."""
    text = (
        f"#!{layout.environment}/bin/python -SE\nimport os, sys\nsys.path.insert(0, {str(layout.site)!r})\n"
        "import bigiron_presence\nsys.exit(bigiron_presence.main(sys.argv))\n"
    )
    for name in _PROGRAMS:
        path = layout.programs / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
