"""`bigiron sim`: the simulated platforms."""

from __future__ import annotations

import click

from bigiron.sim.powervm.cli import powervm
from bigiron.sim.show import console, show, topology
from bigiron.sim.zvm.cli import zvm


@click.group(name="sim")
def sim() -> None:
    """Simulate PowerVM and z/VM, so that OpenStack can be run without the hardware."""


for command in (powervm, zvm, show, topology, console):
    sim.add_command(command)
