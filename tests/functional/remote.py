"""A simulator in a process of its own, which tests use as they use the one in theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests
import urllib3
import yaml
from tests.support.simulator import SimulatorProcess

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.kernel.journal import Entry

_TIMEOUT_S = 120
_OF_A_FAULT = ("method", "path", "action", "nth", "times", "status", "message", "reason", "seconds")


class DirectPool(urllib3.HTTPConnectionPool):
    """Connections as they are without Nova's fixtures, which put one of their own into urllib3's pool."""

    ConnectionCls = urllib3.connection.HTTPConnection


class _Control:
    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.get_adapter("http://").poolmanager.pool_classes_by_scheme = {"http": DirectPool}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return answer.json() if answer.content else None


class RemoteJournal:
    """What the simulator was asked."""

    def __init__(self, control: _Control) -> None:
        self._control = control

    def entries(self) -> list[Entry]:
        return [Entry(**entry) for entry in self._control.ask("GET", "/journal")]

    def clear(self) -> None:
        self._control.ask("DELETE", "/journal")


class RemoteFaults:
    """What will fail."""

    def __init__(self, control: _Control) -> None:
        self._control = control

    def add(self, *faults: Fault) -> None:
        self._control.ask("POST", "/faults", [{name: getattr(f, name) for name in _OF_A_FAULT} for f in faults])

    def faults(self) -> list[Fault]:
        return [Fault(**{**fault, "action": Action(fault["action"])}) for fault in self._control.ask("GET", "/faults")]

    def clear(self) -> None:
        self._control.ask("DELETE", "/faults")


class RemoteSimulator:
    """`bigiron sim powervm` on a system document, started; `stop` ends it."""

    def __init__(self, document: dict[str, Any], state: Path) -> None:
        system = state.with_suffix(".yaml")
        system.write_text(yaml.safe_dump(document))
        self._process = SimulatorProcess(state, system=system)
        endpoints = json.loads((state / "endpoints.json").read_text())
        self.url = str(endpoints["rest"])
        self.management_root = Path(endpoints["management"])
        self._control = _Control(endpoints["control"])
        self.journal = RemoteJournal(self._control)
        self.faults = RemoteFaults(self._control)

    def state(self) -> dict[str, Any]:
        """The system as the simulator holds it."""
        return dict(self._control.ask("GET", "/state"))

    def audit(self) -> list[Any]:
        """What is orphaned or inconsistent."""
        return list(self._control.ask("GET", "/audit"))

    def stop(self) -> None:
        self._process.terminate()
        self._process.close()
