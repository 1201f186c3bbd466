"""The host's processor time, from the platform's long-term monitor.

The monitor gives running totals for each partition, and they vanish with it; so differences between two samples are
added up here, and the sums only grow.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypowervm.tasks.monitor.util import ensure_ltm_monitors, query_ltm_feed

from bigiron.errors import NotFound, Unsupported
from bigiron.model import CpuStats
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated

LOG = logging.getLogger(__name__)

_CATEGORY = "phyp"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the monitor: totals in cycles of the time base since the system or the partition started.

    `elapsed` is the time base itself and `processors` how many of them run; `partitions`, by uuid or VIOS id, is what
    each has used.
    """

    stamp: str
    cycles_per_second: float
    elapsed: float
    processors: float
    firmware: float
    partitions: dict[str, float]


class HostProcessors:
    """Adds up the host's processor time from one sample to the next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._adapter = connection.adapter
        self._lock = threading.Lock()
        self._last: Sample | None = None
        self._kernel = self._user = self._idle = 0
        self._monitored = False

    def read(self) -> CpuStats:
        """The sums as of the newest sample; raises Unsupported while the monitor has none."""
        with self._lock:
            sample = self._newest()
            if self._last is None:
                self._add(Sample(sample.stamp, sample.cycles_per_second, 0.0, sample.processors, 0.0, {}), sample)
            elif sample.stamp != self._last.stamp:
                self._add(self._last, sample)
            self._last = sample
            return CpuStats(
                self._kernel, self._idle, self._user, 0, clock_mhz(self._connection.options.management_root)
            )

    def _add(self, before: Sample, now: Sample) -> None:
        # A used cycle, over the cycles of the time base in a second, is so much of a processor's second.
        ns = _NS / now.cycles_per_second
        # Processors that were added or taken away since then did not run before, so totals of all cannot be compared.
        passed = _grown(before.elapsed, now.elapsed) * now.processors
        firmware = _grown(before.firmware, now.firmware)
        used = sum(_grown(before.partitions.get(name, 0.0), total) for name, total in now.partitions.items())
        self._kernel += int(firmware * ns)
        self._user += int(used * ns)
        self._idle += int(max(0.0, passed - firmware - used) * ns)

    def _newest(self) -> Sample:
        try:
            return self._read_newest()
        except NotFound as error:
            raise Unsupported(f"The REST service gives no processor statistics of the host: {error}") from error

    def _read_newest(self) -> Sample:
        system = self._connection.system_uuid
        with translated("Reading the host's processor statistics"):
            if not self._monitored:
                # Monitoring is off on a system until somebody asks for it.
                ensure_ltm_monitors(self._adapter, system)
                self._monitored = True
            feed = query_ltm_feed(self._adapter, system)
            newest = max((m for m in feed if m.category == _CATEGORY), key=lambda m: str(m.updated), default=None)
            if newest is None:
                raise Unsupported("The platform's monitor has no samples yet; it takes one every 30 s.")
            body = self._adapter.read_by_href(newest.link, xag=[]).body
        return parse(json.loads(body))


def parse(document: dict[str, Any]) -> Sample:
    """The figures of the hypervisor's document that matter here."""
    sample = document["systemUtil"]["utilSample"]
    processor = sample["processor"]
    partitions = {str(one.get("uuid") or one["id"]): _used(one) for one in sample.get("lparsUtil", [])}
    partitions |= {f"vios {one.get('uuid') or one['id']}": _used(one) for one in sample.get("viosUtil", [])}
    return Sample(
        stamp=str(sample["timeStamp"]),
        cycles_per_second=float(processor["procCyclesPerSecond"]),
        elapsed=float(sample["timeBasedCycles"]),
        processors=float(processor["configurableProcUnits"]),
        firmware=float(sample["systemFirmware"]["utilizedProcCycles"]),
        partitions=partitions,
    )


def _grown(before: float, now: float) -> float:
    """By how much a total has grown; one that has become smaller began anew, and is itself what was added."""
    return now - before if now >= before else now


def _used(partition: dict[str, Any]) -> float:
    """What a partition has used of what was dispatched to it; who got the cycles that it gave away counts them."""
    processor = partition.get("processor") or {}
    used = processor.get("utilizedCappedProcCycles", 0) + processor.get("utilizedUnCappedProcCycles", 0)
    return float(max(0, used - processor.get("idleProcCycles", 0) - processor.get("donatedProcCycles", 0)))


def clock_mhz(root: Path) -> int:
    """The processors' clock as the management partition sees it; 0 where it cannot be read."""
    try:
        match = re.search(r"^clock\s*:\s*([\d.]+)MHz", (root / "proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(float(match.group(1))) if match else 0
