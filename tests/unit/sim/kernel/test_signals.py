"""A simulator's command that is told to end at the worst moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bigiron.sim.kernel.signals import EndSignals
from bigiron.sim.powervm import cli as powervm_cli
from bigiron.sim.powervm import server as powervm_server
from bigiron.sim.zvm import cli as zvm_cli
from bigiron.sim.zvm import server as zvm_server

SYSTEMS = Path(__file__).parents[4] / "examples" / "systems"
NUMBERS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Served:
    """Stands in for a simulator; the signal comes when it serves."""

    stopped = False

    def __init__(self, *_arguments: Any) -> None: ...

    def start(self) -> None: ...

    @property
    def url(self) -> str:
        signal.raise_signal(signal.SIGTERM)
        return "http://127.0.0.1:1"

    def stop(self) -> None:
        Served.stopped = True


def _held(_event: threading.Event) -> None:
    raise AssertionError("a handler waits for the lock of an event, which the main thread it interrupts may hold")


@pytest.mark.parametrize(
    ("server", "command", "system"),
    [(powervm_server, powervm_cli.powervm, "one-host.yaml"), (zvm_server, zvm_cli.zvm, "zvm.yaml")],
)
def test_a_signal_that_interrupts_the_wait_for_it_ends_the_command(
    server: Any, command: Any, system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Served, "stopped", False)
    monkeypatch.setattr(server, "Simulator", Served)
    monkeypatch.setattr(threading.Event, "set", _held)
    arguments = ["--system", str(SYSTEMS / system), "--state", str(tmp_path)]
    ended = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert (ended.exit_code, Served.stopped) == (0, True)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_received_before_the_wait_is_not_lost(number: signal.Signals) -> None:
    told = EndSignals()
    signal.raise_signal(number)
    signal.raise_signal(number)
    told.wait()
