"""The state on disk: written whole, at once and privately, so that it survives an end at any moment."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)

_PAUSE = 0.2
_RETRY = 2.0
_REST_PER_WRITE = 5.0
"""A large state is written at most a sixth of the time, however fast it changes."""


def write_private(path: Path, data: bytes) -> None:
    """Replace a file in one step; only its owner can read it."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Store:
    """Writes what `dump` returns some time after it was told of a change, and always when it stops.

    `saved` is called when the last dump is safe on disk.
    """

    def __init__(
        self, path: Path, dump: Callable[[], dict[str, Any]], saved: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._dump = dump
        self._saved = saved
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    @staticmethod
    def load(path: Path) -> dict[str, Any] | None:
        """Return a state that was written before, or None."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            state = json.loads(text)
        except ValueError as error:
            raise ValueError(f"state file {path} cannot be read: {error}; remove it or start with --reset") from error
        if not isinstance(state, dict):
            raise ValueError(f"state file {path} holds no state; remove it or start with --reset")
        return state

    def start(self) -> None:
        """Write the state now and after each change."""
        self.flush()
        self._thread.start()

    def touch(self) -> None:
        """Tell of a change; cheap enough to be called for each one."""
        self._changed.set()

    def flush(self) -> None:
        """Write the state now."""
        with self._writing:
            write_private(self._path, json.dumps(self._dump(), separators=(",", ":")).encode())
            self._saved()

    def stop(self) -> None:
        """End the thread and write the last state."""
        self.end()
        self.flush()

    def end(self) -> None:
        """End the thread, if it was started, and write no more."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait()
            if self._stopping.wait(_PAUSE):
                return
            # By this thread alone, and before it looks whether to end: else it might take away what `end` wakes it by.
            self._changed.clear()
            began = time.monotonic()
            try:
                self.flush()
            except Exception:  # a full disk must not end the thread: it tries again
                LOG.exception("the state was not written to %s", self._path)
                self._stopping.wait(_RETRY)
                self._changed.set()
            self._stopping.wait((time.monotonic() - began) * _REST_PER_WRITE)
