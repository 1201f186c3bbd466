"""The management partition's file tree: what of a NovaLink partition's /usr/bin, /proc, /sys and /dev a client uses."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from bigiron.sim.powervm.management.endpoint import FILE

COMMANDS = ("mkvterm", "rmvterm", "pgrep")
_PACKAGE = "bigiron.sim.powervm.management"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the partition is: its id, the system's type, model and serial number, its processors and their clock."""

    partition_id: int
    partition_name: str
    system_type: str
    serial: str
    processors: int = 2
    megahertz: float = 3800.0


def build(root: Path, control: str, identity: Identity) -> None:
    """Write the tree, or bring an existing one up to date; what later operations put below it stays."""
    for folder in ("usr/bin", "proc/ppc64"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _write(root / FILE, json.dumps({"control": control}) + "\n")
    _write(root / "proc/ppc64/lparcfg", _lparcfg(identity))
    _write(root / "proc/cpuinfo", _cpuinfo(identity))
    for command in COMMANDS:
        _write(root / "usr/bin" / command, _script(root, command), 0o755)


def _script(root: Path, command: str) -> str:
    python, place = shlex.quote(sys.executable), shlex.quote(str(root.resolve()))
    return f'#!/bin/sh\nexec {python} -m {_PACKAGE}.{command} --root {place} "$@"\n'


def _lparcfg(identity: Identity) -> str:
    fields = {
        "serial_number": identity.serial,
        "system_type": identity.system_type,
        "partition_id": identity.partition_id,
        "partition_name": identity.partition_name,
        "partition_active_processors": identity.processors,
        "partition_potential_processors": identity.processors,
        "shared_processor_mode": 1,
    }
    return "lparcfg 1.9\n" + "".join(f"{name}={value}\n" for name, value in fields.items())


def _cpuinfo(identity: Identity) -> str:
    threads = "".join(
        f"processor\t: {number}\ncpu\t\t: POWER10 (architected), altivec supported\n"
        f"clock\t\t: {identity.megahertz:.6f}MHz\nrevision\t: 2.0 (pvr 0080 0200)\n\n"
        for number in range(identity.processors)
    )
    return f"{threads}timebase\t: 512000000\nplatform\t: pSeries\nmodel\t\t: {identity.system_type}\n"


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step: a command may be reading it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.chmod(mode)
    part.replace(path)
