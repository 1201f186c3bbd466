"""The ledger of guests on this host's disk: userids, what a spawn has begun, and what z/VM does not tell."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bigiron.model import DiskRole
from bigiron.records import Records


@dataclass(frozen=True, slots=True)
class HeldDisk:
    """A minidisk of a guest of ours: its device number and what was asked for.

    One that was only `found` in the directory entry may be another's, and is never deleted without its guest.
    """

    vdev: str
    role: DiskRole
    size_gb: float
    found: bool = False


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A guest of ours; `making` until its spawn is complete.

    `distro` is what its image's os_distro said. `adopted` guests were made by an older driver and have no mark in the
    directory. CP shows a paused guest as one that runs. `unanswered`: it was asked for, and nobody knows whether it is
    made.
    """

    instance: str
    userid: str
    name: str
    making: bool
    distro: str = ""
    memory_mb: int = 0
    vcpus: int = 0
    disks: tuple[HeldDisk, ...] = ()
    config_drive: bool = False
    paused: bool = False
    adopted: bool = False
    unanswered: bool = False


class Ledger:
    """The files under `<state_path>/zvm-guests`, by instance uuid, and a copy in memory."""

    def __init__(self, state_path: Path) -> None:
        self._records = Records(state_path / "zvm-guests")
        self._lock = threading.Lock()
        self._entries = {entry.instance: entry for entry in self._records.read(_entry, "entry of a guest")}

    def put(self, entry: LedgerEntry) -> None:
        """Record a guest, on disk before this returns."""
        with self._lock:
            self._write(entry)

    def change(self, instance: str, **fields: Any) -> None:
        """Change what is recorded of a guest, if it is recorded."""
        with self._lock:
            entry = self._entries.get(instance.lower())
            if entry is not None and replace(entry, **fields) != entry:
                self._write(replace(entry, **fields))

    def _write(self, entry: LedgerEntry) -> None:
        values = asdict(entry)
        values["disks"] = [_fields(disk) for disk in entry.disks]
        self._records.put(entry.instance, values, f"Guest {entry.name}")
        self._entries[entry.instance] = entry

    def drop(self, instance: str) -> None:
        """Forget a guest; one that is not recorded is no error."""
        with self._lock:
            self._records.drop(instance.lower())
            self._entries.pop(instance.lower(), None)

    def find(self, instance: str) -> LedgerEntry | None:
        """What is recorded for an instance, if anything."""
        with self._lock:
            return self._entries.get(instance.lower())

    def entries(self) -> Sequence[LedgerEntry]:
        """All that is recorded."""
        with self._lock:
            return list(self._entries.values())


def _fields(disk: HeldDisk) -> list[Any]:
    return [disk.vdev, disk.role.value, disk.size_gb, *((True,) if disk.found else ())]


def _entry(values: dict[str, Any]) -> LedgerEntry:
    """The entry in a file."""
    disks = tuple(
        HeldDisk(vdev, DiskRole(role), float(size), *found) for vdev, role, size, *found in values.get("disks", ())
    )
    return LedgerEntry(**{**values, "disks": disks})
