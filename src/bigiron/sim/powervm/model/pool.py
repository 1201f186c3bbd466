"""Shared storage pool: logical units in tiers."""

from __future__ import annotations

from dataclasses import dataclass

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import backing
from bigiron.sim.powervm.model.storage import Content, LogicalUnit, SharedStoragePool, Tier, space
from bigiron.sim.powervm.model.world import World

DISK = "VirtualIO_Disk"
IMAGE = "VirtualIO_Image"
TYPES = {DISK: "27", IMAGE: "29"}
"""The first two digits of the udid of each type of unit."""
MAX_NAME = 79


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A logical unit as a client asks for it; capacity in GB."""

    name: str
    capacity: float
    thin: bool = True
    type: str = DISK
    cloned_from: str | None = None


def owner(world: World, tier: Tier) -> SharedStoragePool:
    """The pool that a tier belongs to."""
    return next(p for p in world.state.pools if tier in p.tiers)


def find_unit(world: World, udid: str) -> LogicalUnit | None:
    """The unit with this udid, whatever type its first two digits say."""
    return next((u for p in world.state.pools for u in p.units if u.udid[2:] == udid[2:]), None)


def create(world: World, tier: Tier, spec: UnitSpec) -> LogicalUnit:
    """A new unit, as a linked clone where a source is named; raises BadRequest when the rules forbid it."""
    source = _check_new(world, tier, spec, tier.capacity - tier.used)
    pool = owner(world, tier)
    unit = LogicalUnit(
        uuid=world.new_uuid(LogicalUnit.KIND),
        udid=f"{TYPES[spec.type]}{pool.udid[2:34]}{world.new_hex(32)}",
        name=spec.name,
        capacity=spec.capacity,
        thin=spec.thin,
        type=spec.type,
        cloned_from=source.udid if source else None,
        content=source.content if source else None,
    )
    tier.units.append(unit)
    world.added(unit, tier)
    world.changed(pool)
    world.touch(tier)
    return unit


def change(world: World, pool: SharedStoragePool, gone: list[LogicalUnit], specs: list[UnitSpec]) -> None:
    """Remove units and add new ones to the default tier; raises BadRequest with nothing changed."""
    for unit in gone:
        _check_unused(world, unit)
    tier = next(t for t in pool.tiers if t.default)
    free = tier.capacity - space((u, u.content) for u in tier.units if u not in gone)
    for spec in specs:
        source = _check_new(world, tier, spec, free)
        if source in gone:
            raise BadRequest(f"Logical unit {spec.name}: {source.name} cannot be cloned and removed at once.")
        free -= 0.0 if spec.thin else spec.capacity
    for unit in gone:
        delete(world, _tier_of(world, unit), unit)
    for spec in specs:
        create(world, tier, spec)


def _check_new(world: World, tier: Tier, spec: UnitSpec, free: float) -> LogicalUnit | None:
    """Refuse a unit that cannot be; return the one that it is a clone of."""
    if not 0 < len(spec.name) <= MAX_NAME:
        raise BadRequest(
            f"Logical unit name {spec.name!r} has {len(spec.name)} characters; 1 to {MAX_NAME} are allowed."
        )
    if spec.type not in TYPES:
        raise BadRequest(f"LogicalUnitType {spec.type!r} is unknown. Use one of: {', '.join(TYPES)}.")
    if spec.capacity <= 0:
        raise BadRequest(f"Logical unit {spec.name} needs a UnitCapacity above zero.")
    source = find_unit(world, spec.cloned_from) if spec.cloned_from else None
    if spec.cloned_from and source is None:
        raise BadRequest(f"Logical unit {spec.name}: there is no unit {spec.cloned_from} to clone.")
    if source is not None and spec.capacity + 1e-6 < source.capacity:
        raise BadRequest(
            f"Logical unit {spec.name}: a clone of {source.name} cannot be smaller than its {source.capacity:g} GB."
        )
    if not spec.thin and spec.capacity > free:
        raise _too_small(tier, spec)
    if spec.capacity > tier.capacity:
        raise _too_small(tier, spec)
    return source


def delete(world: World, tier: Tier, unit: LogicalUnit) -> None:
    """Remove a unit; refused while it is mapped. An image with clones goes, its clones keep its blocks."""
    _check_unused(world, unit)
    tier.units.remove(unit)
    world.release(unit.content)
    world.removed(unit, tier)
    world.changed(owner(world, tier))
    world.touch(tier)


def _check_unused(world: World, unit: LogicalUnit) -> None:
    users = backing.users(world, backing.UNIT, unit.udid)
    if users:
        vios, _, target = users[0]
        raise BadRequest(
            f"Logical unit {unit.name} is in use: {vios.name} maps it as {target.name}. Remove the mapping first."
        )


def has_room(world: World, unit: LogicalUnit, content: Content) -> bool:
    """Whether the unit's tier can hold it with this content."""
    tier = _tier_of(world, unit)
    return space((u, content if u is unit else u.content) for u in tier.units) <= tier.capacity + 1e-6


def check_growth(world: World, unit: LogicalUnit, capacity: float) -> None:
    """Refuse a new size that is no growth or that the unit's tier cannot hold."""
    tier = _tier_of(world, unit)
    if capacity <= unit.capacity + 1e-6:
        raise BadRequest(
            f"Logical unit {unit.name} has {unit.capacity:g} GB and cannot become {capacity:g} GB: it can only grow."
        )
    too_much = capacity - unit.capacity > tier.capacity - tier.used if not unit.thin else False
    if too_much or capacity > tier.capacity:
        raise _too_small(tier, UnitSpec(name=unit.name, capacity=capacity))


def grow(world: World, unit: LogicalUnit, capacity: float) -> None:
    """Make a unit larger, mapped or not; its blocks stay."""
    tier = _tier_of(world, unit)
    unit.capacity = capacity
    world.changed(unit, "Other", tier)
    world.changed(owner(world, tier))
    # Each mapping shows the size, too.
    world.touch(tier, *(vios for vios, _, _ in backing.users(world, backing.UNIT, unit.udid)))


def _tier_of(world: World, unit: LogicalUnit) -> Tier:
    return next(t for p in world.state.pools for t in p.tiers if unit in t.units)


def _too_small(tier: Tier, spec: UnitSpec) -> BadRequest:
    return BadRequest(
        f"Logical unit {spec.name} of {spec.capacity:g} GB does not fit: tier {tier.name} has {tier.capacity:g} GB, "
        f"{round(tier.capacity - tier.used, 2):g} GB of them free."
    )
