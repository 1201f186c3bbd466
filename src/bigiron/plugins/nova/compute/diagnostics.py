"""The diagnostics of instances: what the platform tells of a running guest.

Counters come where the platform's monitor is on: on PowerVM the telemetry agent and Nova's monitor of processors see to
that, and z/VM always counts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from nova import exception
from nova.objects import diagnostics

from bigiron import errors
from bigiron.model import DiskUsage, GuestReport, GuestUsage, NicUsage
from bigiron.plugins.nova import translate
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)

_TIMES = (
    "used_ns", "entitled_ns", "capped_ns", "uncapped_ns", "idle_ns", "donated_ns", "waiting_ns", "in_use_samples",
    "delay_samples",
)  # fmt: skip
_TRAFFIC = ("in_bytes", "in_packets", "in_drops", "in_errors", "out_bytes", "out_packets", "out_drops", "out_errors")
_TRANSFERS = ("read_bytes", "read_requests", "write_bytes", "write_requests")


class Diagnostics(Service):
    """Server diagnostics, in the driver's own words before microversion 2.48 of the API and in Nova's since then."""

    def get_diagnostics(self, instance: Any) -> dict[str, Any]:
        report = self._report(instance)
        found: dict[str, Any] = {
            "state": report.power.value,
            "uptime_s": report.uptime_s,
            "memory_mb": report.memory_mb,
            "memory_max_mb": report.max_memory_mb,
            "vcpus": report.vcpus,
            "processors": report.processors,
            "processors_dedicated": report.dedicated,
            "processor_mode": report.processor_mode,
            "operating_system": report.operating_system,
            "config_drive": report.config_drive,
        }
        usage = self._usage(instance)
        nics = {nic.mac: nic for nic in usage.nics}
        for number, mac in enumerate(report.macs):
            found[f"nic{number}_mac"] = mac
            found |= _figures(f"nic{number}", nics.get(mac), _TRAFFIC)
        for number, disk in enumerate(report.disks):
            found[f"disk{number}_name"] = disk.name
            found[f"disk{number}_size_gb"] = disk.size_gb
        for number, adapter in enumerate(usage.disks):
            found[f"adapter{number}_name"] = adapter.name
            found |= _figures(f"adapter{number}", adapter, _TRANSFERS)
        found |= _figures("cpu", usage.processor, _TIMES)
        found |= _figures("memory", usage.memory, ("used_mb", "swapped_in_mb", "swapped_out_mb"))
        return found

    def get_instance_diagnostics(self, instance: Any) -> diagnostics.Diagnostics:
        """In Nova's object; what it has no field for is in the other form only.

        `driver` stays unset, which the API shows as null: Nova knows five drivers by name, and none of ours is one of
        them. `hypervisor` says what this is.
        """
        report, usage = self._report(instance), self._usage(instance)
        used = usage.memory.used_mb if usage.memory else None
        found = diagnostics.Diagnostics(
            state=translate.nova_power_state(report.power),
            hypervisor=self.platform,
            uptime=report.uptime_s,
            config_drive=report.config_drive,
            memory_details=diagnostics.MemoryDiagnostics(
                maximum=report.memory_mb, **({} if used is None else {"used": round(used)})
            ),
        )
        # The platform counts the time of all processors together, and what goes through adapters, not to their disks.
        time = usage.processor.used_ns if usage.processor and report.vcpus == 1 else None
        for number in range(report.vcpus):
            found.add_cpu(id=number, time=time)
        nics = {nic.mac: nic for nic in usage.nics}
        for mac in report.macs:
            found.add_nic(mac_address=mac, **_nic_figures(nics.get(mac)))
        figures = _disk_figures(usage.disks) if len(report.disks) == 1 else {}
        for _disk in report.disks:
            found.add_disk(**figures)
        return found

    def _usage(self, instance: Any) -> GuestUsage:
        """What the instance uses, as far as the platform tells: diagnostics do without."""
        try:
            found = self.hypervisor.usage([instance.uuid])
        except errors.PlatformError as error:
            LOG.info("Instance %s has diagnostics without counters: %s", instance.uuid, error)
            found = {}
        return found.get(instance.uuid) or GuestUsage(instance.uuid, None, None, None)

    def _report(self, instance: Any) -> GuestReport:
        try:
            return self.hypervisor.report(instance.uuid)
        except errors.NotFound as error:
            raise exception.InstanceNotFound(instance_id=instance.uuid) from error
        except errors.Unsupported as error:
            # What the API's answer 501 comes from.
            raise NotImplementedError(error.message) from error
        except errors.PlatformError as error:
            # The API shows the reason of this one to its user, as a conflict.
            raise exception.InstanceNotReady(error.message) from error


def _figures(prefix: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """The fields of a value under names of their own; nothing of what there is no value of."""
    found = {} if value is None else {f"{prefix}_{name}": getattr(value, name) for name in names}
    return {name: figure for name, figure in found.items() if figure is not None}


def _nic_figures(nic: NicUsage | None) -> dict[str, int]:
    """In the fields of Nova's NicDiagnostics."""
    if nic is None:
        return {}
    return {
        "rx_octets": nic.in_bytes,
        "rx_packets": nic.in_packets,
        "rx_drop": nic.in_drops,
        "rx_errors": nic.in_errors,
        "tx_octets": nic.out_bytes,
        "tx_packets": nic.out_packets,
        "tx_drop": nic.out_drops,
        "tx_errors": nic.out_errors,
    }


def _disk_figures(adapters: Sequence[DiskUsage]) -> dict[str, int]:
    """What went through all ways to one disk, in the fields of Nova's DiskDiagnostics."""
    return {name: sum(getattr(one, name) for one in adapters) for name in _TRANSFERS} if adapters else {}
