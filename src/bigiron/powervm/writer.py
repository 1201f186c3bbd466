"""One writer for a document that many operations change at once: their changes are gathered into one update.

A VIOS's mappings, a volume group or a network bridge is one REST object under one etag. Were each operation to update
it alone, N concurrent ones would fight with N etag conflicts; here all the changes that arrive while one update is
under way go into the next one.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Generic, Protocol, TypeVar

from bigiron.errors import PlatformError, Timeout
from bigiron.powervm.errors import Stale

LOG = logging.getLogger(__name__)

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)

_STALE_TRIES = 8


class Change(Protocol[D_contra]):
    """One edit of a document, asked for by one owner."""

    @property
    def owner(self) -> str:
        """Who wants it, for messages."""
        ...

    def in_place(self, document: D_contra) -> bool:
        """Whether the document already is as the change would make it."""
        ...

    def apply(self, document: D_contra) -> None:
        """Edit the document; may run again on a fresh copy, so it must not remember having run."""
        ...


class _Entry(Generic[D]):
    def __init__(self, change: Change[D]) -> None:
        self.change = change
        self.result: Future[D] = Future()
        self.given_up = False
        """Nobody waits for it any more."""


class DocumentWriter(Generic[D]):
    """Gathers changes and writes them in one update, with the etag of the copy it holds and no read before.

    `read` fetches the document and `write` updates it and returns it as written; both raise PlatformError, and
    `write` raises Stale where the etag was refused.
    """

    def __init__(self, name: str, read: Callable[[], D], write: Callable[[D], D], document: D | None = None) -> None:
        self.name = name
        self._read = read
        self._write = write
        self._document = document
        self._last = document
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._document_lock = threading.Lock()
        self._generation = 0
        self._waiting: list[_Entry[D]] = []
        self._running = False
        self.updates = 0

    def document(self) -> D:
        """The document as last written or read; treat it as read-only."""
        with self._reading:
            with self._document_lock:
                document, generation = self._document, self._generation
            if document is not None:
                return document
            # Whoever says meanwhile that it has changed must not wait for the answer.
            read = self._read()
            with self._document_lock:
                self._last = read
                if generation == self._generation:
                    self._document = read
            return read

    def last(self) -> D:
        """The document as last seen, be it out of date; reads it only if it never was."""
        last = self._last
        return last if last is not None else self.document()

    def invalidate(self) -> None:
        """Somebody else has changed the document: read it again before its next use."""
        with self._document_lock:
            self._document = None
            self._generation += 1

    def submit(self, change: Change[D], timeout_s: float) -> D:
        """Have the change written; returns the document as written, or raises the change's own error.

        After `timeout_s` the change is withdrawn if its update has not begun, and Timeout is raised either way.
        """
        return self.wait(self.enqueue(change), timeout_s)

    def enqueue(self, change: Change[D]) -> _Entry[D]:
        """Hand in a change without waiting for it."""
        entry = _Entry(change)
        with self._lock:
            if not self._running:
                # It waits for the lock. Where none can be started, nothing has begun, and the next change tries again.
                threading.Thread(target=self._drain, name=f"writer {self.name}", daemon=True).start()
                self._running = True
            self._waiting.append(entry)
        return entry

    def wait(self, entry: _Entry[D], timeout_s: float) -> D:
        """Wait for a change that was handed in; see `submit`."""
        try:
            return entry.result.result(timeout_s)
        except FutureTimeout:
            entry.given_up = True
            withdrawn = self.withdraw(entry)
        state = "and was withdrawn" if withdrawn else "and may still be under way"
        raise Timeout(f"The change of {self.name} for {entry.change.owner} took longer than {timeout_s:.0f} s {state}.")

    def withdraw(self, entry: _Entry[D]) -> bool:
        """Take back a change whose update has not begun; says whether that came in time."""
        with self._lock:
            if entry in self._waiting:
                self._waiting.remove(entry)
                return True
        return False

    def _drain(self) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting, []
                if not batch:
                    self._running = False
                    return
            try:
                self._commit(batch)
            except Exception as error:  # noqa: BLE001 - the waiters must hear of it, whatever it is
                for entry in batch:
                    if not entry.result.done():
                        entry.result.set_exception(error)

    def _commit(self, batch: list[_Entry[D]]) -> None:
        for _ in range(_STALE_TRIES):
            batch = self._settle_in_place(batch)
            if not batch:
                return
            try:
                written = self._update(batch)
            except Stale as error:
                # Nobody's fault: what is left goes together again, on what the document has become.
                LOG.debug("%s was changed by somebody else, %d changes again: %s", self.name, len(batch), error)
                self.invalidate()
            except PlatformError as error:
                LOG.info("An update of %s with %d changes was refused: %s", self.name, len(batch), error)
                self._one_by_one(batch, error)
                return
            else:
                for entry in batch:
                    if not entry.result.done():
                        entry.result.set_result(written)
                return
        given_up = Stale(f"{self.name} was changed by somebody else {_STALE_TRIES} times in a row.")
        for entry in batch:
            entry.result.set_exception(given_up)

    def _one_by_one(self, batch: list[_Entry[D]], error: PlatformError) -> None:
        """Find out whose change is refused: each alone, on the document read again after every failure."""
        self.invalidate()
        if len(batch) == 1 or isinstance(error, Timeout):
            # What hangs is the platform and not somebody's change: each alone would hang as long.
            self._settle_failed(batch, error)
            return
        for entry in batch:
            if entry.given_up:
                entry.result.set_exception(error)
            else:
                self._commit([entry])

    def _settle_failed(self, batch: list[_Entry[D]], error: PlatformError) -> None:
        """Complete what is in place all the same, and fail the rest with the error."""
        try:
            batch = self._settle_in_place(batch)
        except PlatformError as trouble:
            LOG.warning("%s: what came of %d changes cannot be told: %s", self.name, len(batch), trouble)
        for entry in batch:
            entry.result.set_exception(error)

    def _settle_in_place(self, batch: list[_Entry[D]]) -> list[_Entry[D]]:
        """Complete what the document already has; returns the rest."""
        document = self.document()
        left = []
        for entry in batch:
            try:
                in_place = entry.change.in_place(document)
            except Exception as error:  # noqa: BLE001 - whatever a change raises is its owner's, not the others'
                entry.result.set_exception(error)
                continue
            if in_place:
                entry.result.set_result(document)
            else:
                left.append(entry)
        return left

    def _update(self, batch: list[_Entry[D]]) -> D:
        """Apply the batch to a copy and write it; a change that cannot be applied fails alone."""
        edited = copy.deepcopy(self.document())
        generation = self._generation
        for entry in list(batch):
            try:
                entry.change.apply(edited)
            except Exception as error:  # noqa: BLE001 - whatever a change raises is its owner's, not the others'
                batch.remove(entry)
                entry.result.set_exception(error)
                return self._update(batch) if batch else self.document()
        written = self._write(edited)
        self.updates += 1
        with self._document_lock:
            self._document = written if generation == self._generation else None
            self._last = written
        return written
