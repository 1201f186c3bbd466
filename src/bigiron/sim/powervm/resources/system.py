"""ManagedSystem, ManagementConsole, SharedProcessorPool and the performance monitoring preferences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import JobFailed
from bigiron.sim.powervm.model import capacity, fibre
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, JobRun, Resource, Update
from bigiron.sim.powervm.resources import markup, sriov_parts
from bigiron.sim.powervm.resources.markup import Holder, Links, Many, Rows, typed

MACHINE: Rows = (
    ("MachineType", lambda w, _: w.system.mtms.type),
    ("Model", lambda w, _: w.system.mtms.model),
    ("SerialNumber", lambda w, _: w.system.mtms.serial),
)
_CAPABLE: tuple[tuple[str, bool | str], ...] = (
    ("ActiveLogicalPartitionMobilityCapable", True),
    ("ActiveLogicalPartitionSharedIdeProcessorsCapable", True),
    ("ActiveMemoryExpansionCapable", True),
    ("AIXCapable", "Active"),
    ("CapacityOnDemandMemoryCapable", True),
    ("CapacityOnDemandProcessorCapable", True),
    ("HugePageMemoryCapable", True),
    ("IBMiCapable", True),
    ("IBMiLogicalPartitionMobilityCapable", True),
    ("IBMiRestrictedIOModeCapable", True),
    ("InactiveLogicalPartitionMobilityCapable", True),
    ("LinuxCapable", True),
    ("LogicalPartitionAvailabilityPriorityCapable", True),
    ("LogicalPartitionProcessorCompatibilityModeCapable", True),
    ("MicroLogicalPartitionCapable", True),
    ("PowerVMLogicalPartitionRemoteRestartCapable", False),
    ("PowerVMLogicalPartitionSimplifiedRemoteRestartCapable", True),
    ("RedundantErrorPathReportingCapable", True),
    ("SharedEthernetFailoverCapable", True),
    ("SharedProcessorPoolCapable", True),
    ("SRIOVCapable", True),
    ("VirtualEthernetAdapterDynamicLogicalPartitionCapable", True),
    ("VirtualEthernetQualityOfServiceCapable", True),
    ("VirtualFiberChannelCapable", True),
    ("VirtualIOServerCapable", True),
    ("VirtualSwitchCapable", True),
    ("VLANStatisticsCapable", True),
    ("VirtualEthernetCustomMACAddressCapable", True),
    ("VirtualNICDedicatedSRIOVCapable", True),
    ("VirtualNICFailOverCapable", True),
    ("DynamicSimplifiedRemoteRestartToggleCapable", True),
    ("CustomPhysicalPageTableRatioCapable", True),
    ("PartitionSecureBootCapable", True),
    ("IOSlotOwnerAssignmentCapable", True),
    ("DedicatedProcessorPartitionCapable", True),
)


def _capability(name: str, default: bool | str) -> tuple[str, Any]:
    return name, lambda w, s: s.capabilities.get(name, default)


_CAPABILITIES: Rows = tuple(_capability(name, default) for name, default in _CAPABLE)
_SLOT: Rows = (
    ("BusGroupingRequired", False),
    ("Description", lambda w, s: "8 Gigabit PCI Express Dual Port Fibre Channel Adapter"),
    ("FeatureCodes", 5735),
    ("IOUnitPhysicalLocation", lambda w, s: s[1].location.split("-")[0]),
    ("PCAdapterID", 61696),
    ("PartitionID", lambda w, s: s[0].id),
    ("PartitionUUID", lambda w, s: s[0].uuid),
    ("PartitionName", lambda w, s: s[0].name),
    ("PartitionType", lambda w, s: s[0].type),
    ("PCIClass", 3076),
    ("PCIDeviceID", 61696),
    ("PCISubsystemDeviceID", 906),
    ("PCIManufacturerID", 4319),
    ("PCIRevisionID", 3),
    ("PCIVendorID", 4319),
    ("PCISubsystemVendorID", 4116),
    ("SlotDynamicReconfigurationConnectorIndex", lambda w, s: s[1].drc_index),
    ("SlotDynamicReconfigurationConnectorName", lambda w, s: s[1].location),
    ("SlotPhysicalLocationCode", lambda w, s: s[1].location.rsplit("-", 1)[-1]),
)


def _slots(world: World, system: ManagedSystem) -> Holder:
    fibre_channel = [typed("IOSlot", _SLOT, world, (v, card)) for v in world.vioses for card in v.fibre_cards]
    return Holder([*fibre_channel, *sriov_parts.io_slots(world)])


_SWITCHES: Rows = (
    (
        "VirtualSwitches",
        lambda w, s: Links([w.href(ManagedSystem.KIND, s.uuid, x.KIND, x.uuid) for x in w.state.switches]),
    ),
)
_IO: Rows = (
    ("AvailableWWPNs", 65536),
    ("IOSlots", _slots),
    ("SRIOVAdapters", lambda w, s: sriov_parts.adapters(w)),
    ("AssociatedSystemVirtualNetwork", _SWITCHES),
    ("WWPNPrefix", 13857705811797966848),
)
_MEMORY: Rows = (
    ("ConfigurableSystemMemory", lambda w, s: s.memory),
    ("CurrentAvailableSystemMemory", lambda w, s: capacity.memory_free(w)),
    ("CurrentLogicalMemoryBlockSize", lambda w, s: s.region_size),
    ("DefaultHardwarePageTableRatio", 7),
    ("DefaultPhysicalPageTableRatio", 6),
    ("InstalledSystemMemory", lambda w, s: s.memory),
    ("MemoryRegionSize", lambda w, s: s.region_size),
    ("MemoryUsedByHypervisor", lambda w, s: s.firmware_memory),
    ("PendingAvailableSystemMemory", lambda w, s: capacity.memory_free(w)),
    ("PendingMemoryRegionSize", lambda w, s: s.region_size),
)
_PROCESSORS: Rows = (
    ("ConfigurableSystemProcessorUnits", lambda w, s: s.processors),
    ("CurrentAvailableSystemProcessorUnits", lambda w, s: capacity.units_free(w)),
    ("CurrentMaximumProcessorsPerAIXOrLinuxPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumProcessorsPerIBMiPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumAllowedProcessorsPerPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumProcessorsPerVirtualIOServerPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumVirtualProcessorsPerAIXOrLinuxPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumVirtualProcessorsPerIBMiPartition", lambda w, s: s.max_vcpus),
    ("CurrentMaximumVirtualProcessorsPerVirtualIOServerPartition", lambda w, s: s.max_vcpus),
    ("DeconfiguredSystemProcessorUnits", 0),
    ("InstalledSystemProcessorUnits", lambda w, s: s.processors),
    ("MaximumAllowedVirtualProcessorsPerPartition", lambda w, s: s.max_vcpus),
    ("MinimumProcessorUnitsPerVirtualProcessor", str(capacity.MIN_UNITS_PER_VCPU)),
    ("PendingAvailableSystemProcessorUnits", lambda w, s: capacity.units_free(w)),
    ("SharedProcessorPoolCount", 64),
    ("SupportedPartitionProcessorCompatibilityModes", lambda w, s: Many(s.compatibility_modes)),
    (
        "SharedProcessorPool",
        lambda w, s: Links([w.href(ManagedSystem.KIND, s.uuid, p.KIND, p.uuid) for p in w.state.processor_pools]),
    ),
)
_MIGRATION: Rows = (
    ("MaximumInactiveMigrations", 16),
    ("MaximumActiveMigrations", 16),
    ("NumberOfInactiveMigrationsInProgress", 0),
    ("NumberOfActiveMigrationsInProgress", 0),
    ("MaximumFirmwareActiveMigrations", 16),
    ("LogicalPartitionAffinityCheckCapable", True),
)
_CODE_PAGES = ("37:037 USA, Canada", "500:500 International", "930:930 Japanese (Katakana)")
_SYSTEM: Rows = (
    ("AssociatedSystemCapabilities", _CAPABILITIES),
    ("AssociatedSystemIOConfiguration", _IO),
    ("AssociatedSystemMemoryConfiguration", _MEMORY),
    ("AssociatedSystemProcessorConfiguration", _PROCESSORS),
    (
        "AssociatedVirtualIOServers",
        lambda w, s: Links([w.href(ManagedSystem.KIND, s.uuid, Vios.KIND, v.uuid) for v in w.vioses]),
    ),
    ("DetailedState", "None"),
    ("MachineTypeModelAndSerialNumber", MACHINE),
    ("ManufacturingDefaultConfigurationEnabled", False),
    ("MaximumPartitions", lambda w, s: s.max_partitions),
    ("PhysicalSystemAttentionLEDState", False),
    ("PrimaryIPAddress", lambda w, s: w.state.console.address),
    ("ServiceProcessorVersion", "00070000"),
    ("State", lambda w, s: s.state),
    ("SystemName", lambda w, s: s.name),
    ("SystemFirmware", lambda w, s: s.firmware),
    ("VirtualSystemAttentionLEDState", False),
    ("SystemMigrationInformation", _MIGRATION),
    ("ReferenceCode", "00000000"),
    ("IsPowerVMManagementMaster", True),
    ("IsManagementPartitionPowerVMManagementMaster", lambda w, s: not w.vnet_aware),
    ("IsHMCPowerVMManagementMaster", lambda w, s: w.vnet_aware),
    ("MeteredPoolID", "0000"),
    ("ProcessorThrottling", False),
    ("SupportedIBMiConsoleCodePage", Many(_CODE_PAGES)),
)


def _next_wwpns(world: World, system: Any, parameters: Mapping[str, str]) -> JobRun:
    """Reserve WWPN pairs."""
    count = _number(parameters, "numberPairsRequested", 1)
    if not 1 <= count <= 8:
        raise JobFailed(f"numberPairsRequested must be within 1..8, not {count}.")
    return JobRun(0.0, lambda: {"wwpnList": ",".join(fibre.next_pairs(world, count))})


def _reserved_memory(world: World, system: Any, parameters: Mapping[str, str]) -> JobRun:
    """What a partition of this size takes, the hypervisor's share included."""
    names = (
        "NumberOfVirtualEthernetAdapter", "NumberOfVirtualSCSIAdapter", "NumberOfVirtualFibreChannelAdapter"
    )  # fmt: skip
    adapters = sum(_number(parameters, name, 0) for name in names)
    overhead = capacity.reserved_memory(world, _number(parameters, "MaximumMemory", 0), adapters)
    needed = _number(parameters, "DesiredMemory", 0) + overhead
    return JobRun(
        0.0,
        lambda: {
            "RequiredMemory": str(needed),
            "CurrentAvailableSystemMemory": str(capacity.memory_free(world)),
        },
    )


