"""What a lost answer means for a guest that was told to stop or to reboot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.zvm.recorded import Answer, Recorded, done, failed

from bigiron.errors import Unavailable
from bigiron.zvm import power
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guest
from bigiron.zvm.ledger import Ledger
from bigiron.zvm.power import Power
from bigiron.zvm.rest import Connector

GUEST = Guest("5d4b5c2e-1111-4222-8333-444455556666", "NV000001", "one", "rhel9.4", 1024, 1)
ACTION, STATE = "/guests/NV000001/action", "/guests/NV000001/power_state_real"
LOST = Answer(drop=True)


@pytest.fixture
def made(connector: Callable[..., Connector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Power:
    monkeypatch.setattr(power, "_POLL_S", 0)
    return Power(Api(connector()), Ledger(tmp_path))


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
