"""The host: what it has, what is taken, and how it is doing."""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pypowervm.wrappers.iocard import SRIOVAdapterMode
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.model import HostFacts, PowerState
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import Capacity
from bigiron.powervm.errors import translated
from bigiron.powervm.network import sriov
from bigiron.powervm.partition import Lpar, processors

LOG = logging.getLogger(__name__)

HYPERVISOR = "PowerVM"
_VERSION = 8
_ARCHITECTURE = "ppc64le"
_TRAIT_OF_CAPABILITY = {
    "partition_secure_boot_capable": "CUSTOM_POWERVM_SECURE_BOOT",
    "simplified_remote_restart_capable": "CUSTOM_POWERVM_REMOTE_RESTART",
    "physical_page_table_ratio_capable": "CUSTOM_POWERVM_PAGE_TABLE_RATIO",
    "affinity_check_capable": "CUSTOM_POWERVM_AFFINITY_CHECK",
    "dedicated_processor_partition_capable": "CUSTOM_POWERVM_DEDICATED_PROCESSORS",
    "shared_processor_pool_capable": "CUSTOM_POWERVM_PROCESSOR_POOLS",
    "active_memory_expansion_capable": "CUSTOM_POWERVM_MEMORY_EXPANSION",
    "vnic_capable": "CUSTOM_POWERVM_VNIC",
    "ibmi_capable": "CUSTOM_POWERVM_IBMI",
}
SRIOV_TRAIT = "CUSTOM_POWERVM_SRIOV"
"""An adapter in SR-IOV mode is there, which the management of the system can share out."""


@dataclass(frozen=True, slots=True)
class Room:
    """The host's memory and processors: all, what foreign partitions and the hypervisor hold, what ours have."""

    memory_mb: int
    memory_reserved_mb: int
    memory_used_mb: int
    processors: float
    processors_reserved: float
    processors_used: float

    @property
    def memory_free_mb(self) -> int:
        return max(0, self.memory_mb - self.memory_reserved_mb - self.memory_used_mb)

    @property
    def processors_free(self) -> float:
        return max(0.0, round(self.processors - self.processors_reserved - self.processors_used, 2))

    def without(self, lpar: Lpar) -> Room:
        """The host as that partition of ours sees it: there is always room for what it has, even where others have
        been given more than is left."""
        return replace(
            self,
            memory_used_mb=min(self.memory_used_mb, self.memory_mb - self.memory_reserved_mb) - lpar.memory_mb,
            processors_used=min(self.processors_used, self.processors - self.processors_reserved) - lpar.processors,
        )


def room(connection: Connection) -> Room:
    """What is taken, from memory: ours count as configured even while they are off, others as they are now."""
    system = connection.system
    ours = [lpar for lpar in connection.mirror.lpars() if lpar.instance]
    foreign = [lpar for lpar in connection.mirror.lpars() if not lpar.instance]
    vioses = [connection.vioses.last(vios.uuid) for vios in connection.vioses.all()]
    reserved_mb = int(system.firmware_memory or 0)
    reserved_mb += sum(_held(lpar) for lpar in foreign)
    reserved_mb += sum(int(vios.mem_config.desired or 0) for vios in vioses)
    reserved = sum(lpar.processors for lpar in foreign if lpar.power is not PowerState.STOPPED)
    reserved += sum(processors(vios)[1] for vios in vioses)
    return Room(
        memory_mb=int(system.memory_configurable),
        memory_reserved_mb=reserved_mb,
        memory_used_mb=sum(lpar.memory_mb for lpar in ours),
        processors=float(system.proc_units_configurable),
        processors_reserved=round(reserved, 2),
        processors_used=round(sum(lpar.processors for lpar in ours), 2),
    )


def _held(lpar: Lpar) -> int:
    return lpar.memory_held_mb if lpar.power is PowerState.STOPPED else max(lpar.memory_held_mb, lpar.memory_mb)


def facts(connection: Connection, pool: Capacity, pool_label: str, shared_uuid: str | None = None) -> HostFacts:
    """The host as Nova wants to know it, its disks in a pool that other hosts share where that has an identity."""
    system, options = connection.system, connection.options
    space = room(connection)
    ours = [lpar for lpar in connection.mirror.lpars() if lpar.instance]
    return HostFacts(
        hostname=options.hostname or str(system.system_name),
        hypervisor=HYPERVISOR,
        version=_VERSION,
        architecture=_ARCHITECTURE,
        model=str(system.mtms.mtms_str),
        memory_mb=space.memory_mb,
        memory_reserved_mb=space.memory_reserved_mb,
        memory_used_mb=space.memory_used_mb,
        memory_unit_mb=int(system.memory_region_size or 1),
        processors=space.processors,
        processors_reserved=space.processors_reserved,
        processors_used=space.processors_used,
        processors_per_vcpu=options.proc_units_factor,
        max_vcpus_per_guest=int(system.max_vcpus_per_aix_linux_lpar),
        disk_gb=int(pool.total_gb),
        disk_used_gb=round(pool.used_gb),
        guests=len(ours),
        disk_pool=shared_uuid,
        traits=traits(system, options.disk_driver),
        direct_ports=sriov.direct_ports(system),
        details={
            "system": f"{system.system_name} ({system.mtms.mtms_str})",
            "vioses": ", ".join(vios.name for vios in connection.vioses.all()),
            "disks": pool_label,
        },
    )


def traits(system: System, disk_driver: str) -> frozenset[str]:
    """What the host can do, in names of our own; the plug-in adds those that OpenStack has standard names for."""
    found = {name for capability, name in _TRAIT_OF_CAPABILITY.items() if system.get_capability(capability)}
    modes = (mode for mode in system.proc_compat_modes if mode.lower() != "default")
    found |= {"CUSTOM_POWERVM_MODE_" + re.sub(r"[^A-Z0-9]+", "_", mode.replace("+", "_PLUS").upper()) for mode in modes}
    if any(adapter.mode == SRIOVAdapterMode.SRIOV for adapter in system.asio_config.sriov_adapters):
        found.add(SRIOV_TRAIT)
    found.add("CUSTOM_POWERVM_DISK_" + disk_driver.upper())
    return frozenset(found)


def uptime(connection: Connection) -> str:
    """How long the management partition has been up, in the words of uptime(1); of a remote one, its longest VIOS's."""
    if connection.session.use_file_auth:
        seconds, load = _local_uptime(connection.options.management_root)
    else:
        # What is kept of the VIOSes may be days old.
        with translated("Reading the VIOSes"):
            feed = VIOS.get(connection.adapter, xag=[])
        seconds, load = max((float(document.uptime or 0) for document in feed), default=0.0), ""
    days, rest = divmod(int(seconds), 86400)
    clock = time.strftime("%H:%M:%S")
    return f" {clock} up {days} days, {rest // 3600:2d}:{rest % 3600 // 60:02d}{load}"


def _local_uptime(root: Path) -> tuple[float, str]:
    try:
        seconds = float((root / "proc/uptime").read_text().split()[0])
    except OSError:
        # A management root without it is a simulated one on this machine.
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    one, five, fifteen = os.getloadavg()
    return seconds, f",  load average: {one:.2f}, {five:.2f}, {fifteen:.2f}"
