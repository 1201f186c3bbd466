"""The passes of the z/VM agent: what they ask, what they change, and what Neutron is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plugins.neutron.zvm_system import FakeSystem

from bigiron.errors import Conflict, NotFound, Unavailable
from bigiron.plugins.neutron.ports import Place, Port
from bigiron.plugins.neutron.zvm_networks import Networks, Uplink
from bigiron.plugins.neutron.zvm_reconcile import CouplingReconciler
from bigiron.zvm.directory import Coupling
from bigiron.zvm.vswitches import Couple, Grant, Revoke, Uncouple

GUEST, OTHER = "9f3c2a10-0000-4000-8000-000000000001", "9f3c2a10-0000-4000-8000-000000000002"
A, B, C = "0a" * 16, "0b" * 16, "0c" * 16


class FakeServer:
    """Neutron's server, with the ports bound to this host; a report changes them."""

    def __init__(self) -> None:
        self.bound: dict[str, Port] = {}
        self.listed = 0
        self.reports: list[tuple[list[str], list[str]]] = []
        self.looked_up: list[list[str]] = []
        self.error: Exception | None = None
        self.once_listed: Callable[[], None] | None = None
        """What happens as soon as the ports are listed, once."""

    def bind(
        self, port_id: str, vlan: int = 7, guest: str = GUEST, physnet: str = "VSW1", enabled: bool = True
    ) -> None:
        self.bound[port_id] = Port(
            port_id, "02:00:00:00:00:01", physnet, vlan, enabled, active=False, guest=guest, device=port_id, down=True
        )

    def change(self, port_id: str, **fields: object) -> None:
        self.bound[port_id] = replace(self.bound[port_id], **fields)  # type: ignore[arg-type]

    def ports(self) -> list[Port]:
        self.listed += 1
        if self.error is not None:
            raise self.error
        found = list(self.bound.values())
        if self.once_listed is not None:
            then, self.once_listed = self.once_listed, None
            then()
        return found

    def lookup(self, devices: Collection[str]) -> list[Port]:
        self.looked_up.append(sorted(devices))
        for port_id in devices:
            self.change(port_id, active=False, down=False)
        return [self.bound[port_id] for port_id in devices]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        self.reports.append((sorted(up), sorted(down)))
        for port_id in (*up, *down):
            if port_id in self.bound:
                self.change(port_id, active=port_id in up, down=port_id not in up)

    @property
    def up(self) -> set[str]:
        return {port.id for port in self.bound.values() if port.active}


class Bench:
    """A reconciler on a system in memory, with a clock that is set."""

    def __init__(self, mapping: dict[str, str] | None = None, uplinks: dict[str, Uplink] | None = None) -> None:
        self.system = FakeSystem()
        self.system.define("VSW1", default_vlan=1)
        self.system.define("PLAIN", aware=False)
        self.server = FakeServer()
        self.now = 0.0
        self.networks = Networks(self.system, mapping or {}, uplinks or {})
        self.reconciler = self.restarted()

    def restarted(self) -> CouplingReconciler:
        self.reconciler = CouplingReconciler(self.server, self.system, self.networks, lambda: self.now)
        assert self.reconciler.heal()
        return self.reconciler

    def look(self) -> bool:
        self.system.asked.clear()
        self.system.done.clear()
        return self.reconciler.look()

    def heal(self) -> bool:
        self.system.asked.clear()
        self.system.done.clear()
        return self.reconciler.heal()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_new_adapter_costs_two_readings_and_its_coupling(bench: Bench) -> None:
    bench.server.bind(A)
    bench.reconciler.expect(A, Place("VSW1", 7))
    assert bench.reconciler.awaits
    assert bench.look() and bench.system.asked == ["adapters"] and not bench.server.up
    bench.system.add("NV000001", "1000", A)
    assert bench.look()
    assert bench.system.asked == ["adapters", "power NV000001", "adapters"], "and whether it ran is asked afterwards"
    assert bench.system.done == [Couple("NV000001", "1000", Coupling("VSW1", 7), False)]
    assert bench.server.up == {A}
    assert not bench.reconciler.awaits
    listed = bench.server.listed
    assert bench.look() and bench.system.asked == ["adapters"] and bench.server.listed == listed


