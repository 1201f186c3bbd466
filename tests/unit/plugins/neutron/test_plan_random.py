"""The planner on thousands of random systems: full bridges, drifted pairs, peers on one switch, foreign trunks.

Each system comes from a number, which a failure names: `_system(Random(number))` makes it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest

from bigiron.plugins.neutron.plan import CLEANUP_LIMIT, Plan, Wanted, plan
from bigiron.powervm.network.trunks import (
    HIGHEST_VLAN,
    MAX_ADDITIONAL_TRUNKS,
    MAX_VLANS_PER_TRUNK,
    AddTrunk,
    AddVlan,
    Bridge,
    RemoveTrunk,
    RemoveVlan,
    Renumber,
    SharedAdapter,
    Trunk,
    apply,
)

SYSTEMS = 4000
_PRIMARY = range(3900, 3910)
"""PVIDs of primary trunks."""
_CHUNK = 250
"""So that a failing number is found without running all."""
_QUICK = 250
"""So many of the systems are planned for in every run, the others in the long one."""


@dataclass(frozen=True, slots=True)
class System:
    """What the planner is given, and whether the two adapters of each bridge are alike."""

    bridges: tuple[Bridge, ...]
    wanted: Wanted
    unused: dict[str, frozenset[int]]


class _Numbers:
    """Hands out VLANs that are not used twice on one switch."""

    def __init__(self, rng: Random) -> None:
        dense = [*range(2, 90), *range(4000, HIGHEST_VLAN + 1)]
        self._pool = dense if rng.random() < 0.6 else [n for n in range(2, HIGHEST_VLAN + 1) if n not in _PRIMARY]
        self.all = tuple(self._pool)
        rng.shuffle(self._pool)

    def take(self, count: int) -> frozenset[int]:
        taken, self._pool = self._pool[:count], self._pool[count:]
        return frozenset(taken)


def _trunks(rng: Random, numbers: _Numbers) -> tuple[Trunk, ...]:
    count = rng.choice([0, 0, 1, 2, 3, rng.randint(4, 14), MAX_ADDITIONAL_TRUNKS])
    full = rng.random() < 0.5
    found = []
    for _ in range(count):
        size = MAX_VLANS_PER_TRUNK if full else rng.choice([0, 1, 2, 19, 20, rng.randint(1, 20)])
        for placeholder in numbers.take(1):
            found.append(Trunk(placeholder, numbers.take(size)))
    return tuple(found)


def _drifted(rng: Random, trunks: tuple[Trunk, ...]) -> tuple[Trunk, ...]:
    """The other adapter's trunks after somebody has worked on them: less of all, and in another order."""
    kept = [t for t in trunks if rng.random() > 0.2]
    kept = [replace(t, vlans=frozenset(v for v in t.vlans if rng.random() > 0.2)) for t in kept]
    rng.shuffle(kept)
    return tuple(kept)


def _bridge(rng: Random, number: int, vswitch: int, numbers: _Numbers) -> Bridge:
    primary = Trunk(_PRIMARY[number], numbers.take(rng.choice([0, 0, 3, 20])))
    trunks = _trunks(rng, numbers)
    pairs = [trunks]
    if rng.random() < 0.7:
        pairs.append(_drifted(rng, trunks) if rng.random() < 0.3 else trunks)
    adapters = tuple(SharedAdapter(f"ent{n}", f"vios{n}", primary, side) for n, side in enumerate(pairs))
    return Bridge(f"b{number}", vswitch, len(adapters) == 2 and rng.random() < 0.3, adapters)


def _some(rng: Random, numbers: Iterable[int], most: int) -> set[int]:
    known = sorted(numbers)
    return set(rng.sample(known, rng.randint(0, min(most, len(known)))))


