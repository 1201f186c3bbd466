"""Which storage a VIOS presents to which LPAR: changes of the VIOS document that the document writer gathers.

The document is searched in its tree and not through one wrapper per mapping: a VIOS of 500 LPARs carries more than a
thousand mappings, and every change looks at them all.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pypowervm.const import UOM_NS
from pypowervm.entities import Element
from pypowervm.wrappers import storage
from pypowervm.wrappers.virtual_io_server import VSCSIMapping

from bigiron.errors import Conflict, Unsupported

_NS = f"{{{UOM_NS}}}"
_DEVICES_PER_ADAPTER = 32


class BackingKind(enum.Enum):
    """What stands behind a mapping, by the name of its element."""

    LOGICAL_UNIT = "LogicalUnit"
    VIRTUAL_DISK = "VirtualDisk"
    OPTICAL = "VirtualOpticalMedia"
    PHYSICAL_VOLUME = "PhysicalVolume"


_NAME_TAG = {
    BackingKind.LOGICAL_UNIT: "UnitName",
    BackingKind.VIRTUAL_DISK: "DiskName",
    BackingKind.OPTICAL: "MediaName",
    BackingKind.PHYSICAL_VOLUME: "VolumeName",
}
_CAPACITY_TAG = {
    BackingKind.LOGICAL_UNIT: ("UnitCapacity", 1.0),
    BackingKind.VIRTUAL_DISK: ("DiskCapacity", 1.0),
    BackingKind.OPTICAL: ("Size", 1.0),
    BackingKind.PHYSICAL_VOLUME: ("VolumeCapacity", 1 / 1024),
}
"""Where a device's size is, and how many GB its unit is."""
_UDID_TAG = {BackingKind.OPTICAL: "MediaUDID"}


@dataclass(frozen=True, slots=True)
class Backing:
    """A storage element that can be mapped; `udid` is empty where the platform has told none."""

    kind: BackingKind
    name: str
    udid: str = ""

    @property
    def base_name(self) -> str:
        """The name without the directories that some views of a device put before it."""
        return self.name.rsplit("/", 1)[-1]

    def same(self, other: Backing) -> bool:
        """Whether both name one device; a unit's udid carries a type in its first two digits, which differ by view."""
        if self.kind is not other.kind:
            return False
        if self.udid and other.udid and self.kind is not BackingKind.OPTICAL:
            return self.udid[2:] == other.udid[2:]
        return self.base_name == other.base_name

    def reference(self, adapter: Any) -> Any:
        """The element by which a new mapping refers to the device."""
        if self.kind is BackingKind.LOGICAL_UNIT:
            return storage.LU.bld_ref(adapter, self.name, self.udid)
        if self.kind is BackingKind.VIRTUAL_DISK:
            return storage.VDisk.bld_ref(adapter, self.name)
        if self.kind is BackingKind.OPTICAL:
            return storage.VOptMedia.bld_ref(adapter, self.name)
        raise Unsupported(f"Physical volume {self.name} cannot be mapped as a disk of a guest.")


@dataclass(frozen=True, slots=True)
class AddMappings:
    """Present the backings to the LPAR; those that it has already stay as they are.

    With `lpar_id`, what an earlier LPAR of that short id left behind (see RemoveMappings) is removed on the way: the
    platform gives ids out again.
    """

    owner: str
    lpar_uuid: str
    backings: tuple[Backing, ...]
    lpar_id: int | None = None

    def in_place(self, doc: Any) -> bool:
        return not self._missing(doc)

    def apply(self, doc: Any) -> None:
        for node in list(_orphans_of(doc, self.lpar_id)):
            node.getparent().remove(node)
        missing = self._missing(doc)
        if not missing:
            return
        existing = _adapter_with_room(doc, self.lpar_uuid)
        mappings = doc.scsi_mappings
        for backing in missing:
            reference = backing.reference(doc.adapter)
            if existing is None:
                mappings.append(VSCSIMapping.bld(doc.adapter, None, self.lpar_uuid, reference))
            else:
                mappings.append(VSCSIMapping.bld_from_existing(existing, reference))

    def _missing(self, doc: Any) -> list[Backing]:
        present = mapped(doc, self.lpar_uuid)
        return [wanted for wanted in self.backings if not any(wanted.same(one) for one in present)]


