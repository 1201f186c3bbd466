"""Simulated time."""

from __future__ import annotations

import threading
import time

import pytest

from bigiron.sim.kernel.clock import Clock


class Hand:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_scale_applies_from_the_moment_it_is_set() -> None:
    hand = Hand()
    clock = Clock(monotonic=hand, wall=lambda: 1000.0)
    hand.time += 5
    assert clock.now() == 1005.0
    clock.set_scale(10)
    hand.time += 2
    assert clock.now() == 1025.0
    assert clock.milliseconds() == 1_025_000


def test_stopped_clock_moves_only_by_advance() -> None:
    hand = Hand()
    clock = Clock(0, monotonic=hand, wall=lambda: 0.0)
    hand.time += 60
    assert clock.now() == 0.0
    clock.advance(30)
    assert clock.now() == 30.0


def test_advance_wakes_a_sleeper() -> None:
    clock = Clock()
    woke = threading.Event()
    sleeper = threading.Thread(target=lambda: (clock.sleep(3600), woke.set()), daemon=True)
    sleeper.start()
    assert not woke.wait(0.05)
    clock.advance(3601)
    assert woke.wait(60)


def test_time_goes_on_where_it_was_ahead() -> None:
    clock = Clock(0, wall=lambda: 1000.0)
    clock.begin_at(900.0)
    assert clock.now() == 1000
    clock.begin_at(5000.0)
    assert clock.now() == 5000


def test_faster_clock_shortens_sleeping() -> None:
    began = time.monotonic()
    Clock(1000).sleep(60)
    assert time.monotonic() - began < 30


def test_close_ends_waiting_before_its_time() -> None:
    clock = Clock(0)
    result: list[bool] = []
    waiter = threading.Thread(target=lambda: result.append(clock.wait_until(clock.now() + 60)), daemon=True)
    waiter.start()
    clock.close()
    waiter.join(60)
    assert result == [False]


@pytest.mark.parametrize("wrong", [-1, -0.5])
def test_time_cannot_run_backwards(wrong: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Clock().advance(wrong)
    with pytest.raises(ValueError, match="negative"):
        Clock().set_scale(wrong)