def test_adapters_of_one_guest_wait_for_each_other(bench: Bench) -> None:
    """The connector replaces the whole entry, and an adapter that is made meanwhile would be lost."""
    bench.server.bind(A)
    bench.server.bind(B, vlan=8)
    bench.system.add("NV000001", "1000", A)
    assert bench.look() and not bench.system.done
    bench.now = 59.0
    assert bench.look() and not bench.system.done
    bench.system.add("NV000001", "1003", B)
    assert bench.look()
    assert len(bench.system.done) == 2 and bench.server.up == {A, B}


def test_a_guest_whose_other_adapter_does_not_come_waits_a_minute(bench: Bench) -> None:
    bench.server.bind(A)
    bench.server.bind(B, vlan=8)
    bench.system.add("NV000001", "1000", A)
    assert bench.look() and not bench.server.up
    bench.now = 60.0
    assert bench.look() and bench.server.up == {A}
    listed = bench.server.listed
    assert bench.look() and bench.server.listed == listed, "then it is no news any more"


def test_a_port_that_is_up_stays_so_while_another_adapter_of_its_guest_is_to_come(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.server.bind(B, vlan=8)
    bench.reconciler.changed()
    bench.server.reports.clear()
    assert bench.look() and bench.server.up == {A} and bench.server.reports == []
    bench.restarted()
    assert bench.server.up == {A}


def test_a_disabled_port_is_uncoupled_and_an_enabled_one_coupled_again(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.log_on("NV000001")
    bench.server.change(A, enabled=False)
    bench.reconciler.changed()
    assert bench.look() and bench.system.done == [Uncouple("NV000001", "1000", True)]
    assert bench.system.live["NV000001", "1000"] == "" and bench.server.up == set()
    bench.server.change(A, enabled=True)
    bench.reconciler.changed()
    assert bench.look() and bench.server.up == {A} and bench.system.live["NV000001", "1000"] == "VSW1"


def test_another_vlan_is_a_new_coupling(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.server.change(A, vlan=9)
    bench.reconciler.changed()
    assert bench.look() and len(bench.system.done) == 2
    assert bench.system.directory["NV000001", "1000"] == Coupling("VSW1", 9)


def test_the_adapter_of_a_deleted_port_is_uncoupled_and_its_right_taken(bench: Bench) -> None:
    bench.server.bind(A, vlan=0)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    assert bench.system.grants("VSW1") == {"NV000001"}
    del bench.server.bound[A]
    bench.reconciler.forget(A)
    bench.reconciler.changed()
    assert bench.look()
    assert bench.system.done == [Uncouple("NV000001", "1000", False), Revoke("NV000001", "VSW1")]
    assert bench.look() and bench.system.done == []


def test_an_adapter_that_goes_with_its_guest_meanwhile_is_no_error(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    del bench.server.bound[A]
    bench.reconciler.forget(A)
    bench.reconciler.changed()
    # The connector's list follows the directory.
    bench.system.failures["uncouple NV000001/1000"] = NotFound("no such guest")
    assert bench.look() and not [one for one in caplog.records if one.levelno >= logging.WARNING]
    bench.system.remove("NV000001", "1000")
    assert bench.look() and bench.system.done == []


def test_a_port_that_left_while_the_agent_was_away_is_found_by_its_guest(bench: Bench) -> None:
    for port in (A, B):
        bench.server.bind(port)
        bench.system.add("NV000001", "1000" if port == A else "1003", port)
    bench.system.add("OTHERS", "1000", C)
    bench.system._list(("OTHERS", "1000"), "VSW1")
    bench.look()
    del bench.server.bound[B]
    bench.restarted()
    assert ("NV000001", "1003") not in bench.system.directory
    assert bench.system.rows["OTHERS", "1000"].switch == "VSW1", "it may be another cloud's"


def test_the_right_goes_with_the_last_adapter_that_was_detached(bench: Bench) -> None:
    for number, port in (("1000", A), ("1003", B)):
        bench.server.bind(port, vlan=0)
        bench.system.add("NV000001", number, port)
    bench.look()
    bench.system.log_on("NV000001")
    bench.system.remove("NV000001", "1000")
    del bench.server.bound[A]
    assert bench.look() and bench.system.done == [] and bench.system.live["NV000001", "1003"] == "VSW1"
    bench.system.remove("NV000001", "1003")
    del bench.server.bound[B]
    assert bench.look() and bench.system.done == [Revoke("NV000001", "VSW1")]


def test_an_adapter_that_is_gone_takes_its_port_down(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.remove("NV000001", "1000")
    assert bench.look() and bench.server.up == set()


PLAIN = {"physnet": "PLAIN", "vlan": 0}


@pytest.mark.parametrize(("place", "switch"), [({}, "VSW1"), (PLAIN, "PLAIN")], ids=["vlan", "flat"])
def test_a_guest_that_was_made_again_between_two_looks_has_its_port_told_again(
    bench: Bench, place: dict[str, Any], switch: str
) -> None:
    bench.server.bind(A, **place)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    assert bench.server.looked_up == [], "nobody is asked for a port that was not active"
    # With its guest goes what it was granted.
    bench.system.remove("NV000001", "1000")
    bench.system.made[switch] = replace(bench.system.made[switch], grants=frozenset())
    bench.system.add("NV000001", "1000", A)
    bench.server.reports.clear()
    assert bench.look()
    to = Coupling(switch, place.get("vlan", 7) or None)
    granted = [Grant("NV000001", switch)] if place else []
    assert bench.system.done == [*granted, Couple("NV000001", "1000", to, False)]
    assert bench.server.looked_up == [[A]]
    assert bench.server.reports == [([A], [])]
    assert bench.look() and bench.server.looked_up == [[A]]


def test_a_guest_that_runs_is_coupled_again_and_its_port_not_told_anew(bench: Bench) -> None:
    bench.server.bind(A)
    key = bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.log_on("NV000001")
    bench.system.apply(Uncouple(*key, True))
    bench.server.reports.clear()
    assert bench.look()
    assert bench.system.done == [Couple(*key, Coupling("VSW1", 7), True)]
    assert (bench.server.looked_up, bench.server.reports) == ([], [])


def test_what_fails_for_one_adapter_does_not_keep_the_others_down(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server.bind(A)
    bench.server.bind(B, guest=OTHER)
    bench.system.add("NV000001", "1000", A)
    bench.system.add("NV000002", "1000", B)
    bench.system.failures["couple NV000001/1000 to VLAN 7 of VSW1"] = Conflict("it is locked")
    assert not bench.look()
    assert bench.server.up == {B} and f"Port {A} stays down: it is locked" in caplog.text
    bench.system.failures.clear()
    assert bench.heal() and bench.server.up == {A, B}


def test_a_coupling_that_failed_half_way_is_undone_before_the_next_try(bench: Bench) -> None:
    """The guest went off between the question and the coupling: the entry has it, and the connector's list not."""
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.system.directory["NV000001", "1000"] = Coupling("VSW1", 7)
    assert not bench.look(), "the connector did nothing, and says nothing"
    assert bench.server.up == set()
    assert bench.heal() and bench.server.up == {A}
    assert [type(op) for op in bench.system.done] == [Uncouple, Couple]


def test_a_connector_that_is_away_is_asked_once_for_all(bench: Bench) -> None:
    for number in range(20):
        guest = f"9f3c2a10-0000-4000-8000-0000000000{number:02}"
        bench.server.bind(f"{number:032x}", guest=guest)
        bench.system.add(f"NV0000{number:02}", "1000", f"{number:032x}")
        bench.system.failures[f"couple NV0000{number:02}/1000 to VLAN 7 of VSW1"] = Unavailable("away")
    assert not bench.look() and not bench.server.up
    bench.system.failures.clear()
    assert bench.heal() and len(bench.server.up) == 20


def test_a_guest_that_did_not_wait_for_its_port_gets_it_soon(bench: Bench) -> None:
    """It was logged on with an entry that did not say what its adapter is coupled to."""
    bench.server.bind(A)
    key = bench.system.add("NV000001", "1000", A, running=True)
    assert not bench.look() and bench.server.up == set()
    assert bench.heal() and bench.server.up == {A} and bench.system.live[key] == "VSW1"


def test_an_adapter_that_is_to_come_again_is_waited_for(bench: Bench) -> None:
    """As that of a server that is rebuilt."""
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.now = 7200.0
    bench.system.remove("NV000001", "1000")
    assert not bench.reconciler.awaits
    assert bench.look() and bench.reconciler.awaits


def test_a_guest_that_is_deleted_costs_nothing_where_it_was_granted_nothing(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.remove("NV000001", "1000")
    del bench.server.bound[A]
    assert bench.look() and bench.system.asked == ["adapters"]


def test_an_adapter_that_an_operator_made_meanwhile_keeps_the_right(bench: Bench) -> None:
    bench.server.bind(A, vlan=0)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.directory["NV000001", "2000"] = Coupling("VSW1")
    bench.server.change(A, enabled=False)
    bench.reconciler.changed()
    assert bench.look() and bench.system.done == [Uncouple("NV000001", "1000", False)]
    assert bench.system.grants("VSW1") == {"NV000001"}
    # The connector takes only the rights of adapters that it has coupled itself.
    bench.system.remove("NV000001", "1000")
    bench.system.directory.clear()
    assert bench.look() and bench.system.grants("VSW1") == frozenset()


def test_an_entry_that_makes_no_sense_keeps_nobody_else_down(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.server.bind(A)
    bench.server.bind(B, guest=OTHER)
    bench.system.add("NV000001", "1000", A)
    bench.system.add("NV000002", "1000", B)
    bench.system.unreadable.add("NV000001")
    assert bench.heal() and bench.server.up == {B}
    assert f"Port {A} stays as it is: the directory entry of NV000001 cannot be read" in caplog.text


def test_nothing_is_missed_where_neutron_did_not_answer(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.server.error = Unavailable("no answer")
    with pytest.raises(Unavailable):
        bench.look()
    bench.server.error = None
    assert bench.look() and bench.server.up == {A}


def test_what_somebody_changed_by_hand_is_put_right(bench: Bench) -> None:
    bench.server.bind(A)
    key = bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.log_on("NV000001")
    bench.system.live[key] = ""
    assert bench.heal() and bench.system.live[key] == "VSW1"
    bench.system.directory[key] = Coupling("VSW1", 9)
    assert bench.heal() and bench.system.directory[key] == Coupling("VSW1", 7)
    assert bench.heal() and bench.system.done == []


def test_a_settled_host_is_compared_without_asking_for_power_states(bench: Bench) -> None:
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.log_on("NV000001")
    assert bench.heal()
    assert bench.system.asked == ["ipl", "names", "switch PLAIN", "switch VSW1", "adapters", "entry NV000001"]


def test_after_an_ipl_lost_switches_are_made_again_and_rights_given(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(uplinks={"VSW1": Uplink(("6243",), 1)})
    bench.server.bind(A, vlan=0)
    key = bench.system.add("NV000001", "1000", A)
    bench.look()
    bench.system.log_on("NV000001")
    bench.system.log_off("NV000001")
    del bench.system.made["VSW1"]
    bench.system.ipl = "IPL at 2"
    assert bench.heal() and "started anew" in caplog.text
    assert bench.system.grants("VSW1") == {"NV000001"} and bench.server.up == {A}
    bench.system.log_on("NV000001")
    assert bench.system.live[key] == "VSW1"


@pytest.mark.parametrize(
    ("physnet", "vlan", "reason"),
    [
        ("PLAIN", 7, "knows no VLANs"),
        ("VSW9", 7, "no virtual switch of this host carries"),
        ("VSW1", 4095, "not between 1 and 4094"),
        ("GONE", 7, "virtual switch LOST of physical network GONE does not exist"),
    ],
)
def test_a_port_that_no_switch_can_carry_stays_down_and_says_why(
    physnet: str, vlan: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(mapping={"PLAIN": "PLAIN", "VSW1": "VSW1", "GONE": "LOST"})
    bench.server.bind(A, vlan=vlan, physnet=physnet)
    bench.system.add("NV000001", "1000", A)
    assert bench.look() and bench.server.up == set()
    assert f"Port {A} stays down" in caplog.text and reason in caplog.text


def test_a_binding_that_nobody_follows_up_is_not_waited_for_for_ever(bench: Bench) -> None:
    bench.reconciler.expect(A, Place("VSW1", 7))
    bench.now = 3599.0
    assert bench.reconciler.awaits
    bench.now = 3601.0
    assert not bench.reconciler.awaits
    bench.reconciler.forget(A)
    bench.reconciler.expect(A, Place("VSW1", 7))
    assert bench.reconciler.awaits
    bench.reconciler.expect(A, None)
    assert not bench.reconciler.awaits


def test_a_port_that_is_forgotten_after_it_was_listed_is_awaited_no_more(bench: Bench) -> None:
    bench.server.bind(A)
    bench.reconciler.expect(A, Place("VSW1", 7))
    bench.server.once_listed = lambda: bench.reconciler.forget(A)
    bench.reconciler.changed()
    assert bench.look() and not bench.reconciler.awaits


def test_a_port_is_awaited_no_more_though_a_pass_puts_it_back_just_then(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.server.bind(A)

    class Contended:
        """A lock that a pass takes as soon as it is free, once."""

        passes = [lambda: bench.reconciler._await_others([], bench.server.bound, ())]

        def __enter__(self) -> None: ...

        def __exit__(self, *_error: object) -> None:
            if self.passes:
                self.passes.pop()()

    monkeypatch.setattr(bench.reconciler, "_guard", Contended())
    bench.reconciler.forget(A)
    assert not bench.reconciler.awaits


def test_a_comparison_awaits_what_is_bound_and_nothing_else(bench: Bench) -> None:
    bench.reconciler.expect(A, Place("VSW1", 7))
    assert bench.heal() and not bench.reconciler.awaits, "its end was not heard"
    bench.server.once_listed = lambda: bench.reconciler.expect(B, Place("VSW1", 7))
    assert bench.heal() and bench.reconciler.awaits, "it was bound meanwhile"


def test_an_agent_that_starts_awaits_what_is_bound_and_has_no_adapter(bench: Bench) -> None:
    bench.server.bind(A)
    assert bench.restarted().awaits


def test_a_guest_that_was_made_anew_between_two_looks_is_granted_the_switch_again(bench: Bench) -> None:
    """As in a rebuild: the connector has taken the right with the old guest, and the new one has the same name."""
    bench.server.bind(A, vlan=0)
    bench.system.add("NV000001", "1000", A)
    assert bench.look() and bench.server.up == {A}
    bench.system.apply(Revoke("NV000001", "VSW1"))
    bench.system.remove("NV000001", "1000")
    bench.system.add("NV000001", "1000", A)
    assert bench.look()
    assert bench.system.grants("VSW1") == {"NV000001"}
    bench.system.log_on("NV000001")
    assert bench.system.live["NV000001", "1000"] == "VSW1"


def test_a_port_is_not_up_while_nobody_can_tell_whether_its_guest_runs(bench: Bench) -> None:
    """Coupled in the directory alone it would carry nothing, and CP says nothing of it to a look."""
    bench.server.bind(A)
    bench.system.add("NV000001", "1000", A)
    assert bench.look() and bench.server.up == {A}
    bench.system.log_on("NV000001")
    bench.system.add("NV000001", "1003", B, running=True)
    bench.server.bind(B)
    bench.system.untold.add("NV000001")
    bench.reconciler.changed()
    bench.look()
    assert bench.server.up == {A} and bench.system.done == []
    bench.system.untold.clear()
    assert bench.look()
    assert bench.server.up == {A, B} and bench.system.live["NV000001", "1003"] == "VSW1"
