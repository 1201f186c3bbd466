"""From the monitor's samples to what each guest uses: counters are followed from one reading to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bigiron.model import DiskUsage, MemoryUsage, NicUsage, ProcessorUsage
from bigiron.powervm.metrics import arithmetic
from bigiron.powervm.metrics.arithmetic import Ticks, Timebase, Totals
from bigiron.powervm.metrics.documents import (
    HypervisorSample,
    MemorySample,
    PartitionSample,
    Traffic,
    Transfers,
    ViosSample,
)
from bigiron.powervm.metrics.monitor import Reading
from bigiron.powervm.metrics.storage import device_name

_COUNTED = ("in_bytes", "in_packets", "in_drops", "in_errors", "out_bytes", "out_packets", "out_drops", "out_errors")
_MOVED = ("read_bytes", "read_requests", "write_bytes", "write_requests")
_SAME_SAMPLE_S = 15.0
"""Of documents of one sample, which are 30 s apart, by as much at the most their times may differ."""
_SWAPPED_S = 600.0
"""For how long a rate of swapping is taken to have held: it tells of the last two minutes only."""


@dataclass(slots=True)
class _Activation:
    """A partition from one start to the next: what was counted of it so far."""

    entitled: int = 0
    used_ns: int = 0
    times: dict[str, Ticks] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    swapped_at: float | None = None
    swapped_in: float = 0.0
    swapped_out: float = 0.0


@dataclass(slots=True)
class _Starts:
    """How often a VIOS was seen to have started, and when the last time."""

    entitled: int
    count: int = 0
    at: float = 0.0

    def note(self, entitled: int, at: float) -> None:
        """Take what the hypervisor's next sample says, of a VIOS that runs."""
        if entitled < self.entitled:
            self.count, self.at = self.count + 1, at
        self.entitled = entitled

    def before(self, at: float) -> int:
        """How many of the starts a sample of the VIOS knows of: the last one it gave before it went stays the newest
        for as long as it takes to start."""
        return self.count if at >= self.at - _SAME_SAMPLE_S else self.count - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What one partition uses, as far as the samples tell."""

    sample: PartitionSample
    processor: ProcessorUsage | None = None
    memory: MemoryUsage | None = None
    nics: tuple[NicUsage, ...] = ()
    disks: tuple[DiskUsage, ...] = ()


class Meters:
    """Follows the partitions of one system; one reading after the other, from one thread at a time."""

    def __init__(self) -> None:
        self._activations: dict[str, _Activation] = {}
        self._last: HypervisorSample | None = None
        self._timebase = Timebase()
        self._starts: dict[int, _Starts] = {}
        """By the short ids of the VIOSes."""

    def follow(
        self, reading: Reading, macs: Mapping[str, Mapping[str, str]], ignored: Mapping[str, str]
    ) -> Mapping[str, Usage]:
        """What each partition (uuid in upper case) uses.

        `macs` are those of its adapters by location; an adapter without one is left out, and so is one with the MAC
        that `ignored` names.
        """
        sample = reading.hypervisor or self._last
        if sample is None:
            return {}
        if reading.hypervisor is not None:
            self._take(reading.hypervisor)
        for uuid in set(self._activations) - set(sample.lpars):
            del self._activations[uuid]
        return {
            uuid: self._usage(sample, one, reading, macs.get(uuid, {}), ignored.get(uuid))
            for uuid, one in sample.lpars.items()
        }

    def _take(self, sample: HypervisorSample) -> None:
        """Notice what has begun anew since the last sample."""
        last, self._last = self._last, sample
        if last is not None and sample.at > last.at:
            self._timebase.measure(sample.hertz, sample.timebase - last.timebase, sample.at - last.at)
        for number, vios in sample.vioses.items():
            # One that is off is in the sample without its counters, or not at all.
            if vios.running:
                self._starts.setdefault(number, _Starts(vios.cycles.entitled)).note(vios.cycles.entitled, sample.at)
        for uuid, one in sample.lpars.items():
            known = self._activations.get(uuid)
            if known is None or not one.running or one.cycles.entitled < known.entitled:
                known = self._activations[uuid] = _Activation()
            known.entitled = one.cycles.entitled

    def _usage(
        self,
        sample: HypervisorSample,
        one: PartitionSample,
        reading: Reading,
        macs: Mapping[str, str],
        ignored: str | None,
    ) -> Usage:
        if not one.running:
            return Usage(one)
        activation = self._activations[one.uuid]
        fresh = reading.hypervisor is not None
        ports = sample.ports.get(one.uuid, {})
        return Usage(
            sample=one,
            processor=self._processor(sample, one, activation) if fresh else None,
            memory=_memory(reading.memory[one.uuid], activation) if one.uuid in reading.memory else None,
            nics=_nics(sample.at, [*one.nics, *ports.values()], macs, ignored, activation.totals) if fresh else (),
            disks=tuple(self._disks(one, reading.vioses, activation.totals)),
        )

    def _processor(self, sample: HypervisorSample, one: PartitionSample, activation: _Activation) -> ProcessorUsage:
        hertz = self._timebase.hertz(sample.hertz)
        cycles = one.cycles

        def passed(name: str, ticks: float) -> int:
            return activation.times.setdefault(name, Ticks()).passed(ticks, hertz)

        # Its parts are not read at one moment, so that it could fall by a hair.
        activation.used_ns = max(activation.used_ns, passed("used", cycles.used))
        return ProcessorUsage(
            at=sample.at,
            used_ns=activation.used_ns,
            entitled_ns=passed("entitled", cycles.entitled),
            capped_ns=passed("capped", cycles.capped),
            uncapped_ns=passed("uncapped", cycles.uncapped),
            idle_ns=passed("idle", cycles.idle),
            donated_ns=passed("donated", cycles.donated),
            waiting_ns=passed("waiting", cycles.waiting),
            processors=one.processors,
            pool=one.pool,
        )

    def _disks(self, one: PartitionSample, vioses: Mapping[int, ViosSample], totals: Totals) -> Sequence[DiskUsage]:
        found = []
        for link in one.disks:
            vios = vioses.get(link.vios)
            transfers = vios.scsi.get(link.slot) if vios else None
            if vios and transfers:
                found.append(self._disk(vios, link.vios, transfers, totals))
        for channel in one.channels:
            vios = vioses.get(channel.vios)
            transfers = next((vios.fibre[w] for w in channel.wwpns if w in vios.fibre), None) if vios else None
            if vios and transfers:
                found.append(self._disk(vios, channel.vios, transfers, totals))
        return found

    def _disk(self, vios: ViosSample, number: int, transfers: Transfers, totals: Totals) -> DiskUsage:
        name = device_name(vios.name, transfers.name)
        starts = self._starts.get(number)
        epoch = starts.before(vios.at) if starts else 0
        moved = {one: totals.add(f"{name} {one}", getattr(transfers, one), epoch) for one in _MOVED}
        return DiskUsage(vios.at, name, **moved)


def _memory(sample: MemorySample, activation: _Activation) -> MemoryUsage:
    """Swapping is told as a rate, which holds since the sample before, unless that is long ago."""
    since = activation.swapped_at
    if since is not None and sample.at > since:
        held = min(sample.at - since, _SWAPPED_S)
        activation.swapped_in += arithmetic.pages_mb((sample.pages_in or 0.0) * held)
        activation.swapped_out += arithmetic.pages_mb((sample.pages_out or 0.0) * held)
    activation.swapped_at = sample.at
    available = sample.available_percent
    return MemoryUsage(
        at=sample.at,
        total_mb=sample.total_mb,
        used_mb=None if available is None else arithmetic.used_mb(sample.total_mb, available),
        swapped_in_mb=None if sample.pages_in is None else activation.swapped_in,
        swapped_out_mb=None if sample.pages_out is None else activation.swapped_out,
    )


def _nics(
    at: float, traffic: Sequence[Traffic], macs: Mapping[str, str], ignored: str | None, totals: Totals
) -> tuple[NicUsage, ...]:
    """One adapter for each MAC: the logical ports that can carry a vNIC's frames are added up."""
    by_mac: dict[str, list[Traffic]] = {}
    for one in traffic:
        mac = macs.get(one.location)
        if mac is not None and mac != ignored:
            by_mac.setdefault(mac, []).append(one)
    found = []
    for mac, ways in by_mac.items():
        counted = {
            name: sum(totals.add(f"{mac} {way.location} {name}", getattr(way, name)) for way in ways)
            for name in _COUNTED
        }
        found.append(NicUsage(at, mac, mac, min(way.location for way in ways), **counted))
    return tuple(found)
