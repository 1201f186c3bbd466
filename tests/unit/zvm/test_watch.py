"""Who has stopped without us, and whether the connector answers, on recorded answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.zvm.recorded import Answer, Recorded, done, failed

from bigiron.errors import NotFound
from bigiron.model import GuestEvent, PowerState
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guests
from bigiron.zvm.ledger import Ledger, LedgerEntry
from bigiron.zvm.power import Power
from bigiron.zvm.rest import Connector
from bigiron.zvm.watch import Watch

INSTANCE = "5d4b5c2e-1111-4222-8333-444455556666"
STATE = "/guests/NVAAAAAA/power_state_real"
ENTRY = "/guests/NVAAAAAA/user_direct"


class Watched:
    """One guest in a recorded connector."""

    def __init__(self, recorded: Recorded, connector: Connector, folder: Path) -> None:
        self.recorded = recorded
        self.api = Api(connector)
        self.ledger = Ledger(folder)
        self.ledger.put(LedgerEntry(INSTANCE, "NVAAAAAA", "one", making=False))
        recorded.on("GET", "/guests", done(["NVAAAAAA", "MAINT"]))
        self.guests = Guests(self.api, self.ledger)
        self.guests.load()
        self.power = Power(self.api, self.ledger)
        self.events: list[GuestEvent] = []
        self.power.subscribe(self.events.append)
        self.now = 100.0
        self.watch = Watch(0.0, self.guests, self.power, self.ping, lambda: self.now)
        self.reachable: list[bool] = []
        self.watch.subscribe(self.reachable.append)

    def ping(self) -> None:
        self.api.power_state("ZCC00001")


@pytest.fixture
def watched(recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path) -> Watched:
    return Watched(recorded, connector(), tmp_path)


def test_a_change_is_told_once(watched: Watched) -> None:
    watched.recorded.on("GET", STATE, done("on"), done("on"), done("off"), done("off"), done("on"))
    watched.recorded.on("GET", ENTRY, done({"user_direct": ["USER NVAAAAAA ****** 1G 2G G"]}))
    watched.watch.first_look()
    for _ in range(4):
        watched.watch.look()
    assert watched.events == [GuestEvent(INSTANCE, PowerState.STOPPED), GuestEvent(INSTANCE, PowerState.RUNNING)]


def test_a_guest_that_somebody_has_deleted_is_no_guest_that_is_off(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.recorded.on("GET", STATE, done("on"), done("off"))
    watched.recorded.on("GET", ENTRY, failed(8, 400, 4, 1, "Image or profile name not defined"), status=404)
    for _ in range(3):
        watched.watch.look()
    assert watched.events == []
    assert caplog.text.count("guest one (NVAAAAAA) is gone from z/VM") == 1
    with pytest.raises(NotFound):
        watched.power.state(watched.guests.find(INSTANCE))
    # It is made again, and goes once more.
    watched.recorded.on("GET", STATE, done("on"), done("off"))
    for _ in range(3):
        watched.watch.look()
    assert caplog.text.count("guest one (NVAAAAAA) is gone from z/VM") == 2


def test_our_own_operations_are_no_news(watched: Watched) -> None:
    watched.recorded.on("GET", STATE, done("on"))
    watched.watch.look()
    guest = watched.guests.find(INSTANCE)
    watched.recorded.on("POST", "/guests/NVAAAAAA/action", done())
    watched.power.stop(guest)
    watched.recorded.on("GET", STATE, done("off"))
    watched.watch.look()
    assert watched.events == []
    stop = watched.recorded.bodies("POST", "/guests/NVAAAAAA/action")[-1]
    assert stop == {"action": "stop", "timeout": 120, "poll_interval": 1}


def test_a_paused_guest_runs_for_cp(watched: Watched) -> None:
    watched.recorded.on("GET", STATE, done("on"))
    watched.recorded.on("POST", "/guests/NVAAAAAA/action", done())
    guest = watched.guests.find(INSTANCE)
    watched.power.pause(guest)
    watched.power.pause(guest)
    assert Power(watched.api, Ledger(watched.ledger._records._folder.parent)).state(guest) is PowerState.PAUSED
    # A start lets it go on.
    watched.power.start(guest)
    asked = watched.recorded.bodies("POST", "/guests/NVAAAAAA/action")
    assert asked == [{"action": "pause"}, {"action": "unpause"}]
    assert watched.power.state(guest) is PowerState.RUNNING


def test_a_guest_that_is_captured_is_changing(watched: Watched) -> None:
    watched.recorded.on("GET", STATE, done("on"), done("off"))
    guest = watched.guests.find(INSTANCE)
    with watched.power.capture(guest):
        assert watched.power.state(guest) is PowerState.CHANGING
        watched.watch.look()
    assert watched.events == []


@pytest.mark.parametrize(
    "answer",
    [Answer(b"gateway", 502), Answer(failed(101, 101, 2, 110), 500), Answer(failed(400, 400, 401, 120), 401)],
    ids=["none", "its server does not answer", "it takes no token"],
)
def test_a_connector_that_is_away(watched: Watched, no_pauses: None, answer: Answer) -> None:
    watched.recorded.on("GET", STATE, answer)
    watched.watch.look()
    assert watched.reachable == []
    watched.now += 61
    watched.watch.look()
    watched.watch.look()
    assert watched.reachable == [False]
    watched.recorded.on("GET", STATE, done("on"))
    watched.watch.look()
    assert watched.reachable == [False, True]


def test_a_connector_that_is_away_from_a_host_without_guests(watched: Watched) -> None:
    watched.guests.forget(INSTANCE)
    watched.recorded.on("GET", "/guests/ZCC00001/power_state_real", Answer(b"gateway", 502))
    watched.watch.look()
    watched.now += 61
    watched.watch.look()
    watched.recorded.on("GET", "/guests/ZCC00001/power_state_real", done("on"))
    watched.watch.look()
    assert watched.reachable == [False, True]
