"""The meters: Ceilometer's own pollsters with another source, so that names, types, units and ids stay theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from ceilometer import sample
from ceilometer.compute import pollsters
from ceilometer.compute.pollsters import disk, instance_stats, net, util

from bigiron.model import GuestUsage
from bigiron.plugins.ceilometer.inspection import INSPECTIONS
from bigiron.plugins.ceilometer.source import source_of


class PowerVMPollster(pollsters.GenericComputePollster):
    """Takes its values from the platform's newest figures; the stock class beside it says which, and what of them.

    A counter is told once for each time that it was measured: repeated in a later poll it would look as if the guest
    had stood still, and then made up for it.
    """

    def setup_environment(self) -> None:
        self.source = source_of(self.conf)
        self._told: dict[tuple[str, str], float] = {}

    def get_samples(self, manager: Any, cache: dict[str, Any], resources: Sequence[Any]) -> Iterator[sample.Sample]:
        usages = self.source.usages(cache, [instance.id for instance in resources], manager)
        for instance in resources:
            usage = usages.get(instance.id)
            if usage is not None:
                yield from self._samples_of(instance, usage)
        here = {instance.id for instance in resources}
        self._told = {key: at for key, at in self._told.items() if key[0] in here}

    def _samples_of(self, instance: Any, usage: GuestUsage) -> Iterator[sample.Sample]:
        for stats, measured in INSPECTIONS[self.inspector_method](usage):
            volume = getattr(stats, self.sample_stats_key)
            if volume is None:
                continue
            resource = self.get_resource_id(instance, stats)
            at = self.measured_at(usage, measured)
            if self.sample_type == sample.TYPE_CUMULATIVE and at is not None:
                if self._told.get((instance.id, resource)) == at:
                    continue
                self._told[instance.id, resource] = at
            yield util.make_sample_from_instance(
                self.conf,
                instance,
                name=self.sample_name,
                unit=self.sample_unit,
                type=self.sample_type,
                resource_id=resource,
                volume=volume,
                additional_metadata=self.get_additional_metadata(instance, stats),
                monotonic_time=time.monotonic(),
            )

    def measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        """When the value was measured; None where that does not matter."""
        return at


# The instance


class PowerStatePollster(PowerVMPollster, instance_stats.PowerStatePollster):
    """power.state"""


class CPUPollster(PowerVMPollster, instance_stats.CPUPollster):
    """cpu: time with work since the partition's start; one busy core makes 1e9 ns in a second."""

    def measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        return usage.processor.at if usage.processor else None


class VCPUsPollster(PowerVMPollster, instance_stats.VCPUsPollster):
    """vcpus"""


class MemoryPollster(PowerVMPollster, instance_stats.MemoryPollster):
    """memory"""


class MemoryAvailablePollster(PowerVMPollster, instance_stats.MemoryAvailablePollster):
    """memory.available: all that the guest's system has, as libvirt means it."""


class MemoryUsagePollster(PowerVMPollster, instance_stats.MemoryUsagePollster):
    """memory.usage"""


class MemoryResidentPollster(PowerVMPollster, instance_stats.MemoryResidentPollster):
    """memory.resident"""


class MemorySwapInPollster(PowerVMPollster, instance_stats.MemorySwapInPollster):
    """memory.swap.in: since the agent first saw the guest; the platform tells a rate only."""

    def measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        return usage.memory.at if usage.memory else None


class MemorySwapOutPollster(PowerVMPollster, instance_stats.MemorySwapOutPollster):
    """memory.swap.out: as memory.swap.in."""

    def measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        return usage.memory.at if usage.memory else None


# Network adapters


class IncomingBytesPollster(PowerVMPollster, net.IncomingBytesPollster):
    """network.incoming.bytes"""


class IncomingPacketsPollster(PowerVMPollster, net.IncomingPacketsPollster):
    """network.incoming.packets"""


class IncomingDropPollster(PowerVMPollster, net.IncomingDropPollster):
    """network.incoming.packets.drop"""


class IncomingErrorsPollster(PowerVMPollster, net.IncomingErrorsPollster):
    """network.incoming.packets.error"""


class OutgoingBytesPollster(PowerVMPollster, net.OutgoingBytesPollster):
    """network.outgoing.bytes"""


class OutgoingPacketsPollster(PowerVMPollster, net.OutgoingPacketsPollster):
    """network.outgoing.packets"""


class OutgoingDropPollster(PowerVMPollster, net.OutgoingDropPollster):
    """network.outgoing.packets.drop"""


class OutgoingErrorsPollster(PowerVMPollster, net.OutgoingErrorsPollster):
    """network.outgoing.packets.error"""


# Storage adapters


class ReadRequestsPollster(PowerVMPollster, disk.PerDeviceReadRequestsPollster):
    """disk.device.read.requests"""


class ReadBytesPollster(PowerVMPollster, disk.PerDeviceReadBytesPollster):
    """disk.device.read.bytes"""


class WriteRequestsPollster(PowerVMPollster, disk.PerDeviceWriteRequestsPollster):
    """disk.device.write.requests"""


class WriteBytesPollster(PowerVMPollster, disk.PerDeviceWriteBytesPollster):
    """disk.device.write.bytes"""


class CapacityPollster(PowerVMPollster, disk.PerDeviceCapacityPollster):
    """disk.device.capacity"""


class AllocationPollster(PowerVMPollster, disk.PerDeviceAllocationPollster):
    """disk.device.allocation: of disks that are not thin; the platform does not tell how much of one is taken."""


# What only PowerVM has


class ProcessorPollster(PowerVMPollster):
    """Times in nanoseconds of one processor since the partition's start."""

    inspector_method = "inspect_powervm"
    sample_unit = "ns"
    sample_type = sample.TYPE_CUMULATIVE


class EntitledPollster(ProcessorPollster):
    """powervm.cpu.entitled: what the partition had a right to."""

    sample_name = "powervm.cpu.entitled"
    sample_stats_key = "entitled"


class CappedPollster(ProcessorPollster):
    """powervm.cpu.capped: what it was given within its entitlement."""

    sample_name = "powervm.cpu.capped"
    sample_stats_key = "capped"


class UncappedPollster(ProcessorPollster):
    """powervm.cpu.uncapped: what it was given beyond its entitlement."""

    sample_name = "powervm.cpu.uncapped"
    sample_stats_key = "uncapped"


class DonatedPollster(ProcessorPollster):
    """powervm.cpu.donated: what it gave away of its own processors."""

    sample_name = "powervm.cpu.donated"
    sample_stats_key = "donated"


class IdlePollster(ProcessorPollster):
    """powervm.cpu.idle: what it was given and had no work for."""

    sample_name = "powervm.cpu.idle"
    sample_stats_key = "idle"


class WaitPollster(ProcessorPollster):
    """powervm.cpu.wait: how long it waited for a processor."""

    sample_name = "powervm.cpu.wait"
    sample_stats_key = "waiting"


class UnitsPollster(ProcessorPollster):
    """powervm.processor.units: entitled processors, 1.0 for a whole one."""

    sample_name = "powervm.processor.units"
    sample_unit = "processor"
    sample_type = sample.TYPE_GAUGE
    sample_stats_key = "processors"


class PoolPollster(ProcessorPollster):
    """powervm.processor.pool: the number of the shared processor pool; none for dedicated processors."""

    sample_name = "powervm.processor.pool"
    sample_unit = "pool"
    sample_type = sample.TYPE_GAUGE
    sample_stats_key = "pool"
