"""What stands in for z/VM inside the Cloud Connector's own processes. It imports the standard library only.

The server is unmodified. This module is imported before it (by `sitecustomize`), and has three parts: the few paths
that the server has built in are looked up below a folder of the simulator; commands are answered by the simulator over
a Unix socket, either at once or through programs that the server starts; and its waiting passes in simulated time.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import json
import os
import posixpath
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

SOCKET, ROOT, ANSWER = "BIGIRON_ZVM_SOCKET", "BIGIRON_ZVM_ROOT", "BIGIRON_ZVM_ANSWER"
IN_PROCESS, PROGRAMS = "in-process", "programs"

_PLACES = ("/proc/sysinfo", "/sys/bus/ccw/", "/opt/.zvmsdk", "/etc/zvmsdk/", "/var/lib/zvmsdk/")
_USER_FOLDER = re.compile(r"/tmp/[A-Z0-9@#$]{1,8}(/iucvauth\.sh)?")
"""The server has /tmp/USERID built in as well, with one file in it."""
_PATH_FUNCTIONS = (
    "open", "stat", "lstat", "mkdir", "listdir", "scandir", "remove", "unlink", "rmdir", "rename", "replace", "access",
    "chmod", "utime", "readlink",
)  # fmt: skip
_OURS = {
    "smcli", "vmcp", "vmur", "iucvclnt", "unpackdiskimage", "creatediskimage", "linkdiskandbringonline",
    "offlinediskanddetach", "refresh_bootmap", "dasdfmt", "fdasd", "fdisk", "mkfs", "mkfs.xfs", "mkswap", "blockdev",
    "udevadm", "udevsettle", "hexdump", "scp", "lschp", "zhypinfo",
}  # fmt: skip
"""Programs that the simulator answers for; any other is the machine's own."""
_NOT_FOUND = 127


def mapped(path: Any, root: str) -> Any:
    """Where a path that the server has built in really is; other paths are as they are."""
    if not isinstance(path, str) or path.startswith(root):
        return path
    if path.startswith(_PLACES) or _USER_FOLDER.fullmatch(path):
        return root + path
    return path


class Line:
    """Questions to the simulator, over connections that are used again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[BinaryIO] = []
        self._lock = threading.Lock()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question; both are JSON objects."""
        stream = self._take()
        try:
            stream.write(json.dumps(question).encode() + b"\n")
            stream.flush()
            text = stream.readline()
        except BaseException:
            stream.close()
            raise
        if not text:
            stream.close()
            raise ConnectionError("the simulated z/VM has ended")
        with self._lock:
            self._idle.append(stream)
        return cast("dict[str, Any]", json.loads(text))

    def _take(self) -> BinaryIO:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = self.connect()
        stream = cast(BinaryIO, connection.makefile("rwb"))
        connection.close()  # it stays open as long as the stream
        return stream

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def connect(self) -> socket.socket:
        """A new connection."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self._path)
        return connection


def program_of(command: str | Sequence[str]) -> list[str] | None:
    """The words of a command that the simulator answers, else None. Shell text is known by its beginning."""
    if isinstance(command, str):
        if "udevadm settle" in command:
            return ["udevadm", "settle"]
        if "/sbin/fdisk " not in command or not command.startswith("sudo "):
            return None
        command = shlex.split(command.partition("<<")[0])
    words = [str(word) for word in command]
    if words and _name(words[0]) == "sudo":
        words = words[1:]
    if not words or _name(words[0]) not in _OURS:
        return None
    return [_name(words[0]), *words[1:]]


def _name(program: str) -> str:
    return program.rpartition("/")[2]


def _redirect(root: str) -> None:
    """Have the built-in paths looked up below the simulator's folder."""

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            return function(mapped(path, root), *args, **kwargs)

        return call

    for name in _PATH_FUNCTIONS:
        setattr(os, name, wrapped(getattr(os, name)))
    opened: Any = wrapped(builtins.open)
    builtins.open = io.open = opened


def _answer(line: Line) -> None:
    """Have `subprocess.check_output` answered by the simulator."""
    real: Any = subprocess.check_output

    def check_output(command: Any, *args: Any, **kwargs: Any) -> Any:
        words = program_of(command)
        if words is None:
            return real(command, *args, **kwargs)
        timeout = kwargs.get("timeout")
        answer = line.ask({"command": words, "timeout": timeout})
        output = answer["output"].encode("utf-8", "surrogateescape")
        if answer.get("timed_out"):
            raise subprocess.TimeoutExpired(command, float(timeout or 0), output)
        if answer["status"]:
            raise subprocess.CalledProcessError(answer["status"], command, output)
        return output

    patched: Any = check_output
    subprocess.check_output = patched


def _find(root: str) -> None:
    """Have programs that the server calls by an absolute path found among the simulator's."""
    real: Any = subprocess.check_output

    def check_output(command: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(command, list) and posixpath.isabs(command[0]) and _name(command[0]) in _OURS:
            command = [f"{root}/usr/bin/{_name(command[0])}", *command[1:]]
        return real(command, *args, **kwargs)

    patched: Any = check_output
    subprocess.check_output = patched


def _wait_with(line: Line) -> None:
    """Have waiting pass in simulated time."""
    real = time.sleep

    def sleep(seconds: float) -> None:
        try:
            line.ask({"sleep": seconds})
        except OSError:
            real(seconds)

    patched: Any = sleep
    time.sleep = patched


def _end_with(line: Line) -> None:
    """End this process when the simulator ends: a server without its z/VM is of no use."""
    try:
        connection = line.connect()
    except OSError as error:
        # Raised, it would end the import of this module only: Python prints it and goes on with the server.
        sys.stderr.write(f"the simulated z/VM has ended: {error}\n")
        sys.stderr.flush()
        os._exit(1)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while connection.recv(1):
                pass
        os._exit(0)

    threading.Thread(target=watch, name="z/VM", daemon=True).start()


def install() -> Line | None:
    """Do all that, as the environment of the process says."""
    path = os.environ.get(SOCKET)
    if not path:
        return None
    root = os.environ[ROOT]
    line = Line(path)
    _redirect(root)
    if os.environ.get(ANSWER) == PROGRAMS:
        _find(root)
    else:
        _answer(line)
    _wait_with(line)
    _end_with(line)
    return line


def main(argv: Sequence[str]) -> int:
    """One of the programs: ask the simulator, print what it says and end as it says."""
    words = program_of(argv)
    if words is None:
        if _name(argv[0]) == "sudo" and len(argv) > 1:
            os.execvp(argv[1], list(argv[1:]))
        sys.stderr.write(f"{argv[0]}: not simulated\n")
        return _NOT_FOUND
    answer = Line(os.environ[SOCKET]).ask({"command": words, "timeout": None})
    sys.stdout.write(answer["output"])
    return int(answer["status"])
