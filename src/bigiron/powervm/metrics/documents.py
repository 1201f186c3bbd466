"""The monitor's documents as plain values; field names of the JSON are in the comments of the readers below.

Sections that a system does not give (virtual I/O metrics switched off, a partition that is off) are empty. What
makes no sense of one partition or adapter is named in `unreadable` and left out: it must not cost the others theirs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from bigiron.errors import PlatformError
from bigiron.powervm.metrics import arithmetic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cycles:
    """A partition's totals in ticks of the time base since it was started."""

    entitled: int
    capped: int
    uncapped: int
    idle: int
    donated: int
    waiting: int

    @property
    def used(self) -> float:
        """The ticks with work."""
        return arithmetic.used_cycles(self.capped, self.uncapped, self.idle, self.donated)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A network adapter's counters, by its location code; in is towards the partition."""

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
class ScsiLink:
    """A partition's virtual SCSI adapter: the short id of the VIOS and the slot at the other end."""

    vios: int
    slot: int


@dataclass(frozen=True, slots=True)
class FibreLink:
    """A partition's virtual Fibre Channel adapter: the short id of the VIOS, and the WWPNs in lower case."""

    vios: int
    wwpns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """A partition as the hypervisor sees it; memory in MB."""

    uuid: str
    id: int
    running: bool
    vcpus: int
    processors: float
    pool: int | None
    memory_mb: int
    resident_mb: int | None
    cycles: Cycles
    nics: tuple[Traffic, ...] = ()
    disks: tuple[ScsiLink, ...] = ()
    channels: tuple[FibreLink, ...] = ()


@dataclass(frozen=True, slots=True)
class HypervisorSample:
    """The hypervisor's document: `lpars` and `vioses` by uuid (upper case) and short id.

    `ports` are the logical ports that carry vNICs' frames, by the uuid of the client and then by their location.
    """

    at: float
    stamp: str
    timebase: float
    hertz: float | None
    processors: float
    firmware: float
    lpars: Mapping[str, PartitionSample]
    vioses: Mapping[int, PartitionSample]
    ports: Mapping[str, Mapping[str, Traffic]]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfers:
    """A storage adapter's counters under its name on the VIOS."""

    name: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int


@dataclass(frozen=True, slots=True)
class ViosSample:
    """A VIOS's document: its virtual SCSI adapters by slot, its virtual Fibre Channel ones by WWPN in lower case."""

    at: float
    name: str
    scsi: Mapping[int, Transfers]
    fibre: Mapping[str, Transfers]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemorySample:
    """What a partition's own system tells of its memory; pages per second, None where it does not know."""

    at: float
    total_mb: float
    available_percent: float | None
    pages_in: float | None
    pages_out: float | None


@dataclass(frozen=True, slots=True)
class MemorySamples:
    """Of the partitions whose system answered, by their uuid (upper case)."""

    partitions: Mapping[str, MemorySample]
    unreadable: tuple[str, ...] = ()


_SENSELESS = (ValueError, KeyError, TypeError, AttributeError, IndexError)


def read(text: str, what: str, reader: Callable[[dict[str, Any]], T]) -> T:
    """A document as a value; raises PlatformError that names it where it is cut short, no JSON or of another shape."""
    try:
        return reader(json.loads(text))
    except _SENSELESS as error:
        raise PlatformError(
            f"The monitor's document {what} cannot be read: {type(error).__name__} {error}, {len(text)} characters."
        ) from error


