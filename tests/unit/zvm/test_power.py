"""What a lost answer means for a guest that was told to stop or to reboot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.zvm.recorded import Answer, Recorded, done, failed

from bigiron.errors import Unavailable
from bigiron.model import PowerState
from bigiron.zvm import power
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import Ledger, LedgerEntry
from bigiron.zvm.power import Power
from bigiron.zvm.rest import Connector

GUEST = Guest("5d4b5c2e-1111-4222-8333-444455556666", "NV000001", "one", "rhel9.4", 1024, 1)
ACTION, STATE = "/guests/NV000001/action", "/guests/NV000001/power_state_real"
LOST = Answer(drop=True)


@pytest.fixture
def made(connector: Callable[..., Connector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Power:
    monkeypatch.setattr(power, "_POLL_S", 0)
    ledger = Ledger(tmp_path)
    ledger.put(LedgerEntry(GUEST.instance, GUEST.userid, GUEST.name, making=False))
    return Power(Api(connector()), ledger)


def _actions(recorded: Recorded) -> list[str]:
    return [body["action"] for body in recorded.bodies("POST", ACTION)]


def test_a_system_that_is_about_to_stop_is_not_cut_off(recorded: Recorded, made: Power) -> None:
    """A proxy gives up sooner than the connector, which waits for the shutdown."""
    recorded.on("POST", ACTION, LOST)
    recorded.on("GET", STATE, done("on"), done("on"), done("off"))
    recorded.on("GET", "/guests/NV000001/user_direct", done({"user_direct": ["USER NV000001 ****** 1G 2G G"]}))
    made.stop(GUEST, timeout_s=60)
    assert _actions(recorded) == ["softstop"]


def test_one_that_does_not_stop_in_time_is_stopped(recorded: Recorded, made: Power) -> None:
    recorded.on("POST", ACTION, LOST, done())
    recorded.on("GET", STATE, done("on"))
    made.stop(GUEST, timeout_s=1)
    assert _actions(recorded) == ["softstop", "stop"]


def test_one_that_refuses_to_shut_down_is_stopped_at_once(recorded: Recorded, made: Power) -> None:
    recorded.on("POST", ACTION, failed(8, 8, 255, 1), done())
    recorded.on("GET", STATE, done("on"))
    made.stop(GUEST, timeout_s=60)
    assert _actions(recorded) == ["softstop", "stop"]


def test_one_that_may_be_rebooting_is_not_restarted(recorded: Recorded, made: Power) -> None:
    recorded.on("POST", ACTION, LOST)
    recorded.on("GET", STATE, done("on"))
    with pytest.raises(Unavailable):
        made.restart(GUEST, hard=False)
    assert _actions(recorded) == ["reboot"]


def test_a_look_that_is_overtaken_by_a_pause_leaves_the_guest_paused(
    recorded: Recorded, made: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded.on("POST", ACTION, done())
    recorded.on("GET", STATE, done("on"))
    ask = made._api.power_state

    def asked_before(userid: str) -> str:
        monkeypatch.setattr(made._api, "power_state", ask)
        made.start(GUEST)
        made.pause(GUEST)
        return "off"

    monkeypatch.setattr(made._api, "power_state", asked_before)
    recorded.on("GET", "/guests/NV000001/user_direct", done({"user_direct": ["USER NV000001 ****** 1G 2G G"]}))
    assert made.state(GUEST) is PowerState.PAUSED
    assert made.state(GUEST) is PowerState.PAUSED, "CP says `on` of a paused guest"


def test_who_finds_a_guest_off_forgets_that_it_was_paused(recorded: Recorded, made: Power) -> None:
    recorded.on("POST", ACTION, done())
    recorded.on("GET", STATE, done("on"), done("off"), done("on"))
    recorded.on("GET", "/guests/NV000001/user_direct", done({"user_direct": ["USER NV000001 ****** 1G 2G G"]}))
    made.pause(GUEST)
    assert made.state(GUEST) is PowerState.STOPPED
    assert made.state(GUEST) is PowerState.RUNNING
