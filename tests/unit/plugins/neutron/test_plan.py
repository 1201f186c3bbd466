"""The planner: what it must never do on any bridges, and what it does on a few that matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigiron.plugins.neutron.plan import CLEANUP_LIMIT, Wanted, plan
from bigiron.powervm.network.trunks import (
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


def bridge(
    uuid: str = "b1",
    trunks: Iterable[tuple[int, Iterable[int]]] = (),
    pvid: int = 1,
    vswitch: int = 0,
    load_sharing: bool = False,
    adapters: int = 2,
) -> Bridge:
    additional = tuple(Trunk(number, frozenset(vlans)) for number, vlans in trunks)
    return Bridge(
        uuid,
        vswitch,
        load_sharing,
        tuple(SharedAdapter(f"ent{n}", f"vios{n}", Trunk(pvid), additional) for n in range(adapters)),
    )


def wanted(**vlans: Iterable[int]) -> Wanted:
    return Wanted({uuid: frozenset(numbers) for uuid, numbers in vlans.items()})


def test_a_vlan_goes_to_the_trunk_with_most_room() -> None:
    before = bridge(trunks=[(4094, range(10, 15)), (4093, range(20, 22))])
    assert plan([before], wanted(b1=[100])).ops == (AddVlan("b1", 4093, 100),)


def test_a_bridge_that_carries_it_already_is_left_alone() -> None:
    before = bridge(trunks=[(4094, [100])], pvid=7)
    assert plan([before], wanted(b1=[100, 7])).ops == ()


def test_the_primary_trunk_never_gets_a_vlan() -> None:
    result = plan([bridge()], wanted(b1=[100]))
    assert result.ops == (AddTrunk("b1", 4094), AddVlan("b1", 4094, 100))
    (after,) = apply([bridge()], result.ops)
    assert [a.primary for a in after.adapters] == [Trunk(1), Trunk(1)]


def test_a_full_trunk_is_followed_by_a_new_one_that_is_numbered_below() -> None:
    before = bridge(trunks=[(4094, range(100, 120))])
    assert plan([before], wanted(b1=[500])).ops == (AddTrunk("b1", 4093), AddVlan("b1", 4093, 500))


def test_a_full_bridge_refuses_that_vlan_and_says_so() -> None:
    full = bridge(trunks=[(4094 - n, range(100 + 20 * n, 120 + 20 * n)) for n in range(MAX_ADDITIONAL_TRUNKS)])
    result = plan([full], wanted(b1=[900]))
    assert result.ops == ()
    assert "no room for VLAN 900 on ent0 of VIOS vios0 and ent1 of VIOS vios1" in result.refused["b1", 900]


def test_a_vlan_that_is_a_placeholder_is_freed_first() -> None:
    before = bridge(trunks=[(4094, [5])])
    result = plan([before], wanted(b1=[4094]))
    assert result.ops == (Renumber("b1", 4094, 4093), AddVlan("b1", 4093, 4094))
    assert apply([before], result.ops)[0].carries(4094)


def test_load_sharing_trunks_are_made_in_pairs() -> None:
    before = bridge(trunks=[(4094, [5])], load_sharing=True)
    result = plan([before], wanted(b1=[6]))
    assert result.ops == (AddTrunk("b1", 4093), AddVlan("b1", 4093, 6))
    paired = apply([before], result.ops)
    assert plan(paired, wanted(b1=[7])).ops == (AddVlan("b1", 4094, 7),)


def test_a_vlan_missing_on_the_failover_adapter_is_added_to_the_same_trunk_there() -> None:
    whole = bridge(trunks=[(4094, [5, 6])])
    first, second = whole.adapters
    drifted = replace(whole, adapters=(first, replace(second, additional=(Trunk(4094, frozenset([5])),))))
    result = plan([drifted], wanted(b1=[6]))
    assert result.ops == (AddVlan("b1", 4094, 6),)
    assert apply([drifted], result.ops) == (whole,)


def test_a_trunk_missing_on_the_failover_adapter_is_made_there() -> None:
    whole = bridge(trunks=[(4094, [5])])
    first, second = whole.adapters
    drifted = replace(whole, adapters=(first, replace(second, additional=())))
    assert apply([drifted], plan([drifted], wanted(b1=[5])).ops) == (whole,)


def test_a_vlan_moves_from_a_served_bridge_of_the_same_switch_that_no_longer_wants_it() -> None:
    here, there = bridge("b1"), bridge("b2", trunks=[(4094, [100])], pvid=2)
    result = plan([here, there], wanted(b1=[100], b2=[]))
    assert result.ops == (
        RemoveVlan("b2", 100),
        RemoveTrunk("b2", 4094),
        AddTrunk("b1", 4094),
        AddVlan("b1", 4094, 100),
    )


@pytest.mark.parametrize(
    ("peer", "wishes", "reason"),
    [
        (bridge("b2", pvid=100), {"b1": [100], "b2": []}, "on the primary trunk of another bridge"),
        (bridge("b2", trunks=[(4094, [100])], pvid=2), {"b1": [100]}, "that this agent does not serve"),
        (bridge("b2", trunks=[(100, [7])], pvid=2), {"b1": [100]}, "that this agent does not serve"),
        (bridge("b2", trunks=[(4094, [100])], pvid=2), {"b1": [100], "b2": [100]}, "also wanted on"),
    ],
)
def test_a_vlan_of_another_bridge_is_refused(peer: Bridge, wishes: dict[str, list[int]], reason: str) -> None:
    result = plan([bridge("b1"), peer], wanted(**wishes))
    assert result.ops == ()
    assert reason in result.refused["b1", 100]


def test_bridges_on_different_switches_may_have_the_same_vlan() -> None:
    here, there = bridge("b1"), bridge("b2", trunks=[(4094, [100])], vswitch=1)
    result = plan([here, there], wanted(b1=[100], b2=[100]))
    assert result.ops == (AddTrunk("b1", 4094), AddVlan("b1", 4094, 100))


def test_a_vlan_on_a_trunk_outside_any_bridge_is_refused_and_the_others_go_ahead() -> None:
    wish = Wanted({"b1": frozenset([100, 101])}, orphans={0: {100: "ent9 of VIOS vios0"}})
    result = plan([bridge()], wish)
    assert result.ops == (AddTrunk("b1", 4094), AddVlan("b1", 4094, 101))
    assert "ent9 of VIOS vios0" in result.refused["b1", 100]


def test_a_new_trunk_takes_no_number_that_a_client_uses() -> None:
    wish = Wanted({"b1": frozenset([100])}, taken={0: frozenset([4094, 4092])}, orphans={0: {4093: "ent9"}})
    assert plan([bridge()], wish).ops == (AddTrunk("b1", 4091), AddVlan("b1", 4091, 100))


def test_unused_vlans_go_a_few_at_a_time_and_the_last_takes_its_trunk_along() -> None:
    before = bridge(trunks=[(4094, range(10, 14))])
    spare = {"b1": frozenset(range(10, 14))}
    first = plan([before], wanted(b1=[]), spare)
    assert first.ops == tuple(RemoveVlan("b1", vlan) for vlan in (10, 11, 12))
    after = apply([before], first.ops)
    assert plan(after, wanted(b1=[]), spare).ops == (RemoveVlan("b1", 13), RemoveTrunk("b1", 4094))


def test_a_load_sharing_bridge_keeps_its_last_additional_trunk() -> None:
    before = bridge(trunks=[(4094, [10])], load_sharing=True)
    assert plan([before], wanted(b1=[]), {"b1": frozenset([10])}).ops == (RemoveVlan("b1", 10),)


def test_a_wanted_vlan_is_never_unused() -> None:
    before = bridge(trunks=[(4094, [10])])
    assert plan([before], wanted(b1=[10]), {"b1": frozenset([10])}).ops == ()


def test_a_bridge_not_served_is_never_cleaned() -> None:
    other = bridge("b2", trunks=[(4094, [10])], pvid=2)
    assert plan([bridge(), other], wanted(b1=[]), {"b2": frozenset([10])}).ops == ()


vlan_numbers = st.integers(min_value=2, max_value=40) | st.integers(min_value=4080, max_value=4094)


@st.composite
def hosts(draw: st.DrawFn) -> tuple[Bridge, ...]:
    """One to three bridges on up to two switches whose trunks clash with none of the same switch."""
    result = []
    used: dict[int, set[int]] = {0: set(), 1: set()}
    for number in range(draw(st.integers(1, 3))):
        vswitch = draw(st.integers(0, 1))

        def fresh(vlans: Iterable[int], vswitch: int = vswitch) -> frozenset[int]:
            new = frozenset(vlans) - used[vswitch]
            used[vswitch].update(new)
            return new

        pvid = 4000 + number
        trunks = []
        for _ in range(draw(st.integers(0, 3))):
            numbers = fresh([draw(vlan_numbers)])
            if numbers:
                (placeholder,) = numbers
                vlans = fresh(draw(st.sets(vlan_numbers, min_size=1, max_size=MAX_VLANS_PER_TRUNK)))
                trunks.append((placeholder, vlans))
        used[vswitch].add(pvid)
        whole = bridge(f"b{number}", trunks, pvid, vswitch, draw(st.booleans()), draw(st.integers(1, 2)))
        lost = draw(st.sets(vlan_numbers, max_size=3))
        last = whole.adapters[-1]
        thinner = tuple(Trunk(t.pvid, t.vlans - lost) for t in last.additional)
        result.append(replace(whole, adapters=(*whole.adapters[:-1], replace(last, additional=thinner))))
    return tuple(result)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[Bridge, ...], Wanted, dict[str, frozenset[int]]]:
    bridges = draw(hosts())
    served = draw(st.sets(st.sampled_from([b.uuid for b in bridges]), min_size=1))
    wish = {uuid: frozenset(draw(st.sets(vlan_numbers, max_size=45))) for uuid in served}
    unused = {b.uuid: b.added_vlans() if draw(st.booleans()) else frozenset[int]() for b in bridges}
    return bridges, Wanted(wish), unused


@settings(max_examples=400)
@given(cases())
def test_whatever_the_bridges_no_wanted_vlan_is_lost(
    case: tuple[tuple[Bridge, ...], Wanted, dict[str, frozenset[int]]],
) -> None:
    bridges, wish, unused = case
    result = plan(bridges, wish, unused)
    after = {b.uuid: b for b in apply(bridges, result.ops)}
    for uuid, vlans in wish.vlans.items():
        for vlan in vlans:
            assert after[uuid].carries(vlan) or (uuid, vlan) in result.refused
    for before in bridges:
        now = after[before.uuid]
        gone = before.added_vlans() - now.added_vlans()
        elsewhere = frozenset().union(*(vlans for uuid, vlans in wish.vlans.items() if uuid != before.uuid))
        assert not gone & wish.vlans.get(before.uuid, frozenset())
        assert gone <= unused[before.uuid] | elsewhere
        assert [a.primary for a in now.adapters] == [a.primary for a in before.adapters]


@settings(max_examples=400)
@given(cases())
def test_the_result_is_a_bridge_that_the_platform_accepts(
    case: tuple[tuple[Bridge, ...], Wanted, dict[str, frozenset[int]]],
) -> None:
    bridges, wish, unused = case
    result = plan(bridges, wish, unused)
    after = apply(bridges, result.ops)
    for now in after:
        for adapter in now.adapters:
            assert len(adapter.additional) <= MAX_ADDITIONAL_TRUNKS
            assert all(len(trunk.vlans) <= MAX_VLANS_PER_TRUNK for trunk in adapter.additional)
            tagged = [vlan for trunk in adapter.additional for vlan in trunk.vlans]
            assert len(tagged) == len(set(tagged)), "a VLAN on two trunks of one adapter"
    for vswitch in (0, 1):
        sharing = [b for b in after if b.vswitch == vswitch]
        numbers = [n for b in sharing for n in (*b.fixed_vlans(), *b.added_vlans(), *b.placeholders())]
        assert len(numbers) == len(set(numbers)), "a number used twice on one virtual switch"


@settings(max_examples=400)
@given(cases())
def test_a_plan_leaves_nothing_to_plan_and_does_no_more_than_it_must(
    case: tuple[tuple[Bridge, ...], Wanted, dict[str, frozenset[int]]],
) -> None:
    bridges, wish, _unused = case
    result = plan(bridges, wish)
    again = plan(apply(bridges, result.ops), wish)
    assert again.ops == ()
    assert again.refused == result.refused
    before = {b.uuid: b for b in bridges}
    needed = {(u, v) for u, vs in wish.vlans.items() for v in vs if not before[u].carries(v)} - set(result.refused)
    added = [(op.bridge, op.vlan) for op in result.ops if isinstance(op, AddVlan)]
    assert sorted(added) == sorted(needed)
    assert {op.bridge for op in result.ops if isinstance(op, AddTrunk)} <= {uuid for uuid, _ in needed}


@settings(max_examples=200)
@given(cases())
def test_cleaning_removes_a_few_and_comes_to_an_end(
    case: tuple[tuple[Bridge, ...], Wanted, dict[str, frozenset[int]]],
) -> None:
    bridges, wish, unused = case
    bridges = apply(bridges, plan(bridges, wish).ops)
    passes = 0
    while ops := plan(bridges, wish, unused).ops:
        assert 1 <= sum(isinstance(op, RemoveVlan) for op in ops) <= CLEANUP_LIMIT
        assert all(isinstance(op, RemoveVlan | RemoveTrunk) for op in ops)
        bridges = apply(bridges, ops)
        passes += 1
        assert passes < 60
    for b in bridges:
        if b.uuid in wish.vlans:
            assert not b.added_vlans() & unused[b.uuid] - wish.vlans[b.uuid]
