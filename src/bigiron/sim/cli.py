"""`bigiron sim`: the simulated platforms."""

from __future__ import annotations

import click

from bigiron.sim.powervm.cli import powervm


@click.group(name="sim")
def sim() -> None:
    """Simulate a PowerVM system, so that OpenStack can be run without the hardware."""


sim.add_command(powervm)
