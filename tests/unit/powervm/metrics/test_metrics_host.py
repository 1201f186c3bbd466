"""The host's processor time from made-up samples of the platform's monitor."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from tests.unit.powervm.metrics.samples import hypervisor, partition

from bigiron.model import CpuStats
from bigiron.powervm.metrics.documents import HypervisorSample
from bigiron.powervm.metrics.host import HostProcessors, clock_mhz

SECOND = 1_000_000_000


def host(root: Path, *samples: HypervisorSample) -> HostProcessors:
    """The sums over samples handed in."""
    found = iter(samples)
    return HostProcessors(SimpleNamespace(hypervisor=lambda: next(found)), root)  # type: ignore[arg-type]


def sample(second: int, firmware: float = 0, processors: float = 4.0, **used: int) -> HypervisorSample:
    """Processors of 100 cycles a second, `second` seconds after the start."""
    lpars = [partition(name, capped=cycles) for name, cycles in used.items()]
    return hypervisor(second, lpars, hertz=100.0, firmware=firmware, processors=processors)


def test_differences_are_added_up(tmp_path: Path) -> None:
    processors = host(tmp_path, sample(10, 100, a=1000), sample(20, 200, a=1500, b=300))
    first, second = processors.read(), processors.read()
    assert (first.kernel_ns, first.user_ns) == (1 * SECOND, 10 * SECOND)
    assert first.idle_ns == 29 * SECOND
    assert second.kernel_ns - first.kernel_ns == 1 * SECOND
    assert second.user_ns - first.user_ns == 8 * SECOND
    assert second.idle_ns - first.idle_ns == 31 * SECOND


def test_the_sums_never_fall(tmp_path: Path) -> None:
    processors = host(
        tmp_path, sample(10, a=1000, b=2000), sample(20, a=100), sample(20, a=100), sample(30, a=200)
    )  # fmt: skip
    sums: list[CpuStats] = [processors.read() for _ in range(4)]
    for earlier, later in itertools.pairwise(sums):
        assert later.user_ns >= earlier.user_ns and later.idle_ns >= earlier.idle_ns
    assert sums[1] == sums[2], "the same sample again changes nothing"
    assert sums[3].user_ns - sums[2].user_ns == 1 * SECOND


def test_processors_that_were_added_did_not_idle_before(tmp_path: Path) -> None:
    processors = host(tmp_path, sample(1000, processors=4.0), sample(1010, processors=8.0))
    first, second = processors.read(), processors.read()
    assert second.idle_ns - first.idle_ns == 8 * 10 * SECOND


def test_a_system_that_was_restarted_counts_anew(tmp_path: Path) -> None:
    processors = host(tmp_path, sample(1000, 100, a=5000), sample(10, 50, a=300))
    first, second = processors.read(), processors.read()
    assert second.kernel_ns - first.kernel_ns == SECOND // 2
    assert second.user_ns - first.user_ns == 3 * SECOND
    assert second.idle_ns - first.idle_ns == int(36.5 * SECOND)


def test_a_declared_frequency_that_two_stretches_contradict_is_not_believed(tmp_path: Path) -> None:
    """Such as one that is the processors' clock."""
    declared = [replace(sample(second, a=50 * second), hertz=800.0) for second in (30, 60, 90, 120)]
    processors = host(tmp_path, *declared)
    user = [processors.read().user_ns for _ in declared]
    steps = [later - earlier for earlier, later in itertools.pairwise(user)]
    assert steps == [30 * SECOND // 16, 15 * SECOND, 15 * SECOND], "half of one processor"


def test_the_clock_is_read_from_the_management_partition(tmp_path: Path) -> None:
    assert clock_mhz(tmp_path) == 0
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nclock\t\t: 3800.000000MHz\n")
    assert clock_mhz(tmp_path) == 3800
