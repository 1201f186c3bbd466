"""What the documents of LPARs and VIOSes have in common, in the order of the schema."""

from __future__ import annotations

from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, Lpar, Memory, Partition, Processors, TaggedIO
from bigiron.sim.powervm.model.power import BOOT_MODES
from bigiron.sim.powervm.model.system import ManagedSystem, SharedProcessorPool
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources import markup
from bigiron.sim.powervm.resources.markup import Grouped, Holder, Link, Links, Rows

_CAPABILITIES: Rows = (
    ("DynamicLogicalPartitionIOCapable", lambda w, p: _dlpar(p)),
    ("DynamicLogicalPartitionMemoryCapable", lambda w, p: _dlpar(p)),
    ("DynamicLogicalPartitionProcessorCapable", lambda w, p: _dlpar(p)),
    ("InternalAndExternalIntrusionDetectionCapable", False),
    ("ResourceMonitoringControlOperatingSystemShutdownCapable", lambda w, p: _dlpar(p)),
)
_TAGGED_IO: Rows = (
    ("AlternateConsole", lambda w, p: p.tagged_io.alternate_console),
    ("AlternateLoadSource", lambda w, p: p.tagged_io.alternate_load_source),
    ("Console", lambda w, p: p.tagged_io.console),
    ("LoadSource", lambda w, p: p.tagged_io.load_source),
    ("OperationsConsole", lambda w, p: p.tagged_io.operations_console),
)
_MEMORY: Rows = (
    ("ActiveMemoryExpansionEnabled", lambda w, m: m.expansion > 0),
    ("ActiveMemorySharingEnabled", False),
    ("DesiredHugePageCount", lambda w, m: m.huge_pages),
    ("DesiredMemory", lambda w, m: m.desired),
    ("ExpansionFactor", lambda w, m: f"{m.expansion:.1f}"),
    ("PhysicalPageTableRatio", lambda w, m: m.physical_page_table_ratio),
    ("HardwarePageTableRatio", lambda w, m: m.page_table_ratio),
    ("MaximumHugePageCount", 0),
    ("MaximumMemory", lambda w, m: m.maximum),
    ("MinimumHugePageCount", 0),
    ("MinimumMemory", lambda w, m: m.minimum),
    ("CurrentExpansionFactor", lambda w, m: f"{m.expansion:.1f}"),
    ("CurrentPhysicalPageTableRatio", lambda w, m: m.physical_page_table_ratio),
    ("CurrentHardwarePageTableRatio", lambda w, m: m.page_table_ratio),
    ("CurrentMaximumMemory", lambda w, m: m.maximum),
    ("CurrentMemory", lambda w, m: m.desired),
    ("CurrentMinimumMemory", lambda w, m: m.minimum),
    ("MemoryExpansionEnabled", lambda w, m: m.expansion > 0),
    ("RedundantErrorPathReportingEnabled", False),
    ("RuntimeMemory", lambda w, m: m.desired),
    ("RuntimeMinimumMemory", lambda w, m: m.minimum),
    ("SharedMemoryEnabled", False),
)
_DEDICATED: Rows = (
    ("DesiredProcessors", lambda w, c: c.vcpus),
    ("MaximumProcessors", lambda w, c: c.max_vcpus),
    ("MinimumProcessors", lambda w, c: c.min_vcpus),
)
_CURRENT_DEDICATED: Rows = (
    ("CurrentMaximumProcessors", lambda w, c: c.max_vcpus),
    ("CurrentMinimumProcessors", lambda w, c: c.min_vcpus),
    ("CurrentProcessors", lambda w, c: c.vcpus),
)
_SHARED: Rows = (
    ("DesiredProcessingUnits", lambda w, c: c.units),
    ("DesiredVirtualProcessors", lambda w, c: c.vcpus),
    ("MaximumProcessingUnits", lambda w, c: c.max_units),
    ("MaximumVirtualProcessors", lambda w, c: c.max_vcpus),
    ("MinimumProcessingUnits", lambda w, c: c.min_units),
    ("MinimumVirtualProcessors", lambda w, c: c.min_vcpus),
    ("SharedProcessorPoolID", lambda w, c: c.pool),
    ("UncappedWeight", lambda w, c: c.weight if c.sharing == "uncapped" else 0),
)
_CURRENT_SHARED: Rows = (
    ("AllocatedVirtualProcessors", lambda w, c: c.vcpus),
    ("CurrentMaximumProcessingUnits", lambda w, c: c.max_units),
    ("CurrentMinimumProcessingUnits", lambda w, c: c.min_units),
    ("CurrentProcessingUnits", lambda w, c: c.units),
    ("CurrentSharedProcessorPoolID", lambda w, c: c.pool),
    ("CurrentUncappedWeight", lambda w, c: c.weight if c.sharing == "uncapped" else 0),
    ("CurrentMinimumVirtualProcessors", lambda w, c: c.min_vcpus),
    ("CurrentMaximumVirtualProcessors", lambda w, c: c.max_vcpus),
    ("RuntimeProcessingUnits", lambda w, c: c.units),
    ("RuntimeUncappedWeight", lambda w, c: c.weight if c.sharing == "uncapped" else 0),
)
_PROCESSORS_SHARED: Rows = (
    ("HasDedicatedProcessors", False),
    ("SharedProcessorConfiguration", _SHARED),
    ("SharingMode", lambda w, c: c.sharing),
    ("CurrentHasDedicatedProcessors", False),
    ("CurrentSharingMode", lambda w, c: c.sharing),
    ("RuntimeHasDedicatedProcessors", False),
    ("RuntimeSharingMode", lambda w, c: c.sharing),
    ("CurrentSharedProcessorConfiguration", _CURRENT_SHARED),
)
_PROCESSORS_DEDICATED: Rows = (
    ("DedicatedProcessorConfiguration", _DEDICATED),
    ("HasDedicatedProcessors", True),
    ("SharingMode", lambda w, c: c.sharing),
    ("CurrentHasDedicatedProcessors", True),
    ("CurrentSharingMode", lambda w, c: c.sharing),
    ("CurrentDedicatedProcessorConfiguration", _CURRENT_DEDICATED),
    ("RuntimeHasDedicatedProcessors", True),
    ("RuntimeSharingMode", lambda w, c: c.sharing),
)


