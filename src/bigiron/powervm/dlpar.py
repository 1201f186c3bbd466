"""Whether a partition takes new adapters, or gives some back, at this moment (dynamic LPAR)."""

from __future__ import annotations

from pypowervm.adapter import Adapter
from pypowervm.wrappers.base_partition import RMCState
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.errors import Conflict
from bigiron.powervm.errors import translated
from bigiron.powervm.partition import Lpar


def need_changeable_io(adapter: Adapter, lpar: Lpar, what: str) -> None:
    """Raise Conflict where the partition's adapters cannot change now; `what` is what that stands in the way of.

    A stopped partition's always can. A running one's operating system takes part, which it is asked to over the RMC
    connection (LogicalPartition: PartitionState, ResourceMonitoringControlState, PartitionCapabilities). One request:
    no event reports RMC, so it is asked for each time.
    """
    with translated(f"Reading LPAR {lpar.name}"):
        now = LPAR.get(adapter, uuid=lpar.uuid)
    able, _reason = now.can_modify_io()
    if able:
        return
    if now.rmc_state != RMCState.ACTIVE:
        why = f"its RMC state is {now.rmc_state}"
        wait = "or wait until RMC is active (the guest needs its management adapter and the RMC packages), "
    else:
        why = "its operating system does not offer dynamic changes of adapters"
        wait = ""
    raise Conflict(f"{what}: LPAR {lpar.name} is {now.state} and {why}. Stop the server, {wait}and try again.")
