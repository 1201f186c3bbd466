"""The managed system as a whole, its management console and its processor pools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from bigiron.sim.powervm.model.entity import Entity


@dataclass(slots=True)
class MachineType:
    """Machine type, model and serial number: together the system's name to IBM."""

    type: str
    model: str
    serial: str

    def __str__(self) -> str:
        return f"{self.type}-{self.model}*{self.serial}"


@dataclass(slots=True, kw_only=True, eq=False)
class ManagedSystem(Entity):
    """One server: what is installed and what it can do; what is in use is computed from its partitions."""

    KIND: ClassVar[str] = "ManagedSystem"
    name: str
    mtms: MachineType
    memory: int
    """Installed memory in MB."""
    firmware_memory: int
    """MB that the hypervisor keeps for itself."""
    region_size: int
    """MB; partition memory is a multiple of it."""
    processors: float
    """Installed and configurable processing units."""
    max_partitions: int = 1000
    max_vcpus: int = 256
    compatibility_modes: list[str] = field(default_factory=list)
    state: str = "operating"
    firmware: str = "FW1060.10"
    capabilities: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class SharedProcessorPool(Entity):
    """A pool of processing units that shared partitions draw from; pool 0 is the default one."""

    KIND: ClassVar[str] = "SharedProcessorPool"
    id: int
    name: str
    maximum: int = 0
    reserved: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class ManagementConsole(Entity):
    """What answers the REST API: NovaLink or an HMC."""

    KIND: ClassVar[str] = "ManagementConsole"
    name: str
    mtms: MachineType
    interface: str = "eth0"
    address: str = "127.0.0.1"
    public_key: str = ""
    authorized_keys: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class PcmPreferences(Entity):
    """Which performance data are collected."""

    KIND: ClassVar[str] = "ManagedSystemPcmPreference"
    long_term: bool = False
    aggregation: bool = False
    short_term: bool = False
    compute_ltm: bool = True