def _dlpar(partition: Partition) -> bool:
    return partition.rmc == RMC_ACTIVE


def _nested(name: str, rows: Any, pick: Any) -> tuple[str, Any]:
    """A nested element over a part of the object; `rows` may depend on the part."""

    def get(world: World, partition: Any) -> Holder:
        part = pick(partition)
        table = rows(part) if callable(rows) else rows
        return markup.nested(table, world, part)

    return name, get


def _io_rows(extra: Any) -> Rows:
    return (
        ("MaximumVirtualIOSlots", lambda w, p: p.max_slots),
        ("ProfileIOSlots", lambda w, p: Holder(extra(w, p))),
        ("TaggedIO", lambda w, p: _tagged(w, p)),
        ("CurrentMaximumVirtualIOSlots", lambda w, p: p.max_slots),
    )


def _tagged(world: World, partition: Partition) -> Holder | None:
    if not isinstance(partition, Lpar) or partition.tagged_io is None:
        return None
    return markup.nested(_TAGGED_IO, world, partition)


def _pool_href(world: World, partition: Partition) -> Link | None:
    pool = next((p for p in world.state.processor_pools if p.id == partition.processors.pool), None)
    if pool is None or partition.processors.dedicated:
        return None
    return Link(world.href(ManagedSystem.KIND, world.system.uuid, SharedProcessorPool.KIND, pool.uuid))


def uptime(world: World, partition: Partition) -> int:
    """Seconds since the partition was started; 0 while it is off."""
    return 0 if partition.started is None else int(world.clock.now() - partition.started)


def _reference_full(partition: Partition) -> str:
    return f"refcode={partition.reference_code},word2=03D00000,fru_call_out_loc_codes="


def _secure_boot(partition: Partition) -> int:
    return partition.secure_boot


