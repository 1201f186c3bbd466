"""The work loop: what fills its queue, and what follows a pass that failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bigiron.errors import Unavailable
from bigiron.naming import VIF_TYPE_PVM_SEA
from bigiron.plugins.neutron.loop import WorkLoop
from bigiron.plugins.neutron.ports import Place, Port
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, MISSING_EVENTS, MODIFY_URI, RestEvent
from bigiron.powervm.network.vif_events import VifEvent

MAC = "fa:16:3e:00:00:01"
PLUGGED = Port("port-1", MAC, "physnet1", 100, enabled=True, active=True, guest="")


class Recorder:
    """Stands for the reconciler: remembers the passes, fails those it is told to."""

    def __init__(self) -> None:
        self.handled: list[list[VifEvent]] = []
        self.heals = 0
        self.looks = 0
        self.edited = False
        self.failures: list[Exception | bool] = []
        self.ports = {"port-1": PLUGGED}
        self.waiting: set[str] = set()
        self.expected: dict[str, Place | None] = {}

    def handle(self, events: Sequence[VifEvent], gather: Callable[[], Sequence[VifEvent]]) -> bool:
        self.handled.append([*events, *gather()])
        return self._outcome()

    def heal(self) -> bool:
        self.heals += 1
        return self._outcome()

    def differs(self) -> bool:
        self.looks += 1
        return self.edited

    def plugged(self, port_id: str) -> Port | None:
        return self.ports.get(port_id)

    def subports(self, port_id: str) -> frozenset[str]:
        return frozenset(port.id for port in self.ports.values() if port.parent == port_id)

    def waits_for(self, partition: str) -> bool:
        return partition in self.waiting

    def expect(self, port_id: str, place: Place | None) -> None:
        self.expected[port_id] = place

    def forget(self, port_id: str) -> None:
        self.ports.pop(port_id, None)

    def _outcome(self) -> bool:
        outcome = self.failures.pop(0) if self.failures else True
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(recorder: Any, clock: Clock) -> WorkLoop:
    return WorkLoop(recorder, "host1", heal_interval=1800, exception_interval=5, clock=clock)


def announced(
    action: str = "plug", vif_type: str = VIF_TYPE_PVM_SEA, mac: str = MAC, port: str | None = None
) -> RestEvent:
    detail = VifEvent(action, mac, vif_type, port).detail()  # type: ignore[arg-type]
    return RestEvent(CUSTOM_CLIENT_EVENT, "http://host/adapter", detail)


def test_an_announcement_is_handled(loop: WorkLoop, recorder: Recorder) -> None:
    loop.on_event(announced(port="port-1"))
    loop.step(0)
    assert recorder.handled == [[VifEvent("plug", MAC, VIF_TYPE_PVM_SEA, "port-1")]]
    assert recorder.heals == 0


@pytest.mark.parametrize(
    "event",
    [
        announced(vif_type="pvm_sriov"),
        RestEvent(CUSTOM_CLIENT_EVENT, "x", "not json"),
        RestEvent(CUSTOM_CLIENT_EVENT, "x", '{"provider": "SOMEBODY", "action": "plug"}'),
        RestEvent(CUSTOM_CLIENT_EVENT, "x", '{"provider": "NOVA_PVM_VIF", "action": "plug", "mac": "no"}'),
        RestEvent(MODIFY_URI, "http://host/LogicalPartition/1", "PartitionState"),
    ],
)
def test_other_events_are_none_of_its_business(loop: WorkLoop, recorder: Recorder, event: RestEvent) -> None:
    loop.on_event(event)
    loop.step(0)
    assert (recorder.handled, recorder.heals) == ([], 0)


def test_a_mac_in_the_platform_s_own_spelling_is_understood(loop: WorkLoop, recorder: Recorder) -> None:
    loop.on_event(announced(mac="FA163E000001"))
    loop.step(0)
    assert recorder.handled[0][0].mac == MAC


def test_all_that_waits_is_one_pass(loop: WorkLoop, recorder: Recorder) -> None:
    for number in range(5):
        loop.on_event(announced(port=f"port-{number}"))
    loop.step(0)
    assert [len(events) for events in recorder.handled] == [5]


def test_lost_events_and_an_activated_binding_ask_for_a_comparison(loop: WorkLoop, recorder: Recorder) -> None:
    loop.on_event(RestEvent(MISSING_EVENTS, "", ""))
    loop.port_arrived("port-7")
    loop.step(0)
    assert recorder.heals == 1


@pytest.mark.parametrize("differs", [False, True])
@pytest.mark.parametrize("address", ["NetworkBridge/7", "NetworkBridge/7/LoadGroup/8"])
def test_a_bridge_that_somebody_changed_is_looked_at(
    loop: WorkLoop, recorder: Recorder, address: str, differs: bool
) -> None:
    recorder.edited = differs
    for _ in range(2):
        loop.on_event(RestEvent(MODIFY_URI, f"http://host/rest/api/uom/ManagedSystem/1/{address}", "Other"))
    for _ in range(2):
        loop.step(0)
    assert (recorder.looks, recorder.heals) == (1, int(differs))


def test_it_compares_when_it_is_time(loop: WorkLoop, recorder: Recorder, clock: Clock) -> None:
    clock.now += 1799
    loop.step(0)
    assert recorder.heals == 0
    clock.now += 1
    loop.step(0)
    loop.step(0)
    assert recorder.heals == 1


@pytest.mark.parametrize("failure", [Unavailable("the platform is away"), KeyError("a mistake"), False])
def test_a_failed_pass_is_followed_by_comparisons_with_growing_pauses(
    loop: WorkLoop, recorder: Recorder, clock: Clock, failure: Exception | bool
) -> None:
    recorder.failures = [failure, failure, True]
    loop.on_event(announced())
    loop.step(0)
    assert recorder.heals == 0
    clock.now += 5
    loop.step(0)
    assert recorder.heals == 1
    clock.now += 4
    loop.step(0)
    assert recorder.heals == 1
    clock.now += 1
    recorder.failures = [failure]
    loop.step(0)
    assert recorder.heals == 2
    clock.now += 9
    loop.step(0)
    assert recorder.heals == 2
    clock.now += 1
    loop.step(0)
    assert recorder.heals == 3
    clock.now += 1799
    loop.step(0)
    assert recorder.heals == 3


def test_announcements_that_fail_do_not_put_the_comparison_off(
    loop: WorkLoop, recorder: Recorder, clock: Clock
) -> None:
    recorder.failures = [False] * 10
    for _ in range(10):
        loop.on_event(announced())
        loop.step(0)
        clock.now += 0.4
    clock.now += 1.1
    loop.step(0)
    assert (len(recorder.handled), recorder.heals) == (10, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"vlan": 101},
        {"physical_network": "physnet2"},
        {"enabled": False},
        {"active": False},
    ],
)
def test_a_changed_port_that_is_plugged_is_looked_at_again(
    loop: WorkLoop, recorder: Recorder, change: dict[str, Any]
) -> None:
    same = {"host": "host1", "physical_network": "physnet1", "vlan": 100, "enabled": True, "active": True}
    loop.port_changed("port-1", **same)
    loop.step(0)
    assert recorder.handled == []
    loop.port_changed("port-1", **{**same, **change})
    loop.step(0)
    assert recorder.handled == [[VifEvent("plug", MAC, VIF_TYPE_PVM_SEA, "port-1")]]


def test_a_port_without_an_adapter_is_not_touched_by_an_update(loop: WorkLoop, recorder: Recorder) -> None:
    loop.port_changed("port-2", "host1", "physnet1", 100, enabled=True, active=False)
    loop.step(0)
    assert recorder.handled == []


def test_a_port_that_leaves_is_forgotten(loop: WorkLoop, recorder: Recorder) -> None:
    loop.port_changed("port-1", "host2", "physnet1", 100, enabled=True, active=False)
    loop.step(0)
    assert (recorder.handled, recorder.ports) == ([], {})


@pytest.mark.parametrize(
    ("host", "enabled", "place"),
    [("host1", True, Place("physnet1", 100)), ("host1", False, None), ("host2", True, None)],
)
def test_a_port_bound_here_is_expected(
    loop: WorkLoop, recorder: Recorder, host: str, enabled: bool, place: Place | None
) -> None:
    loop.port_changed("port-2", host, "physnet1", 100, enabled=enabled, active=False)
    assert recorder.expected == {"port-2": place}


def test_it_compares_at_the_start_and_ends_when_told(loop: WorkLoop, recorder: Recorder) -> None:
    compared = threading.Event()
    recorder.heal = lambda: bool(compared.set()) or True  # type: ignore[method-assign]
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert compared.wait(10)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_the_subports_of_an_announced_trunk_follow_by_a_comparison(loop: WorkLoop, recorder: Recorder) -> None:
    event = VifEvent("plug", MAC, VIF_TYPE_PVM_SEA, "port-1", trunk=True)
    loop.on_event(RestEvent(CUSTOM_CLIENT_EVENT, "http://host/adapter", event.detail()))
    loop.step(0)
    assert (recorder.handled, recorder.heals) == ([[event]], 1)


@pytest.mark.parametrize(
    ("change", "heals"),
    [
        (("sub", "host1", 200, True, False), 1),
        (("sub", "host1", 200, False, True), 1),
        (("sub", "host1", 201, True, True), 1),
        (("sub", "host1", 200, True, True), 0),
        (("new", "host1", 300, True, False), 1),
        (("new", "host2", 300, True, False), 0),
        (("off", "host1", 400, False, False), 0),
    ],
)
def test_a_subport_matters_where_its_trunks_adapter_has_to_change(
    loop: WorkLoop, recorder: Recorder, change: tuple[str, str, int, bool, bool], heals: int
) -> None:
    recorder.ports["sub"] = Port("sub", MAC, "physnet1", 200, enabled=True, active=True, guest="", parent="port-1")
    loop.subport_changed(*change)
    loop.step(0)
    assert (recorder.handled, recorder.heals) == ([], heals)


def test_the_trunk_of_a_subport_that_is_unbound_is_looked_at(loop: WorkLoop, recorder: Recorder) -> None:
    recorder.ports["sub"] = Port("sub", MAC, "physnet1", 200, enabled=True, active=True, guest="", parent="port-1")
    loop.port_gone("port-1")
    loop.step(0)
    assert recorder.heals == 0
    loop.port_gone("sub")
    loop.step(0)
    assert (recorder.heals, recorder.ports) == (1, {})


def test_a_subport_that_has_left_its_trunk_is_noticed(loop: WorkLoop, recorder: Recorder) -> None:
    recorder.ports["sub"] = Port("sub", MAC, "physnet1", 200, enabled=True, active=True, guest="", parent="port-1")
    loop.trunk_changed("port-1", frozenset(["sub", "new"]))
    loop.trunk_changed("port-2", frozenset())
    loop.step(0)
    assert recorder.heals == 0
    loop.trunk_changed("port-1", frozenset(["new"]))
    loop.step(0)
    assert recorder.heals == 1


@pytest.mark.parametrize(
    ("port_id", "allowed", "heals"), [("port-1", "NONE", 1), ("port-1", "ALL", 0), ("x", "NONE", 0)]
)
def test_addresses_matter_where_an_adapter_lets_others_through(
    loop: WorkLoop, recorder: Recorder, port_id: str, allowed: str, heals: int
) -> None:
    loop.addresses_changed(port_id, allowed)
    loop.step(0)
    assert recorder.heals == heals


@pytest.mark.parametrize(
    ("waiting", "detail", "heals"), [("AB", "PartitionState", 1), ("AB", "Name", 0), ("CD", "PartitionState", 0)]
)
def test_a_partition_that_changes_its_state_is_looked_at_where_something_waits_for_that(
    loop: WorkLoop, recorder: Recorder, waiting: str, detail: str, heals: int
) -> None:
    recorder.waiting = {waiting}
    loop.on_event(RestEvent(MODIFY_URI, "http://host/rest/api/uom/LogicalPartition/ab", detail))
    loop.step(0)
    assert recorder.heals == heals
