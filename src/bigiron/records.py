"""Small records on this host's disk, one file each, that a crash at any moment leaves whole."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bigiron.errors import PlatformError

LOG = logging.getLogger(__name__)
T = TypeVar("T")


class Records:
    """The records of one folder by their keys, readable by this user only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, values: Mapping[str, Any], what: str) -> None:
        """Write a record, on disk before this returns; `what` names it in the error."""
        path = self._path(key)
        try:
            self._write(path, json.dumps(values))
        except OSError as error:
            raise PlatformError(
                f"{what} cannot be entered in the ledger {path}: {error}. Check [DEFAULT] state_path."
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

    def drop(self, key: str) -> None:
        """Forget a record; one that is not there is no error."""
        self._path(key).unlink(missing_ok=True)

    def find(self, key: str) -> dict[str, Any] | None:
        """The record, if there is one that can be read."""
        try:
            values = json.loads(self._path(key).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return values if isinstance(values, dict) else None

    def read(self, reader: Callable[[dict[str, Any]], T], what: str) -> Iterator[T]:
        """Every record as `reader` makes it of its values; `what` names in the log what one is not that makes no sense,
        as one of another version, and is passed over."""
        for key in self.keys():
            values = self.find(key)
            try:
                if values is None:
                    raise ValueError("no JSON object")
                record = reader(values)
            except (KeyError, TypeError, ValueError) as error:
                LOG.warning("%s is no %s and is passed over: %r", self._path(key), what, error)
            else:
                yield record

    def keys(self) -> list[str]:
        """The keys of all records."""
        return [path.stem for path in sorted(self._folder.glob("*.json"))] if self._folder.is_dir() else []

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