def common_rows(io_slots: Any) -> Rows:
    """The table of BasePartition; `io_slots(world, partition)` gives the profile's physical slots."""
    return (
        ("AllowPerformanceDataCollection", lambda w, p: p.metrics),
        ("AvailabilityPriority", lambda w, p: p.availability_priority),
        ("CurrentProcessorCompatibilityMode", lambda w, p: current_mode(w, p)),
        ("CurrentProfileSync", "On"),
        ("IsBootable", True),
        ("IsConnectionMonitoringEnabled", True),
        ("IsOperationInProgress", False),
        ("IsRedundantErrorPathReportingEnabled", False),
        ("IsTimeReferencePartition", False),
        ("IsVirtualServiceAttentionLEDOn", False),
        ("IsVirtualTrustedPlatformModuleEnabled", False),
        ("KeylockPosition", lambda w, p: p.keylock),
        ("LogicalSerialNumber", lambda w, p: f"{p.serial}{p.id:X}"),
        ("OperatingSystemVersion", lambda w, p: p.os_version),
        ("PartitionCapabilities", _CAPABILITIES),
        ("PartitionID", lambda w, p: p.id),
        ("PartitionIOConfiguration", _io_rows(io_slots)),
        _nested("PartitionMemoryConfiguration", _MEMORY, lambda p: p.memory),
        ("PartitionName", lambda w, p: p.name),
        _nested(
            "PartitionProcessorConfiguration",
            lambda c: _PROCESSORS_DEDICATED if c.dedicated else _PROCESSORS_SHARED,
            lambda p: p.processors,
        ),
        ("PartitionState", lambda w, p: p.state),
        ("PartitionType", lambda w, p: p.type),
        ("PartitionUUID", lambda w, p: p.uuid),
        ("PendingProcessorCompatibilityMode", lambda w, p: p.compatibility_mode),
        ("ProcessorPool", _pool_href),
        ("ProgressPartitionDataRemaining", 0),
        ("ProgressPartitionDataTotal", 0),
        ("ProgressState", "Unknown"),
        ("ResourceMonitoringControlState", lambda w, p: p.rmc),
        ("ResourceMonitoringIPAddress", lambda w, p: p.rmc_address),
        ("AssociatedManagedSystem", lambda w, p: Link(w.href(ManagedSystem.KIND, w.system.uuid))),
        ("SRIOVEthernetLogicalPorts", lambda w, p: _logical_ports(w, p)),
        ("ClientNetworkAdapters", lambda w, p: Links([w.href(p.KIND, p.uuid, a.KIND, a.uuid) for a in p.adapters])),
        ("MACAddressPrefix", lambda w, p: int(p.mac_prefix or "0", 16)),
        ("IsServicePartition", False),
        ("PowerVMManagementCapable", lambda w, p: p.management),
        ("ReferenceCode", lambda w, p: p.reference_code),
        ("ReferenceCodeFull", lambda w, p: _reference_full(p)),
        ("IsManagementPartition", lambda w, p: p.management),
        ("AutoStart", False),
        ("BootMode", lambda w, p: p.boot_mode),
        ("PartitionNVRAM", lambda w, p: _nvram(p)),
        ("Uptime", uptime),
        ("DisableSecureBoot", False),
        ("PendingSecureBoot", lambda w, p: _secure_boot(p)),
        ("CurrentSecureBoot", lambda w, p: _secure_boot(p)),
        ("PowerOnWithHypervisor", False),
        ("Description", lambda w, p: p.description),
    )


def _logical_ports(world: World, partition: Partition) -> Links | None:
    hrefs = [
        world.href(partition.KIND, partition.uuid, logical.KIND, logical.uuid)
        for _, _, logical in vnics.logical_ports(world)
        if logical.vios == partition.uuid
    ]
    return Links(hrefs) if hrefs else None


def _nvram(partition: Partition) -> Grouped | None:
    nvram = partition.nvram if isinstance(partition, Lpar) else None
    return Grouped(nvram, "NVRAM") if nvram else None


def current_mode(world: World, partition: Partition) -> str:
    """The processor mode that the partition runs in."""
    mode = partition.current_mode
    return world.system.compatibility_modes[-1] if mode == "default" else mode


def quick(world: World, partition: Partition) -> dict[str, Any]:
    """The quick properties of a partition."""
    return {
        "PartitionID": partition.id,
        "PartitionName": partition.name,
        "PartitionState": partition.state,
        "PartitionType": partition.type,
        "PartitionUUID": partition.uuid,
        "RMCState": partition.rmc,
        "ResourceMonitoringControlState": partition.rmc,
        "OperatingSystemVersion": partition.os_version,
        "ReferenceCode": partition.reference_code,
        "Description": partition.description,
        "IsVirtualServiceAttentionLEDOn": "false",
        "RemoteRestartState": partition.remote_restart_state if isinstance(partition, Lpar) else None,
        "MigrationState": partition.migration_state if isinstance(partition, Lpar) else None,
        "SystemName": world.system.name,
    }


# -- reading what clients send ---------------------------------------------------------------------------------


def read_memory(element: etree._Element, before: Memory | None) -> Memory | None:
    """The memory configuration of a client's document; what it leaves out stays."""
    part = markup.child(element, "PartitionMemoryConfiguration")
    if part is None:
        return None
    desired = markup.number(part, "DesiredMemory") or (before.desired if before else None)
    if desired is None:
        raise BadRequest("PartitionMemoryConfiguration needs DesiredMemory.")
    return Memory(
        desired=desired,
        minimum=markup.number(part, "MinimumMemory") or (before.minimum if before else desired),
        maximum=markup.number(part, "MaximumMemory") or (before.maximum if before else desired),
        expansion=markup.decimal(part, "ExpansionFactor") or 0.0,
        page_table_ratio=before.page_table_ratio if before else 7,
        physical_page_table_ratio=_first(
            markup.number(part, "PhysicalPageTableRatio"), before.physical_page_table_ratio if before else None
        ),
        huge_pages=markup.number(part, "DesiredHugePageCount") or 0,
    )


