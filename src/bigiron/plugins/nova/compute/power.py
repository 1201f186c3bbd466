"""Power: on, off and reboot."""

from __future__ import annotations

from typing import Any

from nova import exception

from bigiron.model import PowerState
from bigiron.plugins.nova.compute import rescue
from bigiron.plugins.nova.compute.service import Service


class Power(Service):
    """What changes an instance's power state."""

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        with self.operating(instance, exception.InstancePowerOnFailure, PowerState.RUNNING):
            self.hypervisor.power_on(instance.uuid)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        with self.operating(instance, exception.InstancePowerOffFailure, PowerState.STOPPED):
            self.hypervisor.power_off(instance.uuid, timeout_s=timeout)

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        with self.operating(instance, exception.InstanceRebootFailure, PowerState.RUNNING) as started:
            hard = reboot_type == "HARD"
            if hard and started.hypervisor.is_rescued(instance.uuid):
                # Nova reboots no rescued instance: it set this one to ERROR when its unrescue failed.
                rescue.undo(started, instance)
            else:
                started.hypervisor.reboot(instance.uuid, hard=hard)
