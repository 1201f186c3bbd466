"""A compute service goes out of scheduling with its platform, and comes back with it: only by its own mark."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects

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
    availability = Availability(records, "power1")
    availability.changed(reachable)
    availability._pool.shutdown(wait=True)
    assert (records.service.disabled, records.service.disabled_reason) == after
    assert records.told == told


def test_trouble_with_nova_is_logged_and_the_next_change_is_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, nodes: None
) -> None:
    records = Records(False, None)
    answers = iter([exception.NovaException("the conductor is away"), exception.ComputeHostNotFound(host="power1")])

    def find(*_args: Any) -> Any:
        for error in answers:
            raise error
        return records.service

    monkeypatch.setattr(objects.Service, "get_by_compute_host", find)
    availability = Availability(records, "power1")
    for _ in range(3):
        availability.changed(False)
    availability._pool.shutdown(wait=True)
    assert "the conductor is away" in caplog.text
    assert records.service.disabled
