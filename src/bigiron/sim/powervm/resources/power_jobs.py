"""The PowerOn and PowerOff jobs of partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bigiron.sim.powervm.model import power
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, JobRun


def power_on(world: World, partition: Any, parameters: Mapping[str, str]) -> JobRun:
    """Start a partition: bootmode, keylock, bootstring, iIPLsource; other options have no effect here."""
    power.begin_on(
        world,
        partition,
        parameters.get("bootmode", "norm"),
        parameters.get("keylock"),
        parameters.get("bootstring", ""),
        parameters.get("iIPLsource"),
    )

    def finish() -> dict[str, str]:
        power.finish_on(world, partition)
        return {}

    return JobRun(world.power_seconds, finish, lambda: power.cancel_on(world, partition))


def power_off(world: World, partition: Any, parameters: Mapping[str, str]) -> JobRun:
    """Stop or restart a partition: operation, immediate, restart. One that is dumped is always started again."""
    operation = parameters.get("operation", "shutdown")
    restart = parameters.get("restart", "").lower() == "true" or operation == "dumprestart"
    power.begin_off(world, partition, operation, restart)

    def finish() -> dict[str, str]:
        power.finish_off(world, partition, restart)
        return {}

    return JobRun(world.power_seconds, finish, lambda: power.cancel_off(world, partition))


POWER_JOBS: dict[str, JobHandler] = {"PowerOn": power_on, "PowerOff": power_off}
