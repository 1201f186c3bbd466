"""The compute driver that all platforms share: Nova's calls translated into a Hypervisor's verbs and steps."""

from __future__ import annotations

import concurrent.futures
import contextlib
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nova.conf
from nova import exception
from nova.compute import task_states, vm_states
from nova.image import glance
from nova.virt import configdrive, driver, hardware
from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import Hypervisor, Step
from bigiron.model import GuestSpec, GuestState, HostFacts, NicSpec, PowerState
from bigiron.plugins.nova import conf, flows, providers, startup, translate, vifwait
from bigiron.plugins.nova import configdrive as drive
from bigiron.plugins.nova.leftovers import Leftovers
from bigiron.plugins.nova.lifecycle import LifecycleReporter

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_PLUG_PAUSES_S = (0.5, 2.0)
_HALF_MADE = (
    task_states.SCHEDULING,
    task_states.NETWORKING,
    task_states.BLOCK_DEVICE_MAPPING,
    task_states.SPAWNING,
)


@contextlib.contextmanager
def _host_errors() -> Iterator[None]:
    """Nova takes a host that does not answer for a passing trouble when it is told so in these words."""
    try:
        yield
    except (errors.Unavailable, errors.Busy, errors.Timeout, errors.AuthError) as error:
        raise exception.HypervisorUnavailable(error.message) from error


@dataclass(frozen=True, slots=True)
class _Started:
    """The platform, and what the driver runs beside it."""

    hypervisor: Hypervisor
    executor: concurrent.futures.ThreadPoolExecutor
    lifecycle: LifecycleReporter
    wires: vifwait.Wires
    leftovers: Leftovers


