"""Gives guests another shape: memory and processors of a running guest where they only grow, else with a stop between.

A live change is the guest's own doing (IUCV); one that does not answer is stopped. What a running guest was given
cannot be taken back live: undone, it goes with the guest's next start. Minidisks do not grow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bigiron.errors import InvalidSpec, PlatformError, Unsupported
from bigiron.hypervisor import STOPPED, Key, Step, Values
from bigiron.model import DiskRole, DiskSpec, GuestSpec, PowerState
from bigiron.zvm import disks
from bigiron.zvm.api import Api
from bigiron.zvm.directory import Entry, vdev
from bigiron.zvm.errors import AWAY
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import HeldDisk
from bigiron.zvm.parts import Parts
from bigiron.zvm.power import Power

LOG = logging.getLogger(__name__)

MEMORY: Key[None] = Key("zvm memory")
PROCESSORS: Key[None] = Key("zvm processors")
DISKS: Key[None] = Key("zvm disks")
_MAX_M = 9999


def steps(parts: Parts, spec: GuestSpec, timeout_s: int = 0) -> Sequence[Step]:
    """The steps of a resize; none where the guest is as it should be. Raises before anything is changed."""
    guest = parts.guests.find(spec.uuid)
    entry = parts.api.entry(guest.userid)
    power = parts.power.state(guest)
    plan = _DiskPlan.of(parts, guest, entry, spec)
    _check(parts.api, entry, spec)
    memory, cpus = spec.memory_mb != entry.memory_mb, spec.vcpus != entry.vcpus
    changed = memory or cpus or plan.changes
    if not changed:
        return _power_only(parts, guest, power, spec, timeout_s)
    live = (
        power is PowerState.RUNNING
        and spec.power_on
        and not plan.changes
        and spec.memory_mb >= entry.memory_mb
        and spec.vcpus >= entry.vcpus
        and _answers(parts.api, guest)
    )
    found: list[Step] = []
    if not live and power is not PowerState.STOPPED:
        found.append(Stop(parts.power, guest, timeout_s))
    last: tuple[Key[None], ...] = (STOPPED,) if found else ()
    if memory:
        found.append(SetMemory(parts, guest, entry.memory_mb, spec.memory_mb, live, last))
        last = (MEMORY,)
    if cpus:
        found.append(SetProcessors(parts, guest, entry.vcpus, spec.vcpus, live, last))
        last = (PROCESSORS,)
    if plan.changes:
        found.append(ChangeDisks(parts, guest, plan, last))
        last = (DISKS,)
    if not live and spec.power_on:
        found.append(Start(parts.power, guest, last))
    return found


def _power_only(parts: Parts, guest: Guest, power: PowerState, spec: GuestSpec, timeout_s: int) -> Sequence[Step]:
    if spec.power_on and power is PowerState.STOPPED:
        return [Start(parts.power, guest, ())]
    if not spec.power_on and power is not PowerState.STOPPED:
        return [Stop(parts.power, guest, timeout_s)]
    return []


def _check(api: Api, entry: Entry, spec: GuestSpec) -> None:
    if spec.memory_mb > entry.max_memory_mb:
        raise InvalidSpec(
            f"Guest {spec.name} asks for {spec.memory_mb} MB of memory, and its directory entry allows "
            f"{entry.max_memory_mb} MB. Guests that are made with a larger [zvm] max_memory can have more."
        )
    if spec.vcpus > entry.max_cpus:
        raise InvalidSpec(
            f"Guest {spec.name} asks for {spec.vcpus} processors, and its directory entry allows {entry.max_cpus}. "
            "Guests that are made with a larger [zvm] max_cpu can have more."
        )
    if spec.vcpus < len(entry.made_cpus) and not api.takes_made_cpus:
        version = ".".join(map(str, api.version))
        raise Unsupported(
            f"Guest {spec.name} was made with {len(entry.made_cpus)} processors, and Cloud Connector {version} cannot "
            "take those away. Use a flavor with as many, or a connector of version 1.6.6 or later."
        )
    if spec.memory_mb != entry.memory_mb:
        memory_text(spec.name, spec.memory_mb)
        # What it has now must be what an undo or a revert can give it again.
        memory_text(spec.name, entry.memory_mb)


def memory_text(name: str, memory_mb: int) -> str:
    """The memory as the connector takes it, in four digits; raises InvalidSpec."""
    if memory_mb <= _MAX_M:
        return f"{memory_mb}m"
    if memory_mb % 1024:
        raise InvalidSpec(
            f"Guest {name} cannot be resized to or from {memory_mb} MB: the Cloud Connector takes whole GB from "
            f"{_MAX_M} MB on. Use flavors whose memory is a multiple of 1024 MB, and make a new server for another."
        )
    return f"{memory_mb // 1024}g"


def _answers(api: Api, guest: Guest) -> bool:
    """Whether the guest's operating system takes commands: it then says how many processors it has online."""
    try:
        return bool(api.info(guest.userid).get("online_cpu_num"))
    except AWAY:
        # Of the guest this says nothing, and it would be stopped for nothing.
        raise
    except PlatformError as error:
        LOG.info("guest %s does not answer and is stopped for its resize: %s", guest.name, error)
        return False


