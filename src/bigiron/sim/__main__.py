"""`python -m bigiron.sim`, for where the `bigiron` command is not on the path."""

from bigiron.sim.cli import sim

sim(prog_name="bigiron sim")
