"""What a guest wrote to its console, in a file that keeps the last part and survives a restart of the process."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

LOG = logging.getLogger(__name__)

KEPT = 256 * 1024
"""Bytes that are kept in any case; the file is cut back to them when it has twice as many."""


class ConsoleLog:
    """One guest's file, which only its owner may read; `append` is for one thread at a time, `tail` for any.

    What cannot be written is dropped and said once: a full disk must not end the recording.
    """

    def __init__(self, path: Path, kept: int = KEPT) -> None:
        self.path = path
        self._kept = kept
        self._failed = False
        self._gap: tuple[float, str] | None = None
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            if (found := path.stat()).st_size:
                self._gap = (found.st_mtime, "nova-compute was not running")

    def append(self, data: bytes) -> None:
        """Add what was printed; a gap before it is marked with a line."""
        with self._lock:
            if self._gap is not None:
                data = _line(f"not recorded from {_clock(self._gap[0])} to {_clock(time.time())}", self._gap[1]) + data
                self._gap = None
            try:
                self._write(data)
                self._failed = False
            except OSError as error:
                if not self._failed:
                    LOG.warning("What the console wrote is not kept: %s", error)
                self._failed = True

    def lost(self, reason: str) -> None:
        """From now on something may be printed that is not recorded."""
        with self._lock:
            if self._gap is None:
                self._gap = (time.time(), reason)

    def whole(self) -> None:
        """Nothing was printed since: the guest was off."""
        with self._lock:
            self._gap = None

    def tail(self, limit: int) -> bytes:
        """The last so many bytes, and a line more while there is a gap at the end."""
        with self._lock:
            gap = self._gap
        data = _read_end(self.path, limit)
        if gap is not None:
            data += _line(f"not recorded since {_clock(gap[0])}", gap[1])
        return data[-limit:]

    def remove(self) -> None:
        """The guest is gone."""
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists():
            self.path.touch(mode=0o600)
        # Not by os.fdopen, which eventlet replaces by one for pipes, that tells no place in a file.
        with self.path.open("ab") as file:
            file.write(data)
            size = file.tell()
        if size > 2 * self._kept:
            part = self.path.with_suffix(".part")
            part.touch(mode=0o600)
            part.write_bytes(_read_end(self.path, self._kept))
            part.replace(self.path)


def _read_end(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except FileNotFoundError:
        return b""


def _line(what: str, why: str) -> bytes:
    return f"\r\n[bigiron: {what}: {why}]\r\n".encode()


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
