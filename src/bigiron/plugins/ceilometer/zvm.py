"""The meters of z/VM guests: Ceilometer's own with figures of the Cloud Connector, and what only z/VM has.

The connector keeps figures for some minutes, so that every sample has the time of its measurement.
"""

from __future__ import annotations

from ceilometer import sample
from ceilometer.compute.pollsters import disk, instance_stats, net
from oslo_config import cfg

from bigiron.model import GuestUsage
from bigiron.plugins.ceilometer import conf as options
from bigiron.plugins.ceilometer.pollsters import GuestPollster, of
from bigiron.plugins.ceilometer.source import Link
from bigiron.zvm.metrics.link import open_metrics


class ZvmPollster(GuestPollster):
    """From the statistics of the Cloud Connector."""

    platform = "z/VM"
    dates = True

    @staticmethod
    def open(conf: cfg.ConfigOpts) -> Link:
        return open_metrics(options.to_zvm(conf))

    def _measured_at(self, usage: GuestUsage, at: float | None) -> float | None:
        """All that is known of a running guest is measured, its state too, but for the sizes of its disks."""
        found = super()._measured_at(usage, at)
        if self.inspector_method == "inspect_disk_info":
            return found
        return usage.processor.at if found is None and usage.processor is not None else found


PowerStatePollster = of(ZvmPollster, instance_stats.PowerStatePollster)
CPUPollster = of(ZvmPollster, instance_stats.CPUPollster)
VCPUsPollster = of(ZvmPollster, instance_stats.VCPUsPollster)
MemoryPollster = of(ZvmPollster, instance_stats.MemoryPollster)
MemoryUsagePollster = of(ZvmPollster, instance_stats.MemoryUsagePollster)
IncomingBytesPollster = of(ZvmPollster, net.IncomingBytesPollster)
IncomingPacketsPollster = of(ZvmPollster, net.IncomingPacketsPollster)
IncomingDropPollster = of(ZvmPollster, net.IncomingDropPollster)
IncomingErrorsPollster = of(ZvmPollster, net.IncomingErrorsPollster)
OutgoingBytesPollster = of(ZvmPollster, net.OutgoingBytesPollster)
OutgoingPacketsPollster = of(ZvmPollster, net.OutgoingPacketsPollster)
OutgoingDropPollster = of(ZvmPollster, net.OutgoingDropPollster)
OutgoingErrorsPollster = of(ZvmPollster, net.OutgoingErrorsPollster)
# Of minidisks, which have all of their extent; nobody counts what goes through them.
CapacityPollster = of(ZvmPollster, disk.PerDeviceCapacityPollster)
AllocationPollster = of(ZvmPollster, disk.PerDeviceAllocationPollster)


class SamplesPollster(ZvmPollster):
    """What CP found a guest's processors doing when it looked, since the guest's logon."""

    inspector_method = "inspect_zvm"
    sample_unit = "sample"
    sample_type = sample.TYPE_CUMULATIVE


class InUsePollster(SamplesPollster):
    """zvm.cpu.in_use: at work."""

    sample_name = "zvm.cpu.in_use"
    sample_stats_key = "in_use"


class DelayPollster(SamplesPollster):
    """zvm.cpu.delay: waiting for a real processor, as a stolen one is felt."""

    sample_name = "zvm.cpu.delay"
    sample_stats_key = "delayed"
