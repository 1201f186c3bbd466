"""Storage as it appears inside other documents: volumes, disks, media, units and target devices."""

from __future__ import annotations

from typing import Any

from lxml import etree

from bigiron.sim.powervm.model import backing
from bigiron.sim.powervm.model.mapping import Target
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.storage import (
    LogicalUnit,
    OpticalMedia,
    PhysicalVolume,
    VirtualDisk,
    VolumeGroup,
)
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources.markup import Link, Rows, bare, typed


def _mapped(world: World, volume: PhysicalVolume) -> bool:
    """Whether the VIOS that this is a volume of maps it; another VIOS may map the same disk."""
    vios = next((v for v in world.vioses if any(volume is own for own in v.volumes)), None)
    keys = {(t.kind, t.key) for s in vios.servers for t in s.targets} if vios else set()
    return (backing.VOLUME, volume.udid) in keys


PHYSICAL_VOLUME: Rows = (
    ("Description", lambda w, v: v.description),
    ("LocationCode", lambda w, v: v.location),
    ("PersistentReserveKeyValue", "none"),
    ("ReservePolicy", "NoReserve"),
    ("ReservePolicyAlgorithm", lambda w, v: "Round_Robin" if v.fibre_channel else "Failover"),
    ("UniqueDeviceID", lambda w, v: v.udid),
    ("AvailableForUsage", lambda w, v: v.group is None and not _mapped(w, v)),
    ("VolumeCapacity", lambda w, v: v.size),
    ("VolumeName", lambda w, v: v.name),
    ("VolumeState", lambda w, v: v.state),
    ("VolumeUniqueID", lambda w, v: v.unique_id or None),
    ("IsFibreChannelBacked", lambda w, v: v.fibre_channel),
    ("StorageLabel", lambda w, v: v.label),
    ("DescriptorPage83", lambda w, v: v.page83),
)
LOGICAL_UNIT: Rows = (
    ("ThinDevice", lambda w, u: u.thin),
    ("UniqueDeviceID", lambda w, u: u.udid),
    ("UnitCapacity", lambda w, u: u.capacity),
    ("LogicalUnitType", lambda w, u: u.type),
    ("ClonedFrom", lambda w, u: u.cloned_from),
    ("UnitName", lambda w, u: u.name),
)
OPTICAL_MEDIA: Rows = (
    ("MediaName", lambda w, m: m.name),
    ("MediaUDID", lambda w, m: m.udid),
    ("MountType", lambda w, m: m.mount),
    ("Size", lambda w, m: m.size),
)
TARGET: Rows = (
    ("LogicalUnitAddress", lambda w, t: t.lua),
    ("TargetName", lambda w, t: t.name),
    ("UniqueDeviceID", lambda w, t: t.udid),
)
TARGET_TYPES = {
    backing.UNIT: "SharedStoragePoolLogicalUnitVirtualTargetDevice",
    backing.DISK: "LogicalVolumeVirtualTargetDevice",
    backing.VOLUME: "PhysicalVolumeVirtualTargetDevice",
    backing.MEDIA: "VirtualOpticalTargetDevice",
    backing.EMPTY: "VirtualOpticalTargetDevice",
}


def virtual_disk_rows(vios: Vios, group: VolumeGroup | None) -> Rows:
    """The table of a virtual disk, which names the group that it is in."""
    href = (Vios.KIND, vios.uuid, VolumeGroup.KIND, group.uuid) if group else ()
    return (
        ("DiskCapacity", lambda w, d: d.capacity),
        ("DiskLabel", lambda w, d: d.label),
        ("DiskName", lambda w, d: d.name),
        ("VolumeGroup", lambda w, d: Link(w.href(*href)) if href else None),
        ("BaseImage", lambda w, d: d.base),
        ("UniqueDeviceID", lambda w, d: d.udid),
        ("VirtualDiskType", "LogicalVolume"),
        ("FileFormat", lambda w, d: d.file_format),
    )


Catalogue = dict[tuple[str, str], tuple[backing.Backing, VolumeGroup | None]]


def catalogue(world: World, vios: Vios) -> Catalogue:
    """Everything the VIOS could map, by kind and key, each with its volume group."""
    return {(kind, key): (found, group) for kind, key, found, group in backing.candidates(world, vios)}


def storage(world: World, vios: Vios, target: Target, stock: Catalogue) -> etree._Element | None:
    """The <Storage> of a mapping, None for an empty optical drive or for storage that is gone."""
    found, group = stock.get((target.kind, target.key), (None, None))
    if found is None:
        return None
    element = bare("Storage")
    tag: Rows = (("Tag", target.tag),) if target.tag else ()
    element.append(typed(target.kind, (*tag, *_rows(vios, found, group)), world, found))
    return element


def target_device(world: World, target: Target) -> etree._Element:
    """The <TargetDevice> of a mapping."""
    element = bare("TargetDevice")
    element.append(typed(TARGET_TYPES[target.kind], TARGET, world, target))
    return element


def _rows(vios: Vios, found: Any, group: VolumeGroup | None) -> Rows:
    match found:
        case LogicalUnit():
            return LOGICAL_UNIT
        case VirtualDisk():
            return virtual_disk_rows(vios, group)
        case OpticalMedia():
            return OPTICAL_MEDIA
        case PhysicalVolume():
            return PHYSICAL_VOLUME
    raise TypeError(type(found).__name__)


def volumes(world: World, found: list[PhysicalVolume]) -> list[etree._Element]:
    """Physical volumes, for a <PhysicalVolumes>."""
    return [typed("PhysicalVolume", PHYSICAL_VOLUME, world, volume) for volume in found]
