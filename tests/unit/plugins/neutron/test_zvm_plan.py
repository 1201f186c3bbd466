"""The planner of couplings: single cases, and random systems on which its changes are carried out."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plugins.neutron.zvm_system import FakeSystem, Key

from bigiron.plugins.neutron.zvm_plan import Seen, plan
from bigiron.zvm.directory import Coupling
from bigiron.zvm.vswitches import Couple, Grant, Op, Revoke, Uncouple

SWITCHES = ("VSW1", "VSW2", "VSW10")
"""One's name begins with another's."""
USERIDS = ("NV000001", "NV000002")


def seen(system: FakeSystem) -> Seen:
    """All that there is to see."""
    return Seen(
        list(system.rows.values()),
        system.switches(system.made),
        system.couplings({userid for userid, _ in system.rows} | {userid for userid, _ in system.directory}),
        system.on,
        dict(system.live),
    )


def system(*switches: str) -> FakeSystem:
    made = FakeSystem()
    for name in switches or ("VSW1",):
        made.define(name, default_vlan=1)
    return made


def test_a_new_adapter_gets_its_vlan_and_needs_no_right() -> None:
    made = system()
    key = made.add("NV000001", "1000", "p")
    assert plan(seen(made), {key: Coupling("VSW1", 7)}) == (Couple(*key, Coupling("VSW1", 7), False),)


def test_a_flat_network_is_granted_first_and_once() -> None:
    made = system()
    one, two = made.add("NV000001", "1000", "p"), made.add("NV000001", "1003", "q", running=True)
    flat = Coupling("VSW1")
    ops = plan(seen(made), {one: flat, two: flat})
    assert ops == (Grant("NV000001", "VSW1"), Couple(*one, flat, True), Couple(*two, flat, True))


def test_a_right_that_was_taken_is_given_again_although_all_is_coupled() -> None:
    made = system()
    key = made.add("NV000001", "1000", "p")
    for op in plan(seen(made), {key: Coupling("VSW1")}):
        made.apply(op)
    made.apply(Revoke("NV000001", "VSW1"))
    assert plan(seen(made), {key: Coupling("VSW1")}) == (Grant("NV000001", "VSW1"),)


def test_another_vlan_is_not_to_be_had_without_uncoupling() -> None:
    made = system()
    key = made.add("NV000001", "1000", "p")
    made.apply(Couple(*key, Coupling("VSW1", 7), False))
    ops = plan(seen(made), {key: Coupling("VSW1", 8)})
    assert ops == (Uncouple(*key, False), Couple(*key, Coupling("VSW1", 8), False))


def test_a_right_stays_while_the_guest_has_another_adapter_on_the_switch() -> None:
    made = system()
    flat, own = made.add("NV000001", "1000", "p", running=True), made.add("NV000001", "1003", "q", running=True)
    wanted = {flat: Coupling("VSW1"), own: Coupling("VSW1", 7)}
    for op in plan(seen(made), wanted):
        made.apply(op)
    made.remove(*flat)
    assert plan(seen(made), {own: Coupling("VSW1", 7)}, {("NV000001", "VSW1")}) == ()
    assert made.live[own] == "VSW1"
    ops = plan(seen(made), {own: None}, {("NV000001", "VSW1")})
    assert ops == (Uncouple(*own, True), Revoke("NV000001", "VSW1"))


def test_an_adapter_of_the_operators_keeps_the_right_and_its_coupling() -> None:
    made = system()
    ours = made.add("NV000001", "1000", "p", running=True)
    for op in plan(seen(made), {ours: Coupling("VSW1")}):
        made.apply(op)
    made.directory["NV000001", "2000"] = Coupling("VSW1")
    assert plan(seen(made), {ours: None}) == (Uncouple(*ours, True),)


def test_an_adapter_that_somebody_has_detached_from_a_running_guest_is_coupled_again() -> None:
    made = system()
    key = made.add("NV000001", "1000", "p", running=True)
    made.apply(Couple(*key, Coupling("VSW1", 7), True))
    made.live[key] = ""
    ops = plan(seen(made), {key: Coupling("VSW1", 7)})
    # The connector does nothing for an adapter that its entry has on the switch.
    assert ops == (Uncouple(*key, True), Couple(*key, Coupling("VSW1", 7), True))


# -- random systems -----------------------------------------------------------------------------------------------

couplings = st.builds(Coupling, st.sampled_from(SWITCHES), st.none() | st.integers(1, 3))
keys = st.tuples(st.sampled_from(USERIDS), st.sampled_from(("1000", "1003", "1006")))


@st.composite
def systems(draw: st.DrawFn) -> FakeSystem:
    """Adapters, and what the three places say of them, which need not agree."""
    made = system(*SWITCHES)
    made.on = draw(st.sets(st.sampled_from(USERIDS)))
    for number, key in enumerate(sorted(draw(st.sets(keys)))):
        made.add(*key, f"port{number}")
        made._list(key, draw(st.sampled_from(("", *SWITCHES))))
        if (to := draw(st.none() | couplings)) is not None:
            made.directory[key] = to
        if key[0] in made.on:
            made.live[key] = draw(st.sampled_from(("", *SWITCHES)))
    for userid, name in draw(st.sets(st.tuples(st.sampled_from(USERIDS), st.sampled_from(SWITCHES)))):
        made.apply(Grant(userid, name))
    return made


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_afterwards_everything_agrees_and_the_others_were_left_alone(data: st.DataObject) -> None:
    made = data.draw(systems())
    ours = data.draw(st.sets(st.sampled_from(sorted(made.rows)))) if made.rows else set()
    wanted = {key: data.draw(st.none() | couplings) for key in sorted(ours)}
    left = data.draw(st.sets(st.tuples(st.sampled_from(USERIDS), st.sampled_from(SWITCHES))))
    before = copy.deepcopy(made)

    ops = plan(seen(made), wanted, left)
    for op in ops:
        made.apply(op)
        _nothing_is_cut(op, before, made, wanted)

    for key, to in wanted.items():
        assert made.directory.get(key) == to
        assert made.rows[key].switch == (to.switch if to else "")
        if key[0] in made.on:
            assert made.live[key] == (to.switch if to else "")
        if to is not None and to.vlan is None:
            assert key[0] in made.grants(to.switch)
    for key in made.rows.keys() - wanted.keys():
        assert (made.rows[key], made.directory.get(key)) == (before.rows[key], before.directory.get(key))
    for userid, name in left:
        uses = any(each[0] == userid and name in _places(made, each) for each in made.rows)
        assert uses or userid not in made.grants(name)
    assert plan(seen(made), wanted, left) == ()


def _nothing_is_cut(op: Op, before: FakeSystem, made: FakeSystem, wanted: dict[Key, Coupling | None]) -> None:
    """No adapter that is to stay as it was loses its coupling for a moment, least of all by a right that is taken."""
    for key, lan in before.live.items():
        target = wanted.get(key, Coupling(lan))
        settled = key not in wanted or (
            target is not None
            and before.directory.get(key) == target
            and before.rows[key].switch == lan == target.switch
        )
        if settled:
            assert made.live[key] == lan, f"{op} has cut {key} off {lan}"


def _places(made: FakeSystem, key: Key) -> set[str]:
    to = made.directory.get(key)
    return {made.rows[key].switch, made.live.get(key, ""), to.switch if to else ""} - {""}