class Stop(Step):
    """Stops the guest where it runs; undone, it runs again."""

    name = "stop guest"
    provides = STOPPED

    def __init__(self, power: Power, guest: Guest, timeout_s: int) -> None:
        self._power = power
        self._guest = guest
        self._timeout_s = timeout_s

    def execute(self, values: Values) -> None:
        self._power.stop(self._guest, self._timeout_s)

    def revert(self, values: Values) -> None:
        self._power.start(self._guest)


class Start(Step):
    """Starts the guest."""

    name = "start guest"

    def __init__(self, power: Power, guest: Guest, after: tuple[Key[None], ...]) -> None:
        self.needs = after
        self._power = power
        self._guest = guest

    def execute(self, values: Values) -> None:
        self._power.start(self._guest)

    def revert(self, values: Values) -> None:
        self._power.stop(self._guest)


class SetMemory(Step):
    """Changes the guest's memory, in the directory and, live, in the running guest."""

    name = "change memory"
    provides = MEMORY

    def __init__(
        self, parts: Parts, guest: Guest, before_mb: int, after_mb: int, live: bool, after: tuple[Key[None], ...]
    ) -> None:
        self.needs = after
        self._parts = parts
        self._guest = guest
        self._before_mb = before_mb
        self._after_mb = after_mb
        self._live = live

    def execute(self, values: Values) -> None:
        self._set(self._after_mb, self._live)

    def revert(self, values: Values) -> None:
        self._set(self._before_mb, live=False)

    def _set(self, memory_mb: int, live: bool) -> None:
        action = "live_resize_mem" if live else "resize_mem"
        what = f"Giving guest {self._guest.name} {memory_mb} MB of memory"
        self._parts.api.action(self._guest.userid, action, what=what, size=memory_text(self._guest.name, memory_mb))
        self._parts.guests.note(self._guest.instance, memory_mb=memory_mb)


class SetProcessors(Step):
    """Changes the number of the guest's processors, in the directory and, live, in the running guest."""

    name = "change processors"
    provides = PROCESSORS

    def __init__(
        self, parts: Parts, guest: Guest, before: int, after: int, live: bool, needs: tuple[Key[None], ...]
    ) -> None:
        self.needs = needs
        self._parts = parts
        self._guest = guest
        self._before = before
        self._after = after
        self._live = live

    def execute(self, values: Values) -> None:
        self._set(self._after, self._live)

    def revert(self, values: Values) -> None:
        self._set(self._before, live=False)

    def _set(self, count: int, live: bool) -> None:
        action = "live_resize_cpus" if live else "resize_cpus"
        what = f"Giving guest {self._guest.name} {count} processors"
        self._parts.api.action(self._guest.userid, action, what=what, cpu_cnt=count)
        self._parts.guests.note(self._guest.instance, vcpus=count)


@dataclass(frozen=True, slots=True)
class _DiskPlan:
    """Which further disks come and which go; `numbers` are all that the entry has before, others' among them."""

    held: tuple[HeldDisk, ...]
    gone: tuple[HeldDisk, ...]
    new: tuple[DiskSpec, ...]
    numbers: frozenset[str]

    @property
    def changes(self) -> bool:
        return bool(self.gone or self.new)

    @classmethod
    def of(cls, parts: Parts, guest: Guest, entry: Entry, spec: GuestSpec) -> _DiskPlan:
        """The difference between the disks that the guest has and those of the spec; raises Unsupported for growth."""
        numbers = frozenset(disk.vdev for disk in entry.minidisks)
        record = parts.ledger.find(guest.instance)
        # A resize that was ended in its middle may have deleted some.
        held = tuple(disk for disk in record.disks if disk.vdev in numbers) if record is not None else ()
        for disk in spec.disks:
            if disk.role is DiskRole.ROOT:
                _check_root(held, disk, spec)
        gone, new = _differences(held, spec)
        _check_ephemeral(gone, new, spec)
        return cls(held, gone, new, numbers)


