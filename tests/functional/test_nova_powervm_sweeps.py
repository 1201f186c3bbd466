"""Every REST call of a delete, a stop, a start, a reboot and a service start fails in turn, on a real Nova.

Afterwards the operation worked, or Nova said that it did not; in both cases Nova and the platform agree on the server
once the power states were compared, and the next try works.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from nova import context
from tests.functional import base, world
from tests.functional.actions import ServerActions
from tests.functional.powervm import EVENTS, LOOK_AT_STATE, PowerVMCloud
from tests.functional.sweep import Call, calls_of, explained, label_of, made_by_all

from bigiron.plugins.nova.driver import BigironDriver
from bigiron.powervm import mirror
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.kernel.journal import Entry
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

SETTLE_S = 60
RUNS = 3
"""How often an operation is recorded, and tried until it makes the request that is to fail."""
LOOK_AT_JOB = "/rest/api/uom/jobs/"
LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
POWER = {"running": 1, "not activated": 4}
STATUS = {"running": "ACTIVE", "not activated": "SHUTOFF"}


class Sweep(PowerVMCloud, ServerActions):
    """What the sweeps share; the state of a partition is asked for each time, as if the last reading were old."""

    def before_services(self) -> None:
        self.enterContext(mock.patch.object(mirror, "_FRESH_S", 0.0))
        super().before_services()

    def recorded(self) -> list[Call]:
        """The requests since the journal was cleared.

        How often a job is looked at is up to the clock, and so is whether an event of our own work comes late, which
        costs a look at the partition's state.
        """
        return [
            call
            for call in calls_of(entry for entry in self.simulator.journal.entries() if self.is_swept(entry))
            if call.nth == 1 or not call.template.startswith((LOOK_AT_JOB, LOOK_AT_STATE))
        ]

    def is_swept(self, entry: Entry) -> bool:
        """Whether the request is the operation's."""
        return entry.template != EVENTS

    def plan(self, fault: Fault) -> None:
        """Have this fault and no other strike from now on."""
        self.simulator.faults.clear()
        self.simulator.faults.add(fault)

    def has_fired(self) -> bool:
        return any(planned.fired for planned in self.simulator.faults.faults())

    def check_fired(self, label: str) -> None:
        (planned,) = self.simulator.faults.faults()
        self.simulator.faults.clear()
        assert planned.fired == 1, f"{label}: did not fire"

    def agree(self, server: dict[str, Any]) -> str:
        """Have Nova compare the power states; returns the server's status, which is also the platform's."""
        self.compute.manager._sync_power_states(context.get_admin_context())
        for _ in base.looks():
            current = self.idle(server)
            state = self.lpar_of(server)["state"]
            seen = current["status"], current["OS-EXT-STS:power_state"]
            if seen == (STATUS.get(state), POWER.get(state)):
                return str(current["status"])
        raise AssertionError(f"server {server['name']} is {seen}, its partition {state}")


class PowerSweep(Sweep):
    """One server, whose power is acted on again and again."""

    def power(self, server: dict[str, Any], action: str) -> dict[str, Any]:
        body = {
            "stop": {"os-stop": None},
            "start": {"os-start": None},
            "soft reboot": {"reboot": {"type": "SOFT"}},
            "hard reboot": {"reboot": {"type": "HARD"}},
        }[action]
        self.api.post_server_action(server["id"], body)
        return self.idle(server)

    def bring(self, server: dict[str, Any], status: str) -> None:
        """Without a fault every operation works, whatever the one before met."""
        current = self.agree(server)
        if current != status:
            current = self.power(server, "start" if status == "ACTIVE" else "stop")["status"]
        assert self.agree(server) == current == status

    def sweep(self, action: str, begins: str, ends: str) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), config_drive=True)
        runs = []
        for _ in range(RUNS):
            self.bring(server, begins)
            self.simulator.journal.clear()
            assert self.power(server, action)["status"] == ends
            runs.append(self.recorded())
            assert self.result_of(server, action.split()[-1]) == "Success"
        outcomes = Counter(
            self.strike(server, action, begins, ends, fault) for call in made_by_all(runs) for fault in call.faults()
        )
        assert outcomes["Success"] or outcomes["Error"], "no request was recorded"
        self.delete(server)
        self.check_nothing_left()

    def strike(self, server: dict[str, Any], action: str, begins: str, ends: str, fault: Fault) -> str:
        """The operation under a fault; returns what Nova says of it."""
        label = f"{action} with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            for _ in range(RUNS):
                self.bring(server, begins)
                self.simulator.journal.clear()
                self.plan(fault)
                after = self.power(server, action)
                if self.has_fired():
                    break
            self.check_fired(label)
            result = self.result_of(server, action.split()[-1])
            assert after["status"] != "ERROR", after.get("fault")
            if result == "Success":
                assert STATUS[self.lpar_of(server)["state"]] == after["status"] == ends, after["status"]
            status = self.agree(server)
            assert status in (begins, ends)
            if status != ends:
                assert self.power(server, action)["status"] == ends
                assert self.agree(server) == ends
        return result

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_stop(self) -> None:
        self.sweep("stop", "ACTIVE", "SHUTOFF")

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_start(self) -> None:
        self.sweep("start", "SHUTOFF", "ACTIVE")

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_soft_reboot(self) -> None:
        self.sweep("soft reboot", "ACTIVE", "ACTIVE")

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_hard_reboot(self) -> None:
        self.sweep("hard reboot", "ACTIVE", "ACTIVE")