@dataclass(frozen=True, slots=True)
class RemoveMappings:
    """Take away the LPAR's mappings, or those of them that `only` accepts; other LPARs' are never touched.

    With `lpar_id`, the remains of a dead LPAR of that id go too: server adapters that serve the id and have neither a
    client adapter nor an associated LPAR. A living LPAR that was given the same id has both. With `names`, so do those
    whose device has one of them as its whole name: the id of an LPAR that is gone may be known to nobody.
    """

    owner: str
    lpar_uuid: str
    only: Callable[[Backing], bool] | None = None
    lpar_id: int | None = None
    names: re.Pattern[str] | None = None

    def in_place(self, doc: Any) -> bool:
        return next(self._nodes(doc), None) is None

    def apply(self, doc: Any) -> None:
        for node in list(self._nodes(doc)):
            node.getparent().remove(node)

    def _nodes(self, doc: Any) -> Iterator[Any]:
        for node in _nodes_of(doc, self.lpar_uuid):
            backing = _backing(node)
            if self.only is None or (backing is not None and self.only(backing)):
                yield node
        yield from _orphans_of(doc, self.lpar_id, self.names)


@dataclass(frozen=True, slots=True)
class Together:
    """Several changes for one owner as a single one, in their order."""

    owner: str
    changes: tuple[AddMappings | RemoveMappings, ...]

    def in_place(self, doc: Any) -> bool:
        return all(change.in_place(doc) for change in self.changes)

    def apply(self, doc: Any) -> None:
        for change in self.changes:
            change.apply(doc)


def boot_paths(doc: Any, lpar_uuid: str, accepts: Callable[[Backing], bool]) -> Sequence[str]:
    """The Open Firmware paths by which the LPAR reaches the accepted ones of what the VIOS presents to it.

    A virtual SCSI client adapter is the device 0x30000000 + its slot (ClientAdapter/VirtualSlotNumber), and the disk
    behind it is the logical unit address that the VIOS gave it (TargetDevice).
    """
    paths = []
    for node in _nodes_of(doc, lpar_uuid):
        backing = _backing(node)
        slot = node.findtext(f"{_NS}ClientAdapter/{_NS}VirtualSlotNumber")
        lua = next((one.text for one in node.iter(f"{_NS}LogicalUnitAddress")), None)
        if backing is not None and accepts(backing) and slot and lua:
            paths.append(f"/vdevice/v-scsi@{0x30000000 | int(slot):x}/disk@{lua.strip().removeprefix('0x')}")
    return paths


def mapped(doc: Any, lpar_uuid: str) -> Sequence[Backing]:
    """What the VIOS document says is presented to the LPAR."""
    return [backing for node in _nodes_of(doc, lpar_uuid) if (backing := _backing(node)) is not None]


def capacity_gb(doc: Any, backing: Backing) -> float | None:
    """The size that the VIOS document gives for a disk that it presents, as it was when the document was read."""
    for node in _all(doc):
        one = _backing(node)
        if one is not None and one.same(backing):
            tag, unit = _CAPACITY_TAG[backing.kind]
            text = node.findtext(f"{_NS}Storage/{_NS}{backing.kind.value}/{_NS}{tag}")
            return float(text) * unit if text else None
    return None


@dataclass(frozen=True, slots=True)
class Presented:
    """A device that a VIOS presents to an LPAR (uuid in upper case), and its adapter's name on the VIOS.

    A thin device takes less room than its size says.
    """

    client: str
    adapter: str
    backing: Backing
    size_gb: float
    thin: bool


def presented(doc: Any) -> Iterator[Presented]:
    """Every device that the VIOS document presents to an LPAR and of which it gives the size."""
    for node in _all(doc):
        client, backing = _client(node), _backing(node)
        adapter = node.findtext(f"{_NS}ServerAdapter/{_NS}AdapterName")
        if client is None or backing is None or not adapter:
            continue
        tag, unit = _CAPACITY_TAG[backing.kind]
        device = f"{_NS}Storage/{_NS}{backing.kind.value}"
        size = node.findtext(f"{device}/{_NS}{tag}")
        if size:
            thin = node.findtext(f"{device}/{_NS}ThinDevice") == "true"
            yield Presented(client, str(adapter), backing, float(size) * unit, thin)


