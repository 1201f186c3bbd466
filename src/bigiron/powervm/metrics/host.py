"""The host's processor time, from the platform's long-term monitor.

The monitor gives running totals for each partition, and they vanish with it; so differences between two samples are
added up here, and the sums only grow.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

from bigiron.model import CpuStats
from bigiron.powervm.metrics import arithmetic
from bigiron.powervm.metrics.arithmetic import NS, grown
from bigiron.powervm.metrics.documents import HypervisorSample
from bigiron.powervm.metrics.monitor import LongTermMonitor


class HostProcessors:
    """Adds up the host's processor time from one sample to the next."""

    def __init__(self, monitor: LongTermMonitor, management_root: Path) -> None:
        self._monitor = monitor
        self._root = management_root
        self._lock = threading.Lock()
        self._last: HypervisorSample | None = None
        self._timebase = arithmetic.Timebase()
        self._kernel = self._user = self._idle = 0

    def read(self) -> CpuStats:
        """The sums as of the newest sample; raises Unsupported while the monitor has none."""
        with self._lock:
            sample = self._monitor.hypervisor()
            if self._last is None or sample.stamp != self._last.stamp:
                self._add(self._last, sample)
            self._last = sample
            return CpuStats(self._kernel, self._idle, self._user, 0, clock_mhz(self._root))

    def _add(self, before: HypervisorSample | None, now: HypervisorSample) -> None:
        if before is not None:
            self._timebase.measure(now.hertz, now.timebase - before.timebase, now.at - before.at)
        ns = NS / self._timebase.hertz(now.hertz)
        # Processors that were added or taken away since then did not run before, so totals of all cannot be compared.
        passed = grown(before.timebase if before else 0.0, now.timebase) * now.processors
        firmware = grown(before.firmware if before else 0.0, now.firmware)
        last = _used(before) if before else {}
        used = sum(grown(last.get(name, 0.0), total) for name, total in _used(now).items())
        self._kernel += int(firmware * ns)
        self._user += int(used * ns)
        self._idle += int(max(0.0, passed - firmware - used) * ns)


def _used(sample: HypervisorSample) -> dict[str, float]:
    """What each partition has used, VIOSes included."""
    lpars = {uuid: one.cycles.used for uuid, one in sample.lpars.items()}
    return lpars | {f"vios {number}": one.cycles.used for number, one in sample.vioses.items()}


def clock_mhz(root: Path) -> int:
    """The processors' clock as the management partition sees it; 0 where it cannot be read."""
    try:
        match = re.search(r"^clock\s*:\s*([\d.]+)MHz", (root / "proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(float(match.group(1))) if match else 0
