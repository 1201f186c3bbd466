"""What is behind the storage adapters of guests, from the VIOSes' own documents (ViosSCSIMapping)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bigiron.complaints import Complaints
from bigiron.errors import PlatformError
from bigiron.model import DiskCapacity
from bigiron.powervm import mapping
from bigiron.powervm.vios import ViosDocuments

_GB = 1 << 30


def device_name(vios: str, adapter: str) -> str:
    """A guest's storage adapter: the VIOS's name for its own end is unique on that VIOS only."""
    return f"{vios}-{adapter}"


@dataclass(frozen=True, slots=True)
class _Indexed:
    document: Any
    capacities: Mapping[str, tuple[DiskCapacity, ...]]


class Capacities:
    """Sizes by guest, worked out again only for a VIOS whose document has changed."""

    def __init__(self, vioses: ViosDocuments, complaints: Complaints) -> None:
        self._vioses = vioses
        self._complaints = complaints
        self._indexed: dict[str, _Indexed] = {}

    def by_partition(self) -> Mapping[str, tuple[DiskCapacity, ...]]:
        """What is behind each adapter of each partition (uuid in upper case)."""
        found: dict[str, tuple[DiskCapacity, ...]] = {}
        for vios in self._vioses.all():
            for uuid, capacities in self._of(vios.uuid, vios.name).items():
                found[uuid] = (*found.get(uuid, ()), *capacities)
        return found

    def _of(self, uuid: str, name: str) -> Mapping[str, tuple[DiskCapacity, ...]]:
        try:
            document = self._vioses.document(uuid)
        except PlatformError as error:
            self._complaints.tell(f"mappings {name}", f"{error.message} The sizes of its disks are as last read.")
            return self._indexed[uuid].capacities if uuid in self._indexed else {}
        self._complaints.well(f"mappings {name}", f"The mappings of VIOS {name} can be read again")
        known = self._indexed.get(uuid)
        if known is None or known.document is not document:
            known = self._indexed[uuid] = _Indexed(document, _index(document, name))
        return known.capacities


def _index(document: Any, vios: str) -> Mapping[str, tuple[DiskCapacity, ...]]:
    sizes: dict[tuple[str, str], list[mapping.Presented]] = {}
    for one in mapping.presented(document):
        sizes.setdefault((one.client, one.adapter), []).append(one)
    found: dict[str, tuple[DiskCapacity, ...]] = {}
    for (client, adapter), devices in sizes.items():
        capacity = sum(int(device.size_gb * _GB) for device in devices)
        thin = any(device.thin for device in devices)
        made = DiskCapacity(device_name(vios, adapter), capacity, None if thin else capacity)
        found[client] = (*found.get(client, ()), made)
    return found
