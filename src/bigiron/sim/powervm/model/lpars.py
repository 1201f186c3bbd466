"""The life of client partitions: creation, change and deletion."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from bigiron.sim.powervm.errors import BadRequest, Conflict
from bigiron.sim.powervm.model import capacity, mappings, networks, slots, vnics
from bigiron.sim.powervm.model.partition import IBM_I, Lpar, Memory, Partition, Processors
from bigiron.sim.powervm.model.world import World

MAX_NAME = 31
_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


@dataclass(frozen=True, slots=True)
class PartitionSpec:
    """What a client gives when it creates or updates a partition; None leaves a value as it is."""

    name: str | None = None
    uuid: str | None = None
    id: int | None = None
    type: str | None = None
    memory: Memory | None = None
    processors: Processors | None = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Values of Lpar fields that no rule looks at."""


def create(world: World, spec: PartitionSpec) -> Lpar:
    """Define a new client partition; raises BadRequest or Conflict when the rules forbid it."""
    if spec.name is None or spec.memory is None or spec.processors is None:
        raise BadRequest("A new partition needs PartitionName, PartitionMemoryConfiguration and processors.")
    check_name(world, spec.name)
    uuid = _new_uuid(world, spec.uuid)
    count = sum(1 for _ in world.partitions)
    if count >= world.system.max_partitions:
        raise BadRequest(f"{world.system.name} holds {count} partitions and cannot hold more. Delete one first.")
    lpar = Lpar(
        uuid=uuid,
        id=_new_id(world, spec.id),
        name=spec.name,
        type=spec.type or "AIX/Linux",
        memory=spec.memory,
        processors=spec.processors,
        serial=f"{world.system.mtms.serial}",
    )
    _set_fields(lpar, spec)
    if lpar.type == IBM_I:
        _check_ibm_i(world, lpar)
    capacity.check_partition(world, lpar)
    lpar.mac_prefix = world.new_hex(10)
    world.insert(lpar)
    world.added(lpar)
    _touch_host(world)
    return lpar


def update(world: World, partition: Partition, spec: PartitionSpec) -> None:
    """Rename, resize or otherwise change a partition in place; all or nothing."""
    trial = dataclasses.replace(partition)
    if spec.name is not None and spec.name != partition.name:
        check_name(world, spec.name)
        trial.name = spec.name
    trial.memory = spec.memory or partition.memory
    trial.processors = spec.processors or partition.processors
    _set_fields(trial, spec)
    _check_resize(partition, trial)
    _check_slots(world, partition, trial)
    capacity.check_partition(world, trial, partition)
    details = [] if trial.name == partition.name else ["PartitionName"]
    for field in dataclasses.fields(partition):
        setattr(partition, field.name, getattr(trial, field.name))
    world.touch_clusters(partition)
    world.changed(partition, ",".join(details) or "Other")
    _touch_host(world)


def delete(world: World, lpar: Lpar) -> None:
    """Remove a partition that is off; the server ends of its mappings stay behind as orphans."""
    if lpar.is_on:
        raise BadRequest(f"HSCL1552 Partition {lpar.name} is {lpar.state!r}. Power it off before you delete it.")
    if lpar.management:
        raise BadRequest(f"Partition {lpar.name} is the management partition and cannot be deleted.")
    if any(is_open(lpar) for is_open in world.vterm_checks):
        raise BadRequest(
            f"HSCL151B Partition {lpar.name} has an open virtual terminal. Close it before you delete the partition."
        )
    mappings.drop_client(world, lpar.uuid)
    vnics.drop_client(world, lpar)
    world.forget(lpar)
    world.removed(lpar)
    networks.sync(world)
    _touch_host(world)


def check_name(world: World, name: str) -> None:
    """Refuse a name that is too long, malformed or taken."""
    if not 0 < len(name) <= MAX_NAME:
        raise BadRequest(f"Partition name {name!r} has {len(name)} characters; 1 to {MAX_NAME} are allowed.")
    if re.search(r"""[()<>*$&?|\[\]'"`]""", name):
        raise BadRequest(f"Partition name {name!r} has a character that is not allowed.")
    if any(p.name == name for p in world.partitions):
        raise BadRequest(f"HSCL0B0E A partition named {name} already exists.")


def _check_ibm_i(world: World, lpar: Lpar) -> None:
    """A system without slots for physical adapters of IBM i gives it virtual devices only."""
    able = world.system.capabilities
    if not able.get("IBMiCapable", True):
        raise BadRequest(f"{world.system.name} cannot run IBM i: partition {lpar.name} cannot be of type {IBM_I}.")
    if not (lpar.restricted_io or able.get("IBMiNativeIOCapable", False)):
        raise BadRequest(f"Partition {lpar.name} is of type {IBM_I} and needs IsRestrictedIOPartition on this system.")


def _new_uuid(world: World, wanted: str | None) -> str:
    uuid = (wanted or world.new_uuid(Lpar.KIND)).upper()
    if not _UUID.fullmatch(uuid):
        raise BadRequest(f"PartitionUUID {wanted!r} is not a UUID.")
    if world.partition(uuid) is not None:
        raise Conflict(f"A partition with the UUID {uuid} already exists.")
    return uuid


def _new_id(world: World, wanted: int | None) -> int:
    taken = {p.id for p in world.partitions}
    if wanted is None:
        return next(n for n in range(1, world.system.max_partitions + 2) if n not in taken)
    if wanted in taken or wanted < 1:
        raise BadRequest(f"Partition id {wanted} is already in use. Leave it out to get a free one.")
    return wanted


def _set_fields(partition: Partition, spec: PartitionSpec) -> None:
    for name, value in spec.fields.items():
        setattr(partition, name, value)


def _check_resize(before: Partition, after: Partition) -> None:
    """A running partition keeps its limits and its kind of processors; without RMC it keeps its size too."""
    if not before.is_on:
        return
    if (before.memory.maximum, before.memory.minimum) != (after.memory.maximum, after.memory.minimum):
        raise BadRequest(f"Partition {before.name} is running: its minimum and maximum memory cannot change.")
    if before.processors.dedicated != after.processors.dedicated:
        raise BadRequest(f"Partition {before.name} is running: its processors cannot change between kinds.")
    if _limits(before.processors) != _limits(after.processors):
        raise BadRequest(f"Partition {before.name} is running: its minimum and maximum processors cannot change.")
    if before.memory.physical_page_table_ratio != after.memory.physical_page_table_ratio:
        raise BadRequest(f"Partition {before.name} is running: its physical page table ratio cannot change.")
    resized = before.memory != after.memory or before.processors != after.processors
    if resized and before.rmc != "active":
        raise BadRequest(
            f"HSCL294D Partition {before.name} is running and its RMC state is {before.rmc!r}: it cannot be resized."
        )


def _check_slots(world: World, before: Partition, after: Partition) -> None:
    """How many virtual slots there are is settled at the start, and those in use stay."""
    if before.max_slots == after.max_slots:
        return
    if before.is_on:
        raise BadRequest(f"Partition {before.name} is running: its MaximumVirtualIOSlots cannot change.")
    highest = max(slots.used(world, before))
    if after.max_slots <= highest:
        raise BadRequest(
            f"Partition {before.name} has an adapter in virtual slot {highest}: MaximumVirtualIOSlots must be above it."
        )


def _limits(cpu: Processors) -> tuple[float, ...]:
    return cpu.min_vcpus, cpu.max_vcpus, round(cpu.min_units, 2), round(cpu.max_units, 2)


def _touch_host(world: World) -> None:
    """The system's free capacity and the pools' members follow the partitions."""
    world.touch(world.system, *world.state.processor_pools)