def _system(rng: Random) -> System:
    pools = {switch: _Numbers(rng) for switch in (0, 1)}
    bridges = []
    for n in range(rng.randint(1, 4)):
        switch = rng.choice([0, 0, 1])
        bridges.append(_bridge(rng, n, switch, pools[switch]))
    orphans = {switch: dict.fromkeys(pool.take(rng.choice([0, 2])), "ent9") for switch, pool in pools.items()}
    taken = {switch: frozenset(_some(rng, pool.all, 30)) for switch, pool in pools.items()}
    wanted = {}
    for bridge in bridges:
        if rng.random() < 0.8:
            peers = [b for b in bridges if b.vswitch == bridge.vswitch]
            numbers = _some(rng, bridge.added_vlans(), 320) | _some(rng, pools[bridge.vswitch].all, 60)
            numbers |= _some(rng, bridge.placeholders(), 3) | _some(rng, bridge.fixed_vlans(), 2)
            for peer in peers:
                numbers |= _some(rng, peer.added_vlans() | peer.placeholders() | peer.fixed_vlans(), 2)
            numbers |= _some(rng, orphans[bridge.vswitch], 1)
            wanted[bridge.uuid] = frozenset(numbers)
    unused = {b.uuid: frozenset(_some(rng, b.added_vlans(), 320)) for b in bridges if rng.random() < 0.5}
    return System(tuple(bridges), Wanted(wanted, taken, orphans), unused)


def _after_each(system: System, result: Plan) -> Iterator[dict[str, Bridge]]:
    bridges = system.bridges
    for op in result.ops:
        bridges = apply(bridges, [op])
        yield {b.uuid: b for b in bridges}


def check_nothing_is_lost(system: System, result: Plan) -> None:
    """A wanted VLAN is carried in the end or refused with a reason, and one that was carried is carried throughout."""
    bridges = {b.uuid: b for b in system.bridges}
    end = {b.uuid: b for b in apply(system.bridges, result.ops)}
    for uuid, vlans in system.wanted.vlans.items():
        for vlan in vlans:
            assert end[uuid].carries(vlan) != ((uuid, vlan) in result.refused), (uuid, vlan)
    assert all(len(reason) > 20 for reason in result.refused.values())
    carried = [(u, v) for u, vlans in system.wanted.vlans.items() for v in vlans if bridges[u].carries(v)]
    for now in _after_each(system, result):
        assert all(now[uuid].carries(vlan) for uuid, vlan in carried)


def check_limits(system: System, result: Plan) -> None:
    """No trunk, adapter or virtual switch is ever asked for more than it takes."""
    for now in _after_each(system, result):
        for bridge in now.values():
            for adapter in bridge.adapters:
                assert len(adapter.additional) <= MAX_ADDITIONAL_TRUNKS
                assert all(len(trunk.vlans) <= MAX_VLANS_PER_TRUNK for trunk in adapter.additional)
                tagged = [vlan for trunk in adapter.additional for vlan in trunk.vlans]
                assert len(tagged) == len(set(tagged)), "a VLAN on two trunks of one adapter"
        for switch, orphans in system.wanted.orphans.items():
            numbers = list(orphans)
            for bridge in (b for b in now.values() if b.vswitch == switch):
                numbers += [*bridge.fixed_vlans(), *bridge.added_vlans(), *bridge.placeholders()]
            assert len(numbers) == len(set(numbers)), "a number used twice on one virtual switch"


def check_only_what_is_needed(system: System, result: Plan) -> None:
    """Each operation has its reason, and there are no more of them than that."""
    bridges = {b.uuid: b for b in system.bridges}
    end = {b.uuid: b for b in apply(system.bridges, result.ops)}
    wanted = system.wanted
    refused = set(result.refused)
    placed = {(u, v) for u, vs in wanted.vlans.items() for v in vs if not bridges[u].carries(v)} - refused
    added = [(op.bridge, op.vlan) for op in result.ops if isinstance(op, AddVlan)]
    assert sorted(added) == sorted(placed)
    for uuid, before in bridges.items():
        assert [a.primary for a in end[uuid].adapters] == [a.primary for a in before.adapters]
        if uuid not in wanted.vlans:
            assert end[uuid] == before, "a bridge that is not served has changed"
    needed_on = {(bridges[u].vswitch, v) for u, v in placed}
    for op in result.ops:
        before = bridges[op.bridge]
        if isinstance(op, Renumber):
            assert (before.vswitch, op.old) in needed_on
            assert op.new not in wanted.taken[before.vswitch] | {*wanted.orphans[before.vswitch]}
        elif isinstance(op, RemoveVlan):
            moved = (before.vswitch, op.vlan) in needed_on
            assert moved or op.vlan in system.unused.get(op.bridge, ())
        elif isinstance(op, AddTrunk):
            assert op.bridge in {uuid for uuid, _ in placed}
            half = op.pvid in before.placeholders() | end[op.bridge].placeholders()
            assert half, "a trunk was made for nothing"


