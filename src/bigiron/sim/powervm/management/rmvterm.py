"""`rmvterm`: close a partition's virtual terminal; it is no error when none is open."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from bigiron.sim.powervm.management.endpoint import Simulator, Unreachable, fail


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser("rmvterm", description="Close the virtual terminal of a partition.")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--id", required=True, help="the partition's id")
    options = parser.parse_args(arguments)
    try:
        status, answer = Simulator.of_tree(options.root).ask("DELETE", f"/vterms/{options.id}")
    except Unreachable as error:
        return fail("rmvterm", error)
    if status != HTTPStatus.OK:
        return fail("rmvterm", answer.get("error", answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
