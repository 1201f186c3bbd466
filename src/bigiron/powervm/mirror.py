"""The host's partitions as a table in memory: read once, kept current by events, written through by ourselves.

An event says only that something changed, so what it is about is read again. A reading that began before one of our
own writes ended is thrown away: a stale "off" would make Nova stop a running guest. Events that arrive while we work on
the partition are dropped. One of our own work that comes later cannot be told from news, for an event has no date and
its number only counts from the start of the service: it costs a look at the state, which is what we made it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.errors import NotFound, PlatformError
from bigiron.powervm.errors import translated
from bigiron.powervm.events import DELETE_URI, LOST, RestEvent
from bigiron.powervm.partition import Lpar, record

LOG = logging.getLogger(__name__)

_FRESH_S = 10.0
_GATHER_S = 0.3
_RETRY_S = 2.0
_FEED_ABOVE = 8
_REMOVED_KEPT = 64
_NAME = "PartitionName"
_RELEVANT = ("PartitionState", _NAME)

Watcher = Callable[[Lpar, Lpar], None]


@dataclass(slots=True)
class _Slot:
    """What is known about one partition besides its record: our writes' count and last time, and when the reading that
    was last taken over began."""

    version: int = 0
    working: int = 0
    wrote_at: float = -math.inf
    read_from: float = -math.inf


class LparMirror:
    """Every partition of the system but the VIOSes."""

    def __init__(self, adapter: Adapter, system_uuid: str, mark_of: Callable[[str], str | None] | None = None) -> None:
        """`mark_of` gives the instance uuid of an LPAR uuid from the ledger, where the platform keeps no mark."""
        self._adapter = adapter
        self._system_uuid = system_uuid
        self._mark_of = mark_of or (lambda _uuid: None)
        self._lpars: dict[str, Lpar] = {}
        self._slots: dict[str, _Slot] = {}
        self._removed: deque[str] = deque()
        self._dirty: set[str] = set()
        self._renamed: set[str] = set()
        self._reload = False
        self._loaded_at = -math.inf
        self._changed = threading.Condition()
        self._stopping = False
        self._watchers: list[Watcher] = []

    # Reading

    def lpars(self) -> list[Lpar]:
        """Every partition, ours or not."""
        with self._changed:
            return list(self._lpars.values())

    def find(self, uuid: str) -> Lpar | None:
        """The partition with that uuid (not the instance's), if there is one."""
        with self._changed:
            return self._lpars.get(uuid.upper())

    def named(self, name: str) -> Lpar | None:
        """The partition of that name, if there is one."""
        return next((lpar for lpar in self.lpars() if lpar.name == name), None)

    def fresh(self, uuid: str) -> Lpar:
        """The partition with its state asked for now, unless it was asked for less than a second ago, or is what a
        write of ours made it less than 10 s ago. Raises NotFound."""
        with self._changed:
            lpar = self._lpars.get(uuid.upper())
            slot = self._slots.get(uuid.upper())
        now = time.monotonic()
        ours = slot is not None and now - slot.wrote_at < _FRESH_S
        if lpar is None or not (ours or now - lpar.read_at < _FRESH_S / 10):
            self._refresh(uuid.upper())
            lpar = self.find(uuid)
        if lpar is None:
            raise NotFound(f"LPAR {uuid} is not on this system.")
        return lpar

    def watch(self, watcher: Watcher) -> None:
        """Call back, with the record before and after, when a state changes that we did not change ourselves."""
        self._watchers.append(watcher)

    # Our own writes

    @contextmanager
    def working(self, uuid: str) -> Iterator[None]:
        """While we change the partition: drop events about it, and readings that overlap.

        If the work fails, what came of it is read again.
        """
        uuid = uuid.upper()
        with self._changed:
            slot = self._slots.setdefault(uuid, _Slot())
            slot.working += 1
            slot.version += 1
        good = False
        try:
            yield
            good = True
        finally:
            with self._changed:
                slot.working -= 1
                slot.version += 1
                if not good:
                    self._dirty.add(uuid)
                    self._changed.notify_all()

    def wrote(self, wrapper: LPAR) -> Lpar:
        """Take over a partition as a write of ours returned it."""
        lpar = record(wrapper, self._mark_of)
        with self._changed:
            self._bump(lpar.uuid).wrote_at = lpar.read_at
            self._lpars[lpar.uuid] = lpar
        return lpar

    def remark(self, uuid: str) -> None:
        """Ask the ledger again whose the partition is."""
        with self._changed:
            lpar = self._lpars.get(uuid.upper())
            if lpar is not None and lpar.instance is None:
                self._lpars[lpar.uuid] = replace(lpar, instance=self._mark_of(lpar.uuid))

    def wrote_state(self, uuid: str, state: str) -> None:
        """Take over a state that an action of ours brought about."""
        uuid = uuid.upper()
        with self._changed:
            self._bump(uuid).wrote_at = time.monotonic()
            if uuid in self._lpars:
                self._lpars[uuid] = replace(self._lpars[uuid], state=state, read_at=time.monotonic())

    def removed(self, uuid: str) -> None:
        """Take over that we deleted the partition."""
        uuid = uuid.upper()
        with self._changed:
            self._bump(uuid)
            self._dirty.discard(uuid)
            self._drop(uuid)

    def _drop(self, uuid: str) -> None:
        self._lpars.pop(uuid, None)
        # Its slot must outlive the readings that are under way, and not the service.
        if uuid in self._removed:
            self._removed.remove(uuid)
        self._removed.append(uuid)
        if len(self._removed) > _REMOVED_KEPT:
            oldest = self._removed.popleft()
            if oldest not in self._lpars and not self._slots.get(oldest, _Slot()).working:
                self._slots.pop(oldest, None)

    def _bump(self, uuid: str) -> _Slot:
        slot = self._slots.setdefault(uuid, _Slot())
        slot.version += 1
        return slot

    # Keeping current

    def start(self) -> None:
        """Read every partition and start the thread that follows events."""
        self.load()
        threading.Thread(target=self._run, name="powervm mirror", daemon=True).start()

    def stop(self) -> None:
        """End the thread; the records stay readable."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def load(self) -> None:
        """Read every partition again, in one feed."""
        with self._changed:
            self._reload = False
            self._loaded_at = began = time.monotonic()
            self._dirty.clear()
            versions = {uuid: slot.version for uuid, slot in self._slots.items()}
        try:
            with translated("Reading the partitions"):
                feed = LPAR.get(self._adapter, parent_type="ManagedSystem", parent_uuid=self._system_uuid)
            lpars = {lpar.uuid: lpar for lpar in (record(wrapper, self._mark_of) for wrapper in feed)}
        except BaseException:
            with self._changed:
                # What events had told of is still to be read, whoever it was that tried.
                self._reload = True
                self._loaded_at = -math.inf
                self._changed.notify_all()
            raise
        with self._changed:
            known = set(self._lpars) | set(lpars)
        for uuid in known:
            self._take(uuid, lpars.get(uuid), versions.get(uuid, 0), began)

    def load_if_older(self, age_s: float) -> None:
        """Read every partition again if that was longer ago: what others change of memory and processors, no event
        tells."""
        if time.monotonic() - self._loaded_at >= age_s:
            self.load()

    def on_event(self, event: RestEvent) -> None:
        """Note what an event is about; the mirror's own thread reads it again."""
        with self._changed:
            if event.type in LOST:
                self._reload = True
                self._changed.notify_all()
                return
            uuid = event.object_of(LPAR.schema_type)
            if uuid is None or not self._is_news(uuid, event):
                return
            self._dirty.add(uuid)
            if _NAME in event.detail:
                self._renamed.add(uuid)
            self._changed.notify_all()

    def _is_news(self, uuid: str, event: RestEvent) -> bool:
        slot = self._slots.setdefault(uuid, _Slot())
        if slot.working:
            return False
        if event.type == DELETE_URI:
            return uuid in self._lpars
        if uuid not in self._lpars:
            # What is still told of a partition that is gone is old, unless it is made again.
            return uuid not in self._removed or event.type == "ADD_URI"
        if event.type == "ADD_URI":
            return False
        return not event.detail or any(word in event.detail for word in _RELEVANT)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._reload or self._dirty)
                if self._stopping:
                    return
                # Changes come in bursts: one reading serves several.
                self._changed.wait_for(lambda: self._stopping, _GATHER_S)
                reload = self._reload or len(self._dirty) > _FEED_ABOVE
                dirty, self._dirty = self._dirty, set()
            try:
                if reload:
                    self.load()
                else:
                    for uuid in sorted(dirty):
                        self._refresh(uuid)
            except Exception as error:
                unexpected = not isinstance(error, PlatformError)
                LOG.warning("Partitions could not be read again, trying later: %s", error, exc_info=unexpected)
                with self._changed:
                    self._reload = True
                    self._changed.wait_for(lambda: self._stopping, _RETRY_S)

    def _refresh(self, uuid: str) -> None:
        """Read one partition again: only its state where the rest is known."""
        with self._changed:
            began = time.monotonic()
            version = self._slots.setdefault(uuid, _Slot()).version
            known = self._lpars.get(uuid)
            renamed = uuid in self._renamed
            # Before the reading: who is renamed again while it is under way has to be read again.
            self._renamed.discard(uuid)
        taken = False
        try:
            whole = known is None or renamed
            taken = self._take(uuid, self._read(uuid, known, whole), version, began, whole)
        finally:
            if renamed and not taken:
                with self._changed:
                    self._renamed.add(uuid)

    def _read(self, uuid: str, known: Lpar | None, whole: bool) -> Lpar | None:
        """The partition, read anew if it is not known or is wanted whole, else in its state; None if it is gone."""
        with translated(f"Reading LPAR {known.name if known else uuid}"):
            try:
                if known is None or whole:
                    return record(LPAR.get(self._adapter, uuid=uuid), self._mark_of)
                answer = self._adapter.read(
                    LPAR.schema_type, root_id=uuid, suffix_type="quick", suffix_parm="PartitionState"
                )
                return replace(known, state=answer.body.strip().strip('"'), read_at=time.monotonic())
            except pvm.HttpNotFound:
                return None

    def _take(self, uuid: str, read: Lpar | None, version: int, began: float, whole: bool = True) -> bool:
        """Take over a reading unless a write of ours overlapped it or one that began later has been taken over, and
        tell the watchers of a change of state; says whether it was."""
        with self._changed:
            slot = self._slots.setdefault(uuid, _Slot())
            if slot.version != version or slot.working or began < slot.read_from:
                return False
            slot.read_from = began
            before = self._lpars.get(uuid)
            if before is not None and read is not None and not whole:
                # All but its state is as it was when this was asked for; that may be known better since.
                read = replace(before, state=read.state, read_at=read.read_at)
            if before is not None and read is not None and before.state != read.state:
                # It is not what we made it any more.
                slot.wrote_at = -math.inf
            if read is None:
                self._drop(uuid)
            else:
                self._lpars[uuid] = read
        if before is not None and read is not None and before.state != read.state:
            for watcher in self._watchers:
                try:
                    watcher(before, read)
                except Exception:
                    # A watcher's mistake must not fail whoever read the partition.
                    LOG.exception("A watcher failed on LPAR %s", read.name)
        return True
