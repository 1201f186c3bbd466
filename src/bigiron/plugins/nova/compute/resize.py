"""Resize on the same host: everything that can fail happens in migrate_disk_and_power_off.

Only there does Nova put the server, its flavor and its allocations back after an error; later on it cannot. A revert
has no way back either, so it tries again, and a server that is in ERROR gets its flavor's shape with a hard reboot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import nova.conf
from nova import exception, objects
from nova.compute import task_states, vm_states
from nova.compute import utils as compute_utils
from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import STOPPED
from bigiron.model import DiskSpec, GuestSpec, PowerState
from bigiron.plugins.nova import flows, localdisks, translate
from bigiron.plugins.nova.compute.service import Service, Started

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_REVERT_PAUSES_S = (0.5, 2.0, 5.0)


class Resize(Service):
    """What Nova calls from a resize to its confirmation or revert."""

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: str,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """The whole resize, with the guest running again at its end where it is to run; undone if a part fails."""
        with _rolled_back():
            if dest != str(CONF.my_ip):
                raise errors.Unsupported(
                    f"The server cannot move to {dest}: this host resizes servers in place only. Set "
                    "[DEFAULT] allow_resize_to_same_host to true, and see that this host has room for the new flavor."
                )
            if flavor.root_gb < instance.flavor.root_gb:
                raise errors.InvalidSpec(
                    f"The root disk has {instance.flavor.root_gb} GB and cannot shrink to the {flavor.root_gb} GB of "
                    f"flavor {flavor.name!r}. Use a flavor whose disk is not smaller."
                )
            translate.check_disks(block_device_info)
            empty = localdisks.resized_disks(instance.flavor, flavor, block_device_info, self.disk_rules)
            power_on = instance.vm_state != vm_states.STOPPED
            grown_gb = flavor.root_gb if flavor.root_gb > instance.flavor.root_gb else None
            self._reshape(context, instance, flavor, power_on, empty, timeout, grown_gb)
        return ""

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """The guest is as it should be already, unless it was stopped meanwhile."""
        localdisks.note_growth(instance.old_flavor, instance.flavor, block_device_info)
        with translate.nova_errors(instance, lambda reason: exception.InstancePowerOnFailure(reason=reason)):
            stopped = self.hypervisor.guest(instance.uuid).power is PowerState.STOPPED
        if power_on and stopped:
            with self.operating(instance, exception.InstancePowerOnFailure, PowerState.RUNNING) as started:
                started.hypervisor.power_on(instance.uuid)

    def confirm_migration(self, context: Any, migration: Any, instance: Any, network_info: Any) -> None:
        """Nothing was kept of the old shape but what the flavor says, so nothing is to be removed."""

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Back to the old flavor, which the instance has again; a disk that has grown stays as large.

        Nova has not stopped the guest, which its disks outlive: its operating system is given time to stop.
        """
        timeout_s = int(instance.system_metadata.get("image_os_shutdown_timeout", CONF.shutdown_timeout))
        localdisks.note_growth(instance.new_flavor, instance.flavor, block_device_info)
        empty = localdisks.empty_disks(instance.flavor, block_device_info, self.disk_rules)
        for pause in _REVERT_PAUSES_S:
            try:
                self._reshape(context, instance, instance.flavor, power_on, empty, timeout_s)
            except errors.PlatformError as error:
                LOG.warning("the old flavor is not restored yet, trying again: %s", error, instance=instance)
                self._stopping.wait(pause)
            else:
                return
        with _resize_errors():
            self._reshape(context, instance, instance.flavor, power_on, empty, timeout_s)

    def _reshape(
        self,
        context: Any,
        instance: Any,
        flavor: Any,
        power_on: bool,
        empty: tuple[DiskSpec, ...],
        timeout_s: int = 0,
        root_gb: int | None = None,
    ) -> None:
        spec = translate.resize_spec(
            instance, flavor, namespace=self.flavor_namespace, power_on=power_on, root_gb=root_gb, empty=empty
        )
        with self._noted(context, instance) as note:
            reshape(self.started, spec, timeout_s, note)

    @contextlib.contextmanager
    def _noted(self, context: Any, instance: Any) -> Iterator[Callable[[bool], None]]:
        """Enter in the instance's action which way is taken, as an event of its own: live or cold.

        A revert that Nova makes up for as it starts belongs to no action.
        """
        with contextlib.ExitStack() as stack:

            def note(cold: bool) -> None:
                name = f"{self.platform}_{'cold' if cold else 'live'}_resize"
                with contextlib.suppress(exception.InstanceActionNotFound):
                    stack.enter_context(
                        compute_utils.EventReporter(context, name, CONF.host, instance.uuid, graceful_exit=True)
                    )

            yield note


def reshape(
    started: Started, spec: GuestSpec, timeout_s: int = 0, note: Callable[[bool], None] = lambda cold: None
) -> None:
    """Give the guest the shape and the power of the spec, where it does not have them yet.

    `note` is told beforehand whether the guest is stopped for it.
    """
    leaves = PowerState.RUNNING if spec.power_on else PowerState.STOPPED
    with started.lifecycle.operation(spec.uuid, leaves):
        steps = started.hypervisor.resize_steps(spec, timeout_s)
        if steps:
            note(any(step.provides is STOPPED for step in steps))
            flows.run(f"resize {spec.uuid}", steps, started.executor)


def is_reverted_here(context: Any, instance: Any) -> bool:
    """Whether a resize is being reverted that had this host on both ends: the old guest and the new are one."""
    if instance.task_state != task_states.RESIZE_REVERTING or instance.migration_context is None:
        return False
    migration = objects.Migration.get_by_id_and_instance(
        context, instance.migration_context.migration_id, instance.uuid
    )
    return bool(migration.source_compute == migration.dest_compute)


@contextlib.contextmanager
def _resize_errors() -> Iterator[None]:
    try:
        yield
    except errors.PlatformError as error:
        raise exception.ResizeError(reason=error.message) from error


@contextlib.contextmanager
def _rolled_back() -> Iterator[None]:
    """What fails inside was undone: Nova gives the server its old state back and shows the reason."""
    try:
        with _resize_errors():
            yield
    except exception.ResizeError as error:
        raise exception.InstanceFaultRollback(error) from error
