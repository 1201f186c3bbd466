"""PowerVM as a Hypervisor: puts the parts of the platform together behind the verbs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from bigiron import naming
from bigiron.errors import Foreign, NotFound, PlatformError, Unavailable
from bigiron.hypervisor import Hypervisor, Step
from bigiron.model import (
    ConsoleAddress,
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
)
from bigiron.powervm import diagnostics, host, resize
from bigiron.powervm.connect import connect
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.removal import remove_storage
from bigiron.powervm.disk.steps import storage_steps
from bigiron.powervm.events import RestEvent
from bigiron.powervm.ibmi import TagLoadSource
from bigiron.powervm.management.access import Access, DirectAccess
from bigiron.powervm.network import hotplug, rmc
from bigiron.powervm.network import steps as network
from bigiron.powervm.network.vif_events import parse_wired
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.partition import Lpar
from bigiron.powervm.parts import Parts
from bigiron.powervm.session import Journal
from bigiron.powervm.steps import CreateLpar, StartGuest

LOG = logging.getLogger(__name__)

_REBOOT_S = 120.0
_CAPACITY_AGE_S = 60.0


class PowerVM(Hypervisor):
    """One PowerVM managed system."""

    def __init__(self, options: PowerVMOptions, journal: Journal | None = None, access: Access | None = None) -> None:
        """`journal` is called for every request to the REST service; `access` reaches the superuser's files."""
        self._access = access or DirectAccess()
        self._options = options
        self._journal = journal
        self._parts: Parts | None = None
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[GuestEvent], None]] = []

    # The connection

    def start(self) -> None:
        with self._lock:
            if self._parts is not None:
                return
            connection = connect(self._options, self._journal, wait=False)
            try:
                parts = Parts(connection, self._access)
                parts.check_host()
                parts.consoles.start()
            except BaseException:
                connection.close()
                raise
            connection.mirror.watch(self._state_changed)
            self._parts = parts

    def stop(self) -> None:
        with self._lock:
            parts, self._parts = self._parts, None
        if parts is not None:
            with contextlib.ExitStack() as rest:
                # In the reverse order, whatever fails.
                rest.callback(parts.connection.close)
                rest.callback(parts.usages.close)
                parts.consoles.stop()

    def subscribe(self, callback: Callable[[GuestEvent], None]) -> None:
        self._callbacks.append(callback)

    def subscribe_wired(self, callback: Callable[[str], None]) -> None:
        def listen(event: RestEvent) -> None:
            for port in parse_wired(event):
                callback(port)

        self.connection.events.subscribe(listen)

    def subscribe_reachable(self, callback: Callable[[bool], None]) -> None:
        self.connection.events.watch(callback)

    @property
    def _started(self) -> Parts:
        if self._parts is None:
            raise Unavailable("The PowerVM platform is not started.")
        return self._parts

    @property
    def connection(self) -> Connection:
        """The connection, for parts that share it; raises Unavailable while the platform is not started."""
        return self._started.connection

    @property
    def makes_rmc_adapters(self) -> bool:
        """Whether each guest gets an adapter for RMC: the option asks for it and the system has the switch."""
        return self._options.use_rmc_mgmt_vif and self._started.switches.find(rmc.SWITCH) is not None

    def _state_changed(self, before: Lpar, after: Lpar) -> None:
        if after.instance is None or before.power is after.power:
            return
        for callback in self._callbacks:
            callback(GuestEvent(after.instance, after.power))

    # The host

    def facts(self) -> HostFacts:
        parts = self._started
        if time.monotonic() - parts.capacity_read_at >= _CAPACITY_AGE_S:
            parts.capacity_read_at = time.monotonic()
            parts.read_capacity()
        disks = parts.disks
        return host.facts(parts.connection, disks.known_capacity(), disks.label, disks.shared_uuid)

    def cpu_stats(self) -> CpuStats:
        return self._started.processors.read()

    def uptime(self) -> str:
        return host.uptime(self.connection)

    # Guests

    def guests(self) -> Sequence[GuestState]:
        return [_state(lpar) for lpar in self.connection.mirror.lpars() if lpar.instance]

    def guest(self, uuid: str, fresh: bool = False) -> GuestState:
        parts = self._started
        lpar = parts.guests.find(uuid)
        if fresh:
            lpar = parts.connection.mirror.fresh(lpar.uuid)
            parts.guests.claim(lpar, uuid)
        return _state(lpar)

    def is_made(self, uuid: str) -> bool:
        try:
            self._started.guests.find(uuid)
        except (NotFound, Foreign):
            return False
        return not self.is_half_made(uuid)

    def is_half_made(self, uuid: str) -> bool:
        entry = self.connection.ledger.find(naming.lpar_uuid(uuid))
        return entry is not None and entry.making

    def report(self, uuid: str) -> GuestReport:
        parts = self._started
        return diagnostics.report(parts.connection, parts.adapters, parts.vnics, parts.disks, parts.guests.find(uuid))

    def usage(self, uuids: Collection[str]) -> Mapping[str, GuestUsage]:
        return self._started.usages.read(uuids)

    def check(self, spec: GuestSpec, replacing: bool = False) -> None:
        parts = self._started
        held = self._remaining(parts, spec.uuid) if replacing else None
        parts.guests.build(spec, held=held)
        if held is None:
            parts.guests.check_free(spec)
        if spec.disks or spec.config_drive:
            parts.connection.vioses.active()
        parts.disks.check(spec, sum(disk.size_gb for disk in parts.disks.find(held.uuid)) if held else 0.0)
        for nic in spec.nics:
            parts.check_nic(nic, held is not None)

    def spawn_steps(self, spec: GuestSpec) -> Sequence[Step]:
        parts = self._started
        return [
            CreateLpar(parts.guests, spec),
            *network.network_steps(parts.adapters, spec, parts.maker),
            *storage_steps(parts.connection, parts.disks, parts.media, spec, parts.images),
            *((TagLoadSource(parts.connection, spec),) if spec.os is GuestOs.IBMI else ()),
            StartGuest(parts.guests, parts.power, spec),
        ]

    def resize_steps(self, spec: GuestSpec, timeout_s: int = 0) -> Sequence[Step]:
        parts = self._started
        return resize.steps(parts.connection, parts.guests, parts.power, parts.disks, parts.images, spec, timeout_s)

    def destroy(self, uuid: str, keep_disks: bool = False) -> bool:
        parts = self._started
        lpar = self._remaining(parts, uuid)
        lpar_id = lpar.id if lpar is not None else None
        # In this order, and no further than the first failure: nothing is taken from a guest that may still run, and
        # the partition's mark and id are what finds the rest on the next try.
        with parts.power.ending(lpar):
            if lpar is not None:
                with contextlib.suppress(NotFound):
                    parts.power.stop(lpar)
            rescued = parts.rescue.is_marked(uuid)
            remove_storage(parts.connection, parts.disks, parts.media, uuid, lpar_id, keep_disks, rescued=rescued)
            self._delete_lpar(parts, uuid, lpar)
        parts.rescue.forget(uuid)
        # Last of all: while a guest is on a VLAN nobody else may get it. Found by the instance's uuid on each try.
        parts.ovs.delete_of(uuid)
        return lpar is not None

    def unplugged(self, nics: Iterable[NicSpec]) -> None:
        parts = self._started
        system = f"ManagedSystem/{parts.connection.system_uuid}"
        for nic in nics:
            network.announce_gone(parts.maker(nic), system, nic)

    def adopt(self, instances: Iterable[tuple[str, str]]) -> Sequence[str]:
        guests = self._started.guests
        marked = []
        for uuid, name in instances:
            try:
                if guests.adopt(uuid, name):
                    marked.append(uuid)
            except PlatformError as error:
                LOG.warning("Instance %s is not adopted: %s", uuid, error)
        return marked

    def reconcile(self, known: Collection[str]) -> Sequence[str]:
        kept = {uuid.lower() for uuid in known}
        removed = []
        self._started.reconcile()
        for entry in self.connection.ledger.making():
            if entry.instance in kept:
                continue
            try:
                self.destroy(entry.instance)
                removed.append(entry.instance)
            except PlatformError as error:
                LOG.warning("What is left of guest %s could not be removed: %s", entry.name, error)
        return removed

    @staticmethod
    def _remaining(parts: Parts, uuid: str) -> Lpar | None:
        """The guest's partition, if it has one; raises Foreign where it is not ours."""
        lpar_uuid = naming.lpar_uuid(uuid)
        lpar = parts.connection.mirror.find(lpar_uuid)
        if lpar is None and parts.connection.ledger.find(lpar_uuid) is not None:
            # A create whose answer was lost may have made one that nobody has told us of yet.
            with contextlib.suppress(NotFound):
                lpar = parts.connection.mirror.fresh(lpar_uuid)
        if lpar is not None:
            parts.guests.claim(lpar, uuid)
        return lpar

    @staticmethod
    def _delete_lpar(parts: Parts, uuid: str, lpar: Lpar | None) -> None:
        if lpar is not None:
            with contextlib.suppress(NotFound):
                parts.guests.delete(lpar)
            parts.power.forget(lpar.uuid)
        parts.connection.ledger.drop(naming.lpar_uuid(uuid))

    # Power

    def power_on(self, uuid: str) -> None:
        parts = self._started
        parts.power.start(parts.guests.find(uuid), boot=parts.rescue.boot(uuid))

    def power_off(self, uuid: str, timeout_s: int = 0) -> None:
        parts = self._started
        parts.power.stop(parts.guests.find(uuid), timeout_s)

    def reboot(self, uuid: str, hard: bool) -> None:
        parts = self._started
        parts.power.restart(parts.guests.find(uuid), hard, _REBOOT_S)

    def dump(self, uuid: str) -> None:
        parts = self._started
        parts.power.dump(parts.guests.find(uuid))

    # Disks

    def root_disk(self, uuid: str) -> contextlib.AbstractContextManager[DiskBytes]:
        parts = self._started
        return parts.snapshots.root_disk(parts.guests.find(uuid))

    # Consoles

    def console_output(self, uuid: str, limit: int) -> bytes:
        parts = self._started
        return parts.consoles.output(parts.guests.find(uuid), limit)

    def console_vnc(self, uuid: str) -> ConsoleAddress:
        parts = self._started
        return parts.consoles.vnc(parts.guests.find(uuid))

    def console_serial(self, uuid: str) -> ConsoleAddress:
        parts = self._started
        return parts.consoles.serial(parts.guests.find(uuid))

    # Images

    def cache_image(self, image: ImageSource) -> bool:
        parts = self._started
        key = parts.disks.image_key(image.id)
        with parts.images.using(key, f"cache_image in thread {threading.get_ident()}"):
            if any(known.key == key for known in parts.disks.cached_images()):
                return False
            parts.disks.ensure_image(image)
        return True

    def trim_images(self, used: Collection[str], min_age_s: float) -> Sequence[str]:
        disks = self._started.disks
        keys = {disks.image_key(image_id) for image_id in used}
        return self._started.images.trim(disks.cached_images, disks.remove_image, keys, min_age_s)

    # Rescue

    def is_rescued(self, uuid: str) -> bool:
        return self._started.rescue.is_rescued(uuid)

    def rescue_steps(self, spec: GuestSpec) -> Sequence[Step]:
        return self._started.rescue.steps(spec)

    def unrescue_steps(self, uuid: str) -> Sequence[Step]:
        return self._started.rescue.undo_steps(uuid)

    # Network adapters

    def attach(self, uuid: str, nic: NicSpec) -> None:
        parts = self._started
        hotplug.attach(parts.connection, parts.maker(nic), parts.guests.find(uuid), nic)

    def detach(self, uuid: str, nic: NicSpec) -> None:
        parts = self._started
        hotplug.detach(parts.connection, parts.maker(nic), parts.guests.find(uuid), nic)

    def plug(self, uuid: str, nic: NicSpec) -> None:
        parts = self._started
        hotplug.plug(parts.connection, parts.maker(nic), parts.guests.find(uuid), nic)

    def was_plugged(self, uuid: str, nics: Sequence[NicSpec]) -> bool:
        parts = self._started
        if parts.guests.find(uuid).adapters != len(nics) + self.makes_rmc_adapters:
            return False
        return all(parts.ovs.is_wired(nic) for nic in nics if nic.vif_type == naming.VIF_TYPE_OVS)

    def unplug(self, uuid: str, nic: NicSpec) -> None:
        parts = self._started
        try:
            lpar = parts.guests.find(uuid)
        except NotFound:
            if nic.vif_type == naming.VIF_TYPE_OVS:
                parts.ovs.delete_strays(nic)
            return
        network.unplug(parts.maker(nic), lpar.uuid, nic)


def _state(lpar: Lpar) -> GuestState:
    return GuestState(lpar.instance or "", lpar.name, lpar.power, lpar.memory_mb, lpar.vcpus)
