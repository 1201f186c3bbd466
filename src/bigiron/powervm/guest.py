"""Makes and removes partitions: their document built and checked by pypowervm's builder, marked as ours."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
from collections.abc import Iterator
from typing import Any

from pypowervm import exceptions as pvm
from pypowervm.utils import lpar_builder as builder
from pypowervm.utils.validation import LPARWrapperValidator, ValidatorException
from pypowervm.wrappers.base_partition import LPARType, SharingMode
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.shared_proc_pool import SharedProcPool

from bigiron import naming
from bigiron.errors import Conflict, Foreign, InvalidSpec, NoCapacity, NotFound, PlatformError
from bigiron.model import GuestOs, GuestSpec
from bigiron.powervm import flavor, ibmi, jobs
from bigiron.powervm.connection import Connection
from bigiron.powervm.console.consoles import Consoles
from bigiron.powervm.errors import translated
from bigiron.powervm.flavor import LparShape
from bigiron.powervm.host import Room, room
from bigiron.powervm.ledger import LedgerEntry
from bigiron.powervm.partition import Lpar

LOG = logging.getLogger(__name__)

_VTERM_OPEN = "HSCL151B"
_MAX_SLOTS = 2000
"""Virtual slots of a partition: enough for every adapter that PowerVM allows, and it costs no memory to speak of."""


class Guests:
    """The partitions that are ours."""

    def __init__(self, connection: Connection, consoles: Consoles | None = None) -> None:
        self._connection = connection
        self._consoles = consoles
        self._adapter = connection.adapter
        self._mirror = connection.mirror
        self._ledger = connection.ledger
        self._pools: dict[str, int] = {"DefaultPool": 0}
        self._lock = threading.Lock()

    def find(self, instance: str) -> Lpar:
        """The partition of an instance; raises NotFound, and Foreign where another's holds its uuid."""
        lpar = self._mirror.find(naming.lpar_uuid(instance))
        if lpar is None:
            raise NotFound(f"Instance {instance} has no LPAR on this system.")
        self.claim(lpar, instance)
        return lpar

    def claim(self, lpar: Lpar, instance: str) -> None:
        """Raise Foreign unless the partition carries the instance's mark."""
        if lpar.instance != instance.lower():
            raise Foreign(
                f"LPAR {lpar.name} ({lpar.uuid}) carries no mark of instance {instance} and is left alone. If an older "
                "driver created it, run `bigiron adopt`; otherwise rename or remove it by hand."
            )

    def shape(self, spec: GuestSpec) -> LparShape:
        """What the flavor asks for; raises InvalidSpec."""
        options = self._connection.options
        return flavor.parse(
            spec.options, spec.memory_mb, spec.vcpus, options.proc_units_factor, options.uncapped_proc_weight
        )

    def build(self, spec: GuestSpec, held: Lpar | None = None) -> LPAR:
        """The partition's document, checked against the system; nothing is changed.

        `held` is the partition that is to become like this: what it has already it can keep. Raises InvalidSpec,
        NoCapacity or Unsupported; reads the processor pools only where the flavor names one.
        """
        shape = self.shape(spec)
        system = self._connection.system
        if spec.os is GuestOs.IBMI:
            ibmi.check(spec.name, system)
        space = room(self._connection)
        if held is not None:
            space = space.without(held)
        _check_host(spec.name, shape, system, space)
        with _builder_errors(spec.name):
            wrapper = self._builder(spec, shape).build()
        with translated(f"Guest {spec.name}"):
            LPARWrapperValidator(wrapper, _SystemNow(system, space)).validate_all()
        # In the body of the create, so that the partition is never there without it.
        wrapper.set_parm_value("Description", naming.mark(spec.uuid))
        return wrapper

    def reshaped(self, current: LPAR, spec: GuestSpec) -> LPAR:
        """A copy of a partition's document with the flavor's shape; its slots, and what no flavor says, stay."""
        wanted = copy.deepcopy(current)
        slots, memory = current.io_config, current.mem_config
        with _builder_errors(spec.name):
            self._builder(spec, self.shape(spec)).rebuild(wanted)
        wanted.io_config = copy.deepcopy(slots)
        if wanted.mem_config.ppt_ratio is None and memory.ppt_ratio is not None:
            wanted.mem_config.ppt_ratio = memory.ppt_ratio
        if memory.exp_factor:
            wanted.mem_config.exp_factor = memory.exp_factor
        return wanted

    def fixed_while_running(self, current: LPAR, wanted: LPAR) -> str | None:
        """Why a running partition must be stopped to become as wanted, or None where it can change as it runs."""
        # The next start would apply these, and nobody would know why.
        if wanted.pending_proc_compat_mode != current.pending_proc_compat_mode:
            return "another processor mode takes effect with a start"
        if wanted.pending_secure_boot != current.pending_secure_boot:
            return "another secure boot policy takes effect with a start"
        system = _SystemNow(self._connection.system, room(self._connection))
        try:
            LPARWrapperValidator(wanted, system, cur_lpar_w=current).validate_all()
        except ValidatorException as error:
            return str(error)
        return None

    def _builder(self, spec: GuestSpec, shape: LparShape) -> builder.LPARBuilder:
        standard = builder.DefaultStandardize(
            self._connection.system,
            proc_units_factor=self._connection.options.proc_units_factor,
            uncapped_weight=shape.weight,
            max_slots=_MAX_SLOTS,
        )
        return builder.LPARBuilder(self._adapter, self._attributes(spec, shape), standard)

    def check_free(self, spec: GuestSpec) -> None:
        """Raise Conflict or Foreign where the guest's uuid or name is taken."""
        name = naming.lpar_name(spec.name)
        for other in (self._mirror.find(naming.lpar_uuid(spec.uuid)), self._mirror.named(name)):
            if other is None:
                continue
            if other.instance is None:
                raise Foreign(
                    f"LPAR {other.name} ({other.uuid}) is in the way of guest {spec.name} and carries no mark of "
                    "OpenStack. Rename or remove it by hand, or run `bigiron adopt` if an older driver created it."
                )
            raise Conflict(f"LPAR {other.name} ({other.uuid}) exists already, made for instance {other.instance}.")

    def create(self, spec: GuestSpec) -> Lpar:
        """Create the partition, entered in the ledger first."""
        wrapper = self.build(spec)
        self.check_free(spec)
        self._ledger.put(LedgerEntry(spec.uuid.lower(), wrapper.name, making=True))
        with self._mirror.working(wrapper.uuid):
            with translated(f"Creating LPAR {wrapper.name}"):
                made = wrapper.create(parent_type=System, parent_uuid=self._connection.system_uuid)
            lpar = self._mirror.wrote(made)
        if self._consoles is not None:
            # Long before the start, so that the first line is in the log.
            self._consoles.begin(lpar)
        return lpar

    def completed(self, instance: str) -> None:
        """The guest's spawn is complete: the ledger keeps it only where the platform does not keep the mark."""
        lpar = self._mirror.find(naming.lpar_uuid(instance))
        if lpar is not None and naming.marked_instance(lpar.description) is None:
            self._ledger.put(LedgerEntry(instance.lower(), lpar.name, making=False))
        else:
            self._ledger.drop(naming.lpar_uuid(instance))

    def discard(self, instance: str) -> None:
        """Remove what a create of ours may have left, asking the platform; for a create that ended nobody knows how."""
        uuid = naming.lpar_uuid(instance)
        entry = self._ledger.find(uuid)
        with translated(f"Reading LPAR {uuid}"):
            try:
                lpar = self._mirror.wrote(LPAR.get(self._adapter, uuid=uuid))
            except pvm.HttpNotFound:
                lpar = None
        if lpar is not None and entry is not None:
            self.claim(lpar, instance)
            self.delete(lpar)
        self._ledger.drop(uuid)

    def delete(self, lpar: Lpar) -> None:
        """Delete the partition; one that is gone already is no error."""
        with self._mirror.working(lpar.uuid):
            if self._consoles is not None:
                self._consoles.close(lpar)
            try:
                self._delete(lpar)
            except PlatformError as error:
                if _VTERM_OPEN not in f"{error.detail} {error.message}":
                    raise
                self._close_vterm(lpar)
                self._delete(lpar)
            self._mirror.removed(lpar.uuid)
        if self._consoles is not None:
            self._consoles.forget(lpar.uuid)
        self._ledger.drop(lpar.uuid)

    def _delete(self, lpar: Lpar) -> None:
        with translated(f"Deleting LPAR {lpar.name}"):
            try:
                self._adapter.delete(LPAR.schema_type, root_id=lpar.uuid)
            except pvm.HttpNotFound:
                LOG.info("LPAR %s is gone already", lpar.name)

    def _close_vterm(self, lpar: Lpar) -> None:
        """Have the service close a terminal that somebody opened by other ways than ours."""
        timeout_s = self._connection.options.job_timeout_s
        what = f"Closing the virtual terminal of LPAR {lpar.name}"
        jobs.run(self._adapter, LPAR.schema_type, lpar.uuid, "CloseVterm", {}, timeout_s, what)

    def adopt(self, instance: str, name: str) -> bool:
        """Mark the partition that an older driver made for an instance; False where there is none to mark."""
        lpar = self._mirror.find(naming.lpar_uuid(instance))
        if lpar is None or lpar.instance == instance.lower():
            return False
        if lpar.instance is not None or lpar.management:
            raise Foreign(f"LPAR {lpar.name} ({lpar.uuid}) belongs to {lpar.instance or 'the platform'}.")
        if lpar.name != naming.lpar_name(name):
            raise Foreign(f"LPAR {lpar.uuid} is named {lpar.name}, and instance {instance} {name}: not adopted.")
        with self._mirror.working(lpar.uuid), translated(f"Marking LPAR {lpar.name}"):
            wrapper = LPAR.get(self._adapter, uuid=lpar.uuid)
            wrapper.set_parm_value("Description", naming.mark(instance))
            marked = self._mirror.wrote(wrapper.update())
        if naming.marked_instance(marked.description) is None:
            self._ledger.put(LedgerEntry(instance.lower(), marked.name, making=False))
            self._mirror.remark(marked.uuid)
        return True

    def _attributes(self, spec: GuestSpec, shape: LparShape) -> dict[str, Any]:
        """The shape in the builder's terms."""
        attributes: dict[str, Any] = {
            builder.NAME: naming.lpar_name(spec.name),
            builder.UUID: naming.lpar_uuid(spec.uuid),
            builder.ENV: LPARType.OS400 if spec.os is GuestOs.IBMI else LPARType.AIXLINUX,
            builder.MEM: shape.memory_mb,
            builder.MIN_MEM: shape.min_memory_mb,
            builder.MAX_MEM: shape.max_memory_mb,
            builder.VCPU: shape.vcpus,
            builder.MIN_VCPU: shape.min_vcpus,
            builder.MAX_VCPU: shape.max_vcpus,
            builder.DED_PROCS: str(shape.dedicated).lower(),
            builder.AVAIL_PRIORITY: shape.availability_priority,
            builder.ENABLE_LPAR_METRIC: str(shape.collect_metrics).lower(),
            builder.SRR_CAPABLE: str(shape.remote_restart).lower(),
            builder.PROC_COMPAT: shape.processor_mode,
            builder.PPT_RATIO: shape.page_table_ratio,
            builder.SECURE_BOOT: shape.secure_boot,
        }
        if shape.enforce_affinity_check is not None:
            attributes[builder.ENFORCE_AFFINITY_CHECK] = str(shape.enforce_affinity_check).lower()
        if shape.dedicated:
            attributes[builder.SHARING_MODE] = shape.dedicated_sharing
        else:
            attributes[builder.PROC_UNITS] = shape.proc_units
            attributes[builder.MIN_PROC_U] = shape.min_proc_units
            attributes[builder.MAX_PROC_U] = shape.max_proc_units
            attributes[builder.SHARING_MODE] = SharingMode.UNCAPPED if shape.uncapped else SharingMode.CAPPED
            attributes[builder.SPP] = self._pool_id(shape.pool) if shape.pool else None
        return {name: value for name, value in attributes.items() if value is not None}

    def _pool_id(self, name: str) -> int:
        with self._lock:
            if name in self._pools:
                return self._pools[name]
        with translated("Reading the shared processor pools"):
            feed = SharedProcPool.get(self._adapter, parent_type=System, parent_uuid=self._connection.system_uuid)
        matching = [pool.id for pool in feed if pool.name == name]
        if len(matching) != 1:
            raise InvalidSpec(
                f"Flavor key powervm:shared_proc_pool_name is {name!r}, and the system has {len(matching)} pools of "
                "that name; exactly one is needed."
            )
        with self._lock:
            self._pools[name] = int(matching[0])
        return int(matching[0])


