"""How a VIOS serves storage to partitions: virtual SCSI and virtual Fibre Channel adapters and what hangs on them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Target:
    """One disk or medium on a server adapter.

    `kind` is LogicalUnit, VirtualDisk, VirtualOpticalMedia or PhysicalVolume; an empty `kind` is an empty optical
    drive. `key` is the storage's udid.
    """

    kind: str
    key: str
    name: str
    """Of the device on the VIOS: vtscsiN or vtoptN."""
    lua: str
    udid: str
    tag: str | None = None


@dataclass(slots=True, kw_only=True)
class ServerAdapter:
    """A vhost: the VIOS's end of a virtual SCSI pair, and the client's end while `client` names a partition.

    When the client partition is deleted, its end goes and this one stays, as on the real system.
    """

    slot: int
    name: str
    udid: str
    client_id: int
    """The short id that it was made for; ids are reused, so that it may name another partition by now."""
    client_slot: int
    client: str | None
    """The uuid of the partition at the other end, None once that is gone."""
    targets: list[Target] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class FibreMapping:
    """A virtual Fibre Channel pair and the physical port that it goes through."""

    slot: int
    name: str
    udid: str
    client_id: int
    client_slot: int
    client: str | None
    port: str | None
    """The physical port's name, such as fcs0."""
    wwpns: list[str]


@dataclass(slots=True, kw_only=True)
class FibrePort:
    """A physical Fibre Channel port."""

    name: str
    wwpn: str
    location: str
    npiv_total: int = 64
    label: str | None = None


@dataclass(slots=True, kw_only=True)
class FibreAdapter:
    """A physical Fibre Channel card in a slot of the VIOS."""

    location: str
    drc_index: int
    ports: list[FibrePort]


@dataclass(slots=True, kw_only=True)
class EthernetPort:
    """A physical Ethernet device of a VIOS."""

    name: str
    location: str
    address: str | None = None
