"""The lab's state, as a table for people and as values for scripts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from rich.table import Table

from bigiron.lab import health, spec, supervise
from bigiron.lab.paths import LabPaths

_MIB = 1024 * 1024
_COLOURS = {"working": "green", "silent": "yellow", "stopped": "dim"}


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """One row. `state` is working, silent (runs but does not answer), or the supervisor's word in lower case."""

    name: str
    state: str
    pid: int
    port: int
    memory_mib: float
    uptime_seconds: int


def collect(paths: LabPaths) -> list[ProgramStatus]:
    """Ask the supervisor and every program how they are; all stopped when the supervisor does not run."""
    current = spec.require(paths)
    supervisor = supervise.connect(paths)
    if supervisor is None:
        return []
    checks = health.Health(paths, current)
    rows = [_own(supervisor.pid())]
    for name, process in supervisor.states().items():
        state = process.state.lower()
        if process.state == "RUNNING":
            state = "working" if checks.works(name, process.started) else "silent"
        age = int(time.time() - process.started) if process.pid else 0
        rows.append(ProgramStatus(name, state, process.pid, _port(current, name), _memory(process.pid), age))
    return rows


def _own(pid: int) -> ProgramStatus:
    return ProgramStatus(
        "supervisord", "working", pid, 0, _memory(pid), int(time.time() - psutil.Process(pid).create_time())
    )


def _port(current: spec.LabSpec, name: str) -> int:
    return current.ports.get(name, 0)


def _memory(pid: int) -> float:
    """Return the memory that a process and its children take, in MiB: of a page that several have, each its share."""
    if not pid:
        return 0.0
    try:
        process = psutil.Process(pid)
        family = [process] if process.name() == "supervisord" else [process, *process.children(recursive=True)]
        return sum(_share(member) for member in family) / _MIB
    except psutil.NoSuchProcess:
        return 0.0


def _share(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.Error:
        # A child that has ended meanwhile.
        return 0
    return int(getattr(full, "pss", full.uss))


def table(paths: LabPaths, rows: list[ProgramStatus]) -> Table:
    """Return the rows as a rich table with the sum of the memory."""
    shown = Table(title=f"lab in {paths.root}", title_justify="left", show_footer=True)
    total = f"{sum(row.memory_mib for row in rows):.0f}"
    for heading, footer in (("program", "total"), ("state", ""), ("pid", ""), ("port", ""), ("MiB", total), ("up", "")):
        shown.add_column(heading, footer, justify="right" if heading in ("pid", "port", "MiB", "up") else "left")
    for row in rows:
        colour = _COLOURS.get(row.state, "red")
        shown.add_row(
            row.name, f"[{colour}]{row.state}[/]", str(row.pid or ""), str(row.port or ""), f"{row.memory_mib:.0f}",
            f"{row.uptime_seconds // 60}m{row.uptime_seconds % 60:02}s" if row.pid else "",
        )  # fmt: skip
    return shown


def as_json(paths: LabPaths, rows: list[ProgramStatus]) -> dict[str, Any]:
    """Return the rows, totals and addresses for scripts."""
    current = spec.require(paths)
    return {
        "directory": str(paths.root),
        "running": bool(rows),
        "working": bool(rows) and all(row.state == "working" for row in rows),
        "memory_mib": round(sum(row.memory_mib for row in rows), 1),
        "addresses": {name: current.url(name) for name in current.ports if name != "broker"},
        "programs": [asdict(row) for row in rows],
    }
