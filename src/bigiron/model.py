"""The values that pass between the OpenStack plug-ins and the platforms: frozen, and the only currency between them.

Sizes carry their unit in the name. Nothing here knows an OpenStack service or a platform.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol


class PowerState(enum.Enum):
    """What a guest is doing, in words that both platforms and OpenStack can agree on."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    CRASHED = "crashed"
    CHANGING = "changing"
    UNKNOWN = "unknown"


class GuestOs(enum.Enum):
    """The operating-system family, where the platform must know it before the first boot."""

    LINUX = "linux"
    AIX = "aix"
    IBMI = "ibmi"


class ImageSource(Protocol):
    """An image's identity and bytes; `open` may be called more than once and each stream starts at the beginning."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size_bytes(self) -> int:
        """Bytes that `open` will deliver."""
        ...

    @property
    def sha256(self) -> str | None:
        """Checksum of those bytes where it is known beforehand."""
        ...

    @property
    def distro(self) -> str | None:
        """The operating system in the image, in the words of its property os_distro, where it has one."""
        ...

    def open(self) -> BinaryIO: ...


@dataclass(frozen=True, slots=True)
class DiskBytes:
    """A disk's content: how many bytes `stream` will deliver, which fails rather than end early."""

    size_bytes: int
    stream: BinaryIO


