"""The meters of PowerVM guests."""

from __future__ import annotations

from ceilometer import sample
from ceilometer.compute.pollsters import disk, instance_stats, net
from oslo_config import cfg

from bigiron.plugins.ceilometer import conf as options
from bigiron.plugins.ceilometer.pollsters import GuestPollster, of
from bigiron.plugins.ceilometer.source import Link
from bigiron.powervm.metrics.link import open_metrics


class PowerVMPollster(GuestPollster):
    """From the platform's long-term monitor."""

    platform = "PowerVM"

    @staticmethod
    def open(conf: cfg.ConfigOpts) -> Link:
        return open_metrics(options.to_powervm(conf))


# The instance

PowerStatePollster = of(PowerVMPollster, instance_stats.PowerStatePollster)
# Time with work since the partition's start; one busy core makes 1e9 ns in a second.
CPUPollster = of(PowerVMPollster, instance_stats.CPUPollster)
VCPUsPollster = of(PowerVMPollster, instance_stats.VCPUsPollster)
MemoryPollster = of(PowerVMPollster, instance_stats.MemoryPollster)
# All that the guest's system has, as libvirt means it.
MemoryAvailablePollster = of(PowerVMPollster, instance_stats.MemoryAvailablePollster)
MemoryUsagePollster = of(PowerVMPollster, instance_stats.MemoryUsagePollster)
MemoryResidentPollster = of(PowerVMPollster, instance_stats.MemoryResidentPollster)
# Both since the agent first saw the guest; the platform tells a rate only.
MemorySwapInPollster = of(PowerVMPollster, instance_stats.MemorySwapInPollster)
MemorySwapOutPollster = of(PowerVMPollster, instance_stats.MemorySwapOutPollster)

# Network adapters

IncomingBytesPollster = of(PowerVMPollster, net.IncomingBytesPollster)
IncomingPacketsPollster = of(PowerVMPollster, net.IncomingPacketsPollster)
IncomingDropPollster = of(PowerVMPollster, net.IncomingDropPollster)
IncomingErrorsPollster = of(PowerVMPollster, net.IncomingErrorsPollster)
OutgoingBytesPollster = of(PowerVMPollster, net.OutgoingBytesPollster)
OutgoingPacketsPollster = of(PowerVMPollster, net.OutgoingPacketsPollster)
OutgoingDropPollster = of(PowerVMPollster, net.OutgoingDropPollster)
OutgoingErrorsPollster = of(PowerVMPollster, net.OutgoingErrorsPollster)

# Storage adapters

ReadRequestsPollster = of(PowerVMPollster, disk.PerDeviceReadRequestsPollster)
ReadBytesPollster = of(PowerVMPollster, disk.PerDeviceReadBytesPollster)
WriteRequestsPollster = of(PowerVMPollster, disk.PerDeviceWriteRequestsPollster)
WriteBytesPollster = of(PowerVMPollster, disk.PerDeviceWriteBytesPollster)
CapacityPollster = of(PowerVMPollster, disk.PerDeviceCapacityPollster)
# Of disks that are not thin; the platform does not tell how much of one is taken.
AllocationPollster = of(PowerVMPollster, disk.PerDeviceAllocationPollster)

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
