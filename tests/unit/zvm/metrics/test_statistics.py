"""When the connector's statistics were measured, as far as they tell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bigiron.errors import PlatformError
from bigiron.zvm.metrics import statistics
from bigiron.zvm.metrics.statistics import CpuDates, CpuReading, NicDates, NicReading

CPU = CpuReading(2, 1_000_000, 100_000_000, 5, 1, 1024, 4096)
NIC = NicReading("1000", "VSW", 1, 2, 3, 4, 5, 6, 7, 8)


Rows = Sequence[NicReading]


def later(seconds: float, reading: CpuReading = CPU) -> CpuReading:
    return replace(
        reading, used_us=reading.used_us + int(seconds * 1e5), elapsed_us=reading.elapsed_us + int(seconds * 1e6)
    )


def date(dates: CpuDates, reading: CpuReading, received: float) -> float:
    return dates.newest({"A": reading}, received)["A"].at


def times(dates: NicDates, received: float, began_anew: Collection[str] = (), **rows: Rows) -> dict[str, float]:
    return {userid: at for userid, (_rows, at) in dates.newest(rows, received, began_anew).items()}


def test_answers_are_read() -> None:
    output = {
        "nv1": {
            "guest_cpus": 2, "used_cpu_time_us": 1, "elapsed_cpu_time_us": 3, "min_cpu_count": 2,
            "max_cpu_limit": 10000, "samples_cpu_in_use": 4, "samples_cpu_delay": 5, "used_mem_kb": 6,
            "max_mem_kb": 7, "min_mem_kb": 0, "shared_mem_kb": 0,
        }
    }  # fmt: skip
    assert statistics.cpus(output, "Reading") == {"NV1": CpuReading(2, 1, 3, 4, 5, 6, 7)}
    row = {
        "vswitch_name": "VSW", "nic_vdev": "1000", "nic_fr_rx": 2, "nic_fr_tx": 6, "nic_fr_rx_dsc": 3,
        "nic_fr_tx_dsc": 7, "nic_fr_rx_err": 4, "nic_fr_tx_err": 8, "nic_rx": 1, "nic_tx": 5,
    }  # fmt: skip
    assert statistics.nics({"NV1": [row]}, "Reading") == {"NV1": (NIC,)}
    assert statistics.cpus({}, "Reading") == statistics.nics("", "Reading") == {}


@pytest.mark.parametrize("output", [{"NV1": {}}, {"NV1": None}, [1], {"NV1": {"guest_cpus": "many"}}])
def test_what_makes_no_sense_is_told(output: Any) -> None:
    with pytest.raises(PlatformError, match="Reading it: the Cloud Connector's statistics make no sense"):
        statistics.cpus(output, "Reading it")


def test_an_answer_that_was_kept_has_the_time_of_its_measurement() -> None:
    dates = CpuDates()
    assert date(dates, CPU, 1000.0) == 1000.0
    assert date(dates, CPU, 1060.0) == date(dates, CPU, 1290.0) == 1000.0
    assert date(dates, later(300), 1300.0) == 1300.0


def test_what_another_client_had_measured_is_as_old_as_it_is() -> None:
    dates = CpuDates()
    date(dates, CPU, 1000.0)
    assert date(dates, later(45), 1060.0) == pytest.approx(1045.0)


def test_a_first_answer_may_be_older_than_it_can_say() -> None:
    dates = CpuDates()
    assert date(dates, CPU, 1200.0) == 1200.0, "measured at 1000 in truth"
    assert date(dates, later(210), 1210.0) == pytest.approx(1210.0)
    assert date(dates, later(240), 1300.0) == pytest.approx(1240.0), "known since then"


@pytest.mark.parametrize("again", [replace(CPU, elapsed_us=5_000_000, used_us=4), later(30, replace(CPU, used_us=4))])
def test_a_guest_that_was_logged_on_again_is_dated_anew(again: CpuReading) -> None:
    dates = CpuDates()
    date(dates, later(1), 1000.0)
    again = replace(again, used_us=4)
    assert dates.began_anew({"A": again}, 2000.0) == {"A"}
    assert date(dates, again, 2000.0) == 2000.0
    assert dates.began_anew({"A": later(5, again), "B": CPU}, 2005.0) == frozenset()
    dates.forget_all_but([])
    assert date(dates, again, 3000.0) == 3000.0


def test_an_answer_of_another_process_that_is_older_is_not_told() -> None:
    """Each process of the connector's server keeps figures of its own."""
    dates, newer = CpuDates(), later(200)
    assert date(dates, CPU, 1000.0) == 1000.0
    assert date(dates, newer, 1200.0) == 1200.0
    older = {"A": CPU}
    assert dates.began_anew(older, 1260.0) == frozenset()
    found = dates.newest(older, 1260.0)["A"]
    assert (found.reading, found.at) == (newer, 1200.0)
    assert date(dates, later(320), 1320.0) == 1320.0


def test_a_guest_that_was_logged_on_again_soon_is_no_older_answer() -> None:
    dates = CpuDates()
    date(dates, later(200), 1200.0)
    again = replace(CPU, elapsed_us=40_000_000, used_us=3)
    assert dates.began_anew({"A": again}, 1260.0) == {"A"}
    assert date(dates, again, 1260.0) == 1260.0
    date(dates, later(900), 2000.0)
    assert dates.began_anew({"A": later(500)}, 2301.0) == {"A"}, "nothing is kept so long"


def test_adapters_are_measured_together() -> None:
    dates, moved = NicDates(), replace(NIC, in_bytes=2)
    assert times(dates, 1000.0, A=(NIC,), B=(NIC,)) == {"A": 1000.0, "B": 1000.0}
    assert times(dates, 1060.0, A=(NIC,), B=(NIC,)) == {"A": 1000.0, "B": 1000.0}
    assert times(dates, 1120.0, A=(NIC,), B=(moved,)) == {"A": 1120.0, "B": 1120.0}, "the idle one too"
    assert times(dates, 1180.0, A=(NIC,), B=(moved,), C=(NIC,))["C"] == 1120.0, "kept for it as well"
    assert times(dates, 1190.0, A=(NIC,), B=(moved, replace(NIC, vdev="2000")))["A"] == 1190.0
    dates.forget_all_but(["A"])
    assert times(dates, 1240.0, B=(moved,)) == {"B": 1240.0}


def test_idle_adapters_are_measured_again_when_nothing_is_kept_so_long() -> None:
    dates = NicDates()
    times(dates, 1000.0, A=(NIC,))
    assert times(dates, 1300.0, A=(NIC,)) == {"A": 1000.0}
    assert times(dates, 1301.0, A=(NIC,)) == {"A": 1301.0}


def test_adapters_of_an_answer_that_is_older_are_not_told() -> None:
    dates, moved = NicDates(), replace(NIC, in_bytes=20)
    dates.newest({"A": (NIC,), "B": (NIC,)}, 1000.0)
    newest = dates.newest({"A": (moved,), "B": (NIC,)}, 1100.0)
    assert dates.newest({"A": (NIC,), "B": (NIC,)}, 1160.0) == newest
    assert times(dates, 1160.0, ["A"], A=(NIC,)) == {"A": 1160.0}, "it was logged on again"
    dates.newest({"A": (moved,), "B": (moved,)}, 1200.0)
    assert dates.newest({"A": (NIC,)}, 1501.0) == {"A": ((NIC,), 1501.0)}, "nothing is kept so long"
