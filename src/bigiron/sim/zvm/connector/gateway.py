"""The Unix socket at which the Cloud Connector's processes ask the simulated z/VM: one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import Action, FaultPlan
from bigiron.sim.kernel.journal import Entry, Journal
from bigiron.sim.zvm.commands import Commands

LOG = logging.getLogger(__name__)

_NAMED = re.compile(r"/(guests|images|vswitches|fcptemplates|fcp|conn|nic)/([^/]+)")
_COLLECTIONS = {"stats", "interfacestats", "nics", "volumes", "detail"}
"""Words that stand where a name could: /guests/stats is no guest."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    gateway: Gateway


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        gateway = self.server.gateway
        with gateway.attending(self.connection), contextlib.suppress(OSError):
            for line in self.rfile:
                self.wfile.write(json.dumps(gateway.answer(json.loads(line))).encode() + b"\n")


class Gateway:
    """Answers the processes; ending it ends them, because they hold connections to it."""

    def __init__(self, path: Path, commands: Commands, clock: Clock, faults: FaultPlan, journal: Journal) -> None:
        self._commands = commands
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._connections: set[Any] = set()
        self._lock = threading.Lock()
        path.unlink(missing_ok=True)
        self._path = path
        self._server = _Server(str(path), _Handler)
        self._server.gateway = self
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="gateway", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(2)

    @contextlib.contextmanager
    def attending(self, connection: Any) -> Any:
        """Know a connection as long as it is open."""
        with self._lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(connection)

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one question: a command, a wait, or a REST request that begins or has been answered."""
        if "command" in question:
            done = self._commands.run(question["command"], question.get("timeout"))
            return {"status": done.status, "output": done.output, "timed_out": done.timed_out}
        if "sleep" in question:
            self._clock.sleep(float(question["sleep"]))
            return {}
        if "request" in question:
            return {"fault": self._fault(question["request"])}
        self._note(question["answered"])
        return {}

    def _fault(self, told: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is to happen to a REST request; one that is to hang has waited when this returns."""
        fault = self._faults.strike(told["method"], told["path"], template(told["path"]))
        if fault is None:
            return None
        if fault.action is Action.HANG:
            self._clock.sleep(fault.seconds)
            return None
        drops = fault.action in (Action.DROP_BEFORE, Action.DROP_AFTER)
        status = 503 if fault.action is Action.BUSY else fault.status
        body = {"overallRC": status, "modID": 120, "rc": status, "rs": status, "errmsg": fault.message, "output": ""}
        return {"action": fault.action.value if drops else "error", "status": status, "body": body}

    def _note(self, told: Mapping[str, Any]) -> None:
        self._journal.add(
            Entry(
                self._clock.now(), told["method"], told["path"], template(told["path"]), told["query"], told["status"],
                told["received"], told["sent"], told["seconds"] * 1000, 0, "", "", False, told["fault"],
            )
        )  # fmt: skip


def template(path: str) -> str:
    """A REST path with its names replaced, such as /guests/{name}/action."""

    def shown(match: re.Match[str]) -> str:
        return match[0] if match[2] in _COLLECTIONS else f"/{match[1]}/{{name}}"

    return _NAMED.sub(shown, path)
