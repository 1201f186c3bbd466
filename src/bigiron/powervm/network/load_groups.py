"""Applies planned changes to the network bridges of a system that an HMC manages, as load groups of virtual networks.

Resources: NetworkBridge and VirtualNetwork under ManagedSystem/<uuid>. An HMC's clients do not touch trunk adapters: a
load group stands for the trunks of one PVID, and lists the virtual networks whose VLANs they carry. A virtual network
has to exist before, untagged for a PVID and tagged for a VLAN. A load group's PVID cannot be changed, nor does a VLAN
move from one to another within one update.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pypowervm.wrappers.network import LoadGroup, NetBridge, VNet, VSwitch

from bigiron.errors import Conflict, NotFound, PlatformError, Unavailable
from bigiron.powervm.errors import translated
from bigiron.powervm.network.bridges import BridgeDocuments
from bigiron.powervm.network.trunks import AddTrunk, AddVlan, Op, RemoveTrunk, RemoveVlan, Renumber

LOG = logging.getLogger(__name__)

_RESTORE_TRIES = 3


class LoadGroupDocuments(BridgeDocuments):
    """The bridges as BridgeDocuments has them, changed the HMC's way; reading is the same."""

    def apply(self, ops: Sequence[Op]) -> int:
        """Apply the operations in order; returns how many updates of bridges it took, and raises as the other does.

        The virtual networks are read once more each time: on an HMC others make and delete them.
        """
        self._networks = _Networks(self._adapter, self._parent, self._switch)
        updates = 0
        for batch in batches(ops):
            if isinstance(batch[0], Renumber):
                updates += self._renumber(batch[0])
            else:
                self._update(batch)
                updates += 1
        return updates

    def _update(self, batch: Sequence[Op]) -> None:
        document = self._document(batch[0].bridge)
        number = self._bridge(document).vswitch
        for op in batch:
            _EDITS[type(op)](document, op, lambda vlan, tagged: self._networks.href(number, vlan, tagged))
        self._write(document)
        for op in batch:
            if isinstance(op, RemoveTrunk):
                self._networks.drop_placeholder(number, op.pvid)

    def _renumber(self, op: Renumber) -> int:
        """Delete the group and make it again with the other PVID; returns the updates that took.

        What it carried must not stay away because of a lost answer or of somebody else's change in between.
        """
        (trunk,) = (t for t in self._bridge(self._document(op.bridge)).additional() if t.pvid == op.old)
        try:
            self._update([RemoveTrunk(op.bridge, op.old)])
        except PlatformError:
            self.read()
            if op.old in self._bridge(self._document(op.bridge)).placeholders():
                raise
        again: list[Op] = [AddTrunk(op.bridge, op.new), *(AddVlan(op.bridge, op.new, v) for v in sorted(trunk.vlans))]
        for tried in range(1, _RESTORE_TRIES + 1):
            try:
                self._update(again)
            except PlatformError as error:
                self.read()
                if trunk.vlans <= self._bridge(self._document(op.bridge)).added_vlans():
                    break
                if tried == _RESTORE_TRIES:
                    raise Unavailable(
                        f"{self._bridge(self._document(op.bridge)).names()} lost VLANs "
                        f"{', '.join(map(str, sorted(trunk.vlans)))} while the PVID {op.old} of their trunk was freed, "
                        f"and the next comparison is to bring them back: {error.message}"
                    ) from error
            else:
                break
        return 2


def batches(ops: Iterable[Op]) -> list[list[Op]]:
    """The operations that can go together: those of one bridge, where none adds what one before it has removed."""
    found: list[list[Op]] = []
    for op in ops:
        last = found[-1][-1] if found else None
        alone = isinstance(op, Renumber) or isinstance(last, Renumber)
        adds_after_removal = isinstance(last, RemoveTrunk | RemoveVlan) and isinstance(op, AddTrunk | AddVlan)
        if last is None or alone or last.bridge != op.bridge or adds_after_removal:
            found.append([])
        found[-1].append(op)
    return found


