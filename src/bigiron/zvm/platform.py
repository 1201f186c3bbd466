"""z/VM as a Hypervisor: puts the parts of the platform together behind the verbs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from bigiron.errors import InvalidSpec, NotFound, PlatformError, Unavailable, Unsupported
from bigiron.hypervisor import Hypervisor, Step
from bigiron.journal import Journal
from bigiron.model import (
    CpuStats,
    DiskBytes,
    GuestEvent,
    GuestOs,
    GuestReport,
    GuestSpec,
    GuestState,
    GuestUsage,
    HostFacts,
    ImageSource,
    NicSpec,
    PowerState,
)
from bigiron.zvm import console, disks, report, resize, steps
from bigiron.zvm import nics as adapters
from bigiron.zvm.guests import Guest
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.parts import Parts

LOG = logging.getLogger(__name__)

_NO_RESCUE = "z/VM guests cannot be rescued: the Cloud Connector cannot start a guest from another disk."
_MAX_LOOK_S = 10.0
"""For how long a state that was seen serves, where nobody looks by itself."""


class Zvm(Hypervisor):
    """One z/VM LPAR, through its Cloud Connector."""

    def __init__(self, options: ZvmOptions, journal: Journal | None = None) -> None:
        """`journal` is called for every request to the connector."""
        self._options = options
        self._journal = journal
        self._parts: Parts | None = None
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[GuestEvent], None]] = []
        self._reachable: list[Callable[[bool], None]] = []
        self._wired: list[Callable[[str], None]] = []

    # The connection

    def start(self) -> None:
        with self._lock:
            if self._parts is not None:
                return
            parts = Parts(self._options, self._journal)
            parts.power.subscribe(self._state_changed)
            parts.watch.subscribe(self._reachable_changed)
            try:
                parts.start(self._ports_wired)
            except BaseException:
                parts.close()
                raise
            self._parts = parts

    def stop(self) -> None:
        with self._lock:
            parts, self._parts = self._parts, None
        if parts is not None:
            parts.close()

    def subscribe(self, callback: Callable[[GuestEvent], None]) -> None:
        self._callbacks.append(callback)

    def subscribe_reachable(self, callback: Callable[[bool], None]) -> None:
        self._reachable.append(callback)

    def subscribe_wired(self, callback: Callable[[str], None]) -> None:
        self._wired.append(callback)

    def _ports_wired(self, ports: Sequence[str]) -> None:
        for callback in self._wired:
            for port in ports:
                callback(port)

    def _state_changed(self, event: GuestEvent) -> None:
        for callback in self._callbacks:
            callback(event)

    def _reachable_changed(self, reachable: bool) -> None:
        for callback in self._reachable:
            callback(reachable)

    @property
    def parts(self) -> Parts:
        """The started platform's parts; raises Unavailable before."""
        if self._parts is None:
            raise Unavailable("The z/VM platform is not started.")
        return self._parts

    # The host

    def facts(self) -> HostFacts:
        return self.parts.host.facts(len(self.parts.guests.all()))

    def cpu_stats(self) -> CpuStats:
        raise Unsupported("The Cloud Connector tells no processor times of the host.")

    def uptime(self) -> str:
        return self.parts.host.uptime()

    # Guests

    def guests(self) -> Sequence[GuestState]:
        power = self.parts.power
        return [_state(guest, power.last_known(guest)) for guest in self.parts.guests.all()]

    def guest(self, uuid: str, fresh: bool = False) -> GuestState:
        guest = self.parts.guests.find(uuid)
        max_age_s = 0.0 if fresh else max(_MAX_LOOK_S, 2 * self._options.power_poll_s)
        return _state(guest, self.parts.power.state(guest, max_age_s))

    def report(self, uuid: str) -> GuestReport:
        parts = self.parts
        return report.report(parts.api, parts.ledger, parts.power, parts.guests.find(uuid))

    def usage(self, uuids: Collection[str]) -> Mapping[str, GuestUsage]:
        return self.parts.usages.read(uuids)

    def is_made(self, uuid: str) -> bool:
        return self.parts.guests.is_known(uuid)

    def is_half_made(self, uuid: str) -> bool:
        return self.parts.guests.is_half_made(uuid)

    def check(self, spec: GuestSpec, replacing: bool = False) -> None:
        if spec.os is not GuestOs.LINUX:
            raise InvalidSpec(f"Guest {spec.name} cannot be made: {spec.os.value} does not run on z/VM.")
        if spec.options:
            raise InvalidSpec(
                f"Guest {spec.name} has flavor keys that are not known: {', '.join(sorted(spec.options))}."
            )
        disks.distro_of(spec)
        self.parts.guests.check(spec)
        if not replacing:
            self.parts.guests.check_free(spec)
        for nic in spec.nics:
            adapters.check(nic)

    def spawn_steps(self, spec: GuestSpec) -> Sequence[Step]:
        return steps.spawn_steps(self.parts, spec)

    def resize_steps(self, spec: GuestSpec, timeout_s: int = 0) -> Sequence[Step]:
        return resize.steps(self.parts, spec, timeout_s)

    def destroy(self, uuid: str, keep_disks: bool = False) -> bool:
        parts = self.parts
        if keep_disks and parts.guests.is_known(uuid):
            raise Unsupported(f"The disks of instance {uuid} cannot be kept: a minidisk goes with its guest.")
        record = parts.ledger.find(uuid)
        with parts.power.ending(uuid.lower()):
            if record is not None and record.making:
                parts.transfer.discard(record.userid)
            parts.guests.remove(uuid)
        parts.power.forget(uuid.lower())
        return record is not None

    def adopt(self, instances: Iterable[tuple[str, str]]) -> Sequence[str]:
        return self.parts.guests.adopt(instances)

    def reconcile(self, known: Collection[str]) -> Sequence[str]:
        kept = {uuid.lower() for uuid in known}
        removed = []
        for uuid in self.parts.guests.half_made():
            if uuid in kept:
                continue
            try:
                self.destroy(uuid)
                removed.append(uuid)
            except PlatformError as error:
                LOG.warning("What is left of instance %s could not be removed: %s", uuid, error)
        return [*removed, *self.parts.guests.late.look()]

    # Power

    def power_on(self, uuid: str) -> None:
        self.parts.power.start(self.parts.guests.find(uuid))

    def power_off(self, uuid: str, timeout_s: int = 0) -> None:
        self.parts.power.stop(self.parts.guests.find(uuid), timeout_s)

    def reboot(self, uuid: str, hard: bool) -> None:
        self.parts.power.restart(self.parts.guests.find(uuid), hard)

    def pause(self, uuid: str) -> None:
        self.parts.power.pause(self.parts.guests.find(uuid))

    def unpause(self, uuid: str) -> None:
        self.parts.power.unpause(self.parts.guests.find(uuid))

    # Disks

    def root_disk(self, uuid: str) -> contextlib.AbstractContextManager[DiskBytes]:
        return self.parts.captures.root_disk(self.parts.guests.find(uuid))

    # Consoles

    def console_output(self, uuid: str, limit: int) -> bytes:
        return console.output(self.parts.api, self.parts.guests.find(uuid), limit)

    # Images

    def cache_image(self, image: ImageSource) -> bool:
        images = self.parts.images
        with images.cache.using(image.id.lower(), f"cache_image in thread {threading.get_ident()}"):
            return images.ensure(image)[1]

    def trim_images(self, used: Collection[str], min_age_s: float) -> Sequence[str]:
        return self.parts.images.trim(used, min_age_s)

    # Rescue

    def is_rescued(self, uuid: str) -> bool:
        return False

    def rescue_steps(self, spec: GuestSpec) -> Sequence[Step]:
        raise Unsupported(_NO_RESCUE)

    def unrescue_steps(self, uuid: str) -> Sequence[Step]:
        raise Unsupported(_NO_RESCUE)

    # Network adapters

    def attach(self, uuid: str, nic: NicSpec) -> None:
        adapters.check(nic)
        self.parts.nics.attach(self.parts.guests.find(uuid), nic)

    def detach(self, uuid: str, nic: NicSpec) -> None:
        self.parts.nics.detach(self.parts.guests.find(uuid), nic)

    def plug(self, uuid: str, nic: NicSpec) -> None:
        self.parts.nics.plug(self.parts.guests.find(uuid), nic)

    def was_plugged(self, uuid: str, nics: Sequence[NicSpec]) -> bool:
        guest = self.parts.guests.find(uuid)
        return all(self.parts.nics.was_there(guest, nic) for nic in nics)

    def unplug(self, uuid: str, nic: NicSpec) -> None:
        try:
            guest = self.parts.guests.find(uuid)
        except NotFound:
            return
        self.parts.nics.unplug(guest, nic)


def _state(guest: Guest, power: PowerState) -> GuestState:
    return GuestState(guest.instance, guest.name, power, guest.memory_mb, guest.vcpus)