@contextlib.contextmanager
def _builder_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, builder.LPARBuilderException) as error:
        raise InvalidSpec(f"Guest {name}: {error}") from error


class _SystemNow:
    """The system's document with the free capacity that the mirror knows: its own figures are as old as the start."""

    def __init__(self, system: System, space: Room) -> None:
        self._system = system
        self.memory_free = space.memory_free_mb
        self.proc_units_avail = space.processors_free

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


def _check_host(name: str, shape: LparShape, system: System, space: Room) -> None:
    """What the builder would refuse in terms that do not name the flavor."""
    block = system.memory_region_size
    for what, value in (
        ("memory", shape.memory_mb),
        ("powervm:min_mem", shape.min_memory_mb),
        ("powervm:max_mem", shape.max_memory_mb),
    ):
        if block and value % block:
            raise InvalidSpec(
                f"Guest {name}: {what} is {value} MB, and must be a multiple of {block} MB, this host's memory block."
            )
    if shape.memory_mb > space.memory_free_mb:
        raise NoCapacity(f"Guest {name} asks for {shape.memory_mb} MB of memory; {space.memory_free_mb} MB are free.")
    if round(shape.processors, 2) > round(space.processors_free, 2):
        raise NoCapacity(
            f"Guest {name} asks for {shape.processors:.2f} processors; {space.processors_free:.2f} are free."
        )
    modes = system.proc_compat_modes
    if shape.processor_mode and modes and shape.processor_mode not in modes:
        raise InvalidSpec(
            f"Flavor key powervm:processor_compatibility is {shape.processor_mode!r}, and this host has "
            f"{', '.join(modes)}."
        )
