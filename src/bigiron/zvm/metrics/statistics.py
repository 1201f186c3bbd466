"""The connector's statistics as plain values, and when they were measured.

The connector keeps what CP told it for some minutes (`cache_interval` in the section [monitor] of its zvmsdk.conf,
300 s unless that says otherwise), and does not say when that was. Its server may run as several processes, as its own
settings for uWSGI have it, and each of them keeps figures of its own: an answer may be older than the one before.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bigiron.errors import PlatformError

T = TypeVar("T")

_KEPT_S = 300.0


@dataclass(frozen=True, slots=True)
class CpuReading:
    """A running guest's processors and memory since its logon (GET /guests/stats; CP's Diagnose X'2FC')."""

    cpus: int
    used_us: int
    elapsed_us: int
    """Since the logon."""
    in_use: int
    delayed: int
    """Of the times that CP looked at its processors: how often at work, and how often waiting for a real one."""
    used_kb: int
    memory_kb: int


@dataclass(frozen=True, slots=True)
class NicReading:
    """A network adapter's counters since it was coupled (GET /guests/interfacestats); in is towards the guest."""

    vdev: str
    switch: str
    in_bytes: int
    in_packets: int
    in_drops: int
    in_errors: int
    out_bytes: int
    out_packets: int
    out_drops: int
    out_errors: int


def cpus(output: Any, what: str) -> Mapping[str, CpuReading]:
    """By userid; those that do not run are not in it. Raises PlatformError for what makes no sense."""
    return _read(output, what, _cpu)


def nics(output: Any, what: str) -> Mapping[str, Sequence[NicReading]]:
    """By userid; those that do not run, or have nothing coupled, are not in it. Raises PlatformError."""
    return _read(output, what, lambda rows: tuple(map(_nic, rows)))


def _read(output: Any, what: str, reader: Callable[[Any], T]) -> Mapping[str, T]:
    try:
        return {str(userid).upper(): reader(values) for userid, values in dict(output or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlatformError(f"{what}: the Cloud Connector's statistics make no sense ({error!r}).") from error


def _cpu(values: Mapping[str, Any]) -> CpuReading:
    return CpuReading(
        cpus=int(values["guest_cpus"]),
        used_us=int(values["used_cpu_time_us"]),
        elapsed_us=int(values["elapsed_cpu_time_us"]),
        in_use=int(values["samples_cpu_in_use"]),
        delayed=int(values["samples_cpu_delay"]),
        used_kb=int(values["used_mem_kb"]),
        memory_kb=int(values["max_mem_kb"]),
    )


def _nic(values: Mapping[str, Any]) -> NicReading:
    return NicReading(
        vdev=str(values["nic_vdev"]).upper().zfill(4),
        switch=str(values["vswitch_name"]),
        in_bytes=int(values["nic_rx"]),
        in_packets=int(values["nic_fr_rx"]),
        in_drops=int(values["nic_fr_rx_dsc"]),
        in_errors=int(values["nic_fr_rx_err"]),
        out_bytes=int(values["nic_tx"]),
        out_packets=int(values["nic_fr_tx"]),
        out_drops=int(values["nic_fr_tx_dsc"]),
        out_errors=int(values["nic_fr_tx_err"]),
    )


@dataclass(frozen=True, slots=True)
class DatedCpu:
    """A reading and when it was measured; `logon` by our clock, as far as it is known: no reading can be older than its
    answer."""

    reading: CpuReading
    logon: float
    at: float


class CpuDates:
    """When readings of processors were measured, from how long the guest is logged on in each."""

    def __init__(self) -> None:
        self._seen: dict[str, DatedCpu] = {}

    def newest(self, readings: Mapping[str, CpuReading], received: float) -> Mapping[str, DatedCpu]:
        """The newest readings with their times, after an answer that came at `received`."""
        for userid, reading in readings.items():
            self._seen[userid] = self._dated(self._seen.get(userid), reading, received)
        return {userid: self._seen[userid] for userid in readings}

    def began_anew(self, readings: Mapping[str, CpuReading], received: float) -> frozenset[str]:
        """The guests that were logged on again since their last reading that was dated."""
        return frozenset(
            userid
            for userid, reading in readings.items()
            if (seen := self._seen.get(userid)) is not None and _began_anew(seen, reading, received)
        )

    def forget_all_but(self, userids: Iterable[str]) -> None:
        """Only these run."""
        kept = set(userids)
        self._seen = {userid: seen for userid, seen in self._seen.items() if userid in kept}

    def _dated(self, seen: DatedCpu | None, reading: CpuReading, received: float) -> DatedCpu:
        if seen is not None and (seen.reading == reading or _is_older(seen, reading, received)):
            return seen
        elapsed = reading.elapsed_us / 1e6
        logon = received - elapsed
        if seen is not None and not _began_anew(seen, reading, received):
            logon = min(logon, seen.logon)
        return DatedCpu(reading, logon, logon + elapsed)


def _fell(seen: DatedCpu, reading: CpuReading) -> bool:
    return reading.elapsed_us < seen.reading.elapsed_us or reading.used_us < seen.reading.used_us


def _is_older(seen: DatedCpu, reading: CpuReading, received: float) -> bool:
    """Whether it was measured before what was seen: while that is so new, and the guest was logged on before it."""
    if not _fell(seen, reading) or received - seen.at > _KEPT_S:
        return False
    return reading.used_us <= seen.reading.used_us and received - reading.elapsed_us / 1e6 < seen.at


def _began_anew(seen: DatedCpu, reading: CpuReading, received: float) -> bool:
    return _fell(seen, reading) and not _is_older(seen, reading, received)


DatedNics = tuple[Sequence[NicReading], float]


class NicDates:
    """When readings of adapters were measured: the connector reads all of them at once, and tells no time.

    An answer in which nothing has changed is the one that it has kept, until that would be too old; one in which
    counters have only fallen is older still.
    """

    def __init__(self) -> None:
        self._seen: dict[str, DatedNics] = {}

    def newest(
        self, readings: Mapping[str, Sequence[NicReading]], received: float, began_anew: Collection[str] = ()
    ) -> Mapping[str, DatedNics]:
        """The newest readings with their time, after an answer that came at `received`; counters of guests that
        `began_anew` do so as well."""
        for userid in began_anew:
            self._seen.pop(userid, None)
        seen = {userid: self._seen[userid] for userid in readings if userid in self._seen}
        kept = bool(seen) and all(
            received - at <= _KEPT_S and _at_most(readings[userid], rows) for userid, (rows, at) in seen.items()
        )
        at = max(at for _rows, at in seen.values()) if kept else received
        found = {userid: seen[userid] if kept and userid in seen else (rows, at) for userid, rows in readings.items()}
        self._seen |= found
        return found

    def forget_all_but(self, userids: Iterable[str]) -> None:
        """Only these run."""
        kept = set(userids)
        self._seen = {userid: seen for userid, seen in self._seen.items() if userid in kept}


def _at_most(now: Sequence[NicReading], before: Sequence[NicReading]) -> bool:
    """Whether no counter has grown, and no adapter has come."""
    known = {row.vdev: _counters(row) for row in before}
    return len(now) <= len(before) and all(
        row.vdev in known and all(map(operator.le, _counters(row), known[row.vdev])) for row in now
    )


def _counters(row: NicReading) -> tuple[int, ...]:
    return (
        row.in_bytes, row.in_packets, row.in_drops, row.in_errors,
        row.out_bytes, row.out_packets, row.out_drops, row.out_errors,
    )  # fmt: skip
