"""Virtual SCSI mappings as XML, in the document of a VIOS and as the VirtualSCSIBus type."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import backing, slots
from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.mappings import Wanted
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources import markup, storage_parts
from bigiron.sim.powervm.resources.markup import Link, Rows, typed


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends of a virtual SCSI pair, with what the adapters' elements say."""

    vios: Vios
    server: ServerAdapter
    device: str | None = None
    """The name of the backing device of the mapping at hand."""


CLIENT: Rows = (
    ("AdapterType", "Client"),
    ("DynamicReconfigurationConnectorName", lambda w, p: _client_location(w, p)),
    ("LocationCode", lambda w, p: _client_location(w, p)),
    ("LocalPartitionID", lambda w, p: p.server.client_id),
    ("RequiredAdapter", False),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, p: p.server.client_slot),
    ("RemoteLogicalPartitionID", lambda w, p: p.vios.id),
    ("RemoteSlotNumber", lambda w, p: p.server.slot),
    ("ServerLocationCode", lambda w, p: slots.location(w, p.vios.id, p.server.slot)),
)
SERVER: Rows = (
    ("AdapterType", "Server"),
    ("DynamicReconfigurationConnectorName", lambda w, p: slots.location(w, p.vios.id, p.server.slot)),
    ("LocationCode", lambda w, p: slots.location(w, p.vios.id, p.server.slot)),
    ("LocalPartitionID", lambda w, p: p.vios.id),
    ("RequiredAdapter", False),
    ("VariedOn", True),
    ("VirtualSlotNumber", lambda w, p: p.server.slot),
    ("AdapterName", lambda w, p: p.server.name),
    ("BackingDeviceName", lambda w, p: p.device),
    ("RemoteLogicalPartitionID", lambda w, p: p.server.client_id),
    ("RemoteSlotNumber", lambda w, p: p.server.client_slot),
    ("ServerLocationCode", lambda w, p: _client_location(w, p)),
    ("UniqueDeviceID", lambda w, p: p.server.udid),
)
ENDS: Rows = (
    ("AssociatedLogicalPartition", lambda w, p: client_link(w, p.server)),
    ("ClientAdapter", lambda w, p: markup.nested(CLIENT, w, p) if p.server.client else None),
    ("ServerAdapter", SERVER),
)


def _client_location(world: World, pair: Pair) -> str:
    return slots.location(world, pair.server.client_id, pair.server.client_slot)


def client_link(world: World, server: ServerAdapter) -> Link | None:
    """The partition at the other end."""
    if server.client is None:
        return None
    found = world.partition(server.client)
    kind = found.KIND if found is not None else Lpar.KIND
    return Link(world.href(ManagedSystem.KIND, world.system.uuid, kind, server.client))


def mapping_elements(world: World, vios: Vios) -> list[etree._Element]:
    """One element for each target, and one for each adapter without targets."""
    stock = storage_parts.catalogue(world, vios)
    found = []
    for server in vios.servers:
        targets: list[Target | None] = [*server.targets] or [None]
        found += [_mapping(world, vios, server, target, stock) for target in targets]
    return found


def _mapping(
    world: World, vios: Vios, server: ServerAdapter, target: Target | None, stock: storage_parts.Catalogue
) -> etree._Element:
    known = stock.get((target.kind, target.key)) if target else None
    element = typed("VirtualSCSIMapping", ENDS, world, Pair(vios, server, backing.name_of(known[0]) if known else None))
    if target is not None:
        append_target(world, vios, target, stock, element)
    return element


def append_target(
    world: World, vios: Vios, target: Target, stock: storage_parts.Catalogue, element: etree._Element
) -> None:
    """Add the <Storage> and <TargetDevice> of a target."""
    storage = storage_parts.storage(world, vios, target, stock)
    if storage is not None:
        element.append(storage)
    element.append(storage_parts.target_device(world, target))


def bus_mappings(world: World, vios: Vios, server: ServerAdapter) -> list[etree._Element]:
    """The targets of one adapter, for the AssociatedMappings of a VirtualSCSIBus."""
    stock = storage_parts.catalogue(world, vios)
    found = []
    for target in server.targets:
        element = typed("VirtualSCSIStorageAndTargetDevice", (), world, target)
        append_target(world, vios, target, stock, element)
        found.append(element)
    return found


def first_device(world: World, vios: Vios, server: ServerAdapter) -> str | None:
    """The name of the first backing device of an adapter."""
    stock = storage_parts.catalogue(world, vios)
    return next((backing.name_of(stock[t.kind, t.key][0]) for t in server.targets if (t.kind, t.key) in stock), None)


# -- reading what clients send ---------------------------------------------------------------------------------

_KEYS = {
    backing.UNIT: ("UniqueDeviceID", "UnitName"),
    backing.DISK: ("UniqueDeviceID", "DiskName"),
    backing.MEDIA: ("MediaUDID", "MediaName"),
    backing.VOLUME: ("UniqueDeviceID", "VolumeName"),
}


def read_mapping(vios: Vios, element: etree._Element) -> Wanted:
    """A mapping of a client's list."""
    server = markup.child(element, "ServerAdapter")
    client = markup.child(element, "ClientAdapter")
    kind, key, label, tag = _read_storage(vios, markup.child(element, "Storage"))
    device = markup.only_child(markup.child(element, "TargetDevice"))
    return Wanted(
        client=markup.uuid_of(markup.child(element, "AssociatedLogicalPartition")),
        server_slot=markup.number(server, "VirtualSlotNumber"),
        client_slot=markup.number(client, "VirtualSlotNumber"),
        kind=kind,
        key=key,
        label=label,
        lua=markup.text(device, "LogicalUnitAddress"),
        target_name=markup.text(device, "TargetName"),
        tag=tag,
    )


def _read_storage(vios: Vios, element: etree._Element | None) -> tuple[str, str | None, str, str | None]:
    """(kind, key, what the client called it, tag) of a <Storage>; the key is None for an empty drive."""
    item = markup.only_child(element)
    if item is None:
        return backing.EMPTY, None, "", None
    kind = markup.kind_of(item)
    if kind not in _KEYS:
        raise BadRequest(f"Storage of type {kind} cannot be mapped. Use one of: {', '.join(_KEYS)}.")
    udid_name, name_name = _KEYS[kind]
    name = markup.text(item, name_name) or ""
    key = markup.text(item, udid_name) or _key_by_name(vios, kind, name)
    return kind, key or f"(no udid){name}", name or key or "", markup.text(item, "Tag")


def _key_by_name(vios: Vios, kind: str, name: str) -> str | None:
    """Clients may name local storage without its udid."""
    if kind == backing.MEDIA:
        found = [m for g in vios.groups if g.repository for m in g.repository.media]
        return next((m.udid for m in found if m.name == name), None)
    if kind == backing.DISK:
        return next((d.udid for g in vios.groups for d in g.disks if d.name == name), None)
    if kind == backing.VOLUME:
        return next((v.udid for v in vios.volumes if v.name == name), None)
    return None
