"""Run the lab's programs under supervisord, spoken to over its Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, program, write_private
from bigiron.lab.services import Program, base_environment

LOG_MEGABYTES = 50
"""How long a log may become: the one before it is kept, older ones go."""
_CALL_SECONDS = 60.0
_START_SECONDS = 20.0
_MARK = "BIGIRON_LAB"
"""The variable that names a lab's directory to everything that its supervisor starts."""
# Faults of supervisor's RPC interface that mean "it is so already".
_ALREADY_STARTED, _NOT_RUNNING = 60, 70


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the supervisor knows of one program. `state` is its word: RUNNING, STARTING, FATAL ..."""

    name: str
    state: str
    pid: int
    message: str
    started: float

    @property
    def alive(self) -> bool:
        """Tell whether its process runs."""
        return self.state in ("RUNNING", "STARTING")

    @property
    def failed(self) -> bool:
        """Tell whether the supervisor gave up on it."""
        return self.state in ("FATAL", "EXITED", "UNKNOWN")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("lab", timeout=_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CALL_SECONDS)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


class Supervisor:
    """The running supervisor of one lab."""

    def __init__(self, paths: LabPaths) -> None:
        self._rpc = xmlrpc.client.ServerProxy("http://lab/RPC2", transport=_UnixTransport(paths.supervisor_socket))

    def pid(self) -> int:
        """Return supervisord's own process id."""
        return cast(int, self._rpc.supervisor.getPID())

    def states(self) -> dict[str, ProcessState]:
        """Return the state of every program by name."""
        listing = cast(list[dict[str, Any]], self._rpc.supervisor.getAllProcessInfo())
        return {
            each["name"]: ProcessState(each["name"], each["statename"], each["pid"], each["spawnerr"], each["start"])
            for each in listing
        }

    def start(self, name: str) -> None:
        """Start a program that is not running; do not wait for it."""
        with _tolerating(_ALREADY_STARTED):
            self._rpc.supervisor.startProcess(name, False)

    def stop(self, names: Iterable[str], seconds: float) -> None:
        """Stop programs side by side and wait until all of them are gone; the supervisor kills those that linger."""
        pending = {name for name, state in self.states().items() if name in names and state.pid}
        for name in pending:
            with _tolerating(_NOT_RUNNING):
                self._rpc.supervisor.stopProcess(name, False)
        deadline = time.monotonic() + seconds
        while pending := {name for name in pending if self.states()[name].pid}:
            if time.monotonic() > deadline:
                raise LabError(
                    f"{', '.join(sorted(pending))} did not stop within {seconds:.0f} s, not even when killed"
                )
            time.sleep(0.1)

    def kill(self) -> None:
        """End every program at once, for a lab whose data will be removed."""
        self._rpc.supervisor.signalAllProcesses("KILL")

    def shutdown(self) -> None:
        """Stop every program, then the supervisor."""
        self._rpc.supervisor.shutdown()


@contextlib.contextmanager
def _tolerating(code: int) -> Any:
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != code:
            raise


def connect(paths: LabPaths) -> Supervisor | None:
    """Return the lab's running supervisor, or None."""
    supervisor = Supervisor(paths)
    try:
        supervisor.pid()
    except OSError:
        return None
    return supervisor


def launch(paths: LabPaths, table: Iterable[Program]) -> Supervisor:
    """Write the supervisor's option file and start it; it starts no program by itself."""
    write_private(paths.supervisor_conf, configuration(paths, table))
    for log in paths.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))
    try:
        result = subprocess.run(
            [program("supervisord"), "-c", str(paths.supervisor_conf)],
            env={**base_environment(), _MARK: str(paths.root)}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=_START_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"supervisord did not start within {_START_SECONDS:.0f} s: see {paths.run / 'supervisord.log'}"
        ) from error
    if result.returncode:
        raise LabError(f"supervisord did not start: {(result.stderr or result.stdout).strip()}")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        supervisor = connect(paths)
        if supervisor is not None:
            return supervisor
        time.sleep(0.05)
    raise LabError(f"supervisord does not answer on {paths.supervisor_socket}: see {paths.run / 'supervisord.log'}")


def survivors(paths: LabPaths) -> list[psutil.Process]:
    """Return the programs of this lab that run, known by the environment that they were started with.

    Without a supervisor there should be none, but one that was killed leaves its programs behind.
    """
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in mine and process.environ().get(_MARK) == str(paths.root):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end_survivors(paths: LabPaths, seconds: float) -> bool:
    """End what a supervisor left behind that is gone; tell whether there was anything."""
    left = found = survivors(paths)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process)
        deadline = time.monotonic() + seconds / 2
        while (left := [process for process in left if _lives(process)]) and time.monotonic() < deadline:
            time.sleep(0.05)
    if left:
        listed = ", ".join(f"{process.pid} ({process.name()})" for process in left)
        raise LabError(f"processes of the lab in {paths.root} outlived its supervisor and cannot be ended: {listed}")
    return bool(found)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_end(pid: int, seconds: float) -> bool:
    """Wait until a process is gone; tell whether it went in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def _quoted(value: str) -> str:
    """Write an environment value as supervisor reads it: percent signs doubled, in quotes it does not contain."""
    mark = "'" if '"' in value else '"'
    return mark + value.replace("%", "%%") + mark


def configuration(paths: LabPaths, table: Iterable[Program]) -> str:
    """Return the supervisor's option file."""
    user = "user=root\n" if os.geteuid() == 0 else ""
    blocks = [
        f"[unix_http_server]\nfile={paths.supervisor_socket}\nchmod=0600\n",
        f"[supervisord]\n{user}logfile={paths.run}/supervisord.log\npidfile={paths.run}/supervisord.pid\n"
        f"childlogdir={paths.logs}\ndirectory={paths.run}\numask=077\n",
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
    ]
    for each in table:
        command = shlex.join(each.argv).replace("%", "%%")
        environment = ",".join(f"{key}={_quoted(value)}" for key, value in each.environment.items())
        blocks.append(
            f"[program:{each.name}]\ncommand={command}\nenvironment={environment}\nautostart=false\n"
            f"autorestart=unexpected\nexitcodes=0\nstartsecs=1\nstartretries=1\nstopwaitsecs={each.stop_seconds}\n"
            f"stopasgroup=true\nkillasgroup=true\nredirect_stderr=true\n"
            # A file that the program writes and renames itself is not to be renamed here as well.
            f"stdout_logfile={paths.logs}/{each.name}.log\n"
            f"stdout_logfile_maxbytes={0 if each.own_log else f'{LOG_MEGABYTES}MB'}\nstdout_logfile_backups=1\n"
        )
    return "\n".join(blocks)