def check_new_trunks(system: System, result: Plan) -> None:
    """A bridge whose adapters are alike gets a trunk only for VLANs that the ones there have no room for."""
    bridges = {b.uuid: b for b in system.bridges}
    removed = {op.bridge for op in result.ops if isinstance(op, RemoveVlan | RemoveTrunk)}
    for uuid, before in bridges.items():
        if uuid in removed or any(a.additional != before.adapters[0].additional for a in before.adapters):
            continue
        made = sum(isinstance(op, AddTrunk) and op.bridge == uuid for op in result.ops)
        added = sum(isinstance(op, AddVlan) and op.bridge == uuid for op in result.ops)
        room = sum(MAX_VLANS_PER_TRUNK - len(t.vlans) for t in before.additional())
        needed = max(0, -(-(added - room) // MAX_VLANS_PER_TRUNK))
        assert needed <= made <= needed + before.load_sharing, (uuid, needed, made)


def check_refusals(system: System, result: Plan) -> None:
    """No room is claimed only where there is none."""
    end = {b.uuid: b for b in apply(system.bridges, result.ops)}
    for (uuid, _), reason in result.refused.items():
        if "no room" in reason and not any(isinstance(op, RemoveVlan) for op in result.ops):
            trunks = end[uuid].additional()
            assert len(trunks) >= MAX_ADDITIONAL_TRUNKS or _numbers_left(system, end, uuid) == 0
            assert all(len(trunk.vlans) >= MAX_VLANS_PER_TRUNK for trunk in trunks)


def _numbers_left(system: System, end: dict[str, Bridge], uuid: str) -> int:
    switch = end[uuid].vswitch
    used = set(system.wanted.taken[switch]) | set(system.wanted.orphans[switch])
    for bridge in (b for b in end.values() if b.vswitch == switch):
        used |= bridge.fixed_vlans() | bridge.added_vlans() | bridge.placeholders()
        used |= system.wanted.vlans.get(bridge.uuid, frozenset())
    return len(set(range(2, HIGHEST_VLAN + 1)) - used)


def check_settles(system: System, result: Plan) -> None:
    """Planning again plans nothing; with unused VLANs it ends after as many passes as they need."""
    after = apply(system.bridges, plan(system.bridges, system.wanted).ops)
    assert plan(after, system.wanted).ops == ()
    after = apply(system.bridges, result.ops)
    most = sum(map(len, system.unused.values())) + len(system.wanted.vlans) + 2
    for _ in range(most):
        again = plan(after, system.wanted, system.unused)
        if not again.ops:
            break
        gone = sum(isinstance(op, RemoveVlan) for op in again.ops)
        assert gone <= CLEANUP_LIMIT + sum(isinstance(op, AddVlan) for op in again.ops)
        after = apply(after, again.ops)
    assert plan(after, system.wanted, system.unused).ops == ()
    for bridge in after:
        if bridge.uuid in system.wanted.vlans:
            spare = system.unused.get(bridge.uuid, frozenset()) - system.wanted.vlans[bridge.uuid]
            assert not bridge.added_vlans() & spare


CHECKS = (
    check_nothing_is_lost,
    check_limits,
    check_only_what_is_needed,
    check_new_trunks,
    check_refusals,
    check_settles,
)


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=[pytest.mark.full] if first >= _QUICK else []) for first in range(0, SYSTEMS, _CHUNK)],
)
def test_thousands_of_systems(first: int) -> None:
    for number in range(first, first + _CHUNK):
        system = _system(Random(number))
        result = plan(system.bridges, system.wanted, system.unused)
        for check in CHECKS:
            try:
                check(system, result)
            except AssertionError as error:
                raise AssertionError(f"system {number}, {check.__name__}: {error}") from error


def test_the_systems_are_as_varied_as_they_have_to_be() -> None:
    seen: dict[str, int] = {}
    for number in range(500):
        system = _system(Random(number))
        result = plan(system.bridges, system.wanted, system.unused)
        for kind in {type(op).__name__ for op in result.ops}:
            seen[kind] = seen.get(kind, 0) + 1
        for word in ("no room", "on ent9", "primary trunk of another", "also wanted on", "does not serve"):
            seen[word] = seen.get(word, 0) + any(word in reason for reason in result.refused.values())
        seen["right already"] = seen.get("right already", 0) + (not result.ops)
    assert all(count >= 5 for count in seen.values()) and len(seen) == 11, seen
