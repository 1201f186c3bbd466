"""The host's processor time from captured and made-up samples of the platform's monitor."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypowervm.tests
import pytest

from bigiron.model import CpuStats
from bigiron.powervm import metrics
from bigiron.powervm.metrics import HostProcessors, Sample, clock_mhz, parse

SECOND = 1_000_000_000
CAPTURES = Path(pypowervm.tests.__file__).parent / "data"


def capture(name: str) -> str:
    """The body of an answer that was captured from a real system."""
    return (CAPTURES / name).read_text().split("BODY{", 1)[1].rsplit("END OF SECTION", 1)[0].strip()


class Samples(HostProcessors):
    """The sums over samples handed in."""

    def __init__(self, root: Path, samples: list[Sample]) -> None:
        super().__init__(SimpleNamespace(adapter=None, options=SimpleNamespace(management_root=root)))  # type: ignore[arg-type]
        self._samples = iter(samples)

    def _newest(self) -> Sample:
        return next(self._samples)


def sample(second: int, firmware: float = 0, processors: float = 4.0, **used: float) -> Sample:
    """Processors of 100 cycles a second, `second` seconds after the start."""
    return Sample(str(second), 100.0, second * 100.0, processors, firmware, dict(used))


def test_a_real_capture_is_understood() -> None:
    text = capture("phyp_pcm_data.txt")
    made = parse(json.loads(text))
    assert made.cycles_per_second == 512000000
    assert made.firmware == 58599310268
    assert made.partitions["vios 3443DB77-AED1-47ED-9AA5-3DB9C6CF7089"] == 334805782979 + 219847016046 - 260430293020
    assert made.elapsed == pytest.approx(8.0629725893315e14)
    assert made.processors == 20


def test_differences_are_added_up(tmp_path: Path) -> None:
    host = Samples(tmp_path, [sample(10, 100, a=1000), sample(20, 200, a=1500, b=300)])
    first, second = host.read(), host.read()
    assert (first.kernel_ns, first.user_ns) == (1 * SECOND, 10 * SECOND)
    assert first.idle_ns == 29 * SECOND
    assert second.kernel_ns - first.kernel_ns == 1 * SECOND
    assert second.user_ns - first.user_ns == 8 * SECOND
    assert second.idle_ns - first.idle_ns == 31 * SECOND


def test_the_sums_never_fall(tmp_path: Path) -> None:
    host = Samples(tmp_path, [sample(10, a=1000, b=2000), sample(20, a=100), sample(20, a=100), sample(30, a=200)])
    sums: list[CpuStats] = [host.read() for _ in range(4)]
    for earlier, later in itertools.pairwise(sums):
        assert later.user_ns >= earlier.user_ns and later.idle_ns >= earlier.idle_ns
    assert sums[1] == sums[2], "the same sample again changes nothing"
    assert sums[3].user_ns - sums[2].user_ns == 1 * SECOND


def test_processors_that_were_added_did_not_idle_before(tmp_path: Path) -> None:
    host = Samples(tmp_path, [sample(1000, processors=4.0), sample(1010, processors=8.0)])
    first, second = host.read(), host.read()
    assert second.idle_ns - first.idle_ns == 8 * 10 * SECOND


def test_a_system_that_was_restarted_counts_anew(tmp_path: Path) -> None:
    host = Samples(tmp_path, [sample(1000, 100, a=5000), sample(10, 50, a=300)])
    first, second = host.read(), host.read()
    assert second.kernel_ns - first.kernel_ns == SECOND // 2
    assert second.user_ns - first.user_ns == 3 * SECOND
    assert second.idle_ns - first.idle_ns == int(36.5 * SECOND)


def test_cycles_that_a_partition_gave_away_are_those_of_who_got_them() -> None:
    document = json.loads(capture("phyp_pcm_data.txt"))
    (one, *_) = document["systemUtil"]["utilSample"]["lparsUtil"]
    name = one["uuid"]
    before = parse(document).partitions[name]
    one["processor"]["donatedProcCycles"] = 1000
    assert parse(document).partitions[name] == max(0, before - 1000)


def test_the_clock_is_read_from_the_management_partition(tmp_path: Path) -> None:
    assert clock_mhz(tmp_path) == 0
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nclock\t\t: 3800.000000MHz\n")
    assert clock_mhz(tmp_path) == 3800


def test_the_monitor_is_switched_on_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    switched: list[Any] = []
    text = capture("phyp_pcm_data.txt")
    entries = [
        SimpleNamespace(category="vios_1", updated="3", link="v"),
        SimpleNamespace(category="phyp", updated="1", link="old"),
        SimpleNamespace(category="phyp", updated="2", link="new"),
    ]
    asked: list[str] = []

    def read(link: str, **_: Any) -> Any:
        asked.append(link)
        return SimpleNamespace(body=text)

    monkeypatch.setattr(metrics, "ensure_ltm_monitors", lambda *_: switched.append(1))
    monkeypatch.setattr(metrics, "query_ltm_feed", lambda *_: entries)
    connection = SimpleNamespace(
        adapter=SimpleNamespace(read_by_href=read),
        options=SimpleNamespace(management_root=tmp_path),
        system_uuid="u",
    )
    host = HostProcessors(connection)  # type: ignore[arg-type]
    assert host.read() == host.read()
    assert switched == [1]
    assert asked == ["new", "new"]
