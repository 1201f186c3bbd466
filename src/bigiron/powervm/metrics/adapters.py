"""Which MAC an adapter has that the monitor's samples know by its location: read once, and again when told of changes.

The REST service lists adapters by partition only, so the first reading costs one request for each partition.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.iocard import VNIC, SRIOVEthLPort
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.complaints import Complaints
from bigiron.errors import PlatformError
from bigiron.powervm.errors import translated
from bigiron.powervm.events import LOST, RestEvent
from bigiron.powervm.network.vif_events import mac_text

LOG = logging.getLogger(__name__)

_PARALLEL = 8
_FEW = 8
_STATES = frozenset({"PartitionState", "RMCState", "ResourceMonitoringControlState", "NVRAM", "ReferenceCode"})
"""Details of events that tell of no change of a partition's adapters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A partition (uuid in upper case) with the locations of the adapters that its sample has."""

    partition: str
    ethernets: frozenset[str]
    ports: frozenset[str] = frozenset()
    """Logical ports that carry its vNICs' frames."""


@dataclass(frozen=True, slots=True)
class _Known:
    etag: str
    wanted: Wanted
    macs: Mapping[str, str]


class AdapterNames:
    """MACs by location for the partitions that were asked for."""

    def __init__(self, adapter: Adapter, complaints: Complaints) -> None:
        self._adapter = adapter
        self._complaints = complaints
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._changes: dict[str, int] = {}
        self._lost = 0
        self._suspect = False
        self._ports: dict[str, str] = {}
        """Locations of the logical ports of VIOSes, by uuid."""
        self._ports_missing = False
        """Whether those of a VIOS could not be read."""

    def on_event(self, event: RestEvent) -> None:
        """Forget the adapters of a partition that has changed; after lost events, look which ones have."""
        with self._lock:
            if event.type in LOST:
                self._suspect = True
                self._lost += 1
                return
            parts = event.data.split("?", 1)[0].rstrip("/").split("/")
            words = {word.strip() for word in event.detail.split(",") if word.strip()}
            if LPAR.schema_type not in parts[:-1] or (words and words <= _STATES):
                return
            uuid = parts[parts.index(LPAR.schema_type) + 1].upper()
            self._known.pop(uuid, None)
            self._changes[uuid] = self._changes.get(uuid, 0) + 1

    def of(
        self, wanted: Collection[Wanted], vioses: Iterable[str], existing: Collection[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """MACs by location, by partition; of what could not be read, nothing.

        `vioses` are the uuids of those whose logical ports may have to be read, `existing` those of all partitions.
        """
        with self._lock:
            suspect, lost = self._suspect, self._lost
            stale = [one for one in wanted if not self._holds(one)]
        # By the etags it is known, after events were lost, what need not be read again.
        etags = self._etags() if suspect or len(stale) > _FEW else {}
        if suspect and etags:
            self._verify(etags, lost)
            with self._lock:
                stale = [one for one in wanted if not self._holds(one)]
        if any(one.ports - set(self._ports.values()) for one in stale):
            self._read_ports(vioses)
        if stale:
            with ThreadPoolExecutor(min(_PARALLEL, len(stale)), thread_name_prefix="adapter names") as pool:
                found = pool.map(lambda one: self._read(one, etags.get(one.partition, "")), stale)
                troubles = [one for one in found if one is not None]
            until = "What goes through them is left out until then."
            self._complaints.judge("adapters", troubles, until, "Network adapters can be read again")
        with self._lock:
            for uuid in (self._known.keys() | self._changes.keys()) - set(existing):
                self._known.pop(uuid, None)
                self._changes.pop(uuid, None)
            return {one.partition: self._known[one.partition].macs for one in wanted if one.partition in self._known}

    def _verify(self, etags: Mapping[str, str], lost: int) -> None:
        """Forget what has changed, or may have; `lost` is how often events had been lost when the etags were read."""
        with self._lock:
            for uuid, known in list(self._known.items()):
                if not known.etag or etags.get(uuid) != known.etag:
                    del self._known[uuid]
            if self._lost == lost:
                self._suspect = False

    def _holds(self, wanted: Wanted) -> bool:
        """Whether what is known covers it; adapters that have gone do no harm."""
        known = self._known.get(wanted.partition)
        return known is not None and known.wanted.ethernets >= wanted.ethernets and known.wanted.ports >= wanted.ports

    def _etags(self) -> Mapping[str, str]:
        try:
            with translated("Reading the partitions"):
                found = {one.uuid.upper(): str(one.etag) for one in LPAR.get(self._adapter)}
        except PlatformError as error:
            self._complaints.tell("partitions", f"Network adapters are not looked for again: {error.message}")
            return {}
        self._complaints.well("partitions", "The partitions can be read again")
        return found

    def _read(self, wanted: Wanted, etag: str) -> str | None:
        """Returns what went wrong."""
        with self._lock:
            changes = self._changes.get(wanted.partition, 0)
        try:
            macs = self._ethernets(wanted.partition) if wanted.ethernets else {}
            if wanted.ports:
                macs |= self._vnics(wanted.partition)
        except PlatformError as error:
            return error.message
        missing = (wanted.ethernets | wanted.ports) - set(macs)
        if missing:
            LOG.debug("Partition %s has no adapter in %s any more", wanted.partition, ", ".join(sorted(missing)))
        with self._lock:
            # A change that was told of meanwhile may not be in what was read.
            if self._changes.get(wanted.partition, 0) == changes:
                held = replace(wanted, ports=wanted.ports & set(macs)) if self._ports_missing else wanted
                self._known[wanted.partition] = _Known(etag, held, macs)
        return None

    def _ethernets(self, partition: str) -> dict[str, str]:
        with translated(f"Reading the network adapters of partition {partition}"):
            try:
                feed = CNA.get(self._adapter, parent_type=LPAR, parent_uuid=partition)
            except pvm.HttpNotFound:
                return {}
        return {str(one.loc_code): mac for one in feed if (mac := mac_text(one.mac or ""))}

    def _vnics(self, partition: str) -> dict[str, str]:
        with translated(f"Reading the vNICs of partition {partition}"):
            try:
                feed = VNIC.get(self._adapter, parent_type=LPAR, parent_uuid=partition)
            except pvm.HttpNotFound:
                return {}
        found = {}
        for vnic in feed:
            for backing in vnic.back_devs:
                uuid = str(backing.lport_href or "").split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1].lower()
                if uuid in self._ports and (mac := mac_text(vnic.mac or "")):
                    found[self._ports[uuid]] = mac
        return found

    def _read_ports(self, vioses: Iterable[str]) -> None:
        """Where the logical ports of the VIOSes are, in one request for each VIOS."""
        found: dict[str, str] = {}
        troubles = []
        for vios in vioses:
            try:
                with translated(f"Reading the logical ports of VIOS {vios}"):
                    feed = SRIOVEthLPort.get(self._adapter, parent_type=VIOS, parent_uuid=vios)
            except PlatformError as error:
                troubles.append(error.message)
                continue
            found.update({port.uuid.lower(): str(port.loc_code) for port in feed})
        until = "What goes through its vNICs is left out until then."
        self._complaints.judge("ports", troubles, until, "The logical ports of VIOSes can be read again")
        self._ports_missing = bool(troubles)
        # Those of a VIOS that does not answer are where they were.
        self._ports = self._ports | found if troubles else found
