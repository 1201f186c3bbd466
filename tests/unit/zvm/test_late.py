"""Creates that take effect late: looked for, over a restart too, until it is too late for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.zvm_host import World
from tests.unit.zvm.recorded import Answer, Recorded, done, failed

from bigiron.errors import Foreign, Timeout, Unavailable
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm import late
from bigiron.zvm.api import Api
from bigiron.zvm.errors import Unreached
from bigiron.zvm.guests import Guests
from bigiron.zvm.late import LateCreates
from bigiron.zvm.ledger import Ledger
from bigiron.zvm.platform import Zvm
from bigiron.zvm.rest import Connector

HOUR_S = 3600.0
INSTANCE = "5d4b5c2e-1111-4222-8333-444455556666"


class Directory:
    """What removing a guest comes to, and how often it was tried."""

    def __init__(self, *outcomes: bool | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[str, str]] = []

    def remove(self, userid: str, instance: str) -> bool:
        self.asked.append((userid, instance))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_it_is_looked_for_until_it_has_come(tmp_path: Path) -> None:
    directory = Directory(False, Unavailable("away"), True)
    creates = LateCreates(tmp_path, directory.remove)
    creates.note("NVAAAAAA", INSTANCE, "web")
    assert creates.look() == [] and creates.look() == []
    again = LateCreates(tmp_path, directory.remove)
    assert again.userids() == {"NVAAAAAA"}
    assert again.look() == [INSTANCE] and again.look() == []
    assert directory.asked == [("NVAAAAAA", INSTANCE)] * 3
    assert LateCreates(tmp_path, directory.remove).userids() == frozenset()


def test_it_is_given_up_when_it_is_too_late_or_another_has_the_userid(tmp_path: Path) -> None:
    now = [1000.0]
    directory = Directory(False, Foreign("another's"), False)
    creates = LateCreates(tmp_path, directory.remove, now=lambda: now[0])
    creates.note("NVAAAAAA", INSTANCE, "web")
    now[0] += late._LATEST_S - 1
    creates.note("NVBBBBBB", INSTANCE, "web")
    assert creates.look() == []
    assert creates.userids() == {"NVAAAAAA"}
    now[0] += 2
    assert creates.look() == []
    assert creates.userids() == frozenset()


def test_the_thread_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_FIRST_PAUSE_S", 0.01)
    directory = Directory(ValueError("a defect"), True)
    creates = LateCreates(tmp_path, directory.remove)
    creates.start()
    try:
        creates.note("NVAAAAAA", INSTANCE, "web")
        with creates._changed:
            assert creates._changed.wait_for(lambda: not creates._awaited, 60)
    finally:
        creates.stop()


def test_a_new_one_does_not_wait_for_the_pause_of_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(late, "_LONGEST_PAUSE_S", HOUR_S)
    directory = Directory(False, True, True)
    creates = LateCreates(tmp_path, directory.remove)
    creates.note("NVAAAAAA", INSTANCE, "web")
    # As after many looks for it.
    creates._pause_s = HOUR_S
    creates.start()
    try:
        creates.note("NVBBBBBB", INSTANCE, "web")
        with creates._changed:
            assert creates._changed.wait_for(lambda: len(creates._awaited) < 2, 60)
    finally:
        creates.stop()


@pytest.mark.parametrize(
    "text", ['{"user": "X"}', '{"userid": "X", "instance": "i", "name": "n", "undone_at": "yesterday"}']
)
def test_a_damaged_record_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    (tmp_path / "zvm-late").mkdir()
    (tmp_path / "zvm-late" / "X.json").write_text(text)
    assert LateCreates(tmp_path, Directory().remove).userids() == frozenset()
    assert "X.json is no create" in caplog.text


@pytest.mark.parametrize(
    ("answer", "awaited"),
    [
        (Answer(drop=True), True),
        (failed(25, -110, 110, 1, "SMAPI does not answer"), True),
        (failed(8, 596, 3661, 1, "the directory manager refuses"), False),
    ],
)
def test_a_lost_answer_is_told_from_a_refusal(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path, answer: object, awaited: bool
) -> None:
    guests = Guests(Api(connector()), Ledger(tmp_path))
    recorded.on("POST", "/guests", answer)
    from tests.unit.zvm.test_versions import _spec

    with pytest.raises(Exception, match="Making guest"):
        guests.create(_spec(), [])
    (entry,) = guests._ledger.entries()
    assert entry.unanswered is awaited
    recorded.on("GET", f"/guests/{entry.userid}/user_direct", failed(8, 400, 4, 1), status=404)
    recorded.on("DELETE", f"/guests/{entry.userid}", done())
    guests.remove(INSTANCE)
    assert guests.late.userids() == (frozenset({entry.userid}) if awaited else frozenset())
    assert not guests.is_half_made(INSTANCE)


def test_what_was_never_asked_for_does_not_come(connector: Callable[..., Connector], tmp_path: Path) -> None:
    guests = Guests(Api(connector(cloud_connector_url="http://127.0.0.1:1")), Ledger(tmp_path))
    from tests.unit.zvm.test_versions import _spec

    with pytest.raises(Unreached):
        guests.create(_spec(), [])
    (entry,) = guests._ledger.entries()
    assert not entry.unanswered


def _until_made(world: World, userid: str) -> None:
    system = world.simulator.system
    deadline = time.monotonic() + 60
    while userid not in world.guests():
        assert time.monotonic() < deadline, f"{userid} is not made"
        with system.lock:
            system.changed.wait(0.05)


def test_the_instance_gets_another_userid_meanwhile(
    world: World, platform: Zvm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "_FIRST_PAUSE_S", HOUR_S)
    spec = world.spec()
    world.simulator.faults.add(Fault("SMAPI", "Image_Create_DM", Action.LATE, seconds=HOUR_S))
    with pytest.raises((Unavailable, Timeout)):
        world.spawn(platform, spec)
    (first,) = platform.parts.guests.late.userids()
    world.spawn(platform, spec)
    second = world.userid(spec)
    assert second != first
    world.simulator.clock.advance(HOUR_S)
    _until_made(world, first)
    assert platform.reconcile([spec.uuid]) == [spec.uuid]
    assert first not in world.guests() and second in world.guests()
    assert [guest.uuid for guest in platform.guests()] == [spec.uuid]
    platform.destroy(spec.uuid)
