"""Virtual Ethernet as it appears inside other documents: trunk adapters and SEAs."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from bigiron.sim.powervm.model import slots
from bigiron.sim.powervm.model.network import SharedEthernet, VirtualEthernet, VirtualSwitch
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources.markup import Choice, Holder, Link, Links, Rows, typed


@dataclass(frozen=True, slots=True)
class Placed:
    """An adapter with the partition that it is in."""

    adapter: VirtualEthernet
    partition_id: int


def switch_href(world: World, switch_id: int) -> str:
    """The address of a switch."""
    return world.href(ManagedSystem.KIND, world.system.uuid, VirtualSwitch.KIND, world.switch(switch_id).uuid)


def network_hrefs(world: World, switch_id: int, vlans: set[int]) -> list[str]:
    """The addresses of the virtual networks of these VLANs."""
    return [
        world.href(ManagedSystem.KIND, world.system.uuid, n.KIND, n.uuid)
        for n in world.state.networks
        if n.switch_id == switch_id and n.vlan in vlans
    ]


TRUNK: Rows = (
    ("DynamicReconfigurationConnectorName", lambda w, p: slots.location(w, p.partition_id, p.adapter.slot)),
    ("LocationCode", lambda w, p: slots.location(w, p.partition_id, p.adapter.slot)),
    ("LocalPartitionID", lambda w, p: p.partition_id),
    ("RequiredAdapter", lambda w, p: p.adapter.required),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, p: p.adapter.slot),
    ("AllowedOperatingSystemMACAddresses", lambda w, p: p.adapter.allowed_macs),
    ("MACAddress", lambda w, p: p.adapter.mac),
    ("PortVLANID", lambda w, p: p.adapter.pvid),
    ("QualityOfServicePriorityEnabled", lambda w, p: p.adapter.qos is not None),
    ("TaggedVLANIDs", lambda w, p: " ".join(map(str, p.adapter.tagged)) or None),
    ("TaggedVLANSupported", lambda w, p: p.adapter.tagged_supported),
    ("AssociatedVirtualSwitch", lambda w, p: Links([switch_href(w, p.adapter.switch_id)])),
    ("VirtualSwitchID", lambda w, p: p.adapter.switch_id),
    ("DeviceName", lambda w, p: p.adapter.device),
    ("TrunkPriority", lambda w, p: p.adapter.trunk_priority),
)
_INTERFACE: Rows = (
    ("InterfaceName", lambda w, s: f"en{s.device.removeprefix('ent')}"),
    ("IPAddress", lambda w, s: s.address),
    ("SubnetMask", lambda w, s: "255.255.255.0" if s.address else None),
    ("State", lambda w, s: "Active" if s.address else "Inactive"),
)
PORT: Rows = (
    ("AdapterID", 1),
    ("Description", "4-Port Gigabit Ethernet PCI-Express Adapter (e414571614102004)"),
    ("DeviceName", lambda w, p: p.name),
    ("DeviceType", "physicalEthernetAdpter"),
    ("DynamicReconfigurationConnectorName", lambda w, p: p.location),
    ("PhysicalLocation", lambda w, p: p.location),
    ("UniqueDeviceID", lambda w, p: f"13{p.location}"),
)
_PORT_INTERFACE: Rows = (
    ("InterfaceName", lambda w, p: f"en{p.name.removeprefix('ent')}"),
    ("IPAddress", lambda w, p: p.address),
    ("SubnetMask", lambda w, p: "255.255.255.0" if p.address else None),
    ("State", lambda w, p: "Active" if p.address else "Inactive"),
)
PORT_WITH_INTERFACE: Rows = (*PORT, ("IPInterface", _PORT_INTERFACE))
_SEA: Rows = (
    ("AssignedVirtualIOServer", lambda w, s: Link(w.href(ManagedSystem.KIND, w.system.uuid, Vios.KIND, s.vios))),
    ("ControlChannelInterfaceName", lambda w, s: s.control_channel),
    ("BackingDeviceChoice", lambda w, s: Choice(_backing(w, s))),
    ("HighAvailabilityMode", lambda w, s: s.ha_mode),
    ("DeviceName", lambda w, s: s.device),
    ("JumboFramesEnabled", lambda w, s: s.jumbo),
    ("PortVLANID", lambda w, s: s.pvid),
    ("QualityOfServiceMode", "disabled"),
    ("QueueSize", 8192),
    ("ThreadModeEnabled", True),
    ("TrunkAdapters", lambda w, s: Holder(trunks(w, w.vios(s.vios).id, s.trunks))),
    ("IsPrimary", lambda w, s: s.primary),
    ("IPInterface", _INTERFACE),
    ("UniqueDeviceID", lambda w, s: s.udid),
    ("LargeSend", lambda w, s: s.large_send),
    ("ConfigurationState", "Configured"),
)


def _backing(world: World, sea: SharedEthernet) -> etree._Element:
    port = next(p for p in world.vios(sea.vios).ethernet if p.name == sea.backing)
    return typed("EthernetBackingDevice", PORT_WITH_INTERFACE, world, port)


def trunks(world: World, partition_id: int, found: list[VirtualEthernet]) -> list[etree._Element]:
    """Trunk adapters of a VIOS, for a <TrunkAdapters>."""
    return [typed("TrunkAdapter", TRUNK, world, Placed(t, partition_id)) for t in found]


def seas(world: World, found: list[SharedEthernet]) -> list[etree._Element]:
    """SEAs, for a <SharedEthernetAdapters>."""
    return [typed("SharedEthernetAdapter", _SEA, world, sea) for sea in found]