def _first(value: int | None, other: int | None) -> int | None:
    return value if value is not None else other


def read_processors(element: etree._Element, before: Processors | None) -> Processors | None:
    """The processor configuration of a client's document; what it leaves out stays."""
    part = markup.child(element, "PartitionProcessorConfiguration")
    if part is None:
        return None
    if markup.flag(part, "HasDedicatedProcessors"):
        conf = markup.child(part, "DedicatedProcessorConfiguration")
        count = markup.number(conf, "DesiredProcessors")
        if count is None:
            raise BadRequest("DedicatedProcessorConfiguration needs DesiredProcessors.")
        return Processors(
            dedicated=True,
            vcpus=count,
            min_vcpus=markup.number(conf, "MinimumProcessors") or count,
            max_vcpus=markup.number(conf, "MaximumProcessors") or count,
            sharing=markup.text(part, "SharingMode") or "sre idle proces",
            weight=before.weight if before else 64,
        )
    return _read_shared(part, before)


def _read_shared(part: etree._Element, before: Processors | None) -> Processors:
    conf = markup.child(part, "SharedProcessorConfiguration")
    units, vcpus = markup.decimal(conf, "DesiredProcessingUnits"), markup.number(conf, "DesiredVirtualProcessors")
    if units is None or vcpus is None:
        raise BadRequest("SharedProcessorConfiguration needs DesiredProcessingUnits and DesiredVirtualProcessors.")
    sharing = markup.text(part, "SharingMode") or (before.sharing if before else "uncapped")
    weight = markup.number(conf, "UncappedWeight") if sharing == "uncapped" else None
    return Processors(
        units=units,
        min_units=markup.decimal(conf, "MinimumProcessingUnits") or units,
        max_units=markup.decimal(conf, "MaximumProcessingUnits") or units,
        vcpus=vcpus,
        min_vcpus=markup.number(conf, "MinimumVirtualProcessors") or vcpus,
        max_vcpus=markup.number(conf, "MaximumVirtualProcessors") or vcpus,
        sharing=sharing,
        weight=weight if weight is not None else (before.weight if before else 64),
        pool=markup.number(conf, "SharedProcessorPoolID") or 0,
    )


def read_fields(element: etree._Element) -> dict[str, Any]:
    """The values that no rule looks at, for those that the document holds."""
    boot = markup.text(element, "BootMode")
    found = {
        "description": markup.text(element, "Description"),
        "availability_priority": markup.number(element, "AvailabilityPriority"),
        "compatibility_mode": markup.text(element, "PendingProcessorCompatibilityMode"),
        "metrics": markup.flag(element, "AllowPerformanceDataCollection"),
        "keylock": markup.text(element, "KeylockPosition"),
        "secure_boot": markup.number(element, "PendingSecureBoot"),
        "max_slots": markup.number(element, "PartitionIOConfiguration", "MaximumVirtualIOSlots"),
        "boot_mode": boot if boot in BOOT_MODES.values() else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def read_lpar_fields(element: etree._Element) -> dict[str, Any]:
    """The same, with what only LPARs have."""
    found = read_fields(element)
    tagged = markup.child(element, "PartitionIOConfiguration", "TaggedIO")
    if tagged is not None:
        found["tagged_io"] = TaggedIO(
            alternate_console=markup.text(tagged, "AlternateConsole") or "NONE",
            alternate_load_source=markup.text(tagged, "AlternateLoadSource") or "NONE",
            console=markup.text(tagged, "Console") or "HMC",
            load_source=markup.text(tagged, "LoadSource") or "0",
            operations_console=markup.text(tagged, "OperationsConsole") or "NONE",
        )
    for name, value in (
        ("remote_restart", markup.flag(element, "SimplifiedRemoteRestartCapable")),
        ("restricted_io", markup.flag(element, "IsRestrictedIOPartition")),
        ("source", markup.text(element, "DesignatedIPLSource")),
        ("nvram", markup.text(element, "PartitionNVRAM")),
        ("affinity_check", markup.flag(element, "AffinityCheckEnabled")),
    ):
        if value is not None:
            found[name] = value
    return found
