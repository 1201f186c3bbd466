"""`mkvterm`: open a partition's virtual terminal, as a VNC server on a local port or attached to this terminal.

Ends with 0, 3 when a terminal is open already (its port is printed where it is a VNC one), or 1 for anything else.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TextIO

from bigiron.sim.powervm.management.endpoint import Simulator, Unreachable, fail, tell

ALREADY_OPEN = 3
_POLL_S = 5.0


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
    return 0 if options.vnc else _attach(simulator, options.id, sys.stdin, sys.stdout)


def _attach(simulator: Simulator, lpar: str, source: TextIO, target: TextIO) -> int:
    """Show the console and type what comes in, until the input ends or someone closes the terminal."""
    threading.Thread(target=_show, args=(simulator, lpar, target), daemon=True).start()
    closed = False
    for line in source:
        status, _answer = simulator.ask("GET", f"/vterms/{lpar}")
        if closed := status != HTTPStatus.OK:
            break
        simulator.ask("POST", f"/consoles/{lpar}/input", line)
    if not closed:
        simulator.ask("DELETE", f"/vterms/{lpar}")
    return 0


def _show(simulator: Simulator, lpar: str, target: TextIO) -> None:
    since = 0
    while True:
        status, answer = simulator.ask("GET", f"/consoles/{lpar}?since={since}&wait={_POLL_S}")
        if status != HTTPStatus.OK:
            return
        since = _print(answer, target)


def _print(excerpt: Any, target: TextIO) -> int:
    target.write(excerpt["text"])
    target.flush()
    return int(excerpt["end"])


if __name__ == "__main__":
    sys.exit(main())
