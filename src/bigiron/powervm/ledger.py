"""The ledger of guests on this host's disk: what is being made, and marks that the platform does not keep.

One small file for each LPAR, written before the create, so that a crash at any moment leaves a trace.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from bigiron import naming
from bigiron.errors import PlatformError


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A guest of ours; `making` until its spawn is complete."""

    instance: str
    name: str
    making: bool


class Ledger:
    """The files under `<state_path>/guests`, readable by this user only."""

    def __init__(self, state_path: Path) -> None:
        self._folder = state_path / "guests"

    def put(self, entry: LedgerEntry) -> None:
        """Record a guest, on disk before this returns."""
        path = self._path(naming.lpar_uuid(entry.instance))
        try:
            self._write(path, json.dumps({"instance": entry.instance, "name": entry.name, "making": entry.making}))
        except OSError as error:
            raise PlatformError(
                f"Guest {entry.name} cannot be entered in the ledger {path}: {error}. Check [DEFAULT] state_path."
            ) from error

    def _write(self, path: Path, text: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        new.replace(path)

    def drop(self, lpar_uuid: str) -> None:
        """Forget a guest; one that is not recorded is no error."""
        self._path(lpar_uuid).unlink(missing_ok=True)

    def find(self, lpar_uuid: str) -> LedgerEntry | None:
        """What is recorded for an LPAR, if anything."""
        try:
            values = json.loads(self._path(lpar_uuid).read_text())
            return LedgerEntry(values["instance"], values["name"], values["making"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def instance_of(self, lpar_uuid: str) -> str | None:
        """The instance uuid that an LPAR was made for, if it is recorded."""
        entry = self.find(lpar_uuid)
        return entry.instance if entry else None

    def making(self) -> list[LedgerEntry]:
        """Guests whose spawn was begun and not completed."""
        if not self._folder.is_dir():
            return []
        entries = [self.find(path.stem) for path in sorted(self._folder.glob("*.json"))]
        return [entry for entry in entries if entry is not None and entry.making]

    def _path(self, lpar_uuid: str) -> Path:
        return self._folder / f"{lpar_uuid.upper()}.json"