class BigironDriver(driver.ComputeDriver):
    """A ComputeDriver over one Hypervisor; a subclass names the platform and makes it in `make_hypervisor`."""

    hypervisor_type: str
    machines: Sequence[str]
    """Architectures that a guest can have, in Nova's words."""
    flavor_namespace: str
    """Prefix of the flavor keys that are the platform's, colon included."""

    def __init__(self, virtapi: Any) -> None:
        super().__init__(virtapi)
        self._image_api = glance.API()
        self._started: _Started | None = None
        self._stopping = threading.Event()

    # What a platform's driver says

    def make_hypervisor(self) -> Hypervisor:
        """The platform as nova.conf describes it; raises ValueError for an option that cannot be used."""
        raise NotImplementedError

    def config_drive_network(self, spec: GuestSpec, network_info: Sequence[Any]) -> Sequence[Any]:
        """The network as the guest's config drive shows it."""
        return network_info

    # The service

    def init_host(self, host: str) -> None:
        self._stopping.clear()
        try:
            hypervisor = self.make_hypervisor()
            drive.check_format(CONF.config_drive_format)
        except (ValueError, errors.InvalidSpec) as error:
            LOG.error("nova-compute cannot start: %s", error)
            raise exception.InvalidConfiguration(str(error)) from error
        startup.start(hypervisor, CONF.powervm.rest_connect_timeout, self._stopping)
        self._started = _Started(
            hypervisor,
            concurrent.futures.ThreadPoolExecutor(conf.parallel_steps(CONF), thread_name_prefix="bigiron-step"),
            LifecycleReporter(hypervisor, self.emit_event),
            vifwait.Wires(),
            Leftovers(hypervisor.destroy),
        )
        self._started.lifecycle.start()
        hypervisor.subscribe_wired(self._started.wires.ready)
        self._started.leftovers.start()
        LOG.info("%s", startup.report(hypervisor.facts()))

    def cleanup_host(self, host: str) -> None:
        self._stopping.set()
        started, self._started = self._started, None
        if started:
            started.lifecycle.stop()
            started.leftovers.stop()
            started.executor.shutdown(wait=False, cancel_futures=True)
            started.hypervisor.stop()

    def process_instances_at_startup(self, context: Any, instances: Any) -> Any:
        """Remove what is left of builds that ended with the previous process; Nova then sets them to ERROR.

        Returns the instances that Nova is to look after: all but those whose guest is not ours.
        """
        for uuid in self.hypervisor.reconcile([instance.uuid for instance in instances]):
            LOG.warning("removed a half-made guest of instance %s, which Nova does not have on this host", uuid)
        return [instance for instance in instances if self._half_made_removed(instance) or self._is_ours(instance)]

    def _half_made_removed(self, instance: Any) -> bool:
        if instance.vm_state != vm_states.BUILDING and instance.task_state not in _HALF_MADE:
            return False
        LOG.info("removing what a build left that was interrupted", instance=instance)
        try:
            self.hypervisor.destroy(instance.uuid)
        except errors.PlatformError as error:
            # The service must come up all the same, and deleting the server removes it later.
            LOG.error("a half-made guest is left until its server is deleted: %s", error, instance=instance)
        return True

    def _is_ours(self, instance: Any) -> bool:
        try:
            self.hypervisor.guest(instance.uuid)
        except errors.Foreign as error:
            # Nova would end the service over it, and with it every other server of the host.
            LOG.error("left alone until this is put right and nova-compute restarted: %s", error, instance=instance)
            return False
        except errors.PlatformError as error:
            LOG.debug("not checked for its mark: %s", error, instance=instance)
        return True

    @property
    def hypervisor(self) -> Hypervisor:
        """The started platform."""
        return self.started.hypervisor

    @property
    def started(self) -> _Started:
        """What runs from init_host to cleanup_host."""
        if self._started is None:
            raise exception.VirtDriverNotReady()
        return self._started

    def _operation(self, instance: Any, leaves: PowerState) -> contextlib.AbstractContextManager[None]:
        return self.started.lifecycle.operation(instance.uuid, leaves)

    # The host

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        return [CONF.host]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        return providers.resource_view(self._facts(), nodename, self.hypervisor_type, self.machines)

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        facts = self._facts()
        ratios = providers.allocation_ratios(CONF, provider_tree.data(nodename).inventory)
        reserved_disk_gb = self._get_reserved_host_disk_gb_from_config()
        provider_tree.update_inventory(nodename, providers.inventory(facts, ratios, reserved_disk_gb))
        # Traits that an operator set stay; the manager adds those of the capabilities.
        found = providers.traits(facts)
        provider_tree.remove_traits(nodename, *(providers.own(facts, provider_tree.data(nodename).traits) - found))
        provider_tree.add_traits(nodename, *found)

    def get_host_uptime(self) -> str:
        with _host_errors():
            return self.hypervisor.uptime()

    def get_host_ip_addr(self) -> str:
        return str(CONF.my_ip)

    def get_host_cpu_stats(self) -> dict[str, int]:
        try:
            with _host_errors():
                stats = self.hypervisor.cpu_stats()
        except errors.Unsupported as error:
            # What Nova's monitor of processors expects of a driver that has no figures.
            raise NotImplementedError(error.message) from error
        return {
            "kernel": stats.kernel_ns,
            "idle": stats.idle_ns,
            "user": stats.user_ns,
            "iowait": stats.iowait_ns,
            "frequency": stats.frequency_mhz,
        }

    def _facts(self) -> HostFacts:
        with _host_errors():
            return self.hypervisor.facts()

    # Instances

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        with translate.nova_errors(instance, exception.HypervisorUnavailable):
            guest = self.hypervisor.guest(instance.uuid, fresh=not use_cache)
        return hardware.InstanceInfo(state=translate.nova_power_state(guest.power))

    def list_instances(self) -> list[str]:
        return [guest.name for guest in self._guests()]

    def list_instance_uuids(self) -> list[str]:
        return [guest.uuid for guest in self._guests()]

    def instance_exists(self, instance: Any) -> bool:
        return any(guest.uuid == instance.uuid for guest in self._guests())

    def _guests(self) -> Sequence[GuestState]:
        with _host_errors():
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
            image = translate.image_source(context, image_meta, self._image_api, instance.trusted_certs)
            spec = translate.guest_spec(
                instance,
                image_meta,
                vifs,
                block_device_info,
                namespace=self.flavor_namespace,
                config_drive=bool(configdrive.required_by(instance)),
                power_on=power_on,
                image=image,
            )
            self.hypervisor.check(spec)
            self._run_spawn(instance, spec, injected_files, admin_password, vifs)

    def _run_spawn(
        self, instance: Any, spec: GuestSpec, injected_files: Any, admin_password: str | None, vifs: list[Any]
    ) -> None:
        steps: list[Step] = list(self.hypervisor.spawn_steps(spec))
        with tempfile.TemporaryDirectory(prefix="bigiron-", dir=CONF.tempdir) as scratch:
            if spec.config_drive:
                network = self.config_drive_network(spec, vifs)
                steps.append(drive.BuildConfigDrive(instance, injected_files, admin_password, network, Path(scratch)))
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
        def failed(reason: str) -> Exception:
            return exception.InstanceTerminationFailure(reason=reason)

        started = self.started
        with translate.nova_errors(instance, failed), started.lifecycle.operation(instance.uuid):
            try:
                started.hypervisor.destroy(instance.uuid, keep_disks=not destroy_disks)
            except errors.PlatformError:
                started.leftovers.not_removed(instance.uuid)
                raise
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

    # Power

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        def failed(reason: str) -> Exception:
            return exception.InstancePowerOnFailure(reason=reason)

        with (
            translate.nova_errors(instance, failed),
            self.started.lifecycle.operation(instance.uuid, PowerState.RUNNING),
        ):
            self.hypervisor.power_on(instance.uuid)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        def failed(reason: str) -> Exception:
            return exception.InstancePowerOffFailure(reason=reason)

        with (
            translate.nova_errors(instance, failed),
            self.started.lifecycle.operation(instance.uuid, PowerState.STOPPED),
        ):
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
        def failed(reason: str) -> Exception:
            return exception.InstanceRebootFailure(reason=reason)

        with (
            translate.nova_errors(instance, failed),
            self.started.lifecycle.operation(instance.uuid, PowerState.RUNNING),
        ):
            self.hypervisor.reboot(instance.uuid, hard=reboot_type == "HARD")

    # Network

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        def failed(reason: str) -> Exception:
            return exception.VirtualInterfacePlugException(reason)

        for vif in network_info or ():
            with translate.nova_errors(instance, failed):
                self._plug(instance.uuid, translate.nic_spec(vif))

    def _plug(self, uuid: str, nic: NicSpec) -> None:
        """Plug a port, trying again: Nova sets a running server to ERROR when this fails as the service starts."""
        for pause in _PLUG_PAUSES_S:
            try:
                self.hypervisor.plug(uuid, nic)
                return
            except (errors.NotFound, errors.Conflict, errors.Unsupported, errors.InvalidSpec):
                raise
            except errors.PlatformError as error:
                LOG.warning("port %s of instance %s is not plugged yet, trying again: %s", nic.id, uuid, error)
            self._stopping.wait(pause)
        self.hypervisor.plug(uuid, nic)

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        def failed(reason: str) -> Exception:
            return exception.VirtualInterfaceUnplugException(reason=reason)

        for vif in network_info or ():
            # Nova also unplugs after a build that was undone, when neither adapter nor guest is there any more.
            with contextlib.suppress(exception.InstanceNotFound), translate.nova_errors(instance, failed):
                self.hypervisor.unplug(instance.uuid, translate.nic_spec(vif))
