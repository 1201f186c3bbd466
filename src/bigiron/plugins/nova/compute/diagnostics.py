"""The diagnostics of instances: what the platform tells of a running guest."""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.objects import diagnostics

from bigiron import errors
from bigiron.model import GuestReport
from bigiron.plugins.nova import translate
from bigiron.plugins.nova.compute.service import Service


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
        for number, mac in enumerate(report.macs):
            found[f"nic{number}_mac"] = mac
        for number, disk in enumerate(report.disks):
            found[f"disk{number}_name"] = disk.name
            found[f"disk{number}_size_gb"] = disk.size_gb
        return found

    def get_instance_diagnostics(self, instance: Any) -> diagnostics.Diagnostics:
        """In Nova's object; what it has no field for is in the other form only.

        `driver` stays unset, which the API shows as null: Nova knows five drivers by name, and none of ours is one of
        them. `hypervisor` says what this is.
        """
        report = self._report(instance)
        found = diagnostics.Diagnostics(
            state=translate.nova_power_state(report.power),
            hypervisor=self.platform,
            uptime=report.uptime_s,
            config_drive=report.config_drive,
            memory_details=diagnostics.MemoryDiagnostics(maximum=report.memory_mb),
        )
        for number in range(report.vcpus):
            found.add_cpu(id=number)
        for mac in report.macs:
            found.add_nic(mac_address=mac)
        for _disk in report.disks:
            found.add_disk()
        return found

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
