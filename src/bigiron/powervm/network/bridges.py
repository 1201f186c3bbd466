"""Reads the network bridges of a system and applies planned changes to them, through pypowervm.

Resource: ManagedSystem/<uuid>/NetworkBridge. On NovaLink the trunk adapters inside a bridge are what one changes; all
changes of a bridge that can go together are one update of it. For an HMC see load_groups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pypowervm.adapter import Adapter
from pypowervm.const import XAG
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.network import SEA, NetBridge, TrunkAdapter, VNet, VSwitch
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.errors import NotFound
from bigiron.powervm.errors import translated
from bigiron.powervm.network.trunks import (
    AddTrunk,
    AddVlan,
    Bridge,
    Op,
    RemoveTrunk,
    RemoveVlan,
    Renumber,
    SharedAdapter,
    Trunk,
)

LOG = logging.getLogger(__name__)

_O = TypeVar("_O")


class BridgeDocuments:
    """The bridges of one system, as values to plan with and as the documents to change."""

    def __init__(self, adapter: Adapter, system_uuid: str) -> None:
        self._adapter = adapter
        self._parent = {"parent_type": System, "parent_uuid": system_uuid}
        self._documents: dict[str, NetBridge] = {}
        self._vios_names: Mapping[str, str] = {}
        self._switches: Mapping[int, VSwitch] = {}

    def read(self) -> tuple[Bridge, ...]:
        """Every bridge as it is now, in one request; what `apply` changes is this reading."""
        with translated("Reading the network bridges"):
            feed = NetBridge.get(self._adapter, **self._parent)
        self._documents = {document.uuid: document for document in feed if _seas(document)}
        return self.known()

    def known(self) -> tuple[Bridge, ...]:
        """The bridges as last read, with what `apply` has changed since: the platform's answers to its updates."""
        return tuple(self._bridge(document) for document in self._documents.values())

    def read_orphans(self) -> dict[int, dict[int, str]]:
        """By virtual switch and VLAN, the trunk adapters of VIOSes outside any bridge: they clash with a bridge's.

        One request for all VIOSes, from which their names for messages are kept too.
        """
        with translated("Reading the trunk adapters of the VIOSes"):
            feed = VIOS.get(self._adapter, xag=[XAG.VIO_NET])
        self._vios_names = {vios.uuid.upper(): str(vios.name) for vios in feed}
        found: dict[int, dict[int, str]] = {}
        for vios in feed:
            bridged = {_slot(trunk) for sea in vios.seas for trunk in (sea.primary_adpt, *sea.addl_adpts) if trunk}
            for trunk in vios.trunk_adapters:
                if _slot(trunk) in bridged or any(sea.contains_device(trunk.dev_name) for sea in vios.seas):
                    continue
                for vlan in (trunk.pvid, *trunk.tagged_vlans):
                    found.setdefault(trunk.vswitch_id, {})[vlan] = f"{trunk.dev_name} of VIOS {vios.name}"
        return found

    def vlans_in_use(self) -> dict[int, frozenset[int]]:
        """By virtual switch, every VLAN that some adapter takes part in, in one request."""
        with translated("Reading the virtual networks"):
            feed = VNet.get(self._adapter, **self._parent)
        found: dict[int, set[int]] = {}
        for network in feed:
            found.setdefault(network.vswitch_id, set()).add(network.vlan)
        return {switch: frozenset(vlans) for switch, vlans in found.items()}

    def switch_names(self) -> dict[int, str]:
        """The virtual switches' names by number, in one request; a new trunk needs its switch's address too."""
        with translated("Reading the virtual switches"):
            self._switches = {switch.switch_id: switch for switch in VSwitch.get(self._adapter, **self._parent)}
        return {number: str(switch.name) for number, switch in self._switches.items()}

    def apply(self, ops: Sequence[Op]) -> int:
        """Apply the operations in order, in as few updates as the platform allows; returns how many it took.

        A number that a renumbering frees is free only once that update is done, and so is a VLAN taken off another
        bridge; all else of one bridge goes together. Raises Stale where a bridge has changed since it was read, and
        whatever the platform refuses; updates before that have taken effect.
        """
        updates = 0
        for batch in _batches(ops):
            document = self._document(batch[0].bridge)
            for op in batch:
                self._edit(document, op)
            self._write(document)
            updates += 1
        return updates

    def _document(self, uuid: str) -> NetBridge:
        document = self._documents.get(uuid)
        if document is None:
            raise NotFound(f"Network bridge {uuid} is not on this system any more.")
        return document

    def _write(self, document: NetBridge) -> None:
        with translated(f"Updating {self._bridge(document).names()}"):
            self._documents[document.uuid] = document.update(timeout=self._adapter.session.timeout)

    def _switch(self, number: int) -> VSwitch:
        if number not in self._switches:
            self.switch_names()
        return self._switches[number]

    def _edit(self, document: NetBridge, op: Op) -> None:
        if not isinstance(op, AddTrunk):
            _EDITS[type(op)](document, op)
            return
        _add_trunk(document, op, self._switch(_seas(document)[0].primary_adpt.vswitch_id))

    def _bridge(self, document: NetBridge) -> Bridge:
        seas = _seas(document)
        adapters = tuple(self._shared_adapter(sea) for sea in seas)
        return Bridge(document.uuid, seas[0].primary_adpt.vswitch_id, bool(document.load_balance), adapters)

    def _shared_adapter(self, sea: SEA) -> SharedAdapter:
        vios = str(sea.vio_uri or "").rstrip("/").rpartition("/")[2].upper()
        return SharedAdapter(
            str(sea.dev_name),
            self._vios_names.get(vios, vios),
            _trunk(sea.primary_adpt),
            tuple(map(_trunk, sea.addl_adpts)),
            # pypowervm reads the element and has no name for it.
            bool(sea._get_val_bool("JumboFramesEnabled", False)),
        )


