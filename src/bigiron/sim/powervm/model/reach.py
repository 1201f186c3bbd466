"""Who can be changed now: a VIOS must be reachable, and a running partition takes new adapters only with RMC."""

from __future__ import annotations

from bigiron.sim.powervm.errors import BadRequest, Busy
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, Partition, Vios


def need_vios(vios: Vios) -> None:
    """Raise Busy when the VIOS is down."""
    if not vios.is_up:
        raise Busy(
            f"Virtual I/O Server {vios.name} cannot be reached: its state is {vios.state!r} and its resource "
            f"monitoring and control (RMC) state is {vios.rmc!r}."
        )


def need_dlpar(partition: Partition, action: str) -> None:
    """Raise BadRequest when the partition is running without RMC, so that its adapters cannot change."""
    if partition.is_on and not partition.management and partition.rmc != RMC_ACTIVE:
        raise BadRequest(
            f"HSCL294D Cannot {action} partition {partition.name}: it is {partition.state!r} and its resource "
            f"monitoring and control (RMC) state is {partition.rmc!r}. Power it off, or wait until RMC is active."
        )
