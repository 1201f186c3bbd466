"""`pgrep mkvtermutil --list-full`: the terminals that are open, as the processes that would serve them.

PowerVM's Python client reads the codepage of an open IBM i console from there. Any other pattern is a matter for the
machine's own pgrep, which this command hides.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bigiron.sim.powervm.management.endpoint import Simulator, Unreachable, fail, tell

_PROGRAM = "mkvtermutil"
_REAL = "/usr/bin/pgrep"
_FIRST_PID = 4000
_NO_MATCH, _FATAL = 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, as pgrep's: 1 when nothing matches."""
    parser = argparse.ArgumentParser("pgrep")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--list-full", "-a", action="store_true", help="print the whole command line")
    parser.add_argument("pattern")
    options, rest = parser.parse_known_args(arguments)
    if options.pattern != _PROGRAM:
        return _real(options, rest)
    try:
        _status, vterms = Simulator.of_tree(options.root).ask("GET", "/vterms")
    except Unreachable as error:
        return fail("pgrep", error, _FATAL)
    for vterm in vterms:
        command = f" {_PROGRAM} --id {vterm['lpar_id']} --codepage {vterm['codepage']}"
        tell(f"{_FIRST_PID + vterm['lpar_id']}{command if options.list_full else ''}")
    return 0 if vterms else _NO_MATCH


def _real(options: argparse.Namespace, rest: Sequence[str]) -> int:
    full = ["--list-full"] if options.list_full else []
    try:
        return subprocess.run([_REAL, *full, *rest, options.pattern], check=False).returncode
    except FileNotFoundError as error:
        return fail("pgrep", error, _FATAL)


if __name__ == "__main__":
    sys.exit(main())
