"""A compute service goes out of scheduling with its platform, and comes back with it: only by its own mark."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects
from tests.support.powervm_host import until

from bigiron.plugins.nova.availability import REASON, Availability


class Records:
    """Nova's record of the service, and what the resource provider was told."""

    def __init__(self, disabled: bool, reason: str | None) -> None:
        self.service = SimpleNamespace(disabled=disabled, disabled_reason=reason, save=lambda: None)
        self.told: list[tuple[str, bool]] = []

    def update_compute_provider_status(self, _context: Any, rp_uuid: str, enabled: bool) -> None:
        self.told.append((rp_uuid, enabled))


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [SimpleNamespace(uuid="node")]
    monkeypatch.setattr(objects.ComputeNodeList, "get_all_by_host", lambda *_args: found)


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize(
    ("disabled", "reason", "reachable", "after", "told"),
    [
        (False, None, False, (True, REASON), [("node", False)]),
        (True, REASON, False, (True, REASON), []),
        (True, REASON, True, (False, None), [("node", True)]),
        (False, None, True, (False, None), []),
        (True, "new disks", True, (True, "new disks"), []),
        (True, "new disks", False, (True, "new disks"), []),
    ],
)
def test_what_becomes_of_a_service(
    monkeypatch: pytest.MonkeyPatch, disabled: bool, reason: str | None, reachable: bool, after: Any, told: Any
) -> None:
    records = Records(disabled, reason)
    monkeypatch.setattr(objects.Service, "get_by_compute_host", lambda *_args: records.service)
    assert Availability(records, "power1")._record(reachable)
    assert (records.service.disabled, records.service.disabled_reason) == after
    assert records.told == told


class Nova:
    """Answers for the service; `away` is what it does meanwhile, each time that it does not answer."""

    def __init__(self, records: Records, *away: Callable[[], object]) -> None:
        self.records = records
        self.away = list(away)

    def find(self, *_args: Any) -> Any:
        if self.away:
            self.away.pop(0)()
            raise exception.NovaException("the conductor is away")
        return self.records.service


def nothing() -> None: ...


@pytest.fixture
def nova(monkeypatch: pytest.MonkeyPatch, nodes: None) -> Nova:
    made = Nova(Records(False, None))
    monkeypatch.setattr(objects.Service, "get_by_compute_host", made.find)
    return made


def test_what_nova_does_not_hear_is_told_again(nova: Nova, caplog: pytest.LogCaptureFixture) -> None:
    nova.away = [nothing, nothing]
    availability = Availability(nova.records, "power1", first_pause_s=0.02)
    availability.start()
    availability.changed(False)
    until(lambda: nova.records.told == [("node", False)])
    availability.stop()
    availability._thread.join(10)
    assert caplog.text.count("could not be disabled") == 2
    assert not availability._thread.is_alive()


def test_what_is_overtaken_is_not_told_again(nova: Nova, caplog: pytest.LogCaptureFixture) -> None:
    availability = Availability(nova.records, "power1", first_pause_s=3600)
    nova.records.service.disabled, nova.records.service.disabled_reason = True, REASON
    nova.away = [lambda: availability.changed(True)]
    availability.start()
    availability.changed(False)
    until(lambda: nova.records.told == [("node", True)])
    availability.stop()
    availability._thread.join(10)
    assert "enabled again" in caplog.text and not nova.records.service.disabled


def test_after_the_end_nothing_is_told_and_nobody_is_troubled(nova: Nova) -> None:
    availability = Availability(nova.records, "power1", first_pause_s=3600)
    nova.away = [availability.stop]
    availability.start()
    availability.changed(False)
    availability._thread.join(10)
    assert not availability._thread.is_alive()
    # The platform's thread may end later.
    availability.changed(False)
    assert not nova.records.service.disabled


def test_a_new_host_has_nothing_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(*_args: Any) -> Any:
        raise exception.ComputeHostNotFound(host="power1")

    monkeypatch.setattr(objects.Service, "get_by_compute_host", find)
    assert Availability(None, "power1")._record(True)
