"""The VIOSes: which serve, and the one copy of each one's storage mappings that all operations change together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pypowervm.adapter import Adapter
from pypowervm.const import XAG
from pypowervm.wrappers.base_partition import LPARState, RMCState
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.errors import Busy, NotFound, PlatformError, Unavailable
from bigiron.powervm.errors import translated
from bigiron.powervm.events import LOST, RestEvent
from bigiron.powervm.writer import Change, DocumentWriter

LOG = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 600.0
_OWN_EVENT_S = 5.0
_STATE_WORDS = ("PartitionState", "RMCState", "ResourceMonitoringControlState")


@dataclass(frozen=True, slots=True)
class Vios:
    """A VIOS that serves: its uuid (upper case), short partition id and name."""

    uuid: str
    id: int
    name: str


class ViosDocuments:
    """Every VIOS of the system with its mappings, read once and kept with its etag."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._lock = threading.Lock()
        self._writers: dict[str, DocumentWriter[VIOS]] = {}
        self._known: list[Vios] = []
        self._writing: set[str] = set()
        self._written_at: dict[str, float] = {}
        self._down: frozenset[str] = frozenset()

    def load(self) -> None:
        """Read every VIOS with its mappings, in one feed."""
        with translated("Reading the VIOSes"):
            feed = VIOS.get(self._adapter, xag=[XAG.VIO_SMAP])
        with self._lock:
            for wrapper in feed:
                uuid = wrapper.uuid.upper()
                self._writers[uuid] = self._writer(uuid, wrapper)
            self._known = sorted(map(_summary, feed), key=lambda vios: vios.id)

    def active(self) -> list[Vios]:
        """The VIOSes that run and answer, by id.

        Raises Unavailable, naming them, where none does; warns once where some do not.
        """
        serving = [vios for vios in self._known if self._is_serving(vios)]
        down = frozenset(vios.name for vios in self._known if vios not in serving)
        if not serving:
            raise Unavailable(
                f"No VIOS can serve storage: {', '.join(sorted(down)) or 'the system has none'}. "
                "Start one and check its RMC connection."
            )
        if down and down != self._down:
            LOG.warning("VIOS %s does not serve; guests get their storage through the others", ", ".join(sorted(down)))
        self._down = down
        return serving

    def all(self) -> list[Vios]:
        """Every VIOS known, whether it serves or not, by id."""
        return list(self._known)

    def last(self, uuid: str) -> VIOS:
        """The VIOS as last seen, be it out of date: for what seldom changes, such as its memory."""
        return self._writer_of(uuid).last()

    def document(self, uuid: str) -> VIOS:
        """The VIOS with its mappings as last written or read; treat it as read-only."""
        return self._writer_of(uuid).document()

    def write(self, uuid: str, change: Change[VIOS], timeout_s: float = WRITE_TIMEOUT_S) -> VIOS:
        """Change one VIOS's mappings together with whatever else is waiting for it."""
        return self.write_all({uuid: change}, timeout_s)[uuid]

    def write_all(self, changes: Mapping[str, Change[VIOS]], timeout_s: float = WRITE_TIMEOUT_S) -> dict[str, VIOS]:
        """Change several VIOSes at once; waits for all, then raises the first error if there is one."""
        entries = {uuid: self._writer_of(uuid).enqueue(change) for uuid, change in changes.items()}
        deadline = time.monotonic() + timeout_s
        written: dict[str, VIOS] = {}
        first: PlatformError | None = None
        for uuid, entry in entries.items():
            try:
                written[uuid] = self._writer_of(uuid).wait(entry, max(0.0, deadline - time.monotonic()))
            except PlatformError as error:
                LOG.warning("VIOS %s: %s", uuid, error)
                first = first or error
        if first is not None:
            raise first
        return written

    def on_event(self, event: RestEvent) -> None:
        """Forget copies that somebody else has changed; what follows our own write at once is its echo."""
        if event.type in LOST:
            for known in list(self._writers.values()):
                known.invalidate()
            return
        uuid = event.object_of(VIOS.schema_type)
        writer = self._writers.get(uuid or "")
        if uuid is None or writer is None:
            return
        of_state = any(word in event.detail for word in _STATE_WORDS)
        if of_state or not self._is_echo(uuid):
            writer.invalidate()

    def _is_echo(self, uuid: str) -> bool:
        written = self._written_at.get(uuid)
        return uuid in self._writing or (written is not None and time.monotonic() - written < _OWN_EVENT_S)

    def _is_serving(self, vios: Vios) -> bool:
        try:
            return _serves(self.document(vios.uuid))
        except (Busy, NotFound) as error:
            LOG.warning("VIOS %s cannot be read and counts as down: %s", vios.name, error)
            return False

    def _writer_of(self, uuid: str) -> DocumentWriter[VIOS]:
        try:
            return self._writers[uuid.upper()]
        except KeyError:
            raise NotFound(f"VIOS {uuid} is not on this system.") from None

    def _writer(self, uuid: str, wrapper: VIOS) -> DocumentWriter[VIOS]:
        name = f"VIOS {wrapper.name}"
        path = self._adapter.build_path("uom", VIOS.schema_type, root_id=uuid, xag=[XAG.VIO_SMAP])

        def read() -> VIOS:
            with translated(f"Reading {name}"):
                return VIOS.wrap(self._adapter.read_by_path(path))

        def write(document: VIOS) -> VIOS:
            self._writing.add(uuid)
            try:
                with translated(f"Updating the mappings of {name}"):
                    return VIOS.wrap(self._adapter.update_by_path(document, document.etag, path))
            finally:
                self._written_at[uuid] = time.monotonic()
                self._writing.discard(uuid)

        return DocumentWriter(name, read, write, wrapper)


def _serves(wrapper: VIOS) -> bool:
    if wrapper.state != LPARState.RUNNING:
        return False
    return bool(wrapper.is_mgmt_partition) or wrapper.rmc_state in (RMCState.ACTIVE, RMCState.BUSY)


def _summary(wrapper: VIOS) -> Vios:
    return Vios(wrapper.uuid.upper(), int(wrapper.id), str(wrapper.name))
