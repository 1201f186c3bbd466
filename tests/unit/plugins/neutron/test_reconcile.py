"""The reconciler on bridges and ports held in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import pytest

from bigiron import naming
from bigiron.errors import AuthError, Busy, PlatformError, Timeout, Unavailable
from bigiron.plugins.neutron.ports import Place, Port
from bigiron.plugins.neutron.reconcile import Network, Reconciler
from bigiron.powervm.errors import Stale
from bigiron.powervm.network.clients import ClientAdapter
from bigiron.powervm.network.trunks import AddVlan, Bridge, Op, RemoveVlan, SharedAdapter, Trunk, apply
from bigiron.powervm.network.vif_events import VifEvent

GUEST = "9f3c2a10-0000-4000-8000-000000000001"


def bridge(uuid: str = "b1", trunks: Sequence[Trunk] = (), vswitch: int = 0) -> Bridge:
    adapters = tuple(SharedAdapter(f"ent{n}", f"vios{n}", Trunk(1), tuple(trunks)) for n in (5, 6))
    return Bridge(uuid, vswitch, False, adapters)


def port(number: int, vlan: int, physnet: str = "physnet1", **changes: object) -> Port:
    made = Port(
        id=f"port-{number}",
        mac=f"fa:16:3e:00:00:{number:02x}",
        physical_network=physnet,
        vlan=vlan,
        enabled=True,
        active=False,
        guest=GUEST,
        device=f"port-{number}",
        down=not changes.get("active"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def plug(made: Port) -> VifEvent:
    return VifEvent("plug", made.mac, naming.VIF_TYPE_PVM_SEA, made.id)


def unplug(made: Port) -> VifEvent:
    return VifEvent("unplug", made.mac, naming.VIF_TYPE_PVM_SEA, made.id)


@dataclass
class Host:
    """A host and Neutron's view of it; counts what is asked of the platform."""

    bridges: tuple[Bridge, ...] = (bridge(),)
    ports_here: list[Port] = field(default_factory=list)
    adapters: list[ClientAdapter] = field(default_factory=list)
    foreign: list[ClientAdapter] = field(default_factory=list)
    orphans: dict[int, dict[int, str]] = field(default_factory=dict)
    faults: list[PlatformError] = field(default_factory=list)
    hated: set[int] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)
    stiff: bool = False
    silent: bool = False
    reads: int = 0
    updates: list[tuple[Op, ...]] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)

    def read(self) -> tuple[Bridge, ...]:
        self.reads += 1
        return self.bridges

    def known(self) -> tuple[Bridge, ...]:
        return self.bridges

    def read_orphans(self) -> dict[int, dict[int, str]]:
        self.reads += 1
        return self.orphans

    def vlans_in_use(self) -> dict[int, frozenset[int]]:
        self.reads += 1
        return {0: frozenset(vlan for adapter in self.all() for vlan in adapter.vlans)}

    def apply(self, ops: Sequence[Op]) -> int:
        if self.faults:
            raise self.faults.pop(0)
        for op in ops:
            if isinstance(op, AddVlan) and op.vlan in self.hated:
                raise PlatformError(f"VLAN {op.vlan} is not allowed here")
            if isinstance(op, RemoveVlan) and op.vlan in self.stuck:
                raise PlatformError(f"VLAN {op.vlan} cannot be removed")
        self.bridges = apply(self.bridges, ops)
        self.updates.append(tuple(ops))
        return 1

    def of(self, partitions: Collection[str]) -> list[ClientAdapter]:
        return [adapter for adapter in self.adapters if adapter.partition in partitions]

    def all(self) -> list[ClientAdapter]:
        return [*self.adapters, *self.foreign]

    def set_tagged(self, adapter: ClientAdapter, vlans: frozenset[int]) -> None:
        if self.stiff:
            raise PlatformError("the adapter cannot be changed now")
        self.adapters[self.adapters.index(adapter)] = replace(adapter, tagged=vlans, vlans=adapter.vlans | vlans)

    def set_allowed(self, adapter: ClientAdapter, allowed: str) -> None:
        if self.stiff:
            raise PlatformError("the adapter cannot be changed now")
        self.adapters[self.adapters.index(adapter)] = replace(adapter, allowed=allowed)

    def ports(self) -> list[Port]:
        return list(self.ports_here)

    def lookup(self, devices: Collection[str]) -> list[Port]:
        if self.silent:
            raise Unavailable("Neutron's server did not answer")
        return [p for p in self.ports_here if p.device in devices]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        self.up += up
        self.down += down

    def bind(self, *ports: Port, plugged: bool = False) -> None:
        self.ports_here += ports
        if plugged:
            self.adapters += [ClientAdapter(naming.lpar_uuid(p.guest), p.mac, 0, frozenset([p.vlan])) for p in ports]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def reconciler(host: Host) -> Reconciler:
    return Reconciler(host, host, host, {"physnet1": Network("b1", 0)}, host.announced.extend)