def _number(parameters: Mapping[str, str], name: str, default: int) -> int:
    value = parameters.get(name, str(default)).strip()
    if not value.isdigit():
        raise JobFailed(f"{name} must be a number, not {value!r}.")
    return int(value)


class ManagedSystems(Resource):
    """The managed system."""

    type = "ManagedSystem"
    parents = frozenset({"", "ManagementConsole"})
    jobs: Mapping[str, JobHandler] = {
        "GetNextWWPNs": _next_wwpns,
        "QueryReservedMemoryRequiredForPartition": _reserved_memory,
    }

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [world.state.system]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _SYSTEM, world, obj)

    def quick(self, world: World, obj: Any) -> Mapping[str, Any]:
        return {"State": obj.state, "SystemName": obj.name, "UUID": obj.uuid, "MTMS": str(obj.mtms)}


_INTERFACE: Rows = (
    ("InterfaceName", lambda w, c: c.interface),
    ("NetworkAddress", lambda w, c: c.address),
)
_CONSOLE: Rows = (
    ("MachineTypeModelAndSerialNumber", MACHINE),
    ("ManagedSystems", lambda w, c: Links([w.href(c.KIND, c.uuid, ManagedSystem.KIND, w.system.uuid)])),
    ("ManagementConsoleName", lambda w, c: c.name),
    (
        "NetworkInterfaces",
        lambda w, c: Holder([typed("ManagementConsoleNetworkInterface", _INTERFACE, w, c)]),
    ),
    ("PublicSSHKey", lambda w, c: c.public_key),
    ("AuthorizedKeys", lambda w, c: Holder([typed_key(key) for key in c.authorized_keys])),
)


