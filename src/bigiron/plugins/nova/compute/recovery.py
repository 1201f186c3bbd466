"""What helps a server, or a host, that has been in trouble; and two power states that the platform does not have."""

from __future__ import annotations

from typing import Any

from nova import exception
from oslo_log import log as logging

from bigiron.model import PowerState
from bigiron.plugins.nova import translate
from bigiron.plugins.nova.compute.service import Service

LOG = logging.getLogger(__name__)


class Recovery(Service):
    """Crash dumps, and guests after a restart of their host or of nova-compute."""

    def trigger_crash_dump(self, instance: Any) -> None:
        """The guest writes its dump and starts again, so it is running afterwards."""
        self.check_supported("operation.trigger-crash-dump")
        started = self.started
        with (
            translate.nova_errors(instance, exception.NovaException),
            started.lifecycle.operation(instance.uuid, PowerState.RUNNING),
        ):
            started.hypervisor.dump(instance.uuid)

    def resume_state_on_host_boot(
        self, context: Any, instance: Any, network_info: Any, share_info: Any, block_device_info: Any = None
    ) -> None:
        """Start a guest that ran when its host went down; its adapters and disks are still the partition's."""
        with self.operating(instance, exception.InstancePowerOnFailure, PowerState.RUNNING):
            self.hypervisor.power_on(instance.uuid)

    def poll_rebooting_instances(self, timeout: int, instances: Any) -> None:
        """Nova asks for those that reboot for longer than its time-out: every reboot here has a time-out of its own."""
        for instance in instances:
            LOG.warning("still rebooting after %d s; the platform gives up by itself", timeout, instance=instance)

    def pause(self, instance: Any) -> None:
        self.check_supported("operation.pause")
        with self.operating(instance, _failed, PowerState.PAUSED) as started:
            started.hypervisor.pause(instance.uuid)

    def unpause(self, instance: Any) -> None:
        self.check_supported("operation.unpause")
        with self.operating(instance, _failed, PowerState.RUNNING) as started:
            started.hypervisor.unpause(instance.uuid)

    def suspend(self, context: Any, instance: Any) -> None:
        self.check_supported("operation.suspend")


def _failed(reason: str) -> exception.NovaException:
    return exception.NovaException(reason)
