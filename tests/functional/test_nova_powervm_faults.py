"""A spawn that fails at every REST call in turn: afterwards the platform is as before and the next spawn works."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.functional.powervm import PowerVMCloud, is_counted

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.kernel.journal import Entry

SETTLE_S = 20


@dataclass(frozen=True, slots=True)
class Call:
    """A request by its kind and its place among those of its kind."""

    method: str
    template: str
    nth: int
    if_match: bool

    def faults(self) -> Iterator[Fault]:
        """Every way in which it can fail."""
        actions = [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER]
        if self.if_match:
            actions.append(Action.STALE)
        for action in actions:
            yield Fault(method=self.method, path=self.template, action=action, nth=self.nth)


def calls_of(entries: list[Entry]) -> list[Call]:
    """The requests of a recorded run, those that failed without a fault left out: none should have."""
    seen: Counter[tuple[str, str]] = Counter()
    calls = []
    for entry in entries:
        kind = (entry.method, entry.template)
        seen[kind] += 1
        calls.append(Call(entry.method, entry.template, seen[kind], entry.if_match))
    return calls


class SpawnSweep(PowerVMCloud):
    """On a shared storage pool, the image not cached yet, with a port, the management adapter and a config drive."""

    def spawn(self, number: int, expected: str | None = None) -> dict[str, Any]:
        """Create a server from an image that the pool has not yet, and wait until Nova is done with it."""
        content = f"image {number} ".encode() * 512
        server = self.boot(
            f"web-{number}",
            flavor_id=self.flavor_id,
            image_id=self.upload_image(content),
            config_drive=True,
            expected=None,
        )
        return self.finished(server, expected)

    def finished(self, server: dict[str, Any], expected: str | None) -> dict[str, Any]:
        deadline = time.monotonic() + SETTLE_S
        while True:
            current = self.admin_api.get_server(server["id"])
            if current["status"] in ("ACTIVE", "ERROR") and current["OS-EXT-STS:task_state"] is None:
                assert expected in (None, current["status"]), current.get("fault")
                return dict(current)
            assert time.monotonic() < deadline, f"server {current['name']} stays {current['status']}"
            time.sleep(0.02)

    def record(self) -> list[Call]:
        """The requests of one good spawn."""
        self.delete(self.spawn(0, "ACTIVE"))
        self.simulator.journal.clear()
        server = self.spawn(1, "ACTIVE")
        calls = calls_of(self.calls())
        self.delete(server)
        self.check_nothing_left()
        return calls

    @pytest.mark.timeout(900)
    def test_every_call_fails_in_turn(self) -> None:
        self.flavor_id = self.make_flavor(memory_mb=512)
        calls = self.record()
        faults = [fault for call in calls for fault in call.faults()]
        assert any(fault.action is Action.STALE for fault in faults)
        outcomes: Counter[str] = Counter()
        for number, fault in enumerate(faults, start=2):
            outcomes[self.strike(number, fault)] += 1
        # A drop or a 412 may be mended by trying again; an error that the platform reports must be seen.
        assert outcomes["ERROR"] >= len(calls) // 2, outcomes

    def strike(self, number: int, fault: Fault) -> str:
        """One spawn under a fault, and one without; returns how the first ended."""
        label = f"{fault.action} at {fault.method} {fault.path} number {fault.nth}"
        self.simulator.faults.clear()
        self.simulator.faults.add(fault)
        server = self.spawn(number)
        (planned,) = self.simulator.faults.faults()
        self.simulator.faults.clear()
        assert planned.fired == 1, f"{label}: did not fire"
        with self.explained(label):
            if server["status"] == "ERROR":
                # Before the server is deleted: the undoing itself must have been complete.
                self.check_nothing_left()
                assert server["fault"]["message"], "no message"
            self.delete(server)
            self.check_nothing_left()
            self.delete(self.spawn(number + 10_000, "ACTIVE"))
            self.check_nothing_left()
        return str(server["status"])

    def explained(self, label: str) -> Any:
        """Names the fault in whatever fails inside."""
        return _Explained(label, lambda: self.simulator.journal.entries())


class _Explained:
    """Adds the fault and the last requests to an assertion that fails."""

    def __init__(self, label: str, entries: Any) -> None:
        self._label = label
        self._entries = entries

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            lines = [
                f"{entry.method} {entry.path} -> {entry.status} {entry.fault}"
                for entry in self._entries()
                if is_counted(entry)
            ][-40:]
            error.add_note(f"after {self._label}; the last requests:\n" + "\n".join(lines))


class SpawnSweepOnVolumeGroup(SpawnSweep):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
    test_every_call_fails_in_turn = pytest.mark.full(SpawnSweep.test_every_call_fails_in_turn)
