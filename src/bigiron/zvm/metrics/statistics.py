"""The connector's statistics as plain values, and when they were measured.

The connector keeps what CP told it for some minutes (`cache_interval` in the section [monitor] of its zvmsdk.conf,
300 s unless that says otherwise), and does not say when that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


@dataclass(slots=True)
class _Seen:
    reading: CpuReading
    logon: float
    """By our clock, as far as it is known: no reading can be older than its answer."""
    at: float


class CpuDates:
    """When readings of processors were measured, from how long the guest is logged on in each."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def date(self, readings: Mapping[str, CpuReading], received: float) -> Mapping[str, float]:
        """The time of each reading that an answer had which came at `received`; the same for the same reading."""
        return {userid: self._date(userid, reading, received) for userid, reading in readings.items()}

    def _date(self, userid: str, reading: CpuReading, received: float) -> float:
        seen = self._seen.get(userid)
        if seen is not None and seen.reading == reading:
            return seen.at
        elapsed = reading.elapsed_us / 1e6
        logon = received - elapsed
        if seen is not None and not _began_anew(seen.reading, reading):
            logon = min(logon, seen.logon)
        self._seen[userid] = _Seen(reading, logon, logon + elapsed)
        return logon + elapsed

    def began_anew(self, readings: Mapping[str, CpuReading]) -> frozenset[str]:
        """The guests that were logged on again since their last reading that was dated."""
        return frozenset(
            userid
            for userid, reading in readings.items()
            if userid in self._seen and _began_anew(self._seen[userid].reading, reading)
        )

    def forget_all_but(self, userids: Iterable[str]) -> None:
        """Only these run."""
        kept = set(userids)
        self._seen = {userid: seen for userid, seen in self._seen.items() if userid in kept}


def _began_anew(before: CpuReading, now: CpuReading) -> bool:
    return now.elapsed_us < before.elapsed_us or now.used_us < before.used_us


class NicDates:
    """When readings of adapters were measured: the connector reads all of them at once, and tells no time.

    An answer in which nothing has changed is the one that it has kept, until that would be too old.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Sequence[NicReading], float]] = {}

    def date(self, readings: Mapping[str, Sequence[NicReading]], received: float) -> Mapping[str, float]:
        """The time of the readings in one answer, which came at `received`."""
        seen = [(rows, *self._seen[userid]) for userid, rows in readings.items() if userid in self._seen]
        kept = bool(seen) and all(now == before and received - at <= _KEPT_S for now, before, at in seen)
        at = max(at for _now, _before, at in seen) if kept else received
        self._seen |= {userid: (rows, at) for userid, rows in readings.items()}
        return dict.fromkeys(readings, at)

    def forget_all_but(self, userids: Iterable[str]) -> None:
        """Only these run."""
        kept = set(userids)
        self._seen = {userid: seen for userid, seen in self._seen.items() if userid in kept}
