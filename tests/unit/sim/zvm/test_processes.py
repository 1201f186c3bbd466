"""The Cloud Connector's processes: none is started again once they are to be down."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bigiron.sim.zvm.connector import layout as layouts
from bigiron.sim.zvm.connector import presence, processes
from bigiron.sim.zvm.connector.layout import Layout
from bigiron.sim.zvm.connector.processes import Addresses, ConnectorFailed, Processes


class Spawned:
    """Stands in for Popen: processes that end at once, and how often they were started."""

    def __init__(self, *failures: OSError) -> None:
        self.count = 0
        self._failures = list(failures)

    def __call__(self, *_command: Any, **_options: Any) -> Any:
        self.count += 1
        if self._failures:
            raise self._failures.pop()
        return SimpleNamespace(pid=-1, poll=lambda: 1, wait=lambda _timeout=None: 1)


class Interrupted(threading.Event):
    """An event at which somebody does something just after it was looked at."""

    def __init__(self, do: Callable[[], None], looks: int = 1) -> None:
        super().__init__()
        self._do = do
        self._looks = looks

    def is_set(self) -> bool:
        found = super().is_set()
        self._looks -= 1
        if self._looks == 0:
            self._do()
        return found


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    layout = Layout(tmp_path, Path(sys.prefix))
    layout.logs.mkdir()
    monkeypatch.setattr(processes, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(processes, "_signal", lambda *_: None)
    return Processes(layout, Addresses(("127.0.0.1", 9), ("127.0.0.1", 9)), presence.IN_PROCESS)


def _popen(monkeypatch: pytest.MonkeyPatch, spawned: Spawned) -> Spawned:
    stand_in = SimpleNamespace(Popen=spawned, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(processes, "subprocess", stand_in)
    return spawned


def test_processes_that_are_closed_as_one_has_ended_are_not_started_again(
    made: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned = _popen(monkeypatch, Spawned())
    made._wanted.set()
    made._launch_missing()
    assert spawned.count == 2
    monkeypatch.setattr(made, "_wanted", Interrupted(made.close))
    made._wanted.set()
    made._watch()
    assert spawned.count == 2 and made.states() == {}


def test_processes_that_were_closed_are_not_resumed(made: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    spawned = _popen(monkeypatch, Spawned())
    made.halt()
    made.close()
    with pytest.raises(ConnectorFailed, match="simulator ends"):
        made.resume()
    assert spawned.count == 0


def test_a_start_that_fails_is_tried_again(made: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    spawned = _popen(monkeypatch, Spawned())
    made._wanted.set()
    made._launch_missing()
    _popen(monkeypatch, again := Spawned(OSError("no memory")))
    rounds = iter((False, False, True))
    monkeypatch.setattr(made, "_closing", SimpleNamespace(wait=lambda _seconds: next(rounds), is_set=lambda: False))
    made._watch()
    assert (spawned.count, again.count) == (2, 3)


def test_a_server_without_its_simulator_ends(tmp_path: Path) -> None:
    layout = Layout(tmp_path, Path(sys.prefix))
    layout.site.mkdir()
    layouts._write_site(layout)
    places = {"PYTHONPATH": layout.site, presence.ROOT: layout.root, presence.SOCKET: tmp_path / "gone"}
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    command = [sys.executable, "-c", "print('served')"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("the simulated z/VM has ended")
