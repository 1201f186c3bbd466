"""The ledger of guests on this host's disk: what is being made, and marks that the platform does not keep.

One small file for each LPAR, written before the create, so that a crash at any moment leaves a trace.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from bigiron import naming
from bigiron.records import Records


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A guest of ours; `making` until its spawn is complete."""

    instance: str
    name: str
    making: bool


class Ledger:
    """The files under `<state_path>/guests`, readable by this user only."""

    def __init__(self, state_path: Path) -> None:
        self._records = Records(state_path / "guests")

    def put(self, entry: LedgerEntry) -> None:
        """Record a guest, on disk before this returns."""
        self._records.put(naming.lpar_uuid(entry.instance), asdict(entry), f"Guest {entry.name}")

    def drop(self, lpar_uuid: str) -> None:
        """Forget a guest; one that is not recorded is no error."""
        self._records.drop(lpar_uuid.upper())

    def find(self, lpar_uuid: str) -> LedgerEntry | None:
        """What is recorded for an LPAR, if anything."""
        values = self._records.find(lpar_uuid.upper())
        try:
            return LedgerEntry(values["instance"], values["name"], values["making"]) if values else None
        except KeyError:
            return None

    def instance_of(self, lpar_uuid: str) -> str | None:
        """The instance uuid that an LPAR was made for, if it is recorded."""
        entry = self.find(lpar_uuid)
        return entry.instance if entry else None

    def making(self) -> list[LedgerEntry]:
        """Guests whose spawn was begun and not completed."""
        entries = [self.find(key) for key in self._records.keys()]  # noqa: SIM118 - not a dictionary
        return [entry for entry in entries if entry is not None and entry.making]
