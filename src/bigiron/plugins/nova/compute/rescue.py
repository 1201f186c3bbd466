"""Rescue: an instance runs from another image's disk for a while, its own disks beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nova.conf
from nova import exception
from nova.virt import configdrive

from bigiron.hypervisor import Step
from bigiron.model import PowerState
from bigiron.plugins.nova import configdrive as drive
from bigiron.plugins.nova import flows, translate
from bigiron.plugins.nova.compute.service import Service, Started

CONF = nova.conf.CONF


class Rescue(Service):
    """Into rescue and out of it."""

    def rescue(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        image_meta: Any,
        rescue_password: str,
        block_device_info: Any,
        share_info: Any,
    ) -> None:
        """Start from the image; its config drive, where the instance has one, carries the rescue password.

        The manager has stopped the instance before this, and sets it to ERROR when this raises.
        """
        self.check_supported("operation.rescue")
        with self.operating(instance, exception.InstanceRescueFailure, PowerState.RUNNING) as started:
            image = self.image_source(context, image_meta, instance.trusted_certs)
            if started.hypervisor.is_rescued(instance.uuid):
                # The last unrescue failed, and Nova set the instance to ERROR, from where it can be rescued again.
                undo(started, instance)
            spec = translate.rescue_spec(
                instance, image_meta, image, config_drive=bool(configdrive.required_by(instance))
            )
            steps: list[Step] = list(started.hypervisor.rescue_steps(spec))
            with tempfile.TemporaryDirectory(prefix="bigiron-", dir=CONF.tempdir) as scratch:
                if spec.config_drive:
                    network = self.config_drive_network(spec, list(network_info or ()))
                    steps.append(drive.BuildConfigDrive(instance, None, rescue_password, network, Path(scratch)))
                flows.run(f"rescue {instance.uuid}", steps, started.executor)

    def unrescue(self, context: Any, instance: Any) -> None:
        """Start from the instance's own disks again and remove what the rescue made."""
        with self.operating(instance, exception.InstanceUnRescueFailure, PowerState.RUNNING) as started:
            undo(started, instance)


def undo(started: Started, instance: Any) -> None:
    """End the instance's rescue; it runs from its own disks then."""
    steps = started.hypervisor.unrescue_steps(instance.uuid)
    flows.run(f"unrescue {instance.uuid}", steps, started.executor)
