"""Gives an existing guest another shape: memory, processors, what its flavor keys say, and its disks.

A running partition changes as it runs where the platform allows it (its minimum and maximum stay, and RMC is active);
otherwise, and where disks come or go, it is stopped for it and started again.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

from pypowervm.wrappers.logical_partition import LPAR

from bigiron.hypervisor import Step, Values
from bigiron.model import GuestSpec
from bigiron.powervm import resize_disks
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import ImageCache
from bigiron.powervm.disk.driver import DiskDriver
from bigiron.powervm.documents import Partitions
from bigiron.powervm.guest import Guests
from bigiron.powervm.keys import RESHAPED
from bigiron.powervm.partition import Lpar
from bigiron.powervm.power import Power
from bigiron.powervm.power_steps import Start, Stop

LOG = logging.getLogger(__name__)


class ChangeLpar(Step):
    """Gives the partition the flavor's shape with one write; undoing it writes the document that was there."""

    name = "change LPAR"
    provides = RESHAPED

    def __init__(
        self, partitions: Partitions, guests: Guests, lpar: Lpar, guest: GuestSpec, current: LPAR | None
    ) -> None:
        """`current` is the partition's document, where it is still what it was when it was read."""
        self._partitions = partitions
        self._guests = guests
        self._lpar = lpar
        self._guest = guest
        self._current = current
        self._before: LPAR | None = None

    def execute(self, values: Values) -> None:
        self._partitions.change(self._lpar, self._reshaped, self._current)

    def _reshaped(self, before: LPAR) -> LPAR:
        # Noted before the write: one whose answer is lost may have taken effect.
        self._before = before
        return self._guests.reshaped(before, self._guest)

    def revert(self, values: Values) -> None:
        if self._before is None:
            return
        now = self._partitions.read(self._lpar)
        if shape_of(now) != shape_of(self._before):
            self._partitions.write(self._lpar, self._before, now)


def steps(
    connection: Connection,
    guests: Guests,
    power: Power,
    disks: DiskDriver,
    images: ImageCache,
    guest: GuestSpec,
    timeout_s: int,
) -> Sequence[Step]:
    """The steps, one after the other, that make an existing guest what the spec says; none where it is so already.

    Raises InvalidSpec, NoCapacity or Unsupported before anything is changed, and mostly before anything is read. A
    guest that has its shape already needs no room for it, however full the host is.
    """
    lpar = guests.find(guest.uuid)
    shape = guests.shape(guest)
    asked, has = (shape.memory_mb, shape.vcpus, shape.processors), (lpar.memory_mb, lpar.vcpus, lpar.processors)
    if checked := asked != has:
        guests.build(guest, held=lpar)
    plan = resize_disks.plan(disks, guest, lpar)
    partitions = Partitions(connection)
    on = power.is_on(lpar)
    current = partitions.read(lpar)
    wanted = guests.reshaped(current, guest)
    chain: list[Step] = []
    changes = shape_of(wanted) != shape_of(current)
    if changes and not checked:
        guests.build(guest, held=lpar)
    stops = on and (not guest.power_on or plan.remaps or (changes and _must_stop(guests, guest, current, wanted)))
    if stops:
        chain.append(Stop(power, lpar, timeout_s, rmc_state=str(current.rmc_state or "")))
    if changes:
        # A stop changes the document, and its etag with it.
        chain.append(ChangeLpar(partitions, guests, lpar, guest, None if stops else current))
    chain += resize_disks.steps(connection, disks, images, guest, lpar, plan)
    if guest.power_on and (stops or not on):
        chain.append(Start(power, lpar))
    if plan.drop:
        chain.append(resize_disks.DeleteDisks(disks, plan.drop))
    for first, second in itertools.pairwise(chain):
        assert first.provides is not None
        second.needs = (*second.needs, first.provides)
    return chain


def shape_of(document: LPAR) -> tuple[object, ...]:
    """What a flavor decides about a partition, for comparing two documents."""
    memory, config = document.mem_config, document.proc_config
    cpu: tuple[object, ...]
    if config.has_dedicated:
        whole = config.dedicated_proc_cfg
        cpu = (whole.desired, whole.min, whole.max)
    else:
        shared = config.shared_proc_cfg
        units = (shared.desired_units, shared.min_units, shared.max_units)
        counts = (shared.desired_virtual, shared.min_virtual, shared.max_virtual)
        cpu = (*counts, *(round(float(each), 2) for each in units), shared.pool_id, shared.uncapped_weight)
    return (
        (memory.desired, memory.min, memory.max, memory.ppt_ratio, memory.exp_factor),
        (config.has_dedicated, config.sharing_mode, *cpu),
        (document.pending_proc_compat_mode, document.pending_secure_boot, document.srr_enabled),
        (document.avail_priority, document.allow_perf_data_collection),
    )


def _must_stop(guests: Guests, guest: GuestSpec, current: LPAR, wanted: LPAR) -> bool:
    reason = guests.fixed_while_running(current, wanted)
    if reason is None:
        LOG.info("Guest %s changes as it runs", guest.name)
        return False
    LOG.info("Guest %s is stopped to be changed: %s", guest.name, reason)
    return True
