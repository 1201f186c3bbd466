"""VirtualSwitch, VirtualNetwork and ClientNetworkAdapter."""

from __future__ import annotations

from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest, Conflict
from bigiron.sim.powervm.model import adapters, networks, slots
from bigiron.sim.powervm.model.network import VirtualEthernet, VirtualNetwork, VirtualSwitch
from bigiron.sim.powervm.model.partition import Partition
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource, Update
from bigiron.sim.powervm.resources import ethernet_parts, markup
from bigiron.sim.powervm.resources.markup import Link, Links, Rows

_SWITCH: Rows = (
    ("SwitchID", lambda w, s: s.id),
    ("SwitchMode", lambda w, s: s.mode),
    ("SwitchName", lambda w, s: f"{s.name}(Default)" if s.id == 0 else s.name),
    (
        "VirtualNetworks",
        lambda w, s: Links(
            ethernet_parts.network_hrefs(w, s.id, {n.vlan for n in w.state.networks if n.switch_id == s.id})
        ),
    ),
)
_NETWORK: Rows = (
    ("AssociatedSwitch", lambda w, n: Link(ethernet_parts.switch_href(w, n.switch_id))),
    ("NetworkName", lambda w, n: n.name),
    ("NetworkVLANID", lambda w, n: n.vlan),
    ("VswitchID", lambda w, n: n.switch_id),
    ("TaggedNetwork", lambda w, n: n.tagged),
)
_ADAPTER: Rows = (
    ("DynamicReconfigurationConnectorName", lambda w, p: slots.location(w, p.partition_id, p.adapter.slot)),
    ("LocationCode", lambda w, p: slots.location(w, p.partition_id, p.adapter.slot)),
    ("LocalPartitionID", lambda w, p: p.partition_id),
    ("RequiredAdapter", lambda w, p: p.adapter.required),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, p: p.adapter.slot),
    ("Enabled", True),
    ("AllowedOperatingSystemMACAddresses", lambda w, p: p.adapter.allowed_macs),
    ("MACAddress", lambda w, p: p.adapter.mac),
    ("PortVLANID", lambda w, p: p.adapter.pvid),
    ("QualityOfServicePriority", lambda w, p: p.adapter.qos),
    ("QualityOfServicePriorityEnabled", lambda w, p: p.adapter.qos is not None),
    ("TaggedVLANIDs", lambda w, p: " ".join(map(str, p.adapter.tagged)) or None),
    ("TaggedVLANSupported", lambda w, p: p.adapter.tagged_supported),
    ("AssociatedVirtualSwitch", lambda w, p: Links([ethernet_parts.switch_href(w, p.adapter.switch_id)])),
    ("VirtualSwitchID", lambda w, p: p.adapter.switch_id),
    ("DeviceName", lambda w, p: p.adapter.device),
    ("TrunkPriority", lambda w, p: p.adapter.trunk_priority),
    ("ConfiguredMTU", lambda w, p: p.adapter.configured_mtu),
    ("OvsBridge", lambda w, p: p.adapter.ovs_bridge),
    ("OvsPortExternalIds", lambda w, p: p.adapter.ovs_external_ids),
    ("VirtualNetworks", lambda w, p: Links(ethernet_parts.network_hrefs(w, p.adapter.switch_id, p.adapter.vlans))),
)


class VirtualSwitches(Resource):
    """Virtual switches, under the managed system."""

    type = "VirtualSwitch"
    parents = frozenset({"ManagedSystem"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.switches)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _SWITCH, world, obj)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        name = markup.needed(body.element, "SwitchName")
        if any(s.name == name for s in world.state.switches):
            raise Conflict(f"A virtual switch named {name} already exists.")
        taken = {s.id for s in world.state.switches}
        switch = VirtualSwitch(
            uuid=world.new_uuid(self.type),
            id=next(n for n in range(len(taken) + 1) if n not in taken),
            name=name,
            mode=markup.text(body.element, "SwitchMode") or "Veb",
        )
        world.state.switches.append(switch)
        world.added(switch, world.system)
        return switch

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        if any(switch_id == obj.id for switch_id, _ in networks.in_use(world)):
            raise BadRequest(f"Virtual switch {obj.name} has adapters on it. Remove them first.")
        world.state.networks = [n for n in world.state.networks if n.switch_id != obj.id]
        world.state.switches.remove(obj)
        world.removed(obj, world.system)


