"""What a figure is meant to reach, by its key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that the figure must not pass."""

    bound: float
    least: bool = False
    """Whether the bound is the least allowed; the most otherwise."""

    def met(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.bound:g}"


VIOSES = 2
TARGETS: dict[str, Target] = {
    "powervm.spawn.throughput_ratio.32_to_1": Target(8, least=True),
    "powervm.spawn.vios_updates_per_spawn.32": Target(0.5),
    "powervm.spawn.bytes_ratio.500_to_1": Target(1.1),
    "powervm.spawn.calls.500": Target(14),
    "powervm.destroy.calls.500": Target(10),
    "powervm.power_sync.calls.500": Target(2),
    "powervm.resource_audit.calls.500": Target(2),
    "powervm.sea.port_on_present_vlan.calls": Target(1),
    "powervm.sea.burst.bridge_updates.100": Target(1),
    "powervm.sea.heal.calls.500": Target(10),
    "ceilometer.poll.steady.calls.500": Target(4 + VIOSES),
    "ceilometer.poll.steady.seconds.500": Target(5),
    "ceilometer.poll.memory_growth_mb.100": Target(8),
    "powervm.service_start.calls.500": Target(15 + 2 * VIOSES),
    "zvm.spawn.calls_ratio_to_in_tree": Target(0.6),
    "zvm.spawn.seconds_ratio_to_directory": Target(1.1),
}
