"""Network bridges: VLANs on the trunk adapters of a SEA and of its failover peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigiron.sim.powervm.errors import BadRequest, Busy
from bigiron.sim.powervm.model import networks, slots
from bigiron.sim.powervm.model.adapters import MAX_TAGGED
from bigiron.sim.powervm.model.mappings import next_name
from bigiron.sim.powervm.model.network import NetworkBridge, SharedEthernet, VirtualEthernet
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.world import World

MAX_TRUNKS = 16


@dataclass(frozen=True, slots=True)
class TrunkSpec:
    """A trunk adapter as a client lists it: an existing one by its slot, or a new one."""

    slot: int | None
    pvid: int
    tagged: tuple[int, ...] = ()
    priority: int | None = None


def apply_trunks(world: World, bridge: NetworkBridge, wanted: dict[str, list[TrunkSpec]]) -> None:
    """Make the trunks of each SEA (by its VIOS's uuid) what a client's document says; all or nothing."""
    _need_reach(world, bridge)
    for sea in bridge.seas:
        _check(world, bridge, sea, wanted.get(sea.vios.upper(), _as_specs(sea)))
    _check_peers(bridge, [wanted.get(sea.vios.upper(), _as_specs(sea)) for sea in bridge.seas])
    for sea in bridge.seas:
        specs = wanted.get(sea.vios.upper())
        if specs is not None:
            _set_trunks(world, bridge, sea, specs)
    _note(world, bridge)


def apply_groups(world: World, bridge: NetworkBridge, groups: Sequence[tuple[int, tuple[int, ...]]]) -> None:
    """The same for load groups, (pvid, tagged VLANs) each: every group is one trunk on each SEA."""
    _check_moves(bridge, groups)
    wanted: dict[str, list[TrunkSpec]] = {}
    for sea in bridge.seas:
        by_pvid = {t.pvid: t for t in sea.trunks}
        wanted[sea.vios.upper()] = [
            TrunkSpec(by_pvid[pvid].slot if pvid in by_pvid else None, pvid, tagged) for pvid, tagged in groups
        ]
    apply_trunks(world, bridge, wanted)


def _check_moves(bridge: NetworkBridge, groups: Sequence[tuple[int, tuple[int, ...]]]) -> None:
    """A VLAN leaves its load group in one update and joins another in the next."""
    held = {vlan: trunk.pvid for sea in bridge.seas for trunk in sea.trunks for vlan in trunk.vlans}
    for pvid, tagged in groups:
        for vlan in (pvid, *tagged):
            if held.get(vlan, pvid) != pvid:
                raise BadRequest(
                    f"VLAN {vlan} is on the load group with PVID {held[vlan]}. Remove it there before it is added to "
                    f"the one with PVID {pvid}."
                )


def _as_specs(sea: SharedEthernet) -> list[TrunkSpec]:
    return [TrunkSpec(t.slot, t.pvid, tuple(t.tagged), t.trunk_priority) for t in sea.trunks]


def _need_reach(world: World, bridge: NetworkBridge) -> None:
    """A SEA of a VIOS that is down takes the change when it comes up; one must be up to take it now."""
    owners = [world.vios(sea.vios) for sea in bridge.seas]
    if not any(vios.is_up for vios in owners):
        names = " and ".join(v.name for v in owners)
        raise Busy(f"No Virtual I/O Server of the network bridge can be reached: {names} are down.")


def _check(world: World, bridge: NetworkBridge, sea: SharedEthernet, specs: list[TrunkSpec]) -> None:
    label = f"{sea.device} of {world.vios(sea.vios).name}"
    if not specs or specs[0].slot != sea.trunks[0].slot or specs[0].pvid != sea.trunks[0].pvid:
        raise BadRequest(f"The primary trunk adapter of SEA {label} cannot be removed or given another PVID.")
    if len(specs) > MAX_TRUNKS:
        raise BadRequest(f"SEA {label} can have {MAX_TRUNKS} trunk adapters, not {len(specs)}.")
    known = {t.slot for t in sea.trunks}
    seen: set[int] = set()
    for spec in specs:
        if spec.slot is not None and spec.slot not in known:
            raise BadRequest(f"SEA {label} has no trunk adapter in slot {spec.slot}: read the network bridge again.")
        if len(spec.tagged) > MAX_TAGGED:
            raise BadRequest(
                f"A trunk adapter of SEA {label} can carry {MAX_TAGGED} tagged VLANs, not {len(spec.tagged)}."
            )
        for vlan in (spec.pvid, *spec.tagged):
            if vlan not in networks.VLANS:
                raise BadRequest(f"VLAN {vlan} on SEA {label} is outside 1..4094.")
            if vlan in seen:
                raise BadRequest(f"VLAN {vlan} is on SEA {label} twice.")
            seen.add(vlan)
    own = {id(t) for s in bridge.seas for t in s.trunks}
    for owner, other in slots.ethernets(world):
        foreign_trunk = other.trunk_priority is not None and id(other) not in own
        if foreign_trunk and other.switch_id == bridge.switch_id and owner.uuid == sea.vios and other.vlans & seen:
            raise BadRequest(
                f"VLAN {min(other.vlans & seen)} is already carried by trunk adapter {other.device or other.slot} of "
                f"{owner.name}. Remove it there first."
            )


def _check_peers(bridge: NetworkBridge, specs: list[list[TrunkSpec]]) -> None:
    """Failover needs the same VLANs on both SEAs."""
    sets = [sorted((s.pvid, tuple(sorted(s.tagged))) for s in one) for one in specs]
    if any(other != sets[0] for other in sets[1:]):
        raise BadRequest("The SEAs of a failover network bridge must have the same VLANs on their trunk adapters.")


def _set_trunks(world: World, bridge: NetworkBridge, sea: SharedEthernet, specs: list[TrunkSpec]) -> None:
    by_slot = {t.slot: t for t in sea.trunks}
    priority = sea.trunks[0].trunk_priority
    result: list[VirtualEthernet] = []
    vios = world.vios(sea.vios)
    sea.trunks = [by_slot[s.slot] for s in specs if s.slot is not None]
    for spec in specs:
        trunk = (
            by_slot[spec.slot]
            if spec.slot is not None
            else new_trunk(world, vios, bridge.switch_id, spec.pvid, priority)
        )
        if trunk not in sea.trunks:
            sea.trunks.append(trunk)
        trunk.pvid, trunk.tagged = spec.pvid, list(spec.tagged)
        trunk.tagged_supported = trunk.tagged_supported or bool(spec.tagged)
        result.append(trunk)
    sea.trunks = result
    world.changed(vios, "ViosNetwork")


def new_trunk(world: World, vios: Vios, switch_id: int, pvid: int, priority: int | None) -> VirtualEthernet:
    """A fresh trunk adapter in the next high slot, not yet part of anything."""
    return VirtualEthernet(
        uuid=world.new_uuid(VirtualEthernet.KIND),
        slot=slots.highest(world, vios),
        mac=slots.new_mac(world),
        pvid=pvid,
        switch_id=switch_id,
        required=True,
        trunk_priority=priority,
        device=next_device(world, vios),
    )


def next_device(world: World, vios: Vios) -> str:
    """The next free Ethernet device name of a VIOS."""
    taken = {p.name for p in vios.ethernet} | {t.device for t in slots.trunks_of(world, vios) if t.device}
    taken |= {s.device for s in slots.seas_of(world, vios)} | {a.device for a in vios.adapters if a.device}
    return next_name("ent", taken)


def _note(world: World, bridge: NetworkBridge) -> None:
    world.changed(bridge, "Other", world.system)
    networks.sync(world)
