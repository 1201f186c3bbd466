"""The process of an agent that is told to end at the worst moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bigiron.plugins.neutron import service

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Held:
    """The lock of an event that the main thread holds just now: that it waits for it itself fails at once."""

    def __init__(self, condition: Any) -> None:
        self._condition = condition
        self._main = threading.current_thread()

    def __enter__(self) -> Any:
        assert threading.current_thread() is not self._main, "the main thread waits for itself"
        return self._condition.__enter__()

    def __exit__(self, *exc: Any) -> Any:
        return self._condition.__exit__(*exc)

    def notify_all(self) -> None:
        self._condition.notify_all()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_interrupts_the_wait_for_it_ends_the_agent(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping: Any = service._told_to_stop()
    condition = stopping._cond
    monkeypatch.setattr(stopping, "_cond", Held(condition))
    signal.raise_signal(number)
    monkeypatch.setattr(stopping, "_cond", condition)
    assert stopping.wait(60)
