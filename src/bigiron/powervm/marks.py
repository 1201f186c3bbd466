"""What is under way on this host, in files that outlive the process: the platform has no field that could say so."""

from __future__ import annotations

import os
from pathlib import Path

UPLOADS = "uploads"
"""Uploads into a volume group, which serves one host only, so that this host's files know all there is to know."""
FILES = "files"
"""Files, the platform's descriptors of uploads, by a digest of their names."""
RESCUES = "rescued"
"""Guests that have something of a rescue, by instance uuid: an unmapped disk or medium is found by its name only."""
TERMINALS = "terminals"
"""Partitions whose terminal we have served by VNC, by their uuid: it stays so when this process is gone."""

TAPS = "taps"
"""Adapters on Open vSwitch that come or go, by their MAC: half of one may be there."""


class Marks:
    """One empty file for each thing of a kind that is under way, removed when it is complete or undone."""

    def __init__(self, state_path: Path, kind: str) -> None:
        self._folder = state_path / kind

    def set(self, name: str) -> None:
        """Note that it begins; on disk before this returns."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / name, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def is_set(self, name: str) -> bool:
        """Whether it began and did not end, in this life of the process or an earlier one."""
        return (self._folder / name).exists()

    def all(self) -> list[str]:
        """The names of all that is under way."""
        return sorted(path.name for path in self._folder.glob("*"))

    def clear(self, name: str) -> None:
        """Note that it is complete, or that nothing of it is left."""
        (self._folder / name).unlink(missing_ok=True)
