"""When the connector's statistics were measured, as far as they tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bigiron.errors import PlatformError
from bigiron.zvm.metrics import statistics
from bigiron.zvm.metrics.statistics import CpuDates, CpuReading, NicDates, NicReading

CPU = CpuReading(2, 1_000_000, 100_000_000, 5, 1, 1024, 4096)
NIC = NicReading("1000", "VSW", 1, 2, 3, 4, 5, 6, 7, 8)


def later(seconds: float, reading: CpuReading = CPU) -> CpuReading:
    return replace(
        reading, used_us=reading.used_us + int(seconds * 1e5), elapsed_us=reading.elapsed_us + int(seconds * 1e6)
    )


def date(dates: CpuDates, reading: CpuReading, received: float) -> float:
    return dates.date({"A": reading}, received)["A"]


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
    assert dates.began_anew({"A": again}) == {"A"}
    assert date(dates, again, 2000.0) == 2000.0
    assert dates.began_anew({"A": later(5, again), "B": CPU}) == frozenset()
    dates.forget_all_but([])
    assert date(dates, again, 3000.0) == 3000.0


def test_adapters_are_measured_together() -> None:
    dates, moved = NicDates(), replace(NIC, in_bytes=2)
    assert dates.date({"A": (NIC,), "B": (NIC,)}, 1000.0) == {"A": 1000.0, "B": 1000.0}
    assert dates.date({"A": (NIC,), "B": (NIC,)}, 1060.0) == {"A": 1000.0, "B": 1000.0}
    assert dates.date({"A": (NIC,), "B": (moved,)}, 1120.0) == {"A": 1120.0, "B": 1120.0}, "the idle one too"
    assert dates.date({"A": (NIC,), "B": (moved,), "C": (NIC,)}, 1180.0)["C"] == 1120.0, "kept for it as well"
    assert dates.date({"A": (NIC,), "B": (moved, NIC)}, 1190.0)["A"] == 1190.0
    dates.forget_all_but(["A"])
    assert dates.date({"B": (moved, NIC)}, 1240.0) == {"B": 1240.0}


def test_idle_adapters_are_measured_again_when_nothing_is_kept_so_long() -> None:
    dates = NicDates()
    dates.date({"A": (NIC,)}, 1000.0)
    assert dates.date({"A": (NIC,)}, 1300.0) == {"A": 1000.0}
    assert dates.date({"A": (NIC,)}, 1301.0) == {"A": 1301.0}