def _differences(held: Sequence[HeldDisk], spec: GuestSpec) -> tuple[tuple[HeldDisk, ...], tuple[DiskSpec, ...]]:
    """The disks beside the root disk that go, and those that come."""
    new = [disk for disk in spec.disks if disk.role is not DiskRole.ROOT]
    gone = []
    for one in held:
        if one.role is DiskRole.ROOT:
            continue
        match = next((disk for disk in new if _is(one, disk)), None)
        if match is None:
            gone.append(one)
        else:
            new.remove(match)
    return tuple(gone), tuple(new)


def _is(one: HeldDisk, disk: DiskSpec) -> bool:
    """Nothing but its size tells what a disk is that was only found."""
    return one.size_gb == disk.size_gb and (one.found or one.role is disk.role)


def _check_root(held: Sequence[HeldDisk], disk: DiskSpec, spec: GuestSpec) -> None:
    now = next((one.size_gb for one in held if one.role is DiskRole.ROOT), 0.0)
    if disk.size_gb > now:
        raise Unsupported(
            f"Guest {spec.name} has a root disk of {now:g} GB, and a minidisk cannot grow to {disk.size_gb:g} GB. "
            "Use a flavor with the same disk, or make a new server from a snapshot."
        )


def _check_ephemeral(gone: Sequence[HeldDisk], new: Sequence[DiskSpec], spec: GuestSpec) -> None:
    for disk in gone:
        if disk.found:
            raise Unsupported(
                f"Guest {spec.name} has a disk {disk.vdev} of {disk.size_gb:g} GB that the flavor does not name and "
                "that may be another's. Use a flavor with such a disk, or have it deleted from the directory first."
            )
    kept = [one for one in gone if one.role is DiskRole.EPHEMERAL]
    if kept and any(disk.role is DiskRole.EPHEMERAL for disk in new):
        raise Unsupported(
            f"Guest {spec.name} has an ephemeral disk of {kept[0].size_gb:g} GB, and a minidisk cannot grow. Use a "
            "flavor with the same ephemeral disk."
        )


class ChangeDisks(Step):
    """Makes the disks that come and deletes those that go, of a guest that does not run."""

    name = "change disks"
    provides = DISKS

    def __init__(self, parts: Parts, guest: Guest, plan: _DiskPlan, after: tuple[Key[None], ...]) -> None:
        self.needs = after
        self._parts = parts
        self._guest = guest
        self._plan = plan

    def execute(self, values: Values) -> None:
        made = self._make(self._plan.new, self._plan.numbers)
        for disk in self._plan.gone:
            self._delete(disk.vdev)
        self._note([*(disk for disk in self._plan.held if disk not in self._plan.gone), *made])

    def revert(self, values: Values) -> None:
        """What was deleted comes back empty: it was swap, or the ephemeral disk that a resize had added."""
        there = self._delete_all_but(self._plan.numbers)
        kept = [disk for disk in self._plan.held if disk.vdev in there]
        lost = [DiskSpec(disk.role, disk.size_gb) for disk in self._plan.held if disk.vdev not in there]
        self._note([*kept, *self._make(lost, there)])

    def _delete_all_but(self, numbers: frozenset[str]) -> frozenset[str]:
        """Delete the disks that came since the entry had these; returns which of them it still has.

        A request for several disks may have made some before it failed, and one for a deletion may have done it.
        """
        now = frozenset(disk.vdev for disk in self._parts.api.entry(self._guest.userid).minidisks)
        for number in sorted(now - numbers):
            self._delete(number)
        return now & numbers

    def _make(self, new: Sequence[DiskSpec], numbers: frozenset[str]) -> Sequence[HeldDisk]:
        """Make disks beside those that the entry has."""
        if not new:
            return ()
        options = self._parts.options
        what = f"Making disks of guest {self._guest.name}"
        wanted = [disks.empty(disk, options) for disk in new]
        undo = partial(self._delete_all_but, numbers) if len(new) > 1 else None
        made = self._parts.api.add_disks(self._guest.userid, wanted, what, undo)
        found = [
            HeldDisk(vdev(str(answer["vdev"])), disk.role, disk.size_gb) for disk, answer in zip(new, made, strict=True)
        ]
        told = [disks.mount(disk, held, options) for disk, held in zip(new, found, strict=True)]
        self._parts.api.configure_disks(self._guest.userid, told, what)
        return found

    def _delete(self, number: str) -> None:
        what = f"Deleting disk {number} of guest {self._guest.name}"
        self._parts.api.delete_disks(self._guest.userid, [number], what)

    def _note(self, held: Sequence[HeldDisk]) -> None:
        self._parts.guests.note(self._guest.instance, disks=tuple(held))
