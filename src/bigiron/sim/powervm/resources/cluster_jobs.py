"""The GrowLogicalUnit job of a cluster: the API's one way to enlarge a unit, whose UnitCapacity no update changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigiron.sim.powervm.errors import BadRequest, JobFailed
from bigiron.sim.powervm.model import pool
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobRun


def grow_unit(world: World, cluster: Any, parameters: Mapping[str, str]) -> JobRun:
    """Enlarge the unit LogicalUnitUDID to Capacity, in GB; both come back as results."""
    udid, text = parameters.get("LogicalUnitUDID", ""), parameters.get("Capacity", "")
    own = next((p for p in world.state.pools if cluster is not None and p.uuid == cluster.pool), None)
    unit = next((u for u in own.units if u.udid[2:] == udid[2:]), None) if own else None
    if unit is None:
        raise JobFailed(f"The cluster has no logical unit {udid or '(LogicalUnitUDID is missing)'}.")
    try:
        capacity = float(text)
    except ValueError:
        raise JobFailed(f"Capacity {text!r} of logical unit {unit.name} is no size in GB.") from None
    try:
        pool.check_growth(world, unit, capacity)
    except BadRequest as refused:
        raise JobFailed(str(refused)) from None

    def finish() -> dict[str, str]:
        pool.grow(world, unit, capacity)
        return {"LogicalUnitUDID": unit.udid, "Capacity": f"{unit.capacity:g}"}

    return JobRun(0.0, finish)
