"""Which uploads into a volume group are under way, kept in files: a disk has no field that could say so.

A volume group serves one host only, so this host's files know all there is to know.
"""

from __future__ import annotations

import os
from pathlib import Path


class UploadMarks:
    """One empty file for each upload under way, removed when it is complete or undone."""

    def __init__(self, state_path: Path) -> None:
        self._folder = state_path / "uploads"

    def set(self, name: str) -> None:
        """Note that the upload begins; on disk before this returns."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._folder / name, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def is_set(self, name: str) -> bool:
        """Whether the upload began and did not end, in this life of the process or an earlier one."""
        return (self._folder / name).exists()

    def clear(self, name: str) -> None:
        """Note that the upload is complete, or that nothing of it is left."""
        (self._folder / name).unlink(missing_ok=True)