def hypervisor(document: dict[str, Any]) -> HypervisorSample:
    """The document of category phyp."""
    sample = document["systemUtil"]["utilSample"]
    processor = sample["processor"]
    unreadable: list[str] = []
    partitions = _each(sample.get("lparsUtil"), _partition, "partition", unreadable)
    vioses = _each(sample.get("viosUtil"), lambda one: (_partition(one), _client_ports(one)), "VIOS", unreadable)
    ports: dict[str, dict[str, Traffic]] = {}
    for _vios, clients in vioses:
        for client, traffic in clients:
            ports.setdefault(client, {})[traffic.location] = traffic
    # `procCyclesPerSecond` is not in the documents of every system.
    hertz = processor.get("procCyclesPerSecond")
    return HypervisorSample(
        at=_time(sample["timeStamp"]),
        stamp=str(sample["timeStamp"]),
        timebase=float(sample["timeBasedCycles"]),
        hertz=float(hertz) if hertz else None,
        processors=float(processor["configurableProcUnits"]),
        firmware=float(sample["systemFirmware"]["utilizedProcCycles"]),
        lpars={one.uuid: one for one in partitions},
        vioses={one.id: one for one, _clients in vioses},
        ports=ports,
        unreadable=tuple(unreadable),
    )


def vios(document: dict[str, Any]) -> ViosSample:
    """The document of a category vios_<id>."""
    sample = document["systemUtil"]["utilSample"]
    (found,) = sample["viosUtil"]
    storage = found.get("storage") or {}
    unreadable: list[str] = []
    cards = storage.get("fiberChannelAdapters") or []
    ports = [port for card in cards for port in card.get("ports") or []]
    fibre = _each(ports, lambda one: (_wwpn(one["wwpn"]), _transfers(one)), "port", unreadable)
    adapters = storage.get("genericVirtualAdapters")
    scsi = _each(adapters, lambda one: (_slot(one["physicalLocation"]), _transfers(one)), "adapter", unreadable)
    return ViosSample(
        at=_time(sample["timeStamp"]),
        name=str(found["name"]),
        scsi={slot: transfers for slot, transfers in scsi if slot is not None},
        fibre=dict(fibre),
        unreadable=tuple(unreadable),
    )


def memory(document: dict[str, Any]) -> MemorySamples:
    """The document of category lpar."""
    unreadable: list[str] = []
    told = [one for one in document["lparUtil"] if one.get("memory") and one.get("timeStamp")]
    return MemorySamples(dict(_each(told, _memory, "partition", unreadable)), tuple(unreadable))


def _memory(found: dict[str, Any]) -> tuple[str, MemorySample]:
    figures = found["memory"]
    return str(found["uuid"]).upper(), MemorySample(
        at=_time(found["timeStamp"]),
        total_mb=float(figures["realMemSizeBytes"]) / (1 << 20),
        available_percent=_known(figures.get("pctRealMemAvbl")),
        pages_in=_known(figures.get("vmPgSpInRate")),
        pages_out=_known(figures.get("vmPgSpOutRate")),
    )


def _each(
    rows: Iterable[dict[str, Any]] | None, reader: Callable[[dict[str, Any]], T], what: str, unreadable: list[str]
) -> list[T]:
    """Those rows that can be read; names the others."""
    found = []
    for row in rows or ():
        try:
            found.append(reader(row))
        except _SENSELESS as error:
            name = row.get("name") or row.get("uuid") or row.get("id") if isinstance(row, dict) else row
            unreadable.append(f"{what} {name} ({type(error).__name__} {error})")
    return found


def _partition(found: dict[str, Any]) -> PartitionSample:
    processor = found.get("processor") or {}
    memory = found.get("memory") or {}
    network = found.get("network") or {}
    storage = found.get("storage") or {}
    resident = memory.get("backedPhysicalMem")
    pool = processor.get("poolId")
    return PartitionSample(
        uuid=str(found.get("uuid") or "").upper(),
        id=int(found["id"]),
        running=int(processor.get("entitledProcCycles") or 0) > 0,
        vcpus=int(processor.get("maxVirtualProcessors") or 0),
        processors=float(processor.get("maxProcUnits") or 0),
        pool=None if pool is None else int(pool),
        memory_mb=int(memory.get("logicalMem") or memory.get("assignedMem") or 0),
        resident_mb=None if resident is None else int(resident),
        cycles=_cycles(processor),
        nics=(
            *(_ethernet(one) for one in network.get("virtualEthernetAdapters") or []),
            *(_logical_port(one) for one in network.get("sriovLogicalPorts") or []),
        ),
        disks=tuple(
            ScsiLink(int(one["viosId"]), int(one["viosAdapterSlotId"]))
            for one in storage.get("genericVirtualAdapters") or []
        ),
        channels=tuple(
            FibreLink(int(one["viosId"]), tuple(_wwpn(w) for w in one.get("wwpnPair") or one.get("wwpnpair") or []))
            for one in storage.get("virtualFiberChannelAdapters") or []
        ),
    )


