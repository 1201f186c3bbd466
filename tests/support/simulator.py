"""A PowerVM simulator for tests: in this process, which is quick, or as the command that users run."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.server import Settings, Simulator

SYSTEMS = Path(__file__).parents[2] / "examples" / "systems"
_TIMEOUT = 60


class ControlClient:
    """The control address of a simulator."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; raises requests.HTTPError when it is refused."""
        answer = requests.request(method, self.url + path, json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def journal(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/journal"))

    def clear_journal(self) -> None:
        self.ask("DELETE", "/journal")

    def audit(self) -> list[Any]:
        return list(self.ask("GET", "/audit"))

    def state(self) -> dict[str, Any]:
        return dict(self.ask("GET", "/state"))

    def put_state(self, state: Mapping[str, Any]) -> None:
        self.ask("PUT", "/state", dict(state))

    def plan(self, *faults: Mapping[str, Any]) -> list[dict[str, Any]]:
        return list(self.ask("POST", "/faults", [dict(fault) for fault in faults]))

    def faults(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/faults"))

    def clear_faults(self) -> None:
        self.ask("DELETE", "/faults")

    def latency(self, profile: str, **overrides: float) -> None:
        self.ask("POST", "/latency", {"profile": profile, "overrides": overrides})

    def clock(self, **change: float) -> dict[str, float]:
        return dict(self.ask("POST", "/clock", change))


def document(name: str = "one-host.yaml") -> dict[str, Any]:
    """An example's system document."""
    return documents.read(SYSTEMS / name)


@contextlib.contextmanager
def in_process(
    state: Path, system: Mapping[str, Any] | None = None, settings: Settings | None = None
) -> Iterator[tuple[Simulator, ControlClient]]:
    """A simulator in this process on free ports."""
    with Simulator(system or document(), state, settings) as simulator:
        yield simulator, ControlClient(simulator.control_url)


class SimulatorProcess:
    """`bigiron sim powervm` in a process of its own, on free ports unless told otherwise."""

    def __init__(self, state: Path, *options: str, system: Path = SYSTEMS / "one-host.yaml") -> None:
        self.state = state
        command = [sys.executable, "-m", "bigiron.sim", "powervm", "--system", str(system), "--state", str(state)]
        ports = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  # close() ends it
        self.process = subprocess.Popen(
            [*command, *ports, *options], stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        try:
            self.url = self._ready()
        except BaseException:
            self.close()
            raise
        self.control = ControlClient(json.loads((state / "endpoints.json").read_text())["control"])

    def _ready(self) -> str:
        assert self.process.stdout is not None
        watchdog = threading.Timer(_TIMEOUT, self.process.kill)
        watchdog.start()
        try:
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line.startswith("ready "):
            self.process.wait(_TIMEOUT)
            self._log.seek(0)
            raise RuntimeError(f"the simulator did not start: {line}{self._log.read()}")
        return line.split()[1]

    def close(self) -> None:
        """End it, if it runs, and close its output."""
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def terminate(self) -> int:
        """Stop it as a supervisor does and return its exit status."""
        self.process.terminate()
        return self.process.wait(_TIMEOUT)

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait(_TIMEOUT)

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