def test_a_guest_whose_port_was_told_of_does_not_wait_for_neutron(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([100]))]),)
    host.bind(port(1, 100), port(2, 200), port(3, 100))
    for number, vlan in ((1, 100), (2, 200), (3, 100)):
        reconciler.expect(f"port-{number}", Place("physnet1", vlan))
    reconciler.expect("port-3", None)
    host.silent = True
    with pytest.raises(Unavailable):
        reconciler.handle([plug(port(number, vlan)) for number, vlan in ((1, 100), (2, 200), (3, 100))])
    assert host.announced == ["port-1"]  # the VLAN of 2 is not there yet, and 3 was disabled since
    assert host.up == []


def test_a_waiting_guest_is_told_once(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([100]))]),)
    host.bind(port(1, 100), port(2, 200))
    reconciler.expect("port-1", Place("physnet1", 100))
    reconciler.expect("port-2", Place("physnet1", 200))
    assert reconciler.handle([plug(port(1, 100)), plug(port(2, 200))])
    assert host.announced == ["port-1", "port-2"]
    assert sorted(host.up) == ["port-1", "port-2"]
    assert host.reads == 2  # the bridges once, and what else is on the switches for the update


def test_a_port_that_was_bound_elsewhere_since_is_not_expected(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([100]))]),)
    for number in (1, 2):
        reconciler.expect(f"port-{number}", Place("physnet1", 100))
    reconciler.forget("port-1")
    assert reconciler.heal()  # which finds that port 2 is not bound here
    assert reconciler.handle([plug(port(1, 100)), plug(port(2, 100))])
    assert host.announced == []


def test_an_announced_port_gets_its_vlan_and_comes_up(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100))
    assert reconciler.handle([plug(port(1, 100))])
    assert host.bridges[0].carries(100)
    assert host.up == ["port-1"]


def test_who_waits_for_a_port_is_told_before_neutron(host: Host) -> None:
    told: list[tuple[list[str], list[str]]] = []

    def announce(ports: Sequence[str]) -> None:
        told.append((list(ports), list(host.up)))

    reconciler = Reconciler(host, host, host, {"physnet1": Network("b1", 0)}, announce)
    host.bind(port(1, 100), replace(port(2, 100), enabled=False))
    reconciler.handle([plug(port(1, 100)), plug(port(2, 100))])
    assert told == [(["port-1"], [])]
    assert host.up == ["port-1"]
    host.bind(port(3, 100), plugged=True)
    reconciler.heal()
    assert told[1:] == [(["port-3"], ["port-1"])]


def test_a_port_on_a_vlan_already_there_costs_one_read(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([100]))]),)
    host.bind(port(1, 100))
    reconciler.handle([plug(port(1, 100))])
    assert (host.reads, host.updates, host.up) == (1, [], ["port-1"])


