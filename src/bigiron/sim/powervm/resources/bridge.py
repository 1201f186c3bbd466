"""NetworkBridge: SEAs with their trunk adapters, and the load groups that pair them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import bridges
from bigiron.sim.powervm.model.network import NetworkBridge, VirtualEthernet
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource, Update
from bigiron.sim.powervm.resources import ethernet_parts, markup
from bigiron.sim.powervm.resources.markup import Holder, Links, Rows, typed


@dataclass(frozen=True, slots=True)
class _Group:
    """The trunks of all SEAs that have the same PVID."""

    bridge: NetworkBridge
    trunks: tuple[tuple[int, VirtualEthernet], ...]
    """Each with the id of its VIOS."""

    @property
    def first(self) -> VirtualEthernet:
        return self.trunks[0][1]


def _groups(world: World, bridge: NetworkBridge) -> list[_Group]:
    found: dict[int, list[tuple[int, VirtualEthernet]]] = {}
    for sea in bridge.seas:
        for trunk in sea.trunks:
            found.setdefault(trunk.pvid, []).append((world.vios(sea.vios).id, trunk))
    return [_Group(bridge, tuple(trunks)) for trunks in found.values()]


def _group_networks(world: World, group: _Group) -> Links:
    """A primary group lists its PVID's network, any other one its tagged VLANs' and, for an HMC, its PVID's."""
    vlans = group.first.vlans
    if group.first.pvid != group.bridge.pvid and not world.vnet_aware:
        vlans = set(group.first.tagged)
    return Links(ethernet_parts.network_hrefs(world, group.bridge.switch_id, vlans))


_GROUP: Rows = (
    ("PortVLANID", lambda w, g: g.first.pvid),
    (
        "TrunkAdapters",
        lambda w, g: Holder(
            [typed("TrunkAdapter", ethernet_parts.TRUNK, w, ethernet_parts.Placed(t, owner)) for owner, t in g.trunks]
        ),
    ),
    ("VirtualNetworks", _group_networks),
)
_BRIDGE: Rows = (
    ("ControlChannelID", lambda w, b: b.control_channel_id),
    ("FailoverEnabled", lambda w, b: b.failover),
    ("LoadBalancingEnabled", lambda w, b: b.load_balancing),
    ("LoadGroups", lambda w, b: Holder([typed("LoadGroup", _GROUP, w, g) for g in _groups(w, b)])),
    ("PortVLANID", lambda w, b: b.pvid),
    ("SharedEthernetAdapters", lambda w, b: Holder(ethernet_parts.seas(w, b.seas))),
    ("UniqueDeviceID", lambda w, b: b.udid),
    (
        "VirtualNetworks",
        lambda w, b: Links(ethernet_parts.network_hrefs(w, b.switch_id, {v for s in b.seas for v in s.vlans})),
    ),
)


class NetworkBridges(Resource):
    """Network bridges, under the managed system.

    NovaLink's clients change the trunk adapters of the SEAs, an HMC's clients the load groups.
    """

    type = "NetworkBridge"
    parents = frozenset({"ManagedSystem"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.bridges)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _BRIDGE, world, obj)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        balancing = markup.flag(body.element, "LoadBalancingEnabled")
        if world.vnet_aware:
            bridges.apply_groups(world, obj, _read_groups(world, obj, body.element))
        else:
            bridges.apply_trunks(world, obj, _read_seas(body.element))
        if balancing is not None:
            obj.load_balancing = balancing
        return obj


def _read_seas(element: etree._Element) -> dict[str, list[bridges.TrunkSpec]]:
    found: dict[str, list[bridges.TrunkSpec]] = {}
    for sea in markup.children(markup.child(element, "SharedEthernetAdapters"), "SharedEthernetAdapter"):
        vios = markup.uuid_of(markup.child(sea, "AssignedVirtualIOServer"))
        if vios is None:
            raise BadRequest("A SharedEthernetAdapter needs AssignedVirtualIOServer.")
        specs = [_read_trunk(t) for t in markup.children(markup.child(sea, "TrunkAdapters"), "TrunkAdapter")]
        found[vios.upper()] = specs
    return found


def _read_trunk(element: etree._Element) -> bridges.TrunkSpec:
    pvid = markup.number(element, "PortVLANID")
    if pvid is None:
        raise BadRequest("A TrunkAdapter needs PortVLANID.")
    tagged = (markup.text(element, "TaggedVLANIDs") or "").split()
    if not all(vlan.isdigit() for vlan in tagged):
        raise BadRequest(f"TaggedVLANIDs must be numbers, not {' '.join(tagged)!r}.")
    return bridges.TrunkSpec(
        slot=markup.number(element, "VirtualSlotNumber"),
        pvid=pvid,
        tagged=tuple(map(int, tagged)),
        priority=markup.number(element, "TrunkPriority"),
    )


def _read_groups(world: World, bridge: NetworkBridge, element: etree._Element) -> list[tuple[int, tuple[int, ...]]]:
    by_uuid = {n.uuid.lower(): n for n in world.state.networks}
    found: list[tuple[int, tuple[int, ...]]] = []
    for group in markup.children(markup.child(element, "LoadGroups"), "LoadGroup"):
        pvid = markup.number(group, "PortVLANID")
        if pvid is None:
            raise BadRequest("A LoadGroup needs PortVLANID.")
        tagged = []
        own = any(pvid == trunk.pvid for sea in bridge.seas for trunk in sea.trunks)
        for link in markup.children(markup.child(group, "VirtualNetworks"), "link"):
            network = by_uuid.get((link.get("href") or "").rsplit("/", 1)[-1].lower())
            if network is None or network.switch_id != bridge.switch_id:
                raise BadRequest(f"{link.get('href')} is no virtual network of the bridge's switch.")
            if network.vlan == pvid:
                own = own or not network.tagged
            elif network.tagged:
                tagged.append(network.vlan)
            else:
                raise BadRequest(f"Virtual network {network.name} is untagged: only a load group's PVID can be.")
        if not own:
            raise BadRequest(f"A new load group needs an untagged virtual network of its PVID {pvid}.")
        found.append((pvid, tuple(tagged)))
    return found
