"""What agents report of themselves, while other threads change it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bigiron.plugins.neutron.service import Heartbeat

from .test_rpc import options  # noqa: F401 - a fixture for every test

NEWS = {"resource_provider_bandwidths": {"T1": {"egress": 1000}}}


class Server:
    """Takes reports, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.reports: list[dict[str, Any]] = []

    def report_state(self, _context: Any, report: dict[str, Any], use_call: bool) -> str:
        if self.away:
            raise TimeoutError("the broker is away")
        self.reports.append(report)
        return "alive"


class Watched(Heartbeat):
    """Tells `looked` each time that something of it has been looked at."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        looked: Callable[[], None] | None = super().__getattribute__("__dict__").get("looked")
        if looked is not None:
            looked()
        return found


def interrupted(server: Server, look: int, away: bool) -> bool:
    """Report, with other configurations from another thread after so many looks; returns whether that came to pass."""
    report = {"binary": "agent", "host": "power1", "configurations": {}}
    beat: Any = Watched(server, report, SimpleNamespace(devices=0))  # type: ignore[arg-type]
    beat.beat()
    looks = 0

    def looked() -> None:
        nonlocal looks
        looks += 1
        if looks == look:
            beat.update(NEWS)

    server.away = away
    beat.looked = looked
    beat.beat()
    del beat.looked
    server.away = False
    beat.beat()
    return looks >= look


@pytest.mark.parametrize("away", [False, True])
def test_a_start_is_told_whenever_it_comes(away: bool) -> None:
    look = 1
    while interrupted(server := Server(), look, away):
        told = [report["configurations"] for report in server.reports[1:] if report.get("start_flag")]
        assert told and NEWS.items() <= told[0].items(), f"after look {look}"
        look += 1
    assert look > 5