def test_ports_that_come_together_share_one_update_with_those_that_come_meanwhile(
    host: Host, reconciler: Reconciler
) -> None:
    early, late = [port(n, 100 + n % 3) for n in range(6)], [port(n, 103) for n in range(6, 9)]
    host.bind(*early, *late)
    reconciler.handle([plug(p) for p in early], lambda: [plug(p) for p in late])
    assert len(host.updates) == 1
    assert sorted(host.up) == sorted(p.id for p in (*early, *late))


def test_only_the_last_announcement_of_an_adapter_counts(host: Host, reconciler: Reconciler) -> None:
    one, two = port(1, 100), port(2, 100)
    host.bind(one, two)
    reconciler.handle([plug(one), plug(two)], lambda: [unplug(one)])
    assert (host.up, host.down) == (["port-2"], ["port-1"])
    assert reconciler.plugged("port-1") is None
    assert reconciler.plugged("port-2") == two


def test_a_port_that_neutron_does_not_know_is_left_alone(host: Host, reconciler: Reconciler) -> None:
    assert reconciler.handle([plug(port(1, 100))])
    assert (host.reads, host.up, host.down) == (0, [], [])


def test_a_port_without_a_bridge_never_comes_up_and_does_not_stop_the_others(
    host: Host, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    host.bind(port(1, 100, "physnet9"), port(2, 100))
    reconciler.handle([plug(port(1, 100)), plug(port(2, 100))])
    assert host.up == ["port-2"]
    assert "physical network physnet9; add it to [AGENT] bridge_mappings" in caplog.text


def test_an_unmapped_port_that_is_up_is_taken_down_by_a_comparison(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100, "physnet9", active=True), port(2, 101), plugged=True)
    assert reconciler.heal()
    assert (host.up, host.down) == (["port-2"], ["port-1"])


def test_a_disabled_port_is_wired_and_stays_down(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100, enabled=False))
    reconciler.handle([plug(port(1, 100))])
    assert host.bridges[0].carries(100)
    assert (host.up, host.down) == ([], ["port-1"])


def test_a_bridge_changed_by_somebody_else_is_read_and_planned_again(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100))
    host.faults = [Stale("changed"), Stale("changed again")]
    assert reconciler.handle([plug(port(1, 100))])
    assert host.up == ["port-1"]


def test_one_vlan_that_the_platform_refuses_fails_only_its_own_port(
    host: Host, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    ports = [port(n, 100 + n) for n in range(4)]
    host.bind(*ports)
    host.hated = {102}
    assert not reconciler.handle([plug(p) for p in ports]), "a later try may help"
    assert sorted(host.up) == ["port-0", "port-1", "port-3"]
    assert "Port port-2 stays down: VLAN 102 is not allowed here" in caplog.text


def test_a_vlan_on_a_trunk_outside_any_bridge_is_refused(
    host: Host, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    host.orphans = {0: {100: "ent9 of VIOS vios1"}}
    host.bind(port(1, 100), port(2, 101))
    assert reconciler.handle([plug(p) for p in host.ports_here])
    assert host.up == ["port-2"]
    assert "ent9 of VIOS vios1" in caplog.text


UNANSWERED = [Busy("busy"), Unavailable("down"), Timeout("still at it"), AuthError("who?")]


@pytest.mark.parametrize("error", UNANSWERED)
def test_a_bridge_that_does_not_answer_is_asked_once_and_keeps_nobody_else_waiting(
    host: Host, error: PlatformError
) -> None:
    host.bridges = (bridge("b1", [Trunk(4094, frozenset([100]))]), bridge("b2", vswitch=1))
    reconciler = Reconciler(host, host, host, {"physnet1": Network("b1", 0), "physnet2": Network("b2", 1)})
    host.bind(*(port(n, 100 + n) for n in range(20)), port(30, 100, physnet="physnet2"))
    host.faults = [error]
    assert not reconciler.handle([plug(p) for p in host.ports_here])
    assert sorted(host.up) == ["port-0", "port-30"], "those on a VLAN already there, and those of another bridge"
    assert not host.faults
    assert len(host.updates) == 1
    assert len(host.down) == 19


def test_a_bridge_that_others_change_all_the_time_is_left_for_later(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100))
    host.faults = [Stale("changed")] * 50
    assert not reconciler.handle([plug(port(1, 100))])
    assert (host.up, host.down) == ([], ["port-1"])
    assert 5 < 50 - len(host.faults) < 20


def test_a_removal_that_is_refused_keeps_no_vlan_away(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([50]))]),)
    host.bind(port(1, 101), plugged=True)
    host.stuck = {50}
    assert not reconciler.heal()
    assert host.up == ["port-1"]
    assert sorted(host.bridges[0].added_vlans()) == [50, 101]


