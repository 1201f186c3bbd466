"""Creates whose answer was lost and of which nothing was there to undo: they may take effect yet, and are looked for.

A client gives up on the connector and the connector on SMAPI, while the directory manager has the change in its queue.
Each is on this host's disk until its guest has come and was removed, or it is too late for it to come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bigiron.errors import Foreign, PlatformError
from bigiron.records import Records

LOG = logging.getLogger(__name__)

_LATEST_S = 3600.0
"""For how long after its undoing a create is looked for."""
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 120.0

Remove = Callable[[str, str], bool]
"""Removes a guest, by userid and instance uuid; False where there is none. Raises PlatformError."""


@dataclass(frozen=True, slots=True)
class LateCreate:
    """A userid that was asked for, and for whom; `undone_at` is wall-clock time, as it outlives the process."""

    userid: str
    instance: str
    name: str
    undone_at: float


class LateCreates:
    """The files under `<state_path>/zvm-late`, by userid, and the thread that looks for their guests."""

    def __init__(self, state_path: Path, remove: Remove, now: Callable[[], float] = time.time) -> None:
        self._records = Records(state_path / "zvm-late")
        self._remove = remove
        self._now = now
        self._changed = threading.Condition()
        self._awaited = {record.userid: record for record in self._records.read(_record, "create that may come late")}
        self._pause_s = _FIRST_PAUSE_S
        self._due = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._due = time.monotonic() + self._pause_s
        self._thread = threading.Thread(target=self._run, name="bigiron-zvm-late", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; safe to call twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def userids(self) -> frozenset[str]:
        """The userids that may yet come; nobody else is to be given one of them."""
        with self._changed:
            return frozenset(self._awaited)

    def note(self, userid: str, instance: str, name: str) -> None:
        """Look for a guest from now on; on disk before this returns."""
        record = LateCreate(userid, instance, name, self._now())
        self._records.put(userid, asdict(record), f"Guest {name}")
        with self._changed:
            self._awaited[userid] = record
            self._pause_s = _FIRST_PAUSE_S
            # Also where the thread waits longer for another, which comes less often by now.
            self._due = min(self._due, time.monotonic() + _FIRST_PAUSE_S)
            self._changed.notify_all()
        LOG.warning("guest %s: whether %s will be made is not known; it is looked for, and removed", name, userid)

    def look(self) -> Sequence[str]:
        """Look for each of them once; returns the instances whose guests had come and are removed."""
        with self._changed:
            awaited = list(self._awaited.values())
        removed = []
        for record in awaited:
            try:
                came = self._remove(record.userid, record.instance)
            except Foreign as error:
                LOG.info("guest %s is not looked for any more: %s", record.name, error)
            except PlatformError as error:
                LOG.info("guest %s, which may have been made late, is looked for again: %s", record.name, error)
                continue
            else:
                if came:
                    LOG.warning("guest %s was made as %s after it was given up; removed", record.name, record.userid)
                    removed.append(record.instance)
                elif self._now() < record.undone_at + _LATEST_S:
                    continue
            self._drop(record)
        return removed

    def _drop(self, record: LateCreate) -> None:
        with self._changed:
            self._records.drop(record.userid)
            self._awaited.pop(record.userid, None)
            self._changed.notify_all()

    def _run(self) -> None:
        while self._wait():
            try:
                self.look()
            except Exception:
                # A thread that ends here would leave whatever comes late from now on.
                LOG.exception("guests that may have been made late could not be looked for")

    def _wait(self) -> bool:
        """Until it is time to look for what is awaited; False where the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._awaited)
            while not self._stopping and (left := self._due - time.monotonic()) > 0:
                self._changed.wait(left)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            self._due = time.monotonic() + self._pause_s
            return not self._stopping


def _record(values: Mapping[str, Any]) -> LateCreate:
    """The record in a file."""
    return LateCreate(**{**values, "undone_at": float(values["undone_at"])})
