"""Partitions: what clients' LPARs and VIOSes have in common, and what each adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bigiron.sim.powervm.model.entity import Entity
from bigiron.sim.powervm.model.mapping import EthernetPort, FibreAdapter, FibreMapping, ServerAdapter
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.model.sriov import VirtualNic
from bigiron.sim.powervm.model.storage import PhysicalVolume, VolumeGroup

OFF = "not activated"
STARTING = "starting"
RUNNING = "running"
FIRMWARE = "open firmware"
SHUTTING_DOWN = "shutting down"
ERROR = "error"

IBM_I = "OS400"
"""The type of a partition that runs IBM i."""

RMC_ACTIVE = "active"
RMC_INACTIVE = "inactive"
RMC_BUSY = "busy"


@dataclass(slots=True, kw_only=True)
class Memory:
    """A partition's memory in MB."""

    desired: int
    minimum: int
    maximum: int
    expansion: float = 0.0
    page_table_ratio: int = 7
    physical_page_table_ratio: int | None = None
    huge_pages: int = 0


@dataclass(slots=True, kw_only=True)
class Processors:
    """A partition's processors: whole ones where `dedicated`, else processing units spread over virtual ones."""

    dedicated: bool = False
    units: float = 0.0
    min_units: float = 0.0
    max_units: float = 0.0
    vcpus: int = 1
    min_vcpus: int = 1
    max_vcpus: int = 1
    sharing: str = "uncapped"
    weight: int = 64
    pool: int = 0

    @property
    def taken(self) -> float:
        """Processing units that the partition takes from the system."""
        return float(self.vcpus) if self.dedicated else self.units


@dataclass(slots=True, kw_only=True)
class TaggedIO:
    """The IBM i settings of a partition."""

    alternate_console: str = "NONE"
    alternate_load_source: str = "NONE"
    console: str = "HMC"
    load_source: str = "0"
    operations_console: str = "NONE"


@dataclass(slots=True, kw_only=True, eq=False)
class Partition(Entity):
    """What LPARs and VIOSes share."""

    id: int
    name: str
    type: str
    memory: Memory
    processors: Processors
    state: str = OFF
    rmc: str = RMC_INACTIVE
    rmc_due: float | None = None
    """When RMC becomes active after a start, in seconds of the simulation's clock."""
    rmc_address: str | None = None
    max_slots: int = 64
    description: str | None = None
    os_version: str = "Unknown"
    availability_priority: int = 127
    compatibility_mode: str = "default"
    """What its next start takes up."""
    current_mode: str = "default"
    """What its last start took up."""
    keylock: str = "normal"
    boot_mode: str = "Normal"
    boot_string: str = ""
    """Device paths that the start at hand was told to boot from; they hold for that one start."""
    reference_code: str = "00000000"
    metrics: bool = False
    management: bool = False
    secure_boot: int = 0
    serial: str = ""
    mac_prefix: str = ""
    started: float | None = None
    adapters: list[VirtualEthernet] = field(default_factory=list)

    @property
    def is_on(self) -> bool:
        return self.state not in (OFF, ERROR)


@dataclass(slots=True, kw_only=True, eq=False)
class Lpar(Partition):
    """A client partition."""

    KIND: ClassVar[str] = "LogicalPartition"
    remote_restart: bool = True
    remote_restart_state: str = "Invalid"
    migration_state: str = "Not_Migrating"
    restricted_io: bool = False
    source: str = ""
    """IPL source of an IBM i partition."""
    tagged_io: TaggedIO | None = None
    nvram: str | None = None
    affinity_check: bool = False
    vnics: list[VirtualNic] = field(default_factory=list)
    foreign: bool = False
    """Came with the system document: nobody's leftover."""


@dataclass(slots=True, kw_only=True, eq=False)
class Vios(Partition):
    """A Virtual I/O Server."""

    KIND: ClassVar[str] = "VirtualIOServer"
    volumes: list[PhysicalVolume] = field(default_factory=list)
    groups: list[VolumeGroup] = field(default_factory=list)
    servers: list[ServerAdapter] = field(default_factory=list)
    fibre: list[FibreMapping] = field(default_factory=list)
    fibre_cards: list[FibreAdapter] = field(default_factory=list)
    ethernet: list[EthernetPort] = field(default_factory=list)
    trunks: list[VirtualEthernet] = field(default_factory=list)
    """Trunk adapters that no SEA holds."""
    mover: bool = True

    @property
    def repository_group(self) -> VolumeGroup | None:
        """The volume group that holds the media repository."""
        return next((g for g in self.groups if g.repository), None)

    @property
    def is_up(self) -> bool:
        """Whether the management side reaches it."""
        return self.state == RUNNING and self.rmc in (RMC_ACTIVE, RMC_BUSY)
