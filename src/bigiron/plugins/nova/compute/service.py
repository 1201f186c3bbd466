"""The compute service's start and end, and what every other part of the driver works on."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nova.conf
from nova import context as nova_context
from nova import exception, objects
from nova.compute import task_states, vm_states
from nova.image import glance
from nova.virt import configdrive, driver
from oslo_log import log as logging

from bigiron import errors, features
from bigiron.hypervisor import Hypervisor
from bigiron.model import GuestSpec, ImageSource, PowerState
from bigiron.plugins.nova import configdrive as drive
from bigiron.plugins.nova import inspection, limits, startup, translate, vifwait
from bigiron.plugins.nova.availability import Availability
from bigiron.plugins.nova.image_properties import PROPERTIES, ImageProperty
from bigiron.plugins.nova.leftovers import Leftovers
from bigiron.plugins.nova.lifecycle import LifecycleReporter
from bigiron.plugins.nova.localdisks import EMPTY_SCSI, DiskRules

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_HALF_MADE = (
    task_states.SCHEDULING,
    task_states.NETWORKING,
    task_states.BLOCK_DEVICE_MAPPING,
    task_states.SPAWNING,
)


@dataclass(frozen=True, slots=True)
class Started:
    """The platform, and what the driver runs beside it."""

    hypervisor: Hypervisor
    executor: concurrent.futures.ThreadPoolExecutor
    lifecycle: LifecycleReporter
    wires: vifwait.Wires
    leftovers: Leftovers
    availability: Availability

    def stop(self) -> None:
        """End all of it; safe to call twice."""
        self.lifecycle.stop()
        self.leftovers.stop()
        self.availability.stop()
        # Steps that wait fail on the stopped platform: the engine would wait for a cancelled one for ever.
        self.executor.shutdown(wait=False)
        self.hypervisor.stop()


class Service(driver.ComputeDriver):
    """A ComputeDriver over one Hypervisor, from init_host to cleanup_host."""

    platform: str
    """The platform's name, in lower case."""
    capabilities: dict[str, bool]
    hypervisor_type: str
    machines: Sequence[str]
    """Architectures that a guest can have, in Nova's words."""
    flavor_namespace: str
    """Prefix of the flavor keys that are the platform's, colon included."""
    image_properties: Sequence[ImageProperty] = PROPERTIES
    """What the platform makes of image properties."""
    disk_rules: DiskRules = EMPTY_SCSI
    """What an empty disk may ask for."""
    dedicates_processors = True
    """Whether what a guest is given of the processors is its own, so that none is promised twice."""
    converts_images = True
    """Whether images that are not raw can be converted into what the platform takes."""
    inspects_images = True
    """Whether Nova's rules for disk formats are asked what a raw image really is; else the platform knows it itself."""

    def __init__(self, virtapi: Any) -> None:
        super().__init__(virtapi)
        self._image_api = glance.API()
        self._disk_bytes: dict[str, int] = {}
        self._started: Started | None = None
        self._stopping = threading.Event()
        self.looking_after = False
        """Whether Nova is going through all its instances, as it does when it starts: asking the platform about each
        of hundreds would take minutes, and what the start has just read of them is kept current by events."""
        self.left_alone: frozenset[str] = frozenset()
        """Instances that Nova is to do nothing with meanwhile, where it goes through those too: before Nova 34."""

    # What a platform's driver says

    def make_hypervisor(self) -> Hypervisor:
        """The platform as nova.conf describes it; raises ValueError for an option that cannot be used."""
        raise NotImplementedError

    def image_folder(self) -> Path:
        """Where images are while they are looked at or converted."""
        raise NotImplementedError

    def start_timeout_s(self) -> float:
        """How long the start waits for the platform; 0 waits for ever."""
        raise NotImplementedError

    @property
    def shares_disk_pool(self) -> bool:
        """Whether the pool of disks is shown to placement as one provider that hosts share."""
        return False

    def node_name(self) -> str:
        """What the compute node is called."""
        return str(CONF.host)

    def config_drive_network(self, spec: GuestSpec, network_info: Sequence[Any]) -> Sequence[Any]:
        """The network as the guest's config drive shows it."""
        return network_info

    def image_source(self, context: Any, image_meta: Any, trusted_certs: Any = None) -> ImageSource | None:
        """The image as the platform reads it; raises PlatformError for one that it cannot use."""
        return translate.image_source(
            context, image_meta, self._image_api, self.image_folder(), trusted_certs, self._disk_bytes,
            inspect=self.inspects_images,
        )  # fmt: skip

    def _guest_spec(
        self,
        instance: Any,
        image_meta: Any,
        network_info: Any,
        block_device_info: Any,
        image: ImageSource | None,
        power_on: bool = True,
    ) -> GuestSpec:
        """The guest that the instance is to have, made from the image; raises PlatformError for what cannot be."""
        return translate.guest_spec(
            instance,
            image_meta,
            network_info,
            block_device_info,
            namespace=self.flavor_namespace,
            config_drive=bool(configdrive.required_by(instance)),
            power_on=power_on,
            image=image,
            properties=self.image_properties,
            rules=self.disk_rules,
        )

    def init_host(self, host: str) -> None:
        try:
            inspection.clear(self.image_folder())
            hypervisor = self.make_hypervisor()
            drive.check_format(CONF.config_drive_format)
        except (ValueError, errors.InvalidSpec) as error:
            LOG.error("nova-compute cannot start: %s", error)
            raise exception.InvalidConfiguration(str(error)) from error
        startup.start(hypervisor, self.start_timeout_s(), self._stopping)
        self._started = started = Started(
            hypervisor,
            concurrent.futures.ThreadPoolExecutor(limits.parallel_steps(CONF), thread_name_prefix="bigiron-step"),
            LifecycleReporter(hypervisor, self.emit_event),
            vifwait.Wires(),
            Leftovers(hypervisor),
            Availability(self.virtapi, host),
        )
        try:
            self._begin(started, host)
            if self._stopping.is_set():
                raise exception.HypervisorUnavailable("nova-compute was stopped while it started")
        except BaseException:
            # Nova cleans up only what has started, and whoever has stopped it found no more than there was then.
            self._started = None
            started.stop()
            raise

    def _begin(self, started: Started, host: str) -> None:
        started.lifecycle.start()
        started.hypervisor.subscribe_wired(started.wires.ready)
        started.leftovers.start()
        started.availability.start()
        # What an earlier process took out of service may serve again.
        started.availability.changed(True)
        started.hypervisor.subscribe_reachable(started.availability.changed)
        LOG.info("%s", startup.report(started.hypervisor.facts()))
        if not hasattr(driver.ComputeDriver, "process_instances_at_startup"):
            self._process_instances(host)

    def _process_instances(self, host: str) -> None:
        """Before Nova 34 nobody asks for it, and Nova goes through the instances that are not ours, too."""
        context = nova_context.get_admin_context()
        instances = objects.InstanceList.get_by_host(context, host)
        ours = {instance.uuid for instance in self.process_instances_at_startup(context, instances)}
        self.left_alone = frozenset(instance.uuid for instance in instances) - ours

    def cleanup_host(self, host: str) -> None:
        self._stopping.set()
        started, self._started = self._started, None
        if started:
            started.stop()

    def process_instances_at_startup(self, context: Any, instances: Any) -> Any:
        """Remove what is left of builds that ended with the previous process; Nova then sets them to ERROR.

        Returns the instances that Nova is to look after: all but those whose guest is not ours.
        """
        self.looking_after = True
        for uuid in self.hypervisor.reconcile([instance.uuid for instance in instances]):
            LOG.warning("removed a half-made guest of instance %s, which Nova does not have on this host", uuid)
        return [instance for instance in instances if self._half_made_removed(instance) or self._is_ours(instance)]

    def _half_made_removed(self, instance: Any) -> bool:
        if instance.vm_state != vm_states.BUILDING and instance.task_state not in _HALF_MADE:
            return False
        if self.hypervisor.is_made(instance.uuid):
            # All that is missing is Nova's note of it, and of an unshelved guest the image may be gone already.
            LOG.warning("its guest is complete and stays, though Nova was ended before it knew", instance=instance)
            return True
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

    def check_supported(self, key: str) -> None:
        """Raise what leaves the server as it is, with the reason that the feature table gives."""
        feature = features.named(key)
        if feature.support(self.platform) is features.Support.NO:
            raise NotImplementedError(feature.why(self.platform))

    @property
    def hypervisor(self) -> Hypervisor:
        """The started platform."""
        return self.started.hypervisor

    @property
    def started(self) -> Started:
        """What runs from init_host to cleanup_host."""
        if self._started is None:
            raise exception.VirtDriverNotReady()
        return self._started

    @contextlib.contextmanager
    def operating(
        self, instance: Any, failure: Callable[..., Exception], leaves: PowerState | None = None
    ) -> Iterator[Started]:
        """Around what changes a guest: the platform's errors become Nova's `failure`, which takes a `reason`, the
        guest's events are ours meanwhile, and `leaves` is the state that Nova then knows of."""
        started = self.started
        with (
            translate.nova_errors(instance, lambda reason: failure(reason=reason)),
            started.lifecycle.operation(instance.uuid, leaves),
        ):
            yield started
