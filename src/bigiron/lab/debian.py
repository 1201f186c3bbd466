"""Debian packages fetched and unpacked into the cache, which needs no root and installs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from bigiron.lab.errors import LabError

_APT_SECONDS = 300
Found = TypeVar("Found")


def obtain(
    cache: Path, name: str, packages: Sequence[str], advice: str, find: Callable[[Path], Found | None]
) -> Found | None:
    """What `find` finds in the cache or on the machine, after the packages are unpacked where it finds nothing; one
    process at a time."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        found = find(cache)
        if found is None:
            unpack(cache, name, packages, advice)
            found = find(cache)
    return found


def unpack(cache: Path, name: str, packages: Sequence[str], advice: str) -> None:
    """Have the files of the packages below the folder `name` of the cache; `advice` ends what a failure says."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LabError(f"{packages[0]} is not on this machine, and there is no apt-get to fetch it: {advice}")
    debs = cache / f"{name}.debs"
    unpacked = cache / f"{name}.new"
    for folder in (debs, unpacked):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    result = _run(["apt-get", "download", *packages], debs)
    if result.returncode:
        # No package lists (a fresh container), or unreadable ones: fetch lists of our own, which needs no root.
        private = _private_apt_options(cache)
        _run(["apt-get", *private, "update"], debs)
        result = _run(["apt-get", *private, "download", *packages], debs)
    if result.returncode:
        raise LabError(f"apt-get download of {packages[0]} failed ({_last_line(result.stderr)}): {advice}")
    for deb in sorted(debs.glob("*.deb")):
        result = _run(["dpkg-deb", "-x", str(deb), str(unpacked)], debs)
        if result.returncode:
            raise LabError(f"{deb.name} cannot be unpacked ({_last_line(result.stderr)}): {advice}")
    shutil.rmtree(cache / name, ignore_errors=True)
    unpacked.rename(cache / name)
    shutil.rmtree(debs)


def missing_libraries(files: Iterable[Path], extra: Path | None = None) -> set[str]:
    """Return the shared libraries that programs lack on this machine; `extra` is a folder of further ones."""
    environment = {**os.environ, **({"LD_LIBRARY_PATH": str(extra)} if extra else {})}
    missing = set()
    for file in files:
        listing = subprocess.run(
            ["ldd", str(file)], capture_output=True, text=True, timeout=30, check=False, env=environment
        ).stdout
        missing |= {line.split()[0] for line in listing.splitlines() if line.rstrip().endswith("not found")}
    return missing


def _private_apt_options(cache: Path) -> list[str]:
    state = cache / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        "-o",
        f"Dir::State={state / 'state'}",
        "-o",
        f"Dir::Cache={state / 'cache'}",
        "-o",
        "Dir::State::status=/var/lib/dpkg/status",
    ]


def _run(argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the packages; one that does not end counts as failed."""
    try:
        return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_APT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "", f"it did not end within {_APT_SECONDS} s")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
