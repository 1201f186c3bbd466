"""Virtual Fibre Channel mappings and physical ports as XML."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from bigiron.sim.powervm.model import fibre, slots
from bigiron.sim.powervm.model.mapping import FibreMapping, FibrePort
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources import markup
from bigiron.sim.powervm.resources.markup import Holder, Link, Rows, typed


@dataclass(frozen=True, slots=True)
class Channel:
    """A mapping with its VIOS."""

    vios: Vios
    mapping: FibreMapping

    @property
    def port(self) -> FibrePort | None:
        return next((p for p in fibre.ports(self.vios) if p.name == self.mapping.port), None)


_PORT_HEAD: Rows = (
    ("LocationCode", lambda w, p: p.location),
    ("PortName", lambda w, p: p.name),
    ("UniqueDeviceID", lambda w, p: f"1a{p.location}"),
    ("WWPN", lambda w, p: p.wwpn),
)


def _port_rows(vios: Vios | None) -> Rows:
    return (
        *_PORT_HEAD,
        ("AvailablePorts", lambda w, p: p.npiv_total - (fibre.ports_used(vios, p.name) if vios else 0)),
        ("TotalPorts", lambda w, p: p.npiv_total),
    )


def port(world: World, found: FibrePort) -> etree._Element:
    """A physical port, for the profile's slots."""
    vios = next((v for v in world.vioses if found in fibre.ports(v)), None)
    return typed("PhysicalFibreChannelPort", _port_rows(vios), world, found)


def _port_holder(world: World, channel: Channel) -> Holder | None:
    found = channel.port
    return markup.nested(_port_rows(channel.vios), world, found) if found is not None else None


def _client_location(world: World, channel: Channel) -> str:
    return slots.location(world, channel.mapping.client_id, channel.mapping.client_slot)


CLIENT: Rows = (
    ("AdapterType", "Client"),
    ("DynamicReconfigurationConnectorName", _client_location),
    ("LocationCode", _client_location),
    ("LocalPartitionID", lambda w, c: c.mapping.client_id),
    ("RequiredAdapter", False),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, c: c.mapping.client_slot),
    ("ConnectingPartitionID", lambda w, c: c.vios.id),
    ("ConnectingVirtualSlotNumber", lambda w, c: c.mapping.slot),
    ("WWPNs", lambda w, c: " ".join(c.mapping.wwpns)),
)
SERVER: Rows = (
    ("AdapterType", "Server"),
    ("DynamicReconfigurationConnectorName", lambda w, c: slots.location(w, c.vios.id, c.mapping.slot)),
    ("LocationCode", lambda w, c: slots.location(w, c.vios.id, c.mapping.slot)),
    ("LocalPartitionID", lambda w, c: c.vios.id),
    ("RequiredAdapter", False),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, c: c.mapping.slot),
    ("AdapterName", lambda w, c: c.mapping.name),
    ("ConnectingPartitionID", lambda w, c: c.mapping.client_id),
    ("ConnectingVirtualSlotNumber", lambda w, c: c.mapping.client_slot),
    ("UniqueDeviceID", lambda w, c: c.mapping.udid),
    ("MapPort", lambda w, c: c.mapping.port),
    ("PhysicalPort", _port_holder),
)
_MAPPING: Rows = (
    ("AssociatedLogicalPartition", lambda w, c: _client_link(w, c)),
    ("ClientAdapter", lambda w, c: markup.nested(CLIENT, w, c) if c.mapping.client else None),
    ("Port", _port_holder),
    ("ServerAdapter", SERVER),
)


def _client_link(world: World, channel: Channel) -> Link | None:
    client = channel.mapping.client
    return Link(world.href(ManagedSystem.KIND, world.system.uuid, Lpar.KIND, client)) if client else None


def mapping_elements(world: World, vios: Vios) -> list[etree._Element]:
    """The virtual Fibre Channel mappings of a VIOS."""
    return [typed("VirtualFibreChannelMapping", _MAPPING, world, Channel(vios, m)) for m in vios.fibre]


def read_mapping(element: etree._Element) -> fibre.Wanted:
    """A mapping of a client's list."""
    client, server = markup.child(element, "ClientAdapter"), markup.child(element, "ServerAdapter")
    return fibre.Wanted(
        client=markup.uuid_of(markup.child(element, "AssociatedLogicalPartition")),
        server_slot=markup.number(server, "VirtualSlotNumber"),
        client_slot=markup.number(client, "VirtualSlotNumber"),
        port=markup.text(element, "Port", "PortName"),
        wwpns=tuple((markup.text(client, "WWPNs") or "").split()),
    )
