"""Reads the client network adapters of a system: which partition has which MAC on which VLAN of which switch.

The REST service lists adapters by partition only, so a first reading costs one request for each. A partition's own
document names its adapters, so its etag, which the partitions' feed carries, says whether to read them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.base_partition import LPARState
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.errors import NotFound
from bigiron.powervm.errors import translated
from bigiron.powervm.events import LOST, RestEvent
from bigiron.powervm.network import macs
from bigiron.powervm.network.vif_events import mac_text

_PARALLEL = 8
_OFF = (LPARState.NOT_ACTIVATED, LPARState.ERROR)


@dataclass(frozen=True, slots=True)
class ClientAdapter:
    """One client adapter: its partition's uuid (upper case), MAC, switch number, the VLANs it uses, those tagged, which
    other MACs its guest may use (a value of macs), and whether its partition is on.
    """

    partition: str
    mac: str
    vswitch: int
    vlans: frozenset[int]
    tagged: frozenset[int] = frozenset()
    allowed: str = macs.ALL
    on: bool = True


@dataclass(frozen=True, slots=True)
class _Kept:
    etag: str
    adapters: tuple[ClientAdapter, ...]


class ClientAdapters:
    """What adapters there are, kept between readings."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._kept: dict[str, _Kept] = {}

    def of(self, partitions: Collection[str]) -> list[ClientAdapter]:
        """The adapters of those of the partitions (by uuid, upper case) that exist."""
        return self._read(LPAR, self._feed(LPAR), partitions)

    def all(self) -> list[ClientAdapter]:
        """The client adapters of every partition, VIOSes included; trunk adapters are no clients."""
        found = []
        for kind in (LPAR, VIOS):
            feed = self._feed(kind)
            found += self._read(kind, feed, feed)
        return found

    def set_tagged(self, adapter: ClientAdapter, vlans: frozenset[int]) -> None:
        """Let an LPAR's adapter carry these VLANs tagged, and no others; the VLAN of its own stays."""

        def edit(found: CNA) -> None:
            found.tagged_vlans = sorted(vlans)
            found.is_tagged_vlan_supported = True

        self._change(adapter, "tagged VLANs", edit)

    def set_allowed(self, adapter: ClientAdapter, allowed: str) -> None:
        """Let an LPAR's guest use these MACs on an adapter beside the adapter's own; only while it is off."""
        # pypowervm knows the element's place and has no name for it.
        self._change(adapter, "allowed MACs", lambda found: found.set_parm_value(macs.ELEMENT, macs.to_wire(allowed)))

    def _change(self, adapter: ClientAdapter, what: str, edit: Callable[[CNA], None]) -> None:
        doing = f"Setting the {what} of network adapter {adapter.mac} of partition {adapter.partition}"
        self._kept.pop(adapter.partition, None)
        with translated(doing):
            feed = CNA.get(self._adapter, parent_type=LPAR, parent_uuid=adapter.partition)
            found = next((one for one in feed if mac_text(one.mac or "") == adapter.mac), None)
            if found is None:
                raise NotFound(f"{doing} failed: there is no such adapter any more.")
            edit(found)
            found.update(timeout=self._adapter.session.timeout)

    def on_event(self, event: RestEvent) -> None:
        """Forget what somebody has changed."""
        if event.type in LOST:
            self._kept.clear()
            return
        parts = event.data.split("?", 1)[0].rstrip("/").upper().split("/")
        for kind in (LPAR, VIOS):
            name = kind.schema_type.upper()
            if name in parts[:-1]:
                self._kept.pop(parts[parts.index(name) + 1], None)

    def _feed(self, kind: type[Any]) -> dict[str, Any]:
        with translated(f"Reading the partitions ({kind.schema_type})"):
            return {partition.uuid.upper(): partition for partition in kind.get(self._adapter)}

    def _read(self, kind: type[Any], feed: Mapping[str, Any], wanted: Iterable[str]) -> list[ClientAdapter]:
        etags = {uuid: str(partition.etag) for uuid, partition in feed.items()}
        kept = {uuid: self._kept.get(uuid) for uuid in wanted if uuid in etags}
        known = {uuid: old.adapters for uuid, old in kept.items() if old is not None and old.etag == etags[uuid]}
        stale = [uuid for uuid in kept if uuid not in known]
        if stale:
            with ThreadPoolExecutor(min(_PARALLEL, len(stale)), thread_name_prefix="client adapters") as pool:
                for uuid, adapters in zip(stale, pool.map(lambda uuid: self._adapters(kind, uuid), stale), strict=True):
                    self._kept[uuid] = _Kept(etags[uuid], adapters)
                    known[uuid] = adapters
        return [replace(one, on=feed[uuid].state not in _OFF) for uuid, adapters in known.items() for one in adapters]

    def _adapters(self, kind: type[Any], uuid: str) -> tuple[ClientAdapter, ...]:
        with translated(f"Reading the network adapters of partition {uuid}"):
            try:
                feed = CNA.get(self._adapter, parent_type=kind, parent_uuid=uuid)
            except pvm.HttpNotFound:
                # Deleted since the feed was read.
                return ()
        return tuple(
            ClientAdapter(
                uuid,
                mac_text(cna.mac or ""),
                cna.vswitch_id,
                frozenset({cna.pvid, *cna.tagged_vlans}),
                frozenset(cna.tagged_vlans),
                macs.from_wire(cna._get_val_str(macs.ELEMENT)),
            )
            for cna in feed
            if not cna.is_trunk
        )