class DeleteSweep(Sweep):
    """On a shared storage pool, with a port, the management adapter and a config drive."""

    def is_swept(self, entry: Entry) -> bool:
        # Some events of the partition arrive when it is gone, and make the driver ask whether there is a new one.
        return super().is_swept(entry) and (entry.method, entry.template) != ("GET", LPAR)

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_delete(self) -> None:
        assert any(fault.action is Action.STALE for fault in self.sweep())

    def sweep(self) -> list[Fault]:
        """Strike each request of a delete in turn; returns the faults."""
        self.flavor_id = self.make_flavor(memory_mb=512)
        runs = []
        for number in range(RUNS):
            server = self.boot(f"first-{number}", flavor_id=self.flavor_id, config_drive=True)
            self.simulator.journal.clear()
            self.delete(server)
            runs.append(self.recorded())
            self.check_nothing_left()
        faults = [fault for call in made_by_all(runs) for fault in call.faults()]
        outcomes = Counter(self.strike(number, fault) for number, fault in enumerate(faults))
        # A drop or a 412 may be mended by trying again; an error that the platform reports must be seen.
        assert outcomes["ERROR"], outcomes
        return faults

    def strike(self, number: int, fault: Fault) -> str:
        """One delete under a fault, repeated if it failed; returns how the first ended."""
        label = f"delete with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            server = self.boot(f"web-{number}", flavor_id=self.flavor_id, config_drive=True)
            self.simulator.journal.clear()
            self.plan(fault)
            self.api.delete_server(server["id"])
            outcome = self.deleted(server)
            self.check_fired(label)
            if outcome == "ERROR":
                assert self.fault_of(server), "no message"
                self.delete(server)
            self.check_nothing_left()
        return outcome

    def deleted(self, server: dict[str, Any]) -> str:
        """How the delete ended: DELETED, or ERROR where it failed."""
        for _ in base.looks():
            try:
                current = self.admin_api.get_server(server["id"])
            except base.api_client.OpenStackApiNotFoundException:
                return "DELETED"
            if current["status"] == "ERROR" and current["OS-EXT-STS:task_state"] is None:
                return "ERROR"
        raise AssertionError(f"server {server['name']} is {current['status']} and not deleted")


class DeleteSweepOnVolumeGroup(DeleteSweep):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


class StartUpSweep(Sweep):
    """nova-compute starts on a host that has a server."""

    def before_services(self) -> None:
        self.drivers: list[BigironDriver] = []
        begin = BigironDriver.init_host

        def noted(driver: BigironDriver, host: str) -> None:
            self.drivers.append(driver)
            begin(driver, host)

        self.enterContext(mock.patch.object(BigironDriver, "init_host", noted))
        super().before_services()

    def is_swept(self, entry: Entry) -> bool:
        # The service before may log off while this one starts.
        return entry.method != "DELETE"

    def recorded(self) -> list[Call]:
        """The first poll for events subscribes; the others go on as long as the service runs."""
        return [call for call in super().recorded() if call.nth == 1 or call.template != EVENTS]

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_start_of_the_service(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), config_drive=True)
        self.until_quiet(server)
        for _ in range(2):
            self.end()
            self.simulator.journal.clear()
            self.start_compute()
            calls = self.recorded()
        faults = [fault for call in calls for fault in call.faults()]
        assert faults
        for fault in faults:
            self.strike(server, fault)
        self.delete(server)
        self.check_nothing_left()

    def until_quiet(self, server: dict[str, Any]) -> None:
        """The guest is up, so that nothing on the platform changes by itself."""
        deadline = time.monotonic() + SETTLE_S
        while self.lpar_of(server)["rmc"] != RMC_ACTIVE:
            assert time.monotonic() < deadline, f"server {server['name']} has no RMC connection"
            time.sleep(0.05)

    def end(self) -> None:
        """End nova-compute, and what the end of its process ends."""
        self.compute.stop()
        while self.drivers:
            self.drivers.pop().cleanup_host(base.HOST)

    def strike(self, server: dict[str, Any], fault: Fault) -> None:
        """A start under a fault, which the service makes up for: a platform that comes up gives all kinds of errors."""
        label = f"start of the service with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            self.end()
            was = self.state()
            self.simulator.journal.clear()
            self.plan(fault)
            self.start_compute()
            self.check_fired(label)
            assert self.agree(server) == "ACTIVE"
            assert world.differences(was, self.state()) == []