class _Networks:
    """The virtual networks as read once, with those made since."""

    def __init__(self, adapter: Any, parent: Mapping[str, Any], switch: Callable[[int], VSwitch]) -> None:
        self._adapter = adapter
        self._parent = parent
        self._switch = switch
        self._load()

    def href(self, number: int, vlan: int, tagged: bool) -> str:
        """The address of the VLAN's network on the switch of that number, made where there is none of that kind."""
        found = self._known.get((number, vlan))
        if found is not None and bool(found.tagged) != tagged:
            self._delete(found)
            found = None
        return str((found or self._made(number, vlan, tagged)).related_href)

    def drop_placeholder(self, number: int, pvid: int) -> None:
        """Delete the network of a PVID that no trunk has any more: no client is on it, and it would keep the number."""
        found = self._known.get((number, pvid))
        if found is None or found.tagged:
            return
        try:
            self._delete(found)
        except PlatformError as error:
            LOG.warning("A virtual network that nothing needs is left: %s", error)

    def _load(self) -> None:
        with translated("Reading the virtual networks"):
            feed = VNet.get(self._adapter, **self._parent)
        self._known = {(network.vswitch_id, network.vlan): network for network in feed}

    def _made(self, number: int, vlan: int, tagged: bool) -> VNet:
        switch = self._switch(number)
        network = VNet.bld(self._adapter, f"{switch.name}-{vlan}", vlan, switch.related_href, tagged)
        try:
            with translated(f"Creating virtual network {vlan} of switch {switch.name}"):
                made = network.create(**self._parent)
        except Conflict:
            # A client adapter has brought it into being meanwhile.
            self._load()
            if (number, vlan) not in self._known:
                raise
            return self._known[number, vlan]
        self._known[number, vlan] = made
        return made

    def _delete(self, network: VNet) -> None:
        self._known.pop((network.vswitch_id, network.vlan), None)
        try:
            with translated(f"Deleting virtual network {network.name}"):
                self._adapter.delete_by_href(network.related_href)
        except NotFound:
            LOG.debug("Virtual network %s was gone already", network.name)


_Href = Callable[[int, bool], str]


def _same(one: str, other: str) -> bool:
    """Whether two addresses are of one object: an HMC is known by several names."""
    return one.rstrip("/").rpartition("/")[2].lower() == other.rstrip("/").rpartition("/")[2].lower()


def _group(document: NetBridge, pvid: int) -> LoadGroup | None:
    return next((group for group in document.load_grps[1:] if group.pvid == pvid), None)


def _add_trunk(document: NetBridge, op: AddTrunk, href: _Href) -> None:
    if _group(document, op.pvid) is None:
        document.load_grps.append(LoadGroup.bld(document.adapter, op.pvid, [href(op.pvid, False)]))


def _add_vlan(document: NetBridge, op: AddVlan, href: _Href) -> None:
    group = _group(document, op.pvid)
    network = href(op.vlan, True)
    if group is not None and not any(_same(network, uri) for uri in group.vnet_uri_list):
        group.vnet_uri_list.append(network)


def _remove_vlan(document: NetBridge, op: RemoveVlan, href: _Href) -> None:
    network = href(op.vlan, True)
    for group in document.load_grps[1:]:
        left = [uri for uri in group.vnet_uri_list if not _same(network, uri)]
        if len(left) < len(group.vnet_uri_list):
            group.vnet_uri_list = left


def _remove_trunk(document: NetBridge, op: RemoveTrunk, href: _Href) -> None:
    document.load_grps = [group for group in document.load_grps if group.pvid != op.pvid]


_EDITS: dict[type, Callable[[NetBridge, Any, _Href], None]] = {
    AddTrunk: _add_trunk,
    AddVlan: _add_vlan,
    RemoveVlan: _remove_vlan,
    RemoveTrunk: _remove_trunk,
}


def bridge_documents(adapter: Any, system_uuid: str) -> BridgeDocuments:
    """The bridges of a system, changed the way that its REST service wants it."""
    kind = LoadGroupDocuments if adapter.traits.vnet_aware else BridgeDocuments
    return kind(adapter, system_uuid)
