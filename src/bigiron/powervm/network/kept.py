"""Keeps what is read of each partition, and reads again only of those that have changed.

The REST service lists adapters by partition only, so a first reading costs one request for each. A partition's own
document names its adapters, so its etag, which the partitions' feed carries, says whether to read them again; what is
changed without the document, the platform's events tell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pypowervm.adapter import Adapter

from bigiron.powervm.errors import translated
from bigiron.powervm.events import LOST, RestEvent

T = TypeVar("T")

_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    etag: str
    found: T


class KeptByPartition(Generic[T]):
    """What `read` finds of partitions (by uuid, upper case) of one kind of pypowervm's wrappers, LPAR or VIOS."""

    def __init__(self, adapter: Adapter, kind: type[Any], read: Callable[[str], T]) -> None:
        self._adapter = adapter
        self._kind = kind
        self._read = read
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept[T]] = {}
        self._reading: dict[str, object] = {}
        """By partition, the last call that began to read it and that nobody has told of a change since."""

    def feed(self) -> dict[str, Any]:
        """Every partition of the kind, in one request."""
        with translated(f"Reading the partitions ({self._kind.schema_type})"):
            return {partition.uuid.upper(): partition for partition in self._kind.get(self._adapter)}

    def of(self, feed: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, T]:
        """What there is of those of the partitions that are in the feed, in one request for each that has changed."""
        etags = {uuid: str(feed[uuid].etag) for uuid in wanted if uuid in feed}
        kept = {uuid: self._kept.get(uuid) for uuid in etags}
        known = {uuid: old.found for uuid, old in kept.items() if old is not None and old.etag == etags[uuid]}
        stale = [uuid for uuid in kept if uuid not in known]
        if stale:
            reading = object()
            with self._lock:
                self._reading.update(dict.fromkeys(stale, reading))
            with ThreadPoolExecutor(min(_PARALLEL, len(stale)), thread_name_prefix="adapters") as pool:
                for uuid, found in zip(stale, pool.map(self._read, stale), strict=True):
                    self._keep(uuid, _Kept(etags[uuid], found), reading)
                    known[uuid] = found
        return known

    def _keep(self, uuid: str, kept: _Kept[T], reading: object) -> None:
        with self._lock:
            # A change that was told of meanwhile may not be in what was read.
            if self._reading.get(uuid) is reading:
                del self._reading[uuid]
                self._kept[uuid] = kept

    def forget(self, partition: str) -> None:
        """Read it again."""
        with self._lock:
            self._kept.pop(partition, None)
            self._reading.pop(partition, None)

    def on_event(self, event: RestEvent) -> None:
        """Forget what somebody has changed: a listener for the platform's events."""
        if event.type in LOST:
            with self._lock:
                self._kept.clear()
                self._reading.clear()
            return
        # It may be about something below the partition.
        parts = event.data.split("?", 1)[0].rstrip("/").upper().split("/")
        name = self._kind.schema_type.upper()
        if name in parts[:-1]:
            self.forget(parts[parts.index(name) + 1])
