"""What guests of ours use: the connector's statistics of many at once, dated, with the names of their adapters."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from bigiron.complaints import Complaints
from bigiron.errors import NotFound, PlatformError
from bigiron.model import DiskCapacity, GuestUsage, MemoryUsage, NicUsage, PowerState, ProcessorUsage
from bigiron.zvm.api import Api
from bigiron.zvm.errors import AWAY
from bigiron.zvm.metrics.adapters import AdapterNames
from bigiron.zvm.metrics.guests import Finder
from bigiron.zvm.metrics.statistics import CpuDates, CpuReading, DatedCpu, DatedNics, NicDates

T = TypeVar("T")

_AT_ONCE = 250
"""Userids in one request: the connector's server reads 4096 bytes of one."""


@dataclass(slots=True)
class _Answers:
    """What is known by what was read, by userid, with the times of it."""

    cpus: Mapping[str, DatedCpu] = field(default_factory=dict)
    nics: dict[str, DatedNics] = field(default_factory=dict)
    macs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cpus_known: bool = True


class GuestUsages:
    """The one source of guests' figures of a connector; may be asked from many threads, which take turns."""

    def __init__(
        self, api: Api, finder: Finder, complaints: Complaints | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._api = api
        self._finder = finder
        self._complaints = complaints or Complaints()
        self._now = now
        self._names = AdapterNames(api, self._complaints)
        self._cpu_dates, self._nic_dates = CpuDates(), NicDates()
        self._running: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        """What the guests of these instances use, by instance uuid; nothing of those that are not on this host.

        In the steady state one request for the connector's list where it is needed, and two for every 250 guests.
        Raises Unavailable, Timeout, Busy or AuthError where the connector does not answer; what else fails is left out,
        and told once.
        """
        with self._lock:
            for last_resort in (False, True):
                with contextlib.suppress(NotFound):
                    return self._read(instances)
                # A guest that has gone since the list was read costs the connector's whole answer; one that has gone
                # without the connector's doing stays in its list.
                if last_resort:
                    self._finder.look_again()
            return self._read(instances)

    def _read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        found = self._finder.find(instances)
        answers = self._ask(sorted(set(found.values())))
        return {
            instance: _guest(instance, userid, answers, self._finder.disks(userid))
            for instance, userid in found.items()
        }

    def _ask(self, userids: Sequence[str]) -> _Answers:
        answers = _Answers()
        readings: dict[str, CpuReading] = {}
        received = 0.0
        for part in _parts(userids):
            cpus = self._tried("statistics", partial(self._api.statistics, part))
            if cpus is None:
                answers.cpus_known = False
                break
            received = self._now()
            readings |= cpus
        if not answers.cpus_known:
            self._ask_nics(answers, userids, ())
            return answers
        began_anew = self._cpu_dates.began_anew(readings, received)
        self._cpu_dates.forget_all_but(readings)
        answers.cpus = self._cpu_dates.newest(readings, received)
        # A resize, which may change disks, is over with a logon.
        self._finder.look_again((readings.keys() - self._running) | began_anew)
        self._running = frozenset(readings)
        self._ask_nics(answers, sorted(readings), began_anew)
        return answers

    def _ask_nics(self, answers: _Answers, userids: Sequence[str], began_anew: Collection[str]) -> None:
        for part in _parts(userids):
            nics = self._tried("interfaces", partial(self._api.interface_statistics, part))
            if nics is None:
                return
            answers.nics |= self._nic_dates.newest(nics, self._now(), began_anew)
        self._nic_dates.forget_all_but(answers.nics)
        wanted = {userid: {nic.vdev for nic in nics} for userid, (nics, _at) in answers.nics.items()}
        answers.macs = self._names.of(wanted, began_anew)

    def _tried(self, subject: str, ask: Callable[[], T]) -> T | None:
        """An answer; None where there is none, which is told once."""
        try:
            answer = ask()
        except (*AWAY, NotFound):
            raise
        except PlatformError as error:
            self._complaints.tell(subject, f"{error.message} What they tell is left out until they can be read again.")
            return None
        self._complaints.well(subject, f"The Cloud Connector's {subject} can be read again")
        return answer


def _parts(userids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (userids[first : first + _AT_ONCE] for first in range(0, len(userids), _AT_ONCE))


def _guest(instance: str, userid: str, answers: _Answers, disks: tuple[DiskCapacity, ...]) -> GuestUsage:
    nics = tuple(_nics(userid, answers))
    dated = answers.cpus.get(userid)
    if dated is None:
        power = PowerState.STOPPED if answers.cpus_known else None
        return GuestUsage(instance, power, None, None, nics=nics, capacities=disks)
    reading, at = dated.reading, dated.at
    return GuestUsage(
        uuid=instance,
        power=PowerState.RUNNING,
        vcpus=reading.cpus,
        memory_mb=reading.memory_kb // 1024,
        processor=ProcessorUsage(
            at, reading.used_us * 1000, in_use_samples=reading.in_use, delay_samples=reading.delayed
        ),
        memory=MemoryUsage(at, reading.memory_kb / 1024, reading.used_kb / 1024, None, None),
        nics=nics,
        capacities=disks,
    )


def _nics(userid: str, answers: _Answers) -> Iterator[NicUsage]:
    rows, at = answers.nics.get(userid, ((), 0.0))
    for nic in rows:
        mac = answers.macs.get(userid, {}).get(nic.vdev)
        if mac is not None:
            yield NicUsage(
                at=at,
                name=mac,
                mac=mac,
                location=f"{nic.switch} {nic.vdev}",
                in_bytes=nic.in_bytes,
                in_packets=nic.in_packets,
                in_drops=nic.in_drops,
                in_errors=nic.in_errors,
                out_bytes=nic.out_bytes,
                out_packets=nic.out_packets,
                out_drops=nic.out_drops,
                out_errors=nic.out_errors,
            )
