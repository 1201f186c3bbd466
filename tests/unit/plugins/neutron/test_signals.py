"""The process of an agent that is told to end at the worst moment, or to read its options again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bigiron.plugins.neutron import service

NUMBERS = (signal.SIGTERM, signal.SIGINT)
ALL = (*NUMBERS, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ALL}
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
    stopping: Any = service._heed_signals()
    condition = stopping._cond
    monkeypatch.setattr(stopping, "_cond", Held(condition))
    signal.raise_signal(number)
    monkeypatch.setattr(stopping, "_cond", condition)
    assert stopping.wait(60)


def test_options_are_read_again_and_a_mistake_in_them_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = threading.Semaphore(0)

    def mutate() -> None:
        read.release()
        raise ValueError("debug = perhaps")

    monkeypatch.setattr(service.cfg.CONF, "mutate_config_files", mutate)
    stopping = service._heed_signals()
    for _ in range(2):
        signal.raise_signal(signal.SIGHUP)
        assert read.acquire(timeout=60)
    assert not stopping.is_set()
    signal.raise_signal(signal.SIGTERM)
    assert stopping.wait(60)
    assert caplog.text.count("could not be read again") == 2
