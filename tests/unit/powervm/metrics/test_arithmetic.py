"""Units and running totals, for whatever counters come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigiron.powervm.metrics import arithmetic
from bigiron.powervm.metrics.arithmetic import NS, TIMEBASE_HZ, Totals

HERTZ = st.floats(1e8, 5e9)
SECONDS = st.floats(30, 1e6)
STEPS = st.lists(st.integers(0, 2**31), max_size=12)


@given(hertz=HERTZ, seconds=SECONDS, cores=st.integers(1, 64))
def test_busy_cores_make_a_second_in_a_second(hertz: float, seconds: float, cores: int) -> None:
    made = arithmetic.nanoseconds(cores * hertz * seconds, hertz)
    assert made == pytest.approx(cores * seconds * NS, rel=1e-9)


@given(seconds=SECONDS, declared=st.none() | HERTZ)
def test_the_frequency_is_the_declared_one_when_the_time_base_ran_so(seconds: float, declared: float | None) -> None:
    hertz = declared or TIMEBASE_HZ
    for off in (-1, 0, 1):  # the times are whole seconds
        assert arithmetic.frequency(declared, hertz * seconds, seconds + off) == hertz


@given(hertz=st.floats(3e9, 5e9), seconds=SECONDS)
def test_a_declared_frequency_that_is_the_processors_clock_is_not_believed(hertz: float, seconds: float) -> None:
    assert arithmetic.frequency(hertz, TIMEBASE_HZ * seconds, seconds) == pytest.approx(TIMEBASE_HZ)


def test_nothing_is_measured_over_a_moment() -> None:
    assert arithmetic.frequency(1e9, 5.0, 1.0) == 1e9
    assert arithmetic.frequency(None) == arithmetic.frequency(0.0) == TIMEBASE_HZ


@given(
    capped=st.integers(0, 2**50), uncapped=st.integers(0, 2**50), idle=st.integers(0, 2**50),
    donated=st.integers(0, 2**50),
)  # fmt: skip
def test_what_was_used_is_never_negative(capped: int, uncapped: int, idle: int, donated: int) -> None:
    used = arithmetic.used_cycles(capped, uncapped, idle, donated)
    assert 0 <= used <= capped + uncapped


@given(total=st.floats(1, 1e7), available=st.floats(-50, 150))
def test_used_memory_is_a_part_of_all(total: float, available: float) -> None:
    assert 0 <= arithmetic.used_mb(total, available) <= total


def test_memory_and_pages() -> None:
    assert arithmetic.used_mb(2048, 75) == 512
    assert arithmetic.pages_mb(256) == 1


@given(start=st.integers(0, 2**32 - 1), steps=STEPS)
def test_a_narrow_counter_that_wraps_is_followed(start: int, steps: list[int]) -> None:
    """As long as it does not go half way round between two readings."""
    totals, true = Totals(), start
    first = totals.add("x", true % 2**32)
    for step in (min(one, 2**31 - 1) for one in steps):
        true += step
        assert totals.add("x", true % 2**32) - first == true - start


@given(start=st.integers(2**32, 2**64 - 1), steps=STEPS)
def test_a_wide_counter_that_wraps_is_followed(start: int, steps: list[int]) -> None:
    totals, true = Totals(), start
    first = totals.add("x", true)
    for step in steps:
        true += step
        assert totals.add("x", true % 2**64) - first == true - start


@given(readings=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)), min_size=1, max_size=20))
def test_a_total_never_falls(readings: list[tuple[int, int]]) -> None:
    totals = Totals()
    made = [totals.add("x", raw, epoch) for raw, epoch in readings]
    assert all(later >= earlier for earlier, later in itertools.pairwise(made))


def test_a_restart_near_the_end_of_a_counter_is_no_wrap() -> None:
    totals = Totals()
    totals.add("x", 2**32 - 10)
    assert totals.add("x", 5, epoch=1) == 2**32 - 10 + 5
    assert totals.add("y", 2**32 - 10) and totals.add("y", 5) == 2**32 + 5


@given(parts=st.lists(st.integers(0, 2**31), min_size=1, max_size=6), steps=STEPS)
def test_a_sum_of_totals_is_the_total_of_the_sum(parts: list[int], steps: list[int]) -> None:
    """Adapters are followed one by one and added up: the sum never loses what one of them has wrapped."""
    totals = Totals()
    true = list(parts)
    first = sum(totals.add(str(n), one) for n, one in enumerate(true))
    for step in steps:
        true = [one + step % 2**30 for one in true]
        found = sum(totals.add(str(n), one % 2**32) for n, one in enumerate(true))
        assert found - first == sum(true) - sum(parts)
