"""SR-IOV adapters with their physical ports, and the vNICs of partitions that logical ports of theirs back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bigiron.sim.powervm.model.entity import Entity

SHARED = "Sriov"
"""The mode in which the hypervisor shares an adapter out."""
DEDICATED = "Dedicated"
RUNNING = "Running"
NOT_CONFIGURED = "NotConfigured"
MAX_MIN = "MAX_MIN_CAPACITY"
"""The personality of an adapter that can limit a logical port's capacity."""


@dataclass(slots=True, kw_only=True, eq=False)
class LogicalPort(Entity):
    """A virtual function of a physical port; those that back a vNIC belong to a VIOS. Capacities are percentages."""

    KIND: ClassVar[str] = "SRIOVEthernetLogicalPort"
    id: int
    vios: str
    vnic: str
    mac: str
    pvid: int
    capacity: float
    max_capacity: float


@dataclass(slots=True, kw_only=True)
class PhysicalPort:
    """A physical Ethernet port of an SR-IOV adapter; `granularity` is a percentage."""

    id: int
    location: str
    label: str = ""
    sublabel: str = ""
    link: bool = True
    speed: str = "E10Gbps"
    granularity: float = 2.0
    max_ports: int = 20
    logical: list[LogicalPort] = field(default_factory=list)

    @property
    def allocated(self) -> float:
        """Per cent of the capacity that logical ports have."""
        return sum(port.capacity for port in self.logical)


@dataclass(slots=True, kw_only=True)
class SriovAdapter:
    """A card; without SR-IOV mode it has an id of its own no more than physical ports."""

    drc_index: int
    location: str
    id: int | None = None
    description: str = "PCIe3 4-port 10GbE SR Adapter"
    mode: str = SHARED
    state: str = RUNNING
    personality: str = MAX_MIN
    vendor: int = 0x15B3
    device: int = 0x1014
    ports: list[PhysicalPort] = field(default_factory=list)

    @property
    def is_shared(self) -> bool:
        return self.mode == SHARED and self.state == RUNNING


@dataclass(slots=True, kw_only=True)
class BackingDevice:
    """One way for a vNIC's frames: a logical port of this adapter and physical port, served by a VIOS."""

    vios: str
    adapter: int
    port: int
    logical: int
    """The logical port's id."""
    priority: int = 50


@dataclass(slots=True, kw_only=True, eq=False)
class VirtualNic(Entity):
    """A vNIC of a partition; `pvid` 0 leaves frames untagged."""

    KIND: ClassVar[str] = "VirtualNICDedicated"
    slot: int
    mac: str
    pvid: int = 0
    pvid_priority: int = 0
    allowed_vlans: str = "ALL"
    allowed_macs: str = "ALL"
    auto_failback: bool = False
    backing: list[BackingDevice] = field(default_factory=list)
