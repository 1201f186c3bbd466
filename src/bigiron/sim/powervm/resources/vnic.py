"""VirtualNICDedicated: the vNICs of partitions; SRIOVEthernetLogicalPort: the logical ports that back them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import slots, vnics
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.sriov import BackingDevice, LogicalPort, PhysicalPort, SriovAdapter, VirtualNic
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource, Update
from bigiron.sim.powervm.resources import markup
from bigiron.sim.powervm.resources.markup import Grouped, Holder, Link, Rows, typed
from bigiron.sim.powervm.resources.sriov_parts import percent

ADVANCED = "Advanced"


@dataclass(frozen=True, slots=True)
class Placed:
    """A vNIC in its partition. It counts no changes, for the state of a link or a VIOS shows in it."""

    vnic: VirtualNic
    lpar: Lpar

    @property
    def uuid(self) -> str:
        return self.vnic.uuid


@dataclass(frozen=True, slots=True)
class _Backing:
    device: BackingDevice
    vnic: VirtualNic
    logical: LogicalPort | None


def _logical_href(world: World, backing: _Backing) -> Link | None:
    if backing.logical is None:
        return None
    return Link(world.href(Vios.KIND, backing.device.vios, LogicalPort.KIND, backing.logical.uuid))


_BACKING: Rows = (
    ("DeviceType", "SRIOV"),
    (
        "AssociatedVirtualIOServer",
        lambda w, b: Link(w.href(ManagedSystem.KIND, w.system.uuid, Vios.KIND, b.device.vios)),
    ),
    ("IsActive", lambda w, b: vnics.active(w, b.vnic) is b.device),
    ("Status", lambda w, b: vnics.status(w, b.device)),
    ("FailOverPriority", lambda w, b: b.device.priority),
    ("RelatedSRIOVAdapterID", lambda w, b: b.device.adapter),
    ("CurrentCapacityPercentage", lambda w, b: percent(b.logical.capacity) if b.logical else None),
    ("MaxCapacityPercentage", lambda w, b: percent(b.logical.max_capacity) if b.logical else None),
    ("RelatedSRIOVPhysicalPortID", lambda w, b: b.device.port),
    ("RelatedSRIOVLogicalPort", _logical_href),
    ("DesiredCapacityPercentage", lambda w, b: percent(b.logical.capacity) if b.logical else None),
    ("DesiredMaxCapacityPercentage", lambda w, b: percent(b.logical.max_capacity) if b.logical else None),
)


def _backing(world: World, placed: Placed) -> Holder:
    choices = []
    for device in placed.vnic.backing:
        choice = markup.bare("VirtualNICBackingDeviceChoice")
        row = _Backing(device, placed.vnic, vnics.logical_port(world, device))
        choice.append(typed("VirtualNICSRIOVBackingDevice", _BACKING, world, row))
        choices.append(choice)
    return Holder(choices)


def _capacity(world: World, placed: Placed) -> str | None:
    logical = vnics.logical_port(world, vnics.active(world, placed.vnic))
    return percent(logical.capacity) if logical else None


_ADDRESS: Rows = tuple((name, lambda w, p: Grouped("", ADVANCED)) for name in ("IPAddress", "SubnetMask", "Gateway"))
_DETAILS: Rows = (
    ("PortVLANID", lambda w, p: p.vnic.pvid),
    ("PortVLANIDPriority", lambda w, p: p.vnic.pvid_priority),
    ("AllowedVLANIDs", lambda w, p: p.vnic.allowed_vlans),
    ("MACAddress", lambda w, p: p.vnic.mac),
    *_ADDRESS,
    ("AllowedOperatingSystemMACAddresses", lambda w, p: p.vnic.allowed_macs),
    ("OSDeviceName", "unavailable"),
    ("DesiredMode", "DEDICATED"),
    ("DesiredCapacityPercentage", _capacity),
    ("AutoFailBack", lambda w, p: p.vnic.auto_failback),
)
_BARE_DETAILS: Rows = tuple(row for row in _DETAILS if row not in _ADDRESS)


def _vnic(details: Rows) -> Rows:
    return (
        (
            "DynamicReconfigurationConnectorName",
            lambda w, p: slots.location(w, p.lpar.id, p.vnic.slot),
        ),
        ("LocationCode", lambda w, p: slots.location(w, p.lpar.id, p.vnic.slot)),
        ("LocalPartitionID", lambda w, p: p.lpar.id),
        ("RequiredAdapter", False),
        ("VariedOn", True),
        ("VirtualSlotNumber", lambda w, p: p.vnic.slot),
        ("Enabled", True),
        ("Details", details),
        ("AssociatedBackingDevices", _backing),
    )


_VNIC = _vnic(_BARE_DETAILS)
_VNIC_ADVANCED = _vnic(_DETAILS)


class VirtualNics(Resource):
    """vNICs, under their partition; a client makes and deletes them and does not change them."""

    type = "VirtualNICDedicated"
    parents = frozenset({"LogicalPartition"})
    groups = frozenset({ADVANCED})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [Placed(vnic, parent) for vnic in parent.vnics]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        rows = _VNIC_ADVANCED if ADVANCED in groups else _VNIC
        return markup.fill(markup.root(self.type, obj.uuid), rows, world, obj)

    def create(self, world: World, parent: Any, body: Update) -> Any:
        return Placed(vnics.create(world, parent, _read(body.element)), parent)

    def delete(self, world: World, parent: Any, obj: Any) -> None:
        vnics.delete(world, parent, obj.vnic)


def _read(element: etree._Element) -> vnics.VnicSpec:
    details = markup.child(element, "Details")
    allowed = (markup.text(details, "AllowedOperatingSystemMACAddresses") or "ALL").upper()
    high = markup.flag(element, "UseNextAvailableHighSlotID")
    return vnics.VnicSpec(
        backing=tuple(_read_backing(one) for one in _devices(element)),
        mac=markup.text(details, "MACAddress"),
        pvid=markup.number(details, "PortVLANID") or 0,
        pvid_priority=markup.number(details, "PortVLANIDPriority") or 0,
        allowed_vlans=(markup.text(details, "AllowedVLANIDs") or "ALL").upper(),
        allowed_macs=allowed,
        auto_failback=bool(markup.flag(details, "AutoFailBack")),
        slot=markup.number(element, "VirtualSlotNumber"),
        high_slot=bool(high),
    )


def _devices(element: etree._Element) -> Iterable[etree._Element]:
    for choice in markup.children(markup.child(element, "AssociatedBackingDevices"), "VirtualNICBackingDeviceChoice"):
        yield from markup.children(choice, "VirtualNICSRIOVBackingDevice")


def _read_backing(element: etree._Element) -> vnics.BackingSpec:
    vios = markup.uuid_of(markup.child(element, "AssociatedVirtualIOServer"))
    adapter = markup.number(element, "RelatedSRIOVAdapterID")
    port = markup.number(element, "RelatedSRIOVPhysicalPortID")
    if vios is None or adapter is None or port is None:
        raise BadRequest(
            "VirtualNICSRIOVBackingDevice needs AssociatedVirtualIOServer, RelatedSRIOVAdapterID and "
            "RelatedSRIOVPhysicalPortID."
        )
    return vnics.BackingSpec(
        vios=vios,
        adapter=adapter,
        port=port,
        capacity=_read_percent(element, "CurrentCapacityPercentage"),
        max_capacity=_read_percent(element, "MaxCapacityPercentage"),
        priority=markup.number(element, "FailOverPriority"),
    )


def _read_percent(element: etree._Element, name: str) -> float | None:
    text = markup.text(element, name)
    if text is None:
        return None
    try:
        return float(text.rstrip("%"))
    except ValueError:
        raise BadRequest(f"{name} must be a percentage such as 2.0%, not {text!r}.") from None


@dataclass(frozen=True, slots=True)
class _Located:
    adapter: SriovAdapter
    port: PhysicalPort
    logical: LogicalPort

    @property
    def uuid(self) -> str:
        return self.logical.uuid


_LOGICAL: Rows = (
    ("ConfigurationID", 0),
    ("LogicalPortID", lambda w, p: p.logical.id),
    ("AdapterID", lambda w, p: p.adapter.id),
    ("DynamicReconfigurationConnectorName", lambda w, p: f"PHB {p.logical.id & 0xFFFF}"),
    ("IsFunctional", True),
    ("IsPromiscous", False),
    ("IsDiagnostic", False),
    ("IsHugeDMA", False),
    ("DeviceName", "unavailable"),
    ("ConfiguredCapacity", lambda w, p: percent(p.logical.capacity)),
    ("ConfiguredMaxCapacity", lambda w, p: percent(p.logical.max_capacity)),
    ("PhysicalPortID", lambda w, p: p.port.id),
    ("PortVLANID", lambda w, p: p.logical.pvid),
    ("LocationCode", lambda w, p: f"{p.port.location}-S{p.logical.id & 0xFF}"),
    ("TuningBufferID", 0),
    ("VNICPortUsage", "DEDICATED_VNIC"),
    ("AllowedMACAddresses", "NONE"),
    ("MACAddress", lambda w, p: p.logical.mac),
    ("CurrentMACAddress", lambda w, p: p.logical.mac),
    ("IEEE8021QAllowablePriorities", 0),
    ("IEEE8021QPriority", 0),
    ("NumberOfAllowedVLANs", 0),
    ("AllowedVLANs", "NONE"),
)


class LogicalPorts(Resource):
    """Logical ports of partitions: here those of VIOSes, which back vNICs."""

    type = "SRIOVEthernetLogicalPort"
    parents = frozenset({"LogicalPartition", "VirtualIOServer"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [
            _Located(adapter, port, logical)
            for adapter, port, logical in vnics.logical_ports(world)
            if logical.vios == parent.uuid
        ]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _LOGICAL, world, obj)
