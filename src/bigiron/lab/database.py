"""Migrated SQLite databases: made once per set of package versions, kept in the cache, copied into each new lab."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from bigiron.lab.errors import LabError
from bigiron.lab.paths import program, write_private

DATABASES = ("keystone", "glance", "placement", "nova_api", "nova_cell0", "nova_cell1", "neutron", "cinder")
_VERSIONED = (
    "keystone",
    "glance",
    "openstack-placement",
    "nova",
    "neutron",
    "cinder",
    "oslo.db",
    "SQLAlchemy",
    "alembic",
)
# Raised whenever the steps below change what they produce.
_LAYOUT = "1"
_MIGRATION_SECONDS = 900
# Migrations are bound by the processor; more at once only take memory.
_WORKERS = 2


def file_url(path: Path) -> str:
    """Return SQLAlchemy's address of a database file; the timeout is how long a writer waits for its turn."""
    return f"sqlite:///{path}?timeout=60"


def template(cache: Path, say: Callable[[str], None] = lambda _message: None) -> Path:
    """Return the folder of migrated, empty databases for the installed versions, migrating them when it is missing."""
    versions = " ".join(f"{name}={metadata.version(name)}" for name in _VERSIONED)
    key = hashlib.sha256(f"{_LAYOUT} {versions}".encode()).hexdigest()[:16]
    folder = cache / f"databases-{key}"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(cache / f"databases-{key}.lock"):
        if not folder.is_dir():
            say("migrating empty databases; this is done once per set of versions")
            scratch = cache / f"databases-{key}.new"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=0o700)
            _migrate(scratch)
            scratch.rename(folder)
    return folder


def install(source: Path, target: Path) -> bool:
    """Copy the template into a lab that has no databases yet; tell whether it was done."""
    if (target / "keystone.sqlite").exists():
        return False
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    # keystone.sqlite is the mark of a complete set, so it is copied last.
    for name in reversed(DATABASES):
        copied = target / f"{name}.sqlite"
        shutil.copyfile(source / f"{name}.sqlite", copied)
        copied.chmod(0o600)
    return True


def _migrate(folder: Path) -> None:
    tasks = (_migrate_nova, _migrate_cinder, _migrate_neutron, _migrate_keystone, _migrate_glance, _migrate_placement)
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done in [pool.submit(task, folder) for task in tasks]:
            done.result()
    for leftover in [*folder.glob("*.conf"), *folder.glob("*.sqlite-*")]:
        leftover.unlink()


def _migrate_keystone(folder: Path) -> None:
    options = _options(folder, "keystone", {"database": "keystone"})
    _run([program("keystone-manage"), "--config-file", options, "db_sync"])


def _migrate_glance(folder: Path) -> None:
    options = _options(folder, "glance", {"database": "glance"})
    _run([program("glance-manage"), "--config-file", options, "db_sync"])


def _migrate_placement(folder: Path) -> None:
    options = _options(folder, "placement", {"placement_database": "placement"})
    _run([program("placement-manage"), "--config-file", options, "db", "sync"])


def _migrate_cinder(folder: Path) -> None:
    options = _options(folder, "cinder", {"database": "cinder"})
    _run([program("cinder-manage"), "--config-file", options, "db", "sync"])


def _migrate_nova(folder: Path) -> None:
    """Migrate the API database and one cell; cell0 and cell1 have the same schema, so the second one is a copy.

    The cell mappings hold addresses of one lab, so the control process writes them (control/nova.py).
    """
    options = _options(folder, "nova", {"database": "nova_cell0", "api_database": "nova_api"})
    _run([program("nova-manage"), "--config-file", options, "api_db", "sync"])
    _run([program("nova-manage"), "--config-file", options, "db", "sync", "--local_cell"])
    shutil.copyfile(folder / "nova_cell0.sqlite", folder / "nova_cell1.sqlite")


def _migrate_neutron(folder: Path) -> None:
    """Create Neutron's tables from its models, because its migrations alter constraints, which SQLite cannot."""
    _run([sys.executable, "-m", "bigiron.lab.control.neutron_schema", str(folder / "neutron.sqlite")])


def _options(folder: Path, name: str, connections: dict[str, str]) -> str:
    """Write an option file that names databases and nothing else."""
    lines = ["[DEFAULT]", f"state_path = {folder}", f"log_file = {folder}/{name}.log"]
    for section, database in connections.items():
        url = file_url(folder / f"{database}.sqlite")
        lines += [f"[{section}]", f"connection = {url}", "sqlite_synchronous = false"]
    path = folder / f"{name}.conf"
    write_private(path, "\n".join(lines) + "\n")
    return str(path)


def _run(argv: list[str]) -> None:
    shown = f"{Path(argv[0]).name} {' '.join(argv[-2:])}"
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=_MIGRATION_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{shown} did not end within {_MIGRATION_SECONDS} s: run `bigiron lab prepare` again when the machine is "
            "less busy"
        ) from error
    if result.returncode:
        ending = "\n".join((result.stderr or result.stdout).strip().splitlines()[-15:])
        raise LabError(f"{shown} failed with status {result.returncode}:\n{ending}")
