"""The event loop on a simulated host: what is delivered, in which order, and after which interruptions."""

from __future__ import annotations

import pytest
from tests.support.powervm_host import Host, until

from bigiron.errors import PlatformError
from bigiron.powervm import events
from bigiron.powervm.connection import Connection
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, MISSING_EVENTS, EventLoop, RestEvent, post_custom
from bigiron.sim.kernel.faults import Action

EVENT = "/rest/api/uom/Event"
URI = "http://localhost:12080/rest/api/uom/ManagedSystem/1c-2d/LogicalPartition/0aad02eb-BDFE"


@pytest.fixture
def heard(connection: Connection) -> list[RestEvent]:
    heard: list[RestEvent] = []
    connection.events.subscribe(heard.append)
    return heard


@pytest.mark.parametrize(
    ("resource", "data", "uuid"),
    [
        ("LogicalPartition", URI, "0AAD02EB-BDFE"),
        ("LogicalPartition", URI + "?group=None", "0AAD02EB-BDFE"),
        ("LogicalPartition", URI + "/ClientNetworkAdapter/1", None),
        ("ClientNetworkAdapter", URI + "/ClientNetworkAdapter/1f", "1F"),
        ("LogicalPartition", "", None),
    ],
)
def test_an_event_knows_what_it_is_about(resource: str, data: str, uuid: str | None) -> None:
    assert RestEvent("MODIFY_URI", data, "").object_of(resource) == uuid


def test_our_own_events_reach_every_subscriber_of_the_system(
    host: Host, connection: Connection, heard: list[RestEvent]
) -> None:
    other = host.connect()
    also: list[RestEvent] = []
    other.events.subscribe(also.append)
    for number in range(5):
        post_custom(connection.adapter, f"{URI}/{number}", '{"a": "<&>"}')
    until(lambda: len(heard) >= 5 and len(also) >= 5)
    assert [event.data[-1] for event in heard] == list("01234")
    assert {(event.type, event.detail) for event in also} == {(CUSTOM_CLIENT_EVENT, '{"a": "<&>"}')}
    other.close()


def test_one_listener_s_mistake_is_not_the_others(
    connection: Connection, heard: list[RestEvent], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: RestEvent) -> None:
        raise KeyError("broken")

    connection.events.subscribe(broken)
    last: list[RestEvent] = []
    connection.events.subscribe(last.append)
    post_custom(connection.adapter, URI, "x")
    post_custom(connection.adapter, URI, "y")
    until(lambda: len(last) >= 2)
    assert "A listener failed" in caplog.text


@pytest.mark.parametrize("action", [Action.DROP_AFTER, Action.ERROR])
def test_after_an_interruption_listeners_hear_that_events_may_be_lost(
    host: Host, connection: Connection, heard: list[RestEvent], action: Action
) -> None:
    host.fault("GET", EVENT, action)
    post_custom(connection.adapter, URI, "ends the poll that is under way")
    until(lambda: bool(heard))
    post_custom(connection.adapter, URI, "ends the one that is lost")
    until(host.faults_fired)
    post_custom(connection.adapter, URI, "ends the one after")
    until(lambda: any(event.type == MISSING_EVENTS for event in heard), 20)
    heard.clear()
    post_custom(connection.adapter, URI, "after")
    until(lambda: any(event.detail == "after" for event in heard))


def test_a_long_interruption_and_its_end_are_told_once_each(
    host: Host, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_RETRY_S", (0.05,))
    monkeypatch.setattr(events, "_AWAY_S", 0.1)
    told: list[bool] = []
    connection.events.watch(told.append)
    host.fault("GET", EVENT, Action.ERROR, times=8)
    post_custom(connection.adapter, URI, "ends the poll that is under way")
    until(host.faults_fired)
    until(lambda: told == [False, True], 20)


def test_a_stopped_loop_delivers_nothing_and_keeps_no_process_alive(
    connection: Connection, heard: list[RestEvent]
) -> None:
    thread = connection.events._thread
    assert thread is not None and thread.daemon
    connection.events.stop()
    post_custom(connection.adapter, URI, "x")
    until(lambda: not thread.is_alive())
    assert not heard


def test_a_start_that_is_not_acknowledged_is_an_error(host: Host, connection: Connection) -> None:
    host.fault("GET", EVENT, times=0)
    with pytest.raises(PlatformError, match="event stream"):
        EventLoop(connection.adapter).start()
