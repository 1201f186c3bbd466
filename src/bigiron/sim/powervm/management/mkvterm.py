"""`mkvterm`: open a partition's virtual terminal, as a VNC server on a local port or attached to this terminal.

Ends with 0, 3 when a terminal is open already (its port is printed where it is a VNC one), or 1 for anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

from bigiron.sim.powervm.management.endpoint import Simulator, Unreachable, fail, tell

ALREADY_OPEN = 3
_CONNECT_S = 10.0
_CHUNK = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _open(Simulator.of_tree(options.root), options)
    except Unreachable as error:
        return fail("mkvterm", error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mkvterm", description="Open the virtual terminal of a partition.")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--id", required=True, help="the partition's id")
    parser.add_argument("--vnc", action="store_true", help="serve it by VNC and print the port")
    parser.add_argument("--local", action="store_true", help="serve VNC on the loopback address only (always so here)")
    parser.add_argument("--consolesettings", default="codepage=037", help="codepage=N for IBM i")
    return parser


def _open(simulator: Simulator, options: argparse.Namespace) -> int:
    codepage = options.consolesettings.partition("codepage=")[2] or "037"
    status, answer = simulator.ask("POST", "/vterms", {"id": options.id, "vnc": options.vnc, "codepage": codepage})
    if status not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
        return fail("mkvterm", answer.get("error", answer))
    if options.vnc and answer.get("port"):
        tell(answer["port"])
    if status == HTTPStatus.CONFLICT:
        return fail("mkvterm", f"partition {options.id}'s terminal is open already; rmvterm closes it", ALREADY_OPEN)
    return 0 if options.vnc else _attach(int(answer["stream"]), sys.stdin.fileno(), sys.stdout.fileno())


def _attach(port: int, source: int, target: int) -> int:
    """Show the console and type what comes in, until the input ends or someone closes the terminal."""
    with socket.create_connection(("127.0.0.1", port), _CONNECT_S) as line, _raw(source):
        line.settimeout(_CONNECT_S)
        while True:
            ready = select.select([source, line.fileno()], [], [])[0]
            if line.fileno() in ready:
                printed = line.recv(_CHUNK)
                if not printed:
                    return 0
                os.write(target, printed)
            if source in ready:
                typed = _typed(source)
                if not typed:
                    return 0
                line.sendall(typed)


def _typed(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except OSError:
        # The other end of a pseudo-terminal is gone.
        return b""


@contextlib.contextmanager
def _raw(source: int) -> Iterator[None]:
    """The guest echoes and edits, not the terminal that the command runs in."""
    if not os.isatty(source):
        yield
        return
    before = termios.tcgetattr(source)
    tty.setraw(source)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(source, termios.TCSADRAIN, before)


if __name__ == "__main__":
    sys.exit(main())
