"""Every request to the Cloud Connector, and every command that it gives z/VM, fails in turn, on a real Nova.

Afterwards the operation worked, or Nova said that it did not; in both cases z/VM is as before or as Nova says, and the
next try works.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from nova import context
from tests.functional import base
from tests.functional.zvm import ZVMCloud, is_request
from tests.support.zvm_faults import CHANGES, REST, Moment, failures, loses_upload, moments

from bigiron.plugins.nova.compute import resize
from bigiron.sim.kernel.faults import Action
from bigiron.zvm import guests, rest

ALL = (Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER)
STATUS = {"on": "ACTIVE", "off": "SHUTOFF", "paused": "PAUSED"}
LAST_ENTRIES = 30


class Sweep(ZVMCloud):
    """What the sweeps share. What is tried again is tried at once, as nobody else is at work."""

    def before_services(self) -> None:
        self.enterContext(mock.patch.object(rest, "_PAUSES_S", (0.01, 0.02)))
        self.enterContext(mock.patch.object(guests, "_GONE_S", 5.0))
        self.enterContext(mock.patch.object(resize, "_REVERT_PAUSES_S", (0.05, 0.05, 0.05)))
        self.flags(allow_resize_to_same_host=True)
        super().before_services()

    def make(self) -> dict[str, Any]:
        """A server with all that a spawn can have; not waited for."""
        return self.boot(flavor_id=self.flavor_id, config_drive=True, expected=None)

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=1024, disk_gb=1, swap_mb=512)

    def recorded(self, methods: tuple[str, ...]) -> list[Moment]:
        """What was asked since the journal was cleared; the host is read when it is audited, which is no step."""
        found = [moment for moment in moments(self.world, methods) if not moment.template.startswith("/host")]
        assert found
        return found

    def sweep(self, found: list[Moment], actions: tuple[Action, ...], attempt: Callable[[], str]) -> Counter[str]:
        """Make the attempt once with each failure; counts how they ended."""
        outcomes: Counter[str] = Counter()
        for moment, action in failures(found, actions):
            with self.explained(moment.label(action)):
                self.simulator.journal.clear()
                self.simulator.faults.add(moment.fault(action))
                if loses_upload(moment, action):
                    self.world.lost_uploads += 1
                outcomes[attempt()] += 1
        return outcomes

    def check_fired(self) -> None:
        """The planned failure was met; from here on nothing fails."""
        (planned,) = self.simulator.faults.faults()
        self.simulator.faults.clear()
        assert planned.fired >= 1, "did not fire"

    @contextlib.contextmanager
    def explained(self, label: str) -> Iterator[None]:
        """Adds the failure and the last requests and commands to an assertion that fails inside."""
        try:
            yield
        except BaseException as error:
            entries = [one for one in self.simulator.journal.entries() if is_request(one) or one.method in CHANGES]
            lines = [f"{one.method} {one.path} {one.query} -> {one.status} {one.fault}" for one in entries]
            error.add_note(f"after {label}; the last requests:\n" + "\n".join(lines[-LAST_ENTRIES:]))
            raise

    def agree(self, server: dict[str, Any]) -> str:
        """Have Nova compare the power states; returns the server's status, which is also z/VM's."""
        self.compute.manager._sync_power_states(context.get_admin_context())
        seen: list[str] = []

        def same() -> bool:
            current, guest = self.idle(server), self.guest_of(server)
            seen[:] = [str(current["status"]), STATUS.get(guest["state"], guest["state"])]
            return seen[0] == seen[1]

        self.wait_until(same, f"Nova and z/VM agree: {seen}")
        return seen[0]


class SpawnSweep(Sweep):
    """Spawns: a server that does not come leaves nothing, before anybody deletes it."""

    def record(self, methods: tuple[str, ...]) -> list[Moment]:
        # The first has the image fetched.
        self.delete(self.settle(self.make(), "ACTIVE"))
        self.simulator.journal.clear()
        server = self.settle(self.make(), "ACTIVE")
        found = self.recorded(methods)
        self.delete(server)
        return found

    def strike(self) -> str:
        server = self.make()
        # Before a cell has it, a new server has no task state.
        self.wait_until(lambda: self.admin_api.get_server(server["id"])["status"] != "BUILD", "the build ends")
        current = self.idle(server)
        self.check_fired()
        if current["status"] == "ERROR":
            message = self.fault_of(server)
            assert "guest instance-" in message or " of NV" in message, message
            self.check_nothing_left()
        else:
            assert self.agree(server) == "ACTIVE"
        self.delete(server)
        self.check_nothing_left()
        return str(current["status"])

    def test_every_request_is_refused(self) -> None:
        outcomes = self.sweep(self.record(REST), (Action.ERROR,), self.strike)
        assert outcomes["ERROR"] >= 6, outcomes

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_every_request_is_cut_off(self) -> None:
        outcomes = self.sweep(self.record(REST), (Action.DROP_BEFORE, Action.DROP_AFTER), self.strike)
        assert outcomes["ERROR"] >= 12, outcomes

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_every_command_fails(self) -> None:
        outcomes = self.sweep(self.record(CHANGES), (Action.ERROR, Action.DROP_AFTER), self.strike)
        assert outcomes["ERROR"], outcomes

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_every_command_finds_it_locked_or_busy(self) -> None:
        """The user directory is locked (400/12), another punch is under way."""
        found = [moment for moment in self.record(CHANGES) if moment.method != "TOOL"]
        outcomes = self.sweep(found, (Action.BUSY,), self.strike)
        assert outcomes["ACTIVE"], outcomes

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_smapi_does_not_answer_in_time(self) -> None:
        found = [moment for moment in self.record(CHANGES) if moment.method == "SMAPI"]
        # The four minutes that smcli waits pass in a second.
        self.simulator.clock.set_scale(240)
        # Where smcli is given no limit, as by this connector, it waits as long, and what was asked happens late.
        self.sweep(found, (Action.HANG,), self.strike)


@pytest.mark.full
class DeleteSweep(Sweep):
    """Deletes: what was not removed is removed by the next delete."""

    def strike(self) -> str:
        faults = self.simulator.faults.faults()
        self.simulator.faults.clear()
        server = self.settle(self.make(), "ACTIVE")
        self.simulator.journal.clear()
        for fault in faults:
            self.simulator.faults.add(fault)
        self.api.delete_server(server["id"])
        self.wait_until(lambda: self.is_over(server), "the delete ends")
        self.check_fired()
        outcome = "ERROR" if self._exists(server) else "DELETED"
        if outcome == "ERROR":
            self.delete(server)
        self.check_nothing_left()
        return outcome

    def is_over(self, server: dict[str, Any]) -> bool:
        try:
            current = self.admin_api.get_server(server["id"])
        except base.api_client.OpenStackApiNotFoundException:
            return True
        # Nova counts a server as idle a moment before it is gone.
        return current["status"] == "ERROR" and current["OS-EXT-STS:task_state"] is None

    def record(self, methods: tuple[str, ...]) -> list[Moment]:
        server = self.settle(self.make(), "ACTIVE")
        self.simulator.journal.clear()
        self.delete(server)
        return self.recorded(methods)

    @pytest.mark.timeout(1800)
    def test_every_request_fails(self) -> None:
        outcomes = self.sweep(self.record(REST), ALL, self.strike)
        assert outcomes["ERROR"], outcomes

    @pytest.mark.timeout(1800)
    def test_every_command_fails(self) -> None:
        self.sweep(self.record(CHANGES), (Action.ERROR, Action.DROP_AFTER), self.strike)


@pytest.mark.full
class ResizeSweep(Sweep):
    """Resizes, live: the server has the new shape or the old one, as Nova says."""

    def setUp(self) -> None:
        super().setUp()
        self.larger = self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=1, swap_mb=512)
        self.server = self.settle(self.make(), "ACTIVE")
        self.up(self.server)

    def figures(self) -> tuple[int, int]:
        _, memory_mb, vcpus, _ = self.shape(self.server)
        return memory_mb, vcpus

    def back(self) -> None:
        """To the old shape, with a restart where a live change could not be taken back."""
        if self.admin_api.get_server(self.server["id"])["status"] == "VERIFY_RESIZE":
            self.revert(self.server)
        if self.figures() != (1024, 1):
            self.act(self.server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        self.up(self.server)
        assert self.figures() == (1024, 1)

    def record(self, methods: tuple[str, ...]) -> list[Moment]:
        self.simulator.journal.clear()
        self.resize(self.server, self.larger)
        found = self.recorded(methods)
        self.back()
        return found

    def strike(self) -> str:
        self.api.post_server_action(self.server["id"], {"resize": {"flavorRef": self.larger}})
        current = self.idle(self.server)
        self.check_fired()
        if current["status"] == "VERIFY_RESIZE":
            assert self.figures() == (2048, 2)
        else:
            assert current["status"] == "ACTIVE", current
            self.wait_until(lambda: self.allocated(self.server)["MEMORY_MB"] == 1024, "the old allocation is back")
            assert self.guest_of(self.server)["state"] == "on"
        self.back()
        return str(current["status"])

    @pytest.mark.timeout(1800)
    def test_every_request_fails(self) -> None:
        outcomes = self.sweep(self.record(REST), ALL, self.strike)
        assert outcomes["ACTIVE"], outcomes
        self.delete(self.server)

    @pytest.mark.timeout(1800)
    def test_every_command_fails(self) -> None:
        outcomes = self.sweep(self.record(CHANGES), (Action.ERROR, Action.DROP_AFTER), self.strike)
        assert outcomes["ACTIVE"], outcomes
        self.delete(self.server)


@pytest.mark.full
class SnapshotSweep(Sweep):
    """Snapshots of a running server: it runs afterwards, and the connector keeps nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.settle(self.make(), "ACTIVE")
        self.up(self.server)

    def record(self, methods: tuple[str, ...]) -> list[Moment]:
        self.simulator.journal.clear()
        self.snap()
        # The connector leaves the file of a capture whose size it cannot read, and knows no image of it to delete.
        return [moment for moment in self.recorded(methods) if moment.template != "hexdump"]

    def snap(self) -> str:
        images = set(self.glance.images)
        self.api.post_server_action(self.server["id"], {"createImage": {"name": "snap"}})
        self.wait_until(lambda: self.is_idle(self.server), "the snapshot ends")
        made = set(self.glance.images) - images
        if not made:
            return "Error"
        (image,) = made
        self.wait_until(lambda: image not in self.glance.images or self.is_active(image), "the image is active or gone")
        if image not in self.glance.images:
            return "Error"
        self.glance.delete(None, image)
        return "Success"

    def is_active(self, image: str) -> bool:
        return bool(self.glance.images[image]["status"] == "active")

    def strike(self) -> str:
        outcome = self.snap()
        self.check_fired()
        assert self.agree(self.server) == "ACTIVE"
        assert self.world.images_left() <= {"bigiron-blank", self.image_id}
        self.up(self.server)
        return outcome

    @pytest.mark.timeout(1800)
    def test_every_request_fails(self) -> None:
        outcomes = self.sweep(self.record(REST), (Action.DROP_BEFORE, Action.DROP_AFTER), self.strike)
        assert outcomes["Error"], outcomes
        self.delete(self.server)

    @pytest.mark.timeout(1800)
    def test_every_command_fails(self) -> None:
        outcomes = self.sweep(self.record(CHANGES), (Action.ERROR, Action.DROP_AFTER), self.strike)
        assert outcomes["Error"], outcomes
        self.delete(self.server)
