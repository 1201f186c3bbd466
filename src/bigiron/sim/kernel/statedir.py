"""The state directory of a simulator: of one running simulator at a time, and of one system document."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bigiron.sim.kernel.store import Store, write_private


class StateError(Exception):
    """The state directory cannot be used; the message says what to do."""


class StateDirectory:
    """Made, the directory is there and nobody else's until `close`; raises StateError where another simulator has it.

    `folders` are those that the simulator makes in it, which `forget` removes.
    """

    def __init__(self, path: Path, document: Mapping[str, Any], folders: Sequence[str]) -> None:
        self.path = path
        self.digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
        self._folders = folders
        self._lock = self._taken()

    @property
    def state(self) -> Path:
        """Where the state is saved."""
        return self.path / "state.json"

    @property
    def closed(self) -> bool:
        """Whether somebody else may have the directory."""
        return bool(self._lock.closed)

    def forget(self) -> None:
        """Remove what a simulator wrote here, and nothing else."""
        for name in self._folders:
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.state.unlink(missing_ok=True)
        self.withdraw()

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None where there is none; raises StateError for one of another system document."""
        try:
            state = Store.load(self.state)
        except ValueError as error:
            raise StateError(str(error)) from error
        if state is not None and state["document"] != self.digest:
            raise StateError(
                f"{self.path} holds the state of another system document. "
                "Give another --state directory, or start anew with --reset."
            )
        return state

    @contextlib.contextmanager
    def of_this_version(self) -> Iterator[None]:
        """Around the reading of a state: what cannot be read was saved by another version, a StateError."""
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise StateError(
                f"{self.path} holds a state of another version of the simulator ({error}). Give another --state "
                "directory, or start anew with --reset; in a lab, `bigiron lab destroy` does that."
            ) from error

    def publish(self, **endpoints: str) -> None:
        """Say in endpoints.json, for the owner only, where the simulator serves and by which process."""
        write_private(self.path / "endpoints.json", json.dumps({**endpoints, "pid": os.getpid()}).encode())

    def withdraw(self) -> None:
        """Take back what `publish` said."""
        (self.path / "endpoints.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the directory to others; nothing happens the second time."""
        self._lock.close()

    def _taken(self) -> Any:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (self.path / "lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise StateError(
                f"{self.path} is in use by a running simulator. Stop it or give another --state."
            ) from None
        return handle
