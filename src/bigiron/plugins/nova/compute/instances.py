"""Instances come, are looked at, and go."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nova.conf
from nova import exception
from nova.virt import hardware
from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import Step
from bigiron.model import GuestSpec, GuestState, PowerState
from bigiron.plugins.nova import configdrive as drive
from bigiron.plugins.nova import device_tags, flows, translate, vifwait
from bigiron.plugins.nova.compute import resize
from bigiron.plugins.nova.compute.host import host_errors
from bigiron.plugins.nova.compute.service import Service

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Instances(Service):
    """Spawn, destroy, and what there is."""

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        if instance.uuid in self.left_alone:
            return hardware.InstanceInfo(state=instance.power_state)
        with translate.nova_errors(instance, exception.HypervisorUnavailable):
            guest = self.hypervisor.guest(instance.uuid, fresh=not use_cache and not self.looking_after)
        return hardware.InstanceInfo(state=translate.nova_power_state(guest.power))

    def list_instances(self) -> list[str]:
        return [guest.name for guest in self._guests()]

    def list_instance_uuids(self) -> list[str]:
        return [guest.uuid for guest in self._guests()]

    def instance_exists(self, instance: Any) -> bool:
        return any(guest.uuid == instance.uuid for guest in self._guests())

    def _guests(self) -> Sequence[GuestState]:
        with host_errors():
            return self.hypervisor.guests()

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: str | None,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        vifs = list(network_info or ())
        leaves = PowerState.RUNNING if power_on else PowerState.STOPPED
        started = self.started
        with (
            translate.build_errors(instance),
            started.leftovers.building(instance.uuid),
            started.lifecycle.operation(instance.uuid, leaves),
        ):
            image = self.image_source(context, image_meta, instance.trusted_certs)
            spec = self._guest_spec(instance, image_meta, vifs, block_device_info, image, power_on)
            self.hypervisor.check(spec)
            tags = device_tags.TagNics(context, instance)
            self._run_spawn(instance, spec, injected_files, admin_password, vifs, tags)

    def _run_spawn(
        self,
        instance: Any,
        spec: GuestSpec,
        injected_files: Any,
        admin_password: str | None,
        vifs: list[Any],
        tags: device_tags.TagNics,
    ) -> None:
        steps: list[Step] = [*self.hypervisor.spawn_steps(spec), tags]
        with tempfile.TemporaryDirectory(prefix="bigiron-", dir=CONF.tempdir) as scratch:
            if spec.config_drive:
                network = self.config_drive_network(spec, vifs)
                steps.append(
                    drive.BuildConfigDrive(
                        instance, injected_files, admin_password, network, Path(scratch), needs=(device_tags.TAGGED,)
                    )
                )
            wait = vifwait.VifWait(
                self.virtapi,
                instance,
                vifs,
                spec.nics,
                CONF.vif_plugging_timeout,
                CONF.vif_plugging_is_fatal,
                self.started.wires,
            )
            with wait:
                flows.run(f"spawn {instance.uuid}", [*steps, wait], self.started.executor)

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        if resize.is_reverted_here(context, instance):
            LOG.debug("kept: the resize that is reverted was on this host", instance=instance)
            return
        with self.operating(instance, exception.InstanceTerminationFailure) as started:
            try:
                was_there = started.hypervisor.destroy(instance.uuid, keep_disks=not destroy_disks)
            except errors.PlatformError:
                started.leftovers.not_removed(instance.uuid)
                raise
            # Of a build that was undone the adapters have been announced with their end, or never were there.
            if was_there:
                started.hypervisor.unplugged([translate.nic_spec(vif) for vif in network_info or ()])
        started.leftovers.removed(instance.uuid)
        started.lifecycle.forget(instance.uuid)

    def cleanup(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        self.destroy(context, instance, network_info, block_device_info, destroy_disks, destroy_secrets)
