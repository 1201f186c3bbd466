"""What a partition is and has now, for its diagnostics: two reads, however many disks and adapters it has.

Counters of traffic, of disks and of single processors are left out: only the long-term monitor counts, for the whole
system in one large document, half a minute late, where it is switched on, and for a partition's processors as one.
"""

from __future__ import annotations

from typing import Any

from pypowervm import exceptions as pvm
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.errors import NotFound
from bigiron.model import DiskReport, GuestReport, PowerState
from bigiron.powervm import mapping
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import DiskDriver
from bigiron.powervm.errors import translated
from bigiron.powervm.mapping import Backing, BackingKind
from bigiron.powervm.network.nic import ClientAdapters
from bigiron.powervm.network.vnic import VirtualNics
from bigiron.powervm.partition import POWER_STATES, Lpar, processors


def report(
    connection: Connection, adapters: ClientAdapters, vnics: VirtualNics, disks: DiskDriver, lpar: Lpar
) -> GuestReport:
    """Reads the LogicalPartition, its ClientNetworkAdapters and any vNICs; the VIOSes' mappings tell of the disks."""
    with translated(f"Reading LPAR {lpar.name}"):
        try:
            wrapper = LPAR.get(connection.adapter, uuid=lpar.uuid)
        except pvm.HttpNotFound as error:
            raise NotFound(f"LPAR {lpar.name} is not on this system any more.") from error
    macs = adapters.macs(lpar.uuid)
    if wrapper.element.find("DedicatedVirtualNICs/link") is not None:
        macs += vnics.macs(lpar.uuid)
    devices = _devices(connection, disks, lpar.uuid)
    vcpus, units, dedicated = _processors(wrapper)
    return GuestReport(
        power=POWER_STATES.get(str(wrapper.state), PowerState.UNKNOWN),
        uptime_s=wrapper.uptime,
        memory_mb=int(wrapper.mem_config.current or 0),
        max_memory_mb=int(wrapper.mem_config.max or 0),
        vcpus=vcpus,
        processors=units,
        dedicated=dedicated,
        processor_mode=str(wrapper.proc_compat_mode or ""),
        operating_system=str(wrapper.operating_system or ""),
        macs=tuple(macs),
        disks=tuple(
            DiskReport(backing.name, size) for backing, size in devices if backing.kind is not BackingKind.OPTICAL
        ),
        config_drive=any(backing.kind is BackingKind.OPTICAL and backing.name for backing, _size in devices),
    )


def _processors(wrapper: Any) -> tuple[int, float, bool]:
    """The virtual processors and the processors that the partition has now, and whether they are its own.

    What it asks for serves where the document does not say what it has.
    """
    count, units = processors(wrapper)
    config, element = "PartitionProcessorConfiguration", wrapper.element
    if element.findtext(f"{config}/CurrentHasDedicatedProcessors") == "true":
        own = int(element.findtext(f"{config}/CurrentDedicatedProcessorConfiguration/CurrentProcessors") or count)
        return own, float(own), True
    current = f"{config}/CurrentSharedProcessorConfiguration"
    count = int(element.findtext(f"{current}/AllocatedVirtualProcessors") or count)
    return count, float(element.findtext(f"{current}/CurrentProcessingUnits") or units), False


def _devices(connection: Connection, disks: DiskDriver, lpar_uuid: str) -> list[tuple[Backing, float | None]]:
    """What is presented to the partition, each device once though several VIOSes may present it."""
    ours = disks.find(lpar_uuid)
    found: list[tuple[Backing, float | None]] = []
    for vios in connection.vioses.all():
        document = connection.vioses.document(vios.uuid)
        for backing in mapping.mapped(document, lpar_uuid):
            if any(backing.same(known) for known, _size in found):
                continue
            # A disk of ours may have grown since the VIOS was read.
            own = next((disk.size_gb for disk in ours if disk.backing.same(backing)), 0.0)
            found.append((backing, own or mapping.capacity_gb(document, backing)))
    return found
