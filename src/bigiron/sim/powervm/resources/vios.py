"""VirtualIOServer: its document with the sections of the extended groups, and what a POST of them does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from bigiron.sim.powervm.model import fibre, lpars, mappings, slots
from bigiron.sim.powervm.model.mapping import FibreAdapter
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.reach import need_vios
from bigiron.sim.powervm.model.storage import VolumeGroup
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, Resource, Update
from bigiron.sim.powervm.resources import (
    ethernet_parts,
    fibre_parts,
    markup,
    partition_parts,
    scsi_parts,
    storage_parts,
    vios_jobs,
    volume_group,
)
from bigiron.sim.powervm.resources.markup import Choice, Holder, Links, Rows, typed
from bigiron.sim.powervm.resources.power_jobs import POWER_JOBS

STORAGE, SCSI, FIBRE, NETWORK = "ViosStorage", "ViosSCSIMapping", "ViosFCMapping", "ViosNetwork"

_FIBRE_CARD: Rows = (
    ("AdapterID", lambda w, a: a.drc_index),
    ("Description", "8 Gigabit PCI Express Dual Port Fibre Channel Adapter"),
    ("DeviceName", lambda w, a: a.location),
    ("DynamicReconfigurationConnectorName", lambda w, a: a.location),
    ("PhysicalLocation", lambda w, a: a.location.rsplit("-", 1)[-1]),
    ("UniqueDeviceID", 61696),
    ("PhysicalFibreChannelPorts", lambda w, a: Holder([fibre_parts.port(w, p) for p in a.ports])),
)
_SLOT: Rows = (
    ("BusGroupingRequired", False),
    ("Description", "8 Gigabit PCI Express Dual Port Fibre Channel Adapter"),
    ("FeatureCodes", 5735),
    ("IOUnitPhysicalLocation", lambda w, a: a.location.split("-")[0]),
    ("PCAdapterID", 61696),
    ("PCIClass", 3076),
    ("PCIDeviceID", 61696),
    ("PCISubsystemDeviceID", 906),
    ("PCIManufacturerID", 4319),
    ("PCIRevisionID", 3),
    ("PCIVendorID", 4319),
    ("PCISubsystemVendorID", 4116),
    ("RelatedIOAdapter", lambda w, a: Choice(typed("PhysicalFibreChannelAdapter", _FIBRE_CARD, w, a))),
    ("SlotDynamicReconfigurationConnectorIndex", lambda w, a: a.drc_index),
    ("SlotDynamicReconfigurationConnectorName", lambda w, a: a.location),
    ("SlotPhysicalLocationCode", lambda w, a: a.location.rsplit("-", 1)[-1]),
)
_PROFILE_SLOT: Rows = (("AssociatedIOSlot", _SLOT), ("IsRequired", False))
_ETHERNET_CARD: Rows = (
    ("AdapterID", 553910285),
    ("Description", "1 Gigabit Ethernet (UTP) 4 Port Adapter PCIE-4x/Short"),
    ("DeviceName", lambda w, v: _card_location(v)),
    ("DynamicReconfigurationConnectorName", lambda w, v: _card_location(v)),
    ("PhysicalLocation", lambda w, v: _card_location(v).rsplit("-", 1)[-1]),
    ("UniqueDeviceID", 5719),
)
_ETHERNET_SLOT: Rows = (
    ("BusGroupingRequired", False),
    ("Description", "1 Gigabit Ethernet (UTP) 4 Port Adapter PCIE-4x/Short"),
    ("FeatureCodes", 5899),
    ("IOUnitPhysicalLocation", lambda w, v: _card_location(v).split("-")[0]),
    ("PCAdapterID", 5719),
    ("PCIClass", 512),
    ("PCIDeviceID", 5719),
    ("PCISubsystemDeviceID", 1056),
    ("PCIManufacturerID", 5348),
    ("PCIRevisionID", 1),
    ("PCIVendorID", 5348),
    ("PCISubsystemVendorID", 4116),
    ("RelatedIOAdapter", lambda w, v: Choice(typed("IOAdapter", _ETHERNET_CARD, w, v))),
    ("SlotDynamicReconfigurationConnectorIndex", 553910285),
    ("SlotDynamicReconfigurationConnectorName", lambda w, v: _card_location(v)),
    ("SlotPhysicalLocationCode", lambda w, v: _card_location(v).rsplit("-", 1)[-1]),
)
_ETHERNET_PROFILE_SLOT: Rows = (("AssociatedIOSlot", _ETHERNET_SLOT), ("IsRequired", False))


def _card_location(vios: Vios) -> str:
    return vios.ethernet[0].location.rsplit("-", 1)[0]


def _io_slots(world: World, vios: Any) -> list[etree._Element]:
    found = [typed("ProfileIOSlot", _ETHERNET_PROFILE_SLOT, world, vios)] if vios.ethernet else []
    cards: list[FibreAdapter] = vios.fibre_cards
    return found + [typed("ProfileIOSlot", _PROFILE_SLOT, world, card) for card in cards]


def _repositories(world: World, vios: Vios) -> Holder:
    return Holder([volume_group.repository(world, g.repository) for g in vios.groups if g.repository], STORAGE)


def _pools(world: World, vios: Vios) -> Links:
    return Links([world.href(Vios.KIND, vios.uuid, VolumeGroup.KIND, g.uuid) for g in vios.groups], STORAGE)


def _mapped(world: World, vios: Vios) -> Holder:
    return Holder(scsi_parts.mapping_elements(world, vios), SCSI)


def _free_ports(world: World, vios: Vios, name: str, group: str | None) -> Holder:
    taken = {sea.backing for sea in slots.seas_of(world, vios)}
    rows = ethernet_parts.PORT_WITH_INTERFACE if name == "EthernetBackingDevice" else ethernet_parts.PORT
    choices = []
    for port in vios.ethernet:
        if port.name not in taken:
            choice = markup.bare("IOAdapterChoice")
            choice.append(typed(name, rows, world, port))
            choices.append(choice)
    return Holder(choices, group)


_OWN: tuple[tuple[str, Any, str], ...] = (
    ("APICapable", True, ""),
    ("ManagerPassthroughCapable", True, ""),
    ("IsVNICCapable", True, ""),
    ("VNICFailOverCapable", True, ""),
    ("MediaRepositories", _repositories, STORAGE),
    ("MoverServicePartition", lambda w, v: v.mover, ""),
    ("PhysicalVolumes", lambda w, v: Holder(storage_parts.volumes(w, v.volumes), STORAGE), STORAGE),
    (
        "SharedEthernetAdapters",
        lambda w, v: Holder(ethernet_parts.seas(w, slots.seas_of(w, v)), NETWORK),
        NETWORK,
    ),
    ("StoragePools", _pools, STORAGE),
    (
        "TrunkAdapters",
        lambda w, v: Holder(ethernet_parts.trunks(w, v.id, slots.trunks_of(w, v)), NETWORK),
        NETWORK,
    ),
    ("VirtualIOServerLicenseAccepted", True, ""),
    ("VirtualFibreChannelMappings", lambda w, v: Holder(fibre_parts.mapping_elements(w, v), FIBRE), FIBRE),
    ("VirtualSCSIMappings", _mapped, SCSI),
    ("FreeIOAdaptersForLinkAggregation", lambda w, v: _free_ports(w, v, "IOAdapter", NETWORK), NETWORK),
    ("FreeEthenetBackingDevicesForSEA", lambda w, v: _free_ports(w, v, "EthernetBackingDevice", NETWORK), NETWORK),
)


class VirtualIOServer(Resource):
    """Virtual I/O Servers, at the root and under the managed system."""

    type = "VirtualIOServer"
    parents = frozenset({"", "ManagedSystem"})
    groups = frozenset({STORAGE, SCSI, FIBRE, NETWORK})
    searches = {"PartitionName": lambda v: v.name, "PartitionID": lambda v: str(v.id)}
    jobs: Mapping[str, JobHandler] = {**POWER_JOBS, **vios_jobs.JOBS}

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.vioses)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def find(self, world: World, parent: Any, uuid: str) -> Any | None:
        found = world.partition(uuid)
        return found if isinstance(found, Vios) else None

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        own = [(name, getter) for name, getter, group in _OWN if not group or group in groups]
        rows = [*partition_parts.common_rows(_io_slots), *own]
        return markup.fill(markup.root(self.type, obj.uuid), rows, world, obj)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        """Only the sections of the groups named count: a document holds empty lists for the others."""
        need_vios(obj)
        if not body.groups & self.groups:
            _update_partition(world, obj, body.element)
        reserve, commits = slots.Reserve(world), []
        scsi = markup.child(body.element, "VirtualSCSIMappings")
        if SCSI in body.groups and scsi is not None:
            wanted = [scsi_parts.read_mapping(obj, e) for e in markup.children(scsi, "VirtualSCSIMapping")]
            commits.append(mappings.plan(world, obj, wanted, reserve))
        channel = markup.child(body.element, "VirtualFibreChannelMappings")
        if FIBRE in body.groups and channel is not None:
            found = [fibre_parts.read_mapping(e) for e in markup.children(channel, "VirtualFibreChannelMapping")]
            commits.append(fibre.plan(world, obj, found, reserve))
        for commit in commits:  # only when no section was refused
            commit()
        return obj

    def quick(self, world: World, obj: Any) -> Mapping[str, Any]:
        return partition_parts.quick(world, obj)

    def uptime(self, world: World, obj: Any) -> int | None:
        return partition_parts.uptime(world, obj)


def _update_partition(world: World, vios: Vios, element: etree._Element) -> None:
    fields = partition_parts.read_fields(element)
    mover = markup.flag(element, "MoverServicePartition")
    if mover is not None:
        fields["mover"] = mover
    spec = lpars.PartitionSpec(
        name=markup.text(element, "PartitionName"),
        memory=partition_parts.read_memory(element, vios.memory),
        processors=partition_parts.read_processors(element, vios.processors),
        fields=fields,
    )
    lpars.update(world, vios, spec)
