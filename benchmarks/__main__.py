"""`python -m benchmarks`: run the benchmarks, print a table and write the figures as one flat JSON object."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import calls, cloud, network, telemetry, throughput, zvm
from benchmarks.targets import TARGETS

BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {
    "calls": calls.run,
    "throughput": throughput.run,
    "cloud": cloud.run,
    "network": network.run,
    "telemetry": telemetry.run,
    "zvm": zvm.run,
}


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there as JSON.")
@click.option("--only", type=click.Choice(sorted(BENCHMARKS)), multiple=True, help="Run these alone.")
def main(out: Path | None, only: tuple[str, ...]) -> None:
    """Measure what the drivers cost: remote calls, bytes, ratios, and seconds beside them."""
    logging.basicConfig(level=logging.ERROR)
    console = Console()
    figures: dict[str, float] = {}
    for name, measure in BENCHMARKS.items():
        if only and name not in only:
            continue
        began = time.monotonic()
        with console.status(f"{name} ..."):
            figures |= measure()
        console.print(f"{name}: {time.monotonic() - began:.0f} s")
    table = Table("figure", "value", "target")
    table.columns[1].justify = "right"
    missed = []
    for key in sorted(figures):
        target = TARGETS.get(key)
        table.add_row(key, f"{figures[key]:g}", str(target or ""))
        if target and not target.met(figures[key]):
            missed.append(f"{key} is {figures[key]:g}, and should be {target}")
    console.print(table)
    for line in missed:
        console.print(f"missed: {line}")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
