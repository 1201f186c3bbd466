"""Reads the client network adapters of a system: which partition has which MAC on which VLAN of which switch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.base_partition import LPARState
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.errors import NotFound
from bigiron.powervm.errors import translated
from bigiron.powervm.events import RestEvent
from bigiron.powervm.network import macs
from bigiron.powervm.network.kept import KeptByPartition
from bigiron.powervm.network.vif_events import mac_text

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


class ClientAdapters:
    """What adapters there are, kept between readings."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._kept = {kind: KeptByPartition(adapter, kind, partial(self._adapters, kind)) for kind in (LPAR, VIOS)}

    def of(self, partitions: Collection[str]) -> list[ClientAdapter]:
        """The adapters of those of the partitions (by uuid, upper case) that exist."""
        return self._of(LPAR, partitions)

    def all(self) -> list[ClientAdapter]:
        """The client adapters of every partition, VIOSes included; trunk adapters are no clients."""
        return [adapter for kind in self._kept for adapter in self._of(kind)]

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
        self._kept[LPAR].forget(adapter.partition)
        with translated(doing):
            feed = CNA.get(self._adapter, parent_type=LPAR, parent_uuid=adapter.partition)
            found = next((one for one in feed if mac_text(one.mac or "") == adapter.mac), None)
            if found is None:
                raise NotFound(f"{doing} failed: there is no such adapter any more.")
            edit(found)
            found.update(timeout=self._adapter.session.timeout)

    def on_event(self, event: RestEvent) -> None:
        """Forget what somebody has changed."""
        for kept in self._kept.values():
            kept.on_event(event)

    def _of(self, kind: type[Any], partitions: Collection[str] | None = None) -> list[ClientAdapter]:
        feed = self._kept[kind].feed()
        found = self._kept[kind].of(feed, feed if partitions is None else partitions)
        return [replace(one, on=feed[uuid].state not in _OFF) for uuid, adapters in found.items() for one in adapters]

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