def test_an_update_that_changes_nothing_brings_no_port_up(
    host: Host, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    host.bind(port(1, 100))
    host.apply = lambda ops: 1  # type: ignore[method-assign]
    assert not reconciler.handle([plug(port(1, 100))])
    assert host.up == []
    assert "Port port-1 stays down: the bridge has not got it" in caplog.text


@pytest.mark.parametrize(("vlan", "vswitch"), [(999, 0), (101, 1)])
def test_an_adapter_on_another_vlan_or_switch_is_not_the_ports(
    host: Host, reconciler: Reconciler, vlan: int, vswitch: int, caplog: pytest.LogCaptureFixture
) -> None:
    host.bind(port(1, 101, active=True))
    host.adapters = [ClientAdapter(naming.lpar_uuid(GUEST), port(1, 101).mac, vswitch, frozenset([vlan]))]
    reconciler.heal()
    assert host.down == ["port-1"]
    assert "attach it again" in caplog.text


def test_a_comparison_brings_up_what_is_wired_and_takes_down_what_lost_its_adapter(
    host: Host, reconciler: Reconciler
) -> None:
    host.bind(port(1, 100), port(2, 101, active=True), plugged=True)
    host.bind(port(3, 102, active=True), port(4, 103))
    reconciler.heal()
    assert (host.up, host.down) == (["port-1"], ["port-3"])
    assert [host.bridges[0].carries(vlan) for vlan in (100, 101, 102, 103)] == [True, True, False, False]


def test_a_comparison_puts_back_a_vlan_that_somebody_removed(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100, active=True), plugged=True)
    reconciler.heal()
    host.bridges = (bridge(),)
    reconciler.heal()
    assert host.bridges[0].carries(100)
    assert (host.up, host.down) == ([], [])


def test_cleaning_keeps_what_ports_or_other_partitions_use_and_what_is_bound_but_not_plugged(
    host: Host, reconciler: Reconciler
) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([100, 101, 102, 103]))]),)
    host.bind(port(1, 100, active=True), plugged=True)
    host.bind(port(2, 101))
    host.foreign = [ClientAdapter("AIX", "0a:00:00:00:00:01", 0, frozenset([102]))]
    reconciler.heal()
    assert sorted(host.bridges[0].added_vlans()) == [100, 101, 102]


def test_an_adapter_on_another_switch_keeps_no_vlan(host: Host, reconciler: Reconciler) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([103]))]),)
    host.foreign = [ClientAdapter("AIX", "0a:00:00:00:00:01", 1, frozenset([103]))]
    reconciler.heal()
    assert host.bridges == (bridge(),)


def test_without_cleaning_nothing_is_removed(host: Host) -> None:
    host.bridges = (bridge(trunks=[Trunk(4094, frozenset([103]))]),)
    Reconciler(host, host, host, {"physnet1": Network("b1", 0)}, cleanup=False).heal()
    assert host.bridges[0].carries(103)


def test_a_new_trunk_takes_no_vlan_of_a_client(host: Host, reconciler: Reconciler) -> None:
    host.foreign = [ClientAdapter("AIX", "0a:00:00:00:00:01", 0, frozenset([4094, 4093]))]
    host.bind(port(1, 100))
    reconciler.handle([plug(port(1, 100))])
    assert host.bridges == (bridge(trunks=[Trunk(4092, frozenset([100]))]),)