def _cycles(processor: dict[str, Any]) -> Cycles:
    def of(name: str) -> int:
        return int(processor.get(name) or 0)

    return Cycles(
        entitled=of("entitledProcCycles"),
        capped=of("utilizedCappedProcCycles"),
        uncapped=of("utilizedUnCappedProcCycles"),
        idle=of("idleProcCycles"),
        donated=of("donatedProcCycles"),
        waiting=of("timeSpentWaitingForDispatch"),
    )


def _ethernet(found: dict[str, Any]) -> Traffic:
    """A virtual Ethernet adapter, which counts no errors, and as drops the frames that it could not take."""
    return Traffic(
        location=str(found["physicalLocation"]),
        in_bytes=int(found.get("receivedBytes") or 0),
        in_packets=int(found.get("receivedPackets") or 0),
        in_drops=int(found.get("droppedPackets") or 0),
        in_errors=0,
        out_bytes=int(found.get("sentBytes") or 0),
        out_packets=int(found.get("sentPackets") or 0),
        out_drops=0,
        out_errors=0,
    )


def _logical_port(found: dict[str, Any]) -> Traffic:
    return Traffic(
        location=str(found["physicalLocation"]),
        in_bytes=int(found.get("receivedBytes") or 0),
        in_packets=int(found.get("receivedPackets") or 0),
        in_drops=int(found.get("droppedReceivedPackets") or 0),
        in_errors=int(found.get("errorIn") or 0),
        out_bytes=int(found.get("sentBytes") or 0),
        out_packets=int(found.get("sentPackets") or 0),
        out_drops=int(found.get("droppedSentPackets") or 0),
        out_errors=int(found.get("errorOut") or 0),
    )


def _client_ports(found: dict[str, Any]) -> list[tuple[str, Traffic]]:
    """The logical ports of a VIOS that carry a client's frames, with the client's uuid."""
    ports = (found.get("network") or {}).get("sriovLogicalPorts") or []
    return [
        (str(one["clientPartitionUUID"]).upper(), _logical_port(one)) for one in ports if one.get("clientPartitionUUID")
    ]


def _transfers(found: dict[str, Any]) -> Transfers:
    return Transfers(
        name=str(found["id"]),
        read_bytes=int(found.get("readBytes") or 0),
        read_requests=int(found.get("numOfReads") or 0),
        write_bytes=int(found.get("writeBytes") or 0),
        write_requests=int(found.get("numOfWrites") or 0),
    )


def _slot(location: str) -> int | None:
    """The slot in a location code such as U8247.22L.2125D4A-V1-C7; None in a code of another kind."""
    found = re.search(r"-V\d+-C(\d+)(?:-|$)", location)
    return int(found.group(1)) if found else None


def _wwpn(value: int | str) -> str:
    """A WWPN as 16 hexadecimal digits, from a number or from text."""
    return f"{value:016x}" if isinstance(value, int) else str(value).lower().replace(":", "").rjust(16, "0")


def _known(value: Any) -> float | None:
    """A figure that the partition's system knows: it says -1 for one that it does not."""
    return None if value is None or float(value) < 0 else float(value)


def _time(text: str) -> float:
    """Seconds since the epoch, from 2015-05-27T08:17:45+0000 or 20160328T031000-0400."""
    form = "%Y-%m-%dT%H:%M:%S%z" if "-" in text[:8] else "%Y%m%dT%H%M%S%z"
    return datetime.strptime(text, form).timestamp()