class DiskRole(enum.Enum):
    """What a disk is for; the root disk is the one that boots, and a rescued guest boots the rescue disk."""

    ROOT = "root"
    EPHEMERAL = "ephemeral"
    SWAP = "swap"
    RESCUE = "rescue"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk to create: from an image where there is one, else empty.

    `format` is the file system that an empty disk is to have, for a platform that makes one; None leaves that to it.
    """

    role: DiskRole
    size_gb: float
    image: ImageSource | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class FixedAddress:
    """An IPv4 address of an adapter, for a platform that configures the guest's network itself."""

    address: str
    cidr: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network adapter to create; `id` is the network service's port id and the MAC is chosen beforehand.

    `tagged_vlans` are further VLANs that a guest tells apart by their tags; None where it is to see none.
    """

    id: str
    mac: str
    vif_type: str
    vlan: int | None = None
    physical_network: str | None = None
    mtu: int | None = None
    tagged_vlans: tuple[int, ...] | None = None
    fixed: FixedAddress | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """All that a platform needs to make a guest.

    `uuid` is the instance's; `options` holds the flavor keys of the platform's own namespace as the flavor has
    them, prefix included (`powervm:proc_units`), and the platform checks them.
    """

    uuid: str
    name: str
    memory_mb: int
    vcpus: int
    os: GuestOs = GuestOs.LINUX
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    config_drive: bool = False
    power_on: bool = True
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuestState:
    """A guest of ours as the platform has it now."""

    uuid: str
    name: str
    power: PowerState
    memory_mb: int = 0
    vcpus: int = 0


@dataclass(frozen=True, slots=True)
class DiskReport:
    """A disk that a guest has: its name on the platform, and its size in GB where the platform tells."""

    name: str
    size_gb: float | None = None


@dataclass(frozen=True, slots=True)
class GuestReport:
    """What the platform tells of a guest for its diagnostics; None where it tells nothing.

    Memory is what the guest holds now and may come to hold; `processors` are whole processors (1.0 = one core),
    entitled or dedicated; MACs are in lower case with colons.
    """

    power: PowerState
    uptime_s: int | None
    memory_mb: int
    max_memory_mb: int
    vcpus: int
    processors: float
    dedicated: bool
    processor_mode: str
    operating_system: str
    macs: tuple[str, ...]
    disks: tuple[DiskReport, ...]
    config_drive: bool


@dataclass(frozen=True, slots=True)
class ConsoleAddress:
    """Where a guest's console is; with a path a client first sends `CONNECT path HTTP/1.1` and waits for the answer.

    What follows is RFB or the terminal's own bytes.
    """

    host: str
    port: int
    path: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """The platform reports that a guest of ours changed its power state."""

    uuid: str
    power: PowerState


@dataclass(frozen=True, slots=True)
class DirectPort:
    """A physical network port that the host shares out: so many functions, which guests get one or several of.

    `adapter` and `port` are the platform's numbers; `vendor` and `product` are four hexadecimal digits; `location`
    is the platform's name for the port, under which the network service counts its bandwidth.
    """

    adapter: int
    port: int
    functions: int
    vendor: str
    product: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host and what it can give to guests, hypervisor and service partitions counted as reserved.

    Processor figures are whole processors (1.0 = one core); memory in MB, a multiple of `memory_unit_mb`. `disk_pool`
    identifies a pool of disks that other hosts use as well; None where the disks are the host's own. Where it
    `divides_processors`, a guest has a share of them that is its own, else all guests compete for them.
    """

    hostname: str
    hypervisor: str
    version: int
    architecture: str
    model: str
    memory_mb: int
    memory_reserved_mb: int
    memory_used_mb: int
    memory_unit_mb: int
    processors: float
    processors_reserved: float
    processors_used: float
    processors_per_vcpu: float
    max_vcpus_per_guest: int
    disk_gb: int
    disk_used_gb: int
    guests: int
    disk_pool: str | None = None
    divides_processors: bool = True
    traits: frozenset[str] = frozenset()
    direct_ports: tuple[DirectPort, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CpuStats:
    """Host processor time since some fixed moment, in nanoseconds, and the clock in MHz."""

    kernel_ns: int
    idle_ns: int
    user_ns: int
    iowait_ns: int
    frequency_mhz: int


@dataclass(frozen=True, slots=True)
class ProcessorUsage:
    """What a guest's processors have done since its start, in nanoseconds of one processor, as of the time `at`.

    What a platform does not tell is None. Times are seconds since the epoch by the platform's clock, or by ours where
    the platform tells none. `used_ns` is the time with work, wherever it came from:
    within the entitlement (`capped_ns`, which includes time that was idle or given away) and beyond it
    (`uncapped_ns`). `waiting_ns` is how long it had to wait for a processor. `processors` are whole processors (1.0 =
    one core), entitled or dedicated; `pool` is the shared pool that they come from, None for dedicated ones. Of the
    times that the platform looked at them it found them at work in `in_use_samples` and waiting in `delay_samples`.
    """

    at: float
    used_ns: int
    entitled_ns: int | None = None
    capped_ns: int | None = None
    uncapped_ns: int | None = None
    idle_ns: int | None = None
    donated_ns: int | None = None
    waiting_ns: int | None = None
    processors: float | None = None
    pool: int | None = None
    in_use_samples: int | None = None
    delay_samples: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """A guest's memory, in MiB, as its own system sees it or the platform; what was swapped is counted since the first
    look at it. None where nobody tells.
    """

    at: float
    total_mb: float
    used_mb: float | None
    swapped_in_mb: float | None
    swapped_out_mb: float | None


@dataclass(frozen=True, slots=True)
class NicUsage:
    """What has gone through a guest's network adapter since the guest's start; in is towards the guest.

    `name` is the same while the guest has the adapter, wherever it runs; `location` is where the adapter is now.
    """

    at: float
    name: str
    mac: str
    location: str
    in_bytes: int
    in_packets: int
    in_drops: int
    in_errors: int
    out_bytes: int
    out_packets: int
    out_drops: int
    out_errors: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What has gone through one of a guest's storage adapters since the guest's start."""

    at: float
    name: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int


@dataclass(frozen=True, slots=True)
class DiskCapacity:
    """How large what is behind a storage adapter is, and how much of it is taken where the platform tells."""

    name: str
    capacity_bytes: int
    allocation_bytes: int | None


@dataclass(frozen=True, slots=True)
class GuestUsage:
    """What a guest of ours has and uses; of what is not known, None or nothing.

    `resident_mb` is the memory that the hypervisor has given it.
    """

    uuid: str
    power: PowerState | None
    vcpus: int | None
    memory_mb: int | None
    resident_mb: int | None = None
    processor: ProcessorUsage | None = None
    memory: MemoryUsage | None = None
    nics: tuple[NicUsage, ...] = ()
    disks: tuple[DiskUsage, ...] = ()
    capacities: tuple[DiskCapacity, ...] = ()