def test_a_bridge_that_is_gone_brings_no_port_up(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.bind(port(1, 100))
    Reconciler(host, host, host, {"physnet1": Network("b9", 0)}).handle([plug(port(1, 100))])
    assert host.up == []
    assert "network bridge b9 is not on the system any more" in caplog.text


def trunk(host: Host, *subports: Port) -> Port:
    """A trunk's own port with its adapter, and the subports beside it."""
    parent = port(1, 100, trunk=True)
    host.bind(parent, plugged=True)
    host.bind(*(replace(one, parent=parent.id, mac=parent.mac, guest=parent.guest) for one in subports))
    return parent


def test_a_trunks_adapter_gets_the_vlans_of_its_subports(host: Host, reconciler: Reconciler) -> None:
    trunk(host, port(2, 200), port(3, 300, enabled=False))
    assert reconciler.heal()
    assert host.adapters[0].tagged == {200}
    assert host.bridges[0].carries(200)
    assert host.up == ["port-1", "port-2"]
    assert reconciler.subports("port-1") == {"port-2", "port-3"}


def test_a_subport_that_left_takes_its_tag_along(host: Host, reconciler: Reconciler) -> None:
    trunk(host, port(2, 200), port(3, 300))
    reconciler.heal()
    host.ports_here.pop()
    host.up.clear()
    assert reconciler.heal()
    assert host.adapters[0].tagged == {200}


def test_a_subport_stays_down_where_the_adapter_takes_no_tag_and_the_trunk_does_not(
    host: Host, reconciler: Reconciler
) -> None:
    trunk(host, port(2, 200))
    host.stiff = True
    assert not reconciler.heal(), "trying again may help"
    assert host.up == ["port-1"]
    host.stiff = False
    assert reconciler.heal()
    assert "port-2" in host.up


def test_a_tag_that_cannot_be_taken_away_is_tried_again_and_takes_nobody_down(
    host: Host, reconciler: Reconciler
) -> None:
    trunk(host, port(2, 200))
    reconciler.heal()
    host.ports_here = [replace(one, active=True) for one in host.ports_here[:1]]
    host.stiff = True
    assert not reconciler.heal()
    assert host.down == []


def test_the_adapter_of_a_port_without_a_trunk_is_left_as_it_is(host: Host, reconciler: Reconciler) -> None:
    host.bind(port(1, 100), plugged=True)
    host.adapters[0] = replace(host.adapters[0], tagged=frozenset([77]))
    host.stiff = True
    assert reconciler.heal()


def test_what_a_guest_may_send_from_waits_until_it_is_off(
    host: Host, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    host.bind(replace(port(1, 100), allowed="NONE"), plugged=True)
    partition = host.adapters[0].partition
    assert reconciler.heal() and reconciler.heal()
    assert host.adapters[0].allowed == "ALL"
    assert sum("it should be: NONE" in each.message for each in caplog.records) == 1, "said once"
    assert reconciler.waits_for(partition)
    host.adapters[0] = replace(host.adapters[0], on=False)
    assert reconciler.heal()
    assert host.adapters[0].allowed == "NONE"
    assert not reconciler.waits_for(partition)


def test_a_refused_change_is_tried_again(host: Host, reconciler: Reconciler) -> None:
    host.bind(replace(port(1, 100), allowed="NONE"), plugged=True)
    host.adapters[0] = replace(host.adapters[0], on=False)
    host.stiff = True
    assert not reconciler.heal()
    host.stiff = False
    assert reconciler.heal()
    assert host.adapters[0].allowed == "NONE"


@pytest.mark.parametrize(("made", "good"), [("NONE", True), ("ALL", False), ("", True)])
def test_an_adapter_made_by_what_a_binding_said_once_asks_for_a_comparison(
    host: Host, reconciler: Reconciler, made: str, good: bool
) -> None:
    one = replace(port(1, 100), allowed="NONE")
    host.bind(one, plugged=True)
    assert reconciler.handle([VifEvent("plug", one.mac, "pvm_sea", one.device, macs=made)]) is good