class VirtualNetworks(Resource):
    """Virtual networks, under the managed system: one for each VLAN of a switch that is in use."""

    type = "VirtualNetwork"
    parents = frozenset({"ManagedSystem"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.networks)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _NETWORK, world, obj)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        switch = read_switch(world, body.element, "AssociatedSwitch")
        vlan = markup.number(body.element, "NetworkVLANID")
        if vlan is None or vlan not in networks.VLANS:
            raise BadRequest(f"NetworkVLANID must be within 1..4094, not {vlan}.")
        if networks.find(world, switch.id, vlan) is not None:
            raise Conflict(f"Switch {switch.name} already has a virtual network for VLAN {vlan}.")
        network = VirtualNetwork(
            uuid=world.new_uuid(self.type),
            name=markup.needed(body.element, "NetworkName"),
            vlan=vlan,
            switch_id=switch.id,
            tagged=markup.flag(body.element, "TaggedNetwork") is not False,
            explicit=True,
        )
        world.state.networks.append(network)
        world.added(network, world.system)
        world.touch(switch)
        return network

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        trunk = next((t for v in world.vioses for t in slots.trunks_of(world, v)
                      if t.switch_id == obj.switch_id and obj.vlan in t.vlans), None)  # fmt: skip
        if trunk is not None:
            raise BadRequest(f"Virtual network {obj.name} is in use by trunk adapter {trunk.device}.")
        world.state.networks.remove(obj)
        world.removed(obj, world.system)
        world.touch(world.switch(obj.switch_id))
        networks.sync(world)


class ClientNetworkAdapters(Resource):
    """Virtual Ethernet adapters, under their partition."""

    type = "ClientNetworkAdapter"
    parents = frozenset({"LogicalPartition", "VirtualIOServer"})
    groups = frozenset({"Advanced"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(parent.adapters)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        owner = next(p for p in world.partitions if obj in p.adapters)
        placed = ethernet_parts.Placed(obj, owner.id)
        return markup.fill(markup.root(self.type, obj.uuid), _ADAPTER, world, placed)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        return adapters.create(world, parent, _read_adapter(world, parent, body.element, None))

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        adapters.update(world, parent, obj, _read_adapter(world, parent, body.element, obj))
        return obj

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        adapters.delete(world, parent, obj)


def read_switch(world: World, element: etree._Element, name: str) -> VirtualSwitch:
    """The switch that an element's link names; raises BadRequest."""
    uuid = markup.uuid_of(markup.child(element, name))
    found = next((s for s in world.state.switches if uuid and s.uuid.lower() == uuid.lower()), None)
    if found is None:
        raise BadRequest(f"{name} must link to a virtual switch; {uuid or 'none'} is not one.")
    return found


def _read_adapter(
    world: World, partition: Partition, element: etree._Element, before: VirtualEthernet | None
) -> adapters.AdapterSpec:
    if markup.child(element, "AssociatedVirtualSwitch") is not None:
        switch_id = read_switch(world, element, "AssociatedVirtualSwitch").id
    elif before is not None:
        switch_id = before.switch_id
    else:
        raise BadRequest(f"A new adapter of {partition.name} needs an AssociatedVirtualSwitch.")
    pvid = markup.number(element, "PortVLANID")
    tagged = (markup.text(element, "TaggedVLANIDs") or "").split()
    if not all(vlan.isdigit() for vlan in tagged):
        raise BadRequest(f"TaggedVLANIDs must be numbers, not {' '.join(tagged)!r}.")
    # Of other partitions than the management partition these are ignored.
    device = {
        "device": markup.text(element, "DeviceName"),
        "ovs_bridge": markup.text(element, "OvsBridge"),
        "ovs_external_ids": markup.text(element, "OvsPortExternalIds"),
        "configured_mtu": markup.number(element, "ConfiguredMTU"),
    }
    extras = {
        **(device if partition.management else {}),
        "allowed_macs": markup.text(element, "AllowedOperatingSystemMACAddresses"),
        "required": markup.flag(element, "RequiredAdapter"),
        "qos": markup.number(element, "QualityOfServicePriority"),
    }
    return adapters.AdapterSpec(
        switch_id=switch_id,
        pvid=pvid if pvid is not None else (before.pvid if before else 1),
        tagged=tuple(map(int, tagged)),
        tagged_supported=markup.flag(element, "TaggedVLANSupported"),
        slot=markup.number(element, "VirtualSlotNumber") if before is None else None,
        high_slot=bool(markup.flag(element, "UseNextAvailableHighSlotID")),
        mac=markup.text(element, "MACAddress"),
        trunk_priority=markup.number(element, "TrunkPriority"),
        extras={name: value for name, value in extras.items() if value is not None},
    )
