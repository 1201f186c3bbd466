"""Where the lab keeps what it writes: one directory per lab, and one cache shared by all labs of a user."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bigiron.lab.errors import LabError

# sun_path of a Unix socket holds 108 bytes; supervisord appends ".<pid>" while it binds.
_SOCKET_PATH_LIMIT = 96
# Quotes, comment marks and substitutions in the syntaxes of supervisor, oslo.config and RabbitMQ.
_AWKWARD = frozenset("\"';#$%\\\n")


def default_root() -> Path:
    """Return the lab directory used when `--dir` is not given: $BIGIRON_LAB_DIR or the user's XDG state directory."""
    chosen = os.environ.get("BIGIRON_LAB_DIR")
    if chosen:
        return Path(chosen)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "bigiron" / "lab"


def cache_root() -> Path:
    """Return the folder of what every lab can reuse: migrated databases and unpacked broker packages."""
    chosen = os.environ.get("BIGIRON_CACHE_DIR")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "bigiron"


def program(name: str, extra: str = "lab") -> str:
    """Return the path of a console script of the running virtual environment, so that PATH does not matter."""
    script = Path(sys.executable).parent / name
    if not script.exists():
        raise LabError(f"{name} is not in {script.parent}: install it with pip install 'bigiron[{extra}]'")
    return str(script)


def typed(name: str) -> str:
    """Return what a user types here to run a console script: its name if the shell finds it, else its path."""
    script = program(name)
    return name if shutil.which(name) == script else os.path.relpath(script)


@dataclass(frozen=True, slots=True)
class LabPaths:
    """Every path of one lab, derived from its root."""

    root: Path

    @property
    def etc(self) -> Path:
        """Option files, one folder per program."""
        return self.root / "etc"

    @property
    def data(self) -> Path:
        """State directories, one folder per program."""
        return self.root / "data"

    @property
    def databases(self) -> Path:
        """SQLite files."""
        return self.root / "db"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """The supervisor's socket, pid file and own log."""
        return self.root / "run"

    def switch(self, program: str) -> Path:
        """Sockets of an Open vSwitch, in the folder named after its `ovs-vswitchd` program."""
        return self.run / program

    @property
    def spec(self) -> Path:
        """What `up` was asked for, and the ports and passwords it chose."""
        return self.root / "lab.json"

    @property
    def supervisor_conf(self) -> Path:
        """The supervisor's option file."""
        return self.etc / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        """The supervisor's XML-RPC address."""
        return self.run / "supervisor.sock"

    @property
    def clouds_yaml(self) -> Path:
        """Credentials for the OpenStack SDK and client."""
        return self.root / "clouds.yaml"

    @property
    def lock(self) -> Path:
        """Held by every command that changes the lab."""
        return self.root / "lab.lock"

    def create(self) -> None:
        """Make the folders, readable by their owner only; refuse a root that no Unix socket fits under."""
        if len(os.fsencode(self.supervisor_socket)) > _SOCKET_PATH_LIMIT:
            raise LabError(f"lab directory {self.root}: the path is too long for a Unix socket, choose a shorter --dir")
        awkward = _AWKWARD & set(str(self.root))
        if awkward:
            characters = " ".join(sorted(awkward))
            raise LabError(
                f"lab directory {self.root}: option files cannot hold {characters} in a path, choose another --dir"
            )
        for folder in (self.root, self.etc, self.data, self.databases, self.logs, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file that may hold a secret: mode 0600 from the first byte on, replaced in one step."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    scratch.replace(path)