def typed_key(key: str) -> etree._Element:
    """One authorized ssh key."""
    element = markup.bare("AuthorizedKey")
    element.text = key
    return element


class ManagementConsoles(Resource):
    """What answers the REST API."""

    type = "ManagementConsole"
    parents = frozenset({""})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [world.state.console]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _CONSOLE, world, obj)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        keys = markup.children(markup.child(body.element, "AuthorizedKeys"), "AuthorizedKey")
        obj.authorized_keys = [(key.text or "").strip() for key in keys]
        world.changed(obj)
        return obj


def _members(world: World, pool: Any) -> Links:
    found = [p for p in world.partitions if not p.processors.dedicated and p.processors.pool == pool.id]
    return Links([world.href(ManagedSystem.KIND, world.system.uuid, p.KIND, p.uuid) for p in found])


_POOL: Rows = (
    ("AssignedPartitions", _members),
    ("CurrentReservedProcessingUnits", lambda w, p: p.reserved),
    ("MaximumProcessingUnits", lambda w, p: p.maximum or w.system.processors),
    ("PendingReservedProcessingUnits", lambda w, p: p.reserved),
    ("PoolID", lambda w, p: p.id),
    ("AvailableProcUnits", lambda w, p: capacity.units_free(w)),
    ("PoolName", lambda w, p: p.name),
)


class SharedProcessorPools(Resource):
    """Shared processor pools, under the managed system."""

    type = "SharedProcessorPool"
    parents = frozenset({"ManagedSystem"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.processor_pools)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _POOL, world, obj)


_FLAGS = (
    ("LongTermMonitorEnabled", "long_term"),
    ("AggregationEnabled", "aggregation"),
    ("ShortTermMonitorEnabled", "short_term"),
    ("ComputeLTMEnabled", "compute_ltm"),
)


class Preferences(Resource):
    """Which performance data are collected: a feed of one, changed at the feed's address."""

    type = "preferences"
    service = "pcm"
    parents = frozenset({"ManagedSystem"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [world.state.pcm]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        element = markup.root("ManagedSystemPcmPreference", obj.uuid, markup.PCM)
        values = [("SystemName", world.system.name), *((n, markup.text_of(getattr(obj, f))) for n, f in _FLAGS)]
        for name, value in values:
            etree.SubElement(element, f"{{{markup.PCM}}}{name}").text = value
        href = world.href(ManagedSystem.KIND, world.system.uuid)
        etree.SubElement(element, f"{{{markup.PCM}}}AssociatedManagedSystem", href=href, rel="related")
        return element

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        for name, field in _FLAGS:
            value = markup.flag(body.element, name)
            if value is not None:
                setattr(obj, field, value)
        world.touch(obj)
        return obj
