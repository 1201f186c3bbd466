"""Power: on, off and reboot."""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.compute import vm_states

from bigiron.model import PowerState
from bigiron.plugins.nova import localdisks, translate
from bigiron.plugins.nova.compute import rescue, resize
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
        hard = reboot_type == "HARD"
        with self.operating(instance, exception.InstanceRebootFailure, PowerState.RUNNING) as started:
            if hard and instance.vm_state == vm_states.ERROR:
                # The revert of a resize may not have come to its end.
                empty = localdisks.empty_disks(instance.flavor, block_device_info)
                shape = translate.resize_spec(
                    instance, instance.flavor, namespace=self.flavor_namespace, power_on=True, empty=empty
                )
                resize.reshape(started, shape)
            if hard and started.hypervisor.is_rescued(instance.uuid):
                # Nova reboots no rescued instance: it set this one to ERROR when its unrescue failed.
                rescue.undo(started, instance)
            else:
                started.hypervisor.reboot(instance.uuid, hard=hard)
