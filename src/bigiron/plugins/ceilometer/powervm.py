"""The meters of PowerVM guests."""

from __future__ import annotations

from ceilometer import sample
from ceilometer.compute.pollsters import disk, instance_stats, net
from oslo_config import cfg

from bigiron.plugins.ceilometer import conf as options
from bigiron.plugins.ceilometer.pollsters import GuestPollster
from bigiron.plugins.ceilometer.source import Link
from bigiron.powervm.metrics.link import open_metrics


class PowerVMPollster(GuestPollster):
    """From the platform's long-term monitor."""

    platform = "PowerVM"

    @staticmethod
    def open(conf: cfg.ConfigOpts) -> Link:
        return open_metrics(options.to_powervm(conf))


# The instance


class PowerStatePollster(PowerVMPollster, instance_stats.PowerStatePollster):
    """power.state"""


class CPUPollster(PowerVMPollster, instance_stats.CPUPollster):
    """cpu: time with work since the partition's start; one busy core makes 1e9 ns in a second."""


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


class MemorySwapOutPollster(PowerVMPollster, instance_stats.MemorySwapOutPollster):
    """memory.swap.out: as memory.swap.in."""


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
