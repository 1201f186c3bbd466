"""Power: on, off and reboot."""

from __future__ import annotations

import contextlib
from typing import Any

from nova import exception
from nova.compute import task_states, vm_states
from oslo_log import log as logging

from bigiron import errors
from bigiron.model import PowerState
from bigiron.naming import VIF_TYPE_OVS
from bigiron.plugins.nova import localdisks, translate
from bigiron.plugins.nova.compute import rescue, resize
from bigiron.plugins.nova.compute.service import Service, Started

LOG = logging.getLogger(__name__)


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
        # A rebuild that failed has left no guest, and Nova would leave the next one unfinished where there is none.
        rebuilding = instance.task_state == task_states.REBUILDING
        gone = contextlib.suppress(exception.InstanceNotFound) if rebuilding else contextlib.nullcontext()
        with gone, self.operating(instance, exception.InstancePowerOffFailure, PowerState.STOPPED):
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
            if hard and started.hypervisor.is_rescued(instance.uuid):
                # Nova reboots no rescued instance: it set this one to ERROR when its unrescue failed.
                rescue.undo(started, instance)
                return
            if hard and instance.vm_state == vm_states.ERROR:
                self._restore_shape(started, instance, block_device_info)
            if hard:
                self._rewire(started, instance, network_info)
            started.hypervisor.reboot(instance.uuid, hard=hard)

    def _rewire(self, started: Started, instance: Any, network_info: Any) -> None:
        """Put the guest's ports on Open vSwitch anew: users reboot a server whose network is gone."""
        for nic in map(translate.nic_spec, network_info or ()):
            if nic.vif_type != VIF_TYPE_OVS:
                continue
            try:
                started.hypervisor.plug(instance.uuid, nic)
            except errors.PlatformError as error:
                # What was asked for is a reboot, which goes without as well.
                LOG.warning("port %s is not put on Open vSwitch anew: %s", nic.id, error, instance=instance)

    def _restore_shape(self, started: Started, instance: Any, block_device_info: Any) -> None:
        """Stop the guest and give it its flavor's shape: the revert of a resize may not have come to its end."""
        empty = localdisks.empty_disks(instance.flavor, block_device_info, self.disk_rules)
        shape = translate.resize_spec(
            instance, instance.flavor, namespace=self.flavor_namespace, power_on=False, empty=empty
        )
        try:
            resize.reshape(started, shape)
        except errors.PlatformError as error:
            # What was asked for is a reboot, which a guest of another shape can do as well.
            LOG.warning("it is rebooted without its flavor's shape: %s", error, instance=instance)
