"""The processes of the Cloud Connector's server: started, watched, started again when they end, and stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bigiron.sim.zvm.connector import presence
from bigiron.sim.zvm.connector.layout import Layout

LOG = logging.getLogger(__name__)

_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.1
_PAUSE_SECONDS = 1.0
"""Between the end of a process and its next start."""
_THREADS = 32


class ConnectorFailed(Exception):
    """The server did not start; the message says where it tells why."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server listens."""

    rest: tuple[str, int]
    sdk: tuple[str, int]
    tls: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        """The REST address without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://{self.rest[0]}:{self.rest[1]}"


class Processes:
    """sdkserver, which does the work, and the WSGI application in front of it."""

    def __init__(self, layout: Layout, addresses: Addresses, answer: str) -> None:
        self._layout = layout
        self._addresses = addresses
        self._answer = answer
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._watcher = threading.Thread(target=self._watch, name="connector", daemon=True)

    def start(self) -> None:
        """Start both and wait until the server answers. Raises ConnectorFailed."""
        self._wanted.set()
        self._launch_missing()
        self.await_ready()
        self._watcher.start()

    def close(self) -> None:
        """Stop both for good."""
        self._closing.set()
        self.halt()
        if self._watcher.is_alive():
            self._watcher.join()

    def halt(self) -> None:
        """Stop both; they stay down until `resume`."""
        self._wanted.clear()
        with self._lock:
            for process in self._running.values():
                _signal(process, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            for process in self._running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                _signal(process, signal.SIGKILL)
                process.wait()
            self._running.clear()

    def resume(self) -> None:
        """Start both again after `halt`. Raises ConnectorFailed, also where they have been closed."""
        self._wanted.set()
        self._launch_missing()
        self.await_ready()

    def states(self) -> dict[str, Any]:
        """The process ids of those that run."""
        with self._lock:
            return {name: process.pid for name, process in self._running.items() if process.poll() is None}

    def await_ready(self) -> None:
        """Wait until a request reaches sdkserver through the WSGI application. Raises ConnectorFailed."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self._closing.is_set():
                raise ConnectorFailed("the z/VM Cloud Connector does not start, as its simulator ends")
            with self._lock:
                ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended:
                break
            if _listens(*self._addresses.sdk) and _listens(*self._addresses.rest):
                return
            time.sleep(_POLL_SECONDS)
        raise ConnectorFailed(f"the z/VM Cloud Connector did not start: see {self._layout.logs}")

    # -- processes ----------------------------------------------------------------------------------------------------

    def _commands(self) -> dict[str, list[str]]:
        binaries = self._layout.environment / "bin"
        host, port = self._addresses.rest
        serve = [str(self._layout.site / "serve.py"), str(binaries / "zvmsdk-wsgi"), host, str(port), str(_THREADS)]
        return {
            "sdkserver": [str(binaries / "python"), str(binaries / "sdkserver")],
            "wsgi": [str(binaries / "python"), *serve, *(self._addresses.tls or ())],
        }

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TZ")}
        return {
            **kept,
            "PATH": f"{self._layout.programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self._layout.home),
            "TMPDIR": str(self._layout.temporary),
            "PYTHONPATH": str(self._layout.site),
            "PYTHONDONTWRITEBYTECODE": "1",
            presence.SOCKET: str(self._layout.socket),
            presence.ROOT: str(self._layout.root),
            presence.ANSWER: self._answer,
        }

    def _launch_missing(self) -> None:
        """Start what does not run, unless both are to be down: looked at under the lock that `halt` ends them under."""
        with self._lock:
            if self._closing.is_set() or not self._wanted.is_set():
                return
            for name, command in self._commands().items():
                known = self._running.get(name)
                if known is not None and known.poll() is None:
                    continue
                with (self._layout.logs / f"{name}.out").open("ab") as log:
                    self._running[name] = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(self._environment()),
                        cwd=self._layout.folder, start_new_session=True, umask=0o077,
                    )  # fmt: skip

    def _watch(self) -> None:
        while not self._closing.wait(_PAUSE_SECONDS):
            with self._lock:
                ended = [name for name, process in self._running.items() if process.poll() is not None]
            if ended and self._wanted.is_set():
                LOG.warning("%s of the Cloud Connector has ended and is started again", ", ".join(ended))
                try:
                    self._launch_missing()
                except OSError:  # a machine that is short of something for a while: it is tried again
                    LOG.exception("%s of the Cloud Connector was not started", ", ".join(ended))


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """To the process and its own children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
