"""A spawn that fails at every REST call in turn: afterwards the platform is as before and the next spawn works."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.functional import base
from tests.functional.powervm import PowerVMCloud
from tests.functional.sweep import Call, calls_of, explained, label_of, made_by_all

from bigiron.sim.kernel.faults import Action, Fault

LPAR = "/rest/api/uom/LogicalPartition/"
ATTEMPTS = 5
RECORDED = 3


class Spawning(PowerVMCloud):
    """A spawn of which any request can be struck; afterwards the platform is as before and the next spawn works."""

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
        for _ in base.looks():
            current = self.admin_api.get_server(server["id"])
            if current["status"] in ("ACTIVE", "ERROR") and current["OS-EXT-STS:task_state"] is None:
                assert expected in (None, current["status"]), current.get("fault")
                return dict(current)
        raise AssertionError(f"server {current['name']} stays {current['status']}")

    def record(self) -> list[Call]:
        """The requests that every good spawn makes."""
        return made_by_all([self.recorded(number) for number in range(RECORDED)])

    def recorded(self, number: int) -> list[Call]:
        """The requests of one good spawn."""
        self.simulator.journal.clear()
        server = self.spawn(number, "ACTIVE")
        # A spawn asks nothing of a partition; the mirror may, in the background, when it hears of one.
        calls = calls_of(c for c in self.calls() if c.method != "GET" or not c.template.startswith(LPAR))
        self.delete(server)
        self.check_nothing_left()
        return calls

    def sweep(self, *actions: Action) -> tuple[Counter[str], int]:
        """Every call of a spawn struck in these ways; returns how the spawns ended, and how many there were."""
        self.flavor_id = self.make_flavor(memory_mb=512)
        faults = [fault for call in self.record() for fault in call.faults() if fault.action in actions]
        assert faults, f"no call of a spawn can be struck by {actions}"
        outcomes = Counter(self.strike(number, fault) for number, fault in enumerate(faults, start=RECORDED))
        return outcomes, len(faults)

    def struck(self, number: int, fault: Fault) -> dict[str, Any]:
        """A spawn that the fault has struck.

        How many changes of a shared document go into one write is up to the clock, so now and then a spawn makes too
        few writes for the fault to strike: that one must go well, and another is made.
        """
        for attempt in range(ATTEMPTS):
            self.simulator.faults.clear()
            self.simulator.faults.add(fault)
            server = self.spawn(number + attempt * 1_000_000)
            (planned,) = self.simulator.faults.faults()
            self.simulator.faults.clear()
            if planned.fired:
                return server
            assert server["status"] == "ACTIVE", self.fault_of(server)
            self.delete(server)
            self.check_nothing_left()
        raise AssertionError(f"{label_of(fault)}: did not fire")

    def strike(self, number: int, fault: Fault) -> str:
        """One spawn under a fault and, where it failed, one without; returns how the first ended."""
        label = label_of(fault)
        server = self.struck(number, fault)
        with explained(label, self.simulator.journal):
            if server["status"] == "ERROR":
                # Before the server is deleted: the undoing itself must have been complete.
                self.check_nothing_left()
                assert self.fault_of(server), "no message"
            self.delete(server)
            self.check_nothing_left()
            if server["status"] == "ERROR":
                self.delete(self.spawn(number + 10_000, "ACTIVE"))
                self.check_nothing_left()
        return str(server["status"])


@pytest.mark.long
class SpawnSweep(Spawning):
    """On a shared storage pool, the image not cached yet, with a port, the management adapter and a config drive."""

    @pytest.mark.timeout(600)
    @pytest.mark.full
    def test_every_call_is_refused_in_turn(self) -> None:
        outcomes, faults = self.sweep(Action.ERROR)
        # What the platform reports must be seen, but for what serves a later operation only.
        assert outcomes["ERROR"] >= faults // 2, outcomes

    @pytest.mark.timeout(600)
    @pytest.mark.full
    def test_every_call_is_lost_in_turn(self) -> None:
        self.sweep(Action.DROP_BEFORE)

    @pytest.mark.timeout(600)
    def test_every_answer_is_lost_in_turn(self) -> None:
        self.sweep(Action.DROP_AFTER)

    @pytest.mark.timeout(600)
    def test_every_conditional_write_is_out_of_date_in_turn(self) -> None:
        outcomes, faults = self.sweep(Action.STALE)
        assert outcomes["ACTIVE"] == faults, outcomes


@pytest.mark.full
class SpawnSweepOnVolumeGroup(SpawnSweep):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