def client_slot(doc: Any, lpar_uuid: str, backing: Backing) -> int:
    """The slot of the LPAR's adapter on which the VIOS presents the backing; raises Conflict where it does not."""
    return int(_of_mapping(doc, lpar_uuid, backing, "ClientAdapter", "VirtualSlotNumber"))


def device_name(doc: Any, lpar_uuid: str, backing: Backing) -> str:
    """What the VIOS itself calls the device behind the LPAR's mapping; raises Conflict where there is none."""
    return _of_mapping(doc, lpar_uuid, backing, "ServerAdapter", "BackingDeviceName")


def _of_mapping(doc: Any, lpar_uuid: str, backing: Backing, adapter: str, field: str) -> str:
    for node in _nodes_of(doc, lpar_uuid):
        one = _backing(node)
        if one is not None and one.same(backing) and (text := node.findtext(f"{_NS}{adapter}/{_NS}{field}")):
            return str(text)
    raise Conflict(f"VIOS {doc.name} shows no {field} for the mapping of {backing.name} to LPAR {lpar_uuid}.")


def users(doc: Any, backing: Backing) -> frozenset[str]:
    """The uuids, in upper case, of the LPARs to which the VIOS document presents the backing."""
    return frozenset(
        uuid
        for node in _all(doc)
        if (uuid := _client(node)) and (one := _backing(node)) is not None and one.same(backing)
    )


def _all(doc: Any) -> Iterator[Any]:
    return iter(doc.element.element.iter(f"{_NS}VirtualSCSIMapping"))


def _nodes_of(doc: Any, lpar_uuid: str) -> Iterator[Any]:
    wanted = lpar_uuid.upper()
    return (node for node in _all(doc) if _client(node) == wanted)


def _orphans_of(doc: Any, lpar_id: int | None, names: re.Pattern[str] | None = None) -> Iterator[Any]:
    for node in _all(doc) if lpar_id is not None or names is not None else ():
        if _client(node) is None and node.find(f"{_NS}ClientAdapter") is None:
            served = node.findtext(f"{_NS}ServerAdapter/{_NS}RemoteLogicalPartitionID")
            backing = _backing(node) if names is not None else None
            if served == str(lpar_id) or (names and backing and names.fullmatch(backing.base_name)):
                yield node


def _client(node: Any) -> str | None:
    link = node.find(f"{_NS}AssociatedLogicalPartition")
    if link is None:
        return None
    return str(link.get("href", "")).split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1].upper() or None


def _backing(node: Any) -> Backing | None:
    for kind in BackingKind:
        device = node.find(f"{_NS}Storage/{_NS}{kind.value}")
        if device is not None:
            name = device.findtext(f"{_NS}{_NAME_TAG[kind]}", "")
            return Backing(kind, name, device.findtext(f"{_NS}{_UDID_TAG.get(kind, 'UniqueDeviceID')}", ""))
    return None


def _slot_of(nodes: Sequence[Any]) -> int:
    return int(nodes[0].findtext(f"{_NS}ClientAdapter/{_NS}VirtualSlotNumber") or 0)


def _adapter_with_room(doc: Any, lpar_uuid: str) -> Any | None:
    """A mapping of the LPAR whose adapter pair can carry more devices, as a wrapper to copy the pair from.

    Of several the one in the highest slot, so that a guest finds what is added after all that it has.
    """
    devices: dict[str, list[Any]] = {}
    for node in _nodes_of(doc, lpar_uuid):
        adapter = node.findtext(f"{_NS}ServerAdapter/{_NS}UniqueDeviceID")
        if adapter and node.find(f"{_NS}ClientAdapter") is not None:
            devices.setdefault(adapter, []).append(node)
    for nodes in sorted(devices.values(), key=_slot_of, reverse=True):
        if len(nodes) < _DEVICES_PER_ADAPTER:
            return VSCSIMapping.wrap(Element.wrapelement(nodes[0], doc.adapter))
    return None
