"""Memory and processor accounting of the managed system, with the refusals that it leads to."""

from __future__ import annotations

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model.partition import Memory, Partition, Processors
from bigiron.sim.powervm.model.world import World

MIN_UNITS_PER_VCPU = 0.05


def memory_taken(world: World) -> int:
    """MB held by partitions, running or not."""
    return sum(p.memory.desired for p in world.partitions)


def memory_free(world: World) -> int:
    """MB that a new partition can have."""
    return int(world.system.memory - world.system.firmware_memory - memory_taken(world))


def units_free(world: World) -> float:
    """Processing units that a new partition can have."""
    return round(world.system.processors - sum(p.processors.taken for p in world.partitions), 4)


def check_partition(world: World, partition: Partition, replaced: Partition | None = None) -> None:
    """Refuse, with the reason, a configuration that the system cannot hold; `replaced` is what it stands for."""
    check_memory(world, partition, replaced.memory if replaced else None)
    check_processors(world, partition, replaced.processors if replaced else None)
    modes = world.system.compatibility_modes
    if partition.compatibility_mode not in modes:
        raise BadRequest(
            f"Processor compatibility mode {partition.compatibility_mode} of partition {partition.name} is not "
            f"supported. Use one of: {', '.join(modes)}."
        )


def check_memory(world: World, partition: Partition, before: Memory | None) -> None:
    """Refuse memory that is out of order, not in whole regions or more than there is."""
    memory, region = partition.memory, world.system.region_size
    if not 0 < memory.minimum <= memory.desired <= memory.maximum:
        raise BadRequest(
            f"Partition {partition.name}: memory must satisfy minimum <= desired <= maximum, not "
            f"{memory.minimum} <= {memory.desired} <= {memory.maximum}."
        )
    for label, value in (("minimum", memory.minimum), ("desired", memory.desired), ("maximum", memory.maximum)):
        if value % region:
            raise BadRequest(
                f"Partition {partition.name}: {label} memory {value} MB is not a multiple of the memory region "
                f"size {region} MB."
            )
    wanted = memory.desired - (before.desired if before else 0)
    if wanted > max(0, memory_free(world)):
        raise BadRequest(
            f"Partition {partition.name}: {wanted} MB of memory are needed, {memory_free(world)} MB are available "
            f"on {world.system.name}."
        )


def check_processors(world: World, partition: Partition, before: Processors | None) -> None:
    """Refuse processors that are out of order or more than there are."""
    cpu = partition.processors
    _ordered(partition, "processors", cpu.min_vcpus, cpu.vcpus, cpu.max_vcpus)
    if not cpu.dedicated:
        _ordered(partition, "processing units", cpu.min_units, cpu.units, cpu.max_units)
        if cpu.units + 1e-9 < cpu.vcpus * MIN_UNITS_PER_VCPU:
            raise BadRequest(
                f"Partition {partition.name}: {cpu.units} processing units are too few for {cpu.vcpus} virtual "
                f"processors, which need {MIN_UNITS_PER_VCPU} each."
            )
        if cpu.units > cpu.vcpus + 1e-9:
            raise BadRequest(
                f"Partition {partition.name}: {cpu.units} processing units are more than its {cpu.vcpus} virtual "
                "processors can use."
            )
        if not any(pool.id == cpu.pool for pool in world.state.processor_pools):
            raise BadRequest(f"Partition {partition.name}: there is no shared processor pool {cpu.pool}.")
    if cpu.max_vcpus > world.system.max_vcpus:
        raise BadRequest(
            f"Partition {partition.name}: {cpu.max_vcpus} processors exceed the {world.system.max_vcpus} that a "
            "partition can have."
        )
    wanted = cpu.taken - (before.taken if before else 0)
    if wanted > max(0.0, units_free(world)) + 1e-9:
        raise BadRequest(
            f"Partition {partition.name}: {wanted:g} processing units are needed, {units_free(world):g} are "
            f"available on {world.system.name}."
        )


def _ordered(partition: Partition, label: str, low: float, value: float, high: float) -> None:
    if not 0 < low <= value <= high:
        raise BadRequest(
            f"Partition {partition.name}: {label} must satisfy minimum <= desired <= maximum, not "
            f"{low:g} <= {value:g} <= {high:g}."
        )


def reserved_memory(world: World, maximum: int, adapters: int) -> int:
    """MB of hypervisor memory that a partition of this maximum size costs, in whole regions."""
    region = int(world.system.region_size)
    need = maximum / 64 + adapters * 0.5
    return -(-int(need) // region) * region or region