def _seas(document: NetBridge) -> list[SEA]:
    """The adapters that can carry VLANs: one whose VIOS is down may be listed without its trunks."""
    return [sea for sea in document.seas if sea.primary_adpt is not None]


def _trunk(wrapper: TrunkAdapter) -> Trunk:
    return Trunk(wrapper.pvid, frozenset(wrapper.tagged_vlans))


def _slot(wrapper: TrunkAdapter) -> Any:
    # The device name is unknown while the VIOS's RMC connection is down, and then the same for all.
    return wrapper.virtual_slot_number or wrapper.dev_name


def _batches(ops: Iterable[Op]) -> list[list[Op]]:
    batches: list[list[Op]] = []
    for op in ops:
        last = batches[-1][-1] if batches else None
        if last is None or last.bridge != op.bridge or (isinstance(last, Renumber) and not isinstance(op, Renumber)):
            batches.append([])
        batches[-1].append(op)
    return batches


def _trunks(document: NetBridge, pvid: int) -> list[TrunkAdapter]:
    return [trunk for sea in _seas(document) for trunk in sea.addl_adpts if trunk.pvid == pvid]


def _add_trunk(document: NetBridge, op: AddTrunk, switch: VSwitch) -> None:
    for sea in _seas(document):
        if all(trunk.pvid != op.pvid for trunk in sea.addl_adpts):
            priority = sea.primary_adpt.trunk_pri
            sea.addl_adpts.append(TrunkAdapter.bld(sea.adapter, op.pvid, [], switch, trunk_pri=priority))


def _add_vlan(document: NetBridge, op: AddVlan) -> None:
    for trunk in _trunks(document, op.pvid):
        if op.vlan not in trunk.tagged_vlans:
            trunk.tagged_vlans = sorted([*trunk.tagged_vlans, op.vlan])
            trunk.has_tag_support = True


def _remove_vlan(document: NetBridge, op: RemoveVlan) -> None:
    for sea in _seas(document):
        for trunk in sea.addl_adpts:
            if op.vlan in trunk.tagged_vlans:
                trunk.tagged_vlans = [vlan for vlan in trunk.tagged_vlans if vlan != op.vlan]


def _remove_trunk(document: NetBridge, op: RemoveTrunk) -> None:
    for sea in _seas(document):
        sea.addl_adpts = [trunk for trunk in sea.addl_adpts if trunk.pvid != op.pvid]


def _renumber(document: NetBridge, op: Renumber) -> None:
    for trunk in _trunks(document, op.old):
        trunk.pvid = op.new


_EDITS: dict[type, Callable[[NetBridge, Any], None]] = {
    AddVlan: _add_vlan,
    RemoveVlan: _remove_vlan,
    RemoveTrunk: _remove_trunk,
    Renumber: _renumber,
}
