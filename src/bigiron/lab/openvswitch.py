"""An Open vSwitch of the lab's own for each PowerVM host, from installed or unpacked Debian packages, without root.

`--enable-dummy=override` replaces every network device and the datapath of ovs-vswitchd by such as only it knows. So no
kernel module and no privilege is needed, and the trunk adapters of the simulated management partition, which are no
devices of this machine, can be ports. All else is real: the databases, the OpenFlow tables, and what writes them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bigiron.lab import debian
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths
from bigiron.lab.spec import Host

PACKAGES = ("openvswitch-switch", "openvswitch-common", "libxdp1", "libunbound8", "libbpf1", "libnuma1", "libcap-ng0")
INTEGRATION_BRIDGE = "br-int"
_ADVICE = "install the package openvswitch-switch (it need not be started), or leave out --open-vswitch"
_PROGRAMS = ("ovsdb-server", "ovs-vswitchd", "ovsdb-tool", "ovsdb-client", "ovs-vsctl")
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
"""Where daemons are installed, which is not on every user's path."""
_SCHEMA = Path("share/openvswitch/vswitch.ovsschema")
_TOOL_SECONDS = 30
_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where an Open vSwitch lies: folders of its programs, its schema, and a folder of libraries that come with it."""

    folders: tuple[Path, ...]
    schema: Path
    libraries: Path | None = None

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return next(str(folder / name) for folder in self.folders if (folder / name).is_file())

    def environment(self, run: Path) -> dict[str, str]:
        """What its programs, and those that call them, find it and its sockets by."""
        path = ":".join(map(str, (Path(sys.executable).parent, *self.folders, os.environ.get("PATH", os.defpath))))
        libraries = {"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {}
        return {"PATH": path, "OVS_RUNDIR": str(run), **libraries}


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where an Open vSwitch is reached."""

    folder: Path

    @property
    def database(self) -> str:
        """The address of its database, under the name that its own tools look for."""
        return f"unix:{self.folder / 'db.sock'}"

    def control(self, program: str) -> Path:
        """The socket at which one of its daemons takes commands."""
        return self.folder / f"{program}.ctl"


def sockets(paths: LabPaths, host: Host) -> Sockets:
    """Those of a compute host's Open vSwitch."""
    return Sockets(paths.switch(host.named("ovs-vswitchd")))


def find(cache: Path) -> Binaries | None:
    """Return the installed Open vSwitch, else the one unpacked in the cache, else None."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    installed = [shutil.which(name, path=path) for name in _PROGRAMS]
    prefix = cache / "openvswitch" / "usr"
    own = (prefix / "sbin", prefix / "bin", prefix / "lib" / "openvswitch-switch")
    candidates = [
        _binaries(tuple(dict.fromkeys(Path(name).parent for name in installed if name)), None),
        _binaries(own, next(iter(sorted(prefix.glob("lib/*-linux-gnu*"))), None)),
    ]
    return next((found for found in candidates if found), None)


def _binaries(folders: tuple[Path, ...], libraries: Path | None) -> Binaries | None:
    whole = all(any((folder / name).is_file() for folder in folders) for name in _PROGRAMS)
    schema = next((folder.parent / _SCHEMA for folder in folders if (folder.parent / _SCHEMA).is_file()), None)
    return Binaries(folders, schema, libraries) if whole and schema else None


def obtain(cache: Path) -> Binaries:
    """Return an Open vSwitch that can run here, downloading Debian's packages into the cache when none is installed."""
    binaries = debian.obtain(cache, "openvswitch", PACKAGES, _ADVICE, find)
    if binaries is None:
        raise LabError(f"the packages in {cache / 'openvswitch'} hold no Open vSwitch: {_ADVICE}")
    missing = debian.missing_libraries([Path(binaries.program(name)) for name in _PROGRAMS], binaries.libraries)
    if missing:
        raise LabError(f"Open vSwitch lacks {', '.join(sorted(missing))}: {_ADVICE}")
    return binaries


def create(database: Path, bridges: Sequence[str], binaries: Binaries) -> None:
    """Make the database with its bridges, as an operator would with ovs-vsctl; one that is there stays."""
    if database.exists():
        return
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = database.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    _tool(binaries, "create", str(scratch), str(binaries.schema))
    answer = json.loads(_tool(binaries, "transact", str(scratch), json.dumps(_bridges(bridges))))
    if failed := [each for each in answer if each and each.get("error")]:
        raise LabError(f"Open vSwitch's database {database} cannot be made: {failed}")
    scratch.rename(database)


def _bridges(names: Sequence[str]) -> list[object]:
    """The transaction of RFC 7047 that makes bridges, each with the port of its own name."""
    rows: list[object] = ["Open_vSwitch"]
    for number, name in enumerate(names):
        steps = (
            ("Interface", {"name": name, "type": "internal"}),
            ("Port", {"name": name, "interfaces": ["named-uuid", f"Interface{number}"]}),
            ("Bridge", {"name": name, "ports": ["named-uuid", f"Port{number}"]}),
        )
        rows += ({"op": "insert", "table": kind, "row": row, "uuid-name": f"{kind}{number}"} for kind, row in steps)
    made = ["set", [["named-uuid", f"Bridge{number}"] for number in range(len(names))]]
    return [*rows, {"op": "insert", "table": "Open_vSwitch", "row": {"bridges": made}}]


def _tool(binaries: Binaries, *words: str) -> str:
    """Run ovsdb-tool, which works on a database that nobody serves."""
    try:
        result = subprocess.run(
            [binaries.program("ovsdb-tool"), *words], capture_output=True, text=True, timeout=_TOOL_SECONDS,
            env={**os.environ, **binaries.environment(Path())}, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"ovsdb-tool {words[0]} failed ({error}): {_ADVICE}") from error
    if result.returncode:
        raise LabError(f"ovsdb-tool {words[0]} failed ({result.stderr.strip()}): {_ADVICE}")
    return result.stdout


def answers(address: Path) -> bool:
    """Tell whether somebody serves a Unix socket."""
    try:
        folder = os.open(address.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_ANSWER_SECONDS)
            # As Open vSwitch itself does: the address of a socket has 107 characters at most.
            client.connect(f"/proc/self/fd/{folder}/{address.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True
