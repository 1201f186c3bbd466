"""The parts of a z/VM system, as immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field

ECKD, FBA = "ECKD", "FBA"
BYTES_PER_CYLINDER = 737_280
BYTES_PER_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Machine:
    """The physical machine, the logical partition and the control program in it."""

    name: str
    """CP's system identifier."""
    cpc: str = "CPC1"
    cpc_type: str = "8561"
    cpc_serial: str = "00000000000A1B2C"
    lpar: str = "LPAR1"
    version: int = 7
    release: int = 3
    processors: int = 4
    standby_processors: int = 0
    memory_mb: int = 262_144
    standby_mb: int = 0


@dataclass(frozen=True, slots=True)
class Volume:
    """A DASD volume: its size in cylinders of 3390 or in blocks of 9336."""

    label: str
    device_type: str
    size: int
    rdev: str


@dataclass(frozen=True, slots=True)
class Pool:
    """A DASD group of the directory manager, from which minidisks are allocated."""

    name: str
    kind: str
    volumes: tuple[Volume, ...]

    @property
    def unit(self) -> int:
        """Bytes of one cylinder or block."""
        return BYTES_PER_CYLINDER if self.kind == ECKD else BYTES_PER_BLOCK


@dataclass(frozen=True, slots=True)
class Minidisk:
    """An MDISK statement: an extent of a volume, or a virtual disk in storage (volume empty)."""

    vdev: str
    device_type: str
    start: int
    size: int
    volume: str
    mode: str = "MR"

    @property
    def virtual(self) -> bool:
        """Whether it is a V-DISK, which lives in storage while its owner is logged on."""
        return not self.volume

    @property
    def fixed_block(self) -> bool:
        """Whether its size counts blocks of 512 bytes instead of cylinders."""
        return self.device_type.startswith(("FB", "9336"))

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.size * (BYTES_PER_BLOCK if self.fixed_block else BYTES_PER_CYLINDER)

    @property
    def key(self) -> str:
        """Names the extent."""
        return f"{self.volume}.{self.start}"


@dataclass(frozen=True, slots=True)
class Nic:
    """What a userid's NICDEF statements say of one network adapter."""

    vdev: str
    mac_id: str = ""
    lan: str = ""
    vlan: int | None = None
    port_type: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A userid's right to couple to a virtual switch, with the VLANs that it may use there."""

    userid: str
    vlans: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Vswitch:
    """A virtual switch with its grants."""

    name: str
    transport: str = "ETHERNET"
    aware: bool = False
    vlan: int | None = None
    """The default VLAN of a VLAN-aware switch."""
    native_vlan: int | None = None
    port_type: str = "NONE"
    gvrp: bool = False
    queue_mb: int = 8
    router: str = "NONROUTER"
    rdevs: tuple[str, ...] = ()
    controller: str = "*"
    connected: bool = True
    persistent: bool = True
    foreign: bool = False
    """Whether it came with the system document."""
    grants: dict[str, Grant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A file in a userid's reader."""

    number: int
    owner: str
    origin: str
    spool_class: str
    device: str
    name: str
    type: str
    size: int
    time: float


@dataclass(frozen=True, slots=True)
class FcpDevice:
    """A real FCP device (subchannel) with its NPIV port."""

    device: str
    chpid: str
    pchid: str
    npiv_wwpn: str
    physical_wwpn: str
    online: bool = True


@dataclass(frozen=True, slots=True)
class Lun:
    """A logical unit that storage target ports serve."""

    wwpns: tuple[str, ...]
    lun: str
    size_gb: float
    wwid: str
    initiators: tuple[str, ...] = ()
    """Ports that may use it; empty: all."""


@dataclass(frozen=True, slots=True)
class Link:
    """A minidisk that the connector's Linux has linked and brought online under a device name."""

    device: str
    userid: str
    vdev: str
    alias: str
