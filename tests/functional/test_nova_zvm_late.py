"""Guests whose create takes effect after their spawn has failed and found nothing to undo: found, and removed."""

from __future__ import annotations

from typing import Any
from unittest import mock

from tests.functional.zvm import ZVMCloud

from bigiron import errors
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm import late
from bigiron.zvm.guests import Guests

HOUR_S = 3600.0
GIVEN_UP_S = 10.0
"""Every long call has that much, those of the undo too: no less than a machine with much to do takes for one."""


class Late(ZVMCloud):
    """Creates that are done an hour of simulated time later, which a test lets pass at once."""

    def before_services(self) -> None:
        self.enterContext(mock.patch.object(late, "_FIRST_PAUSE_S", 0.1))
        self.enterContext(mock.patch.object(late, "_LONGEST_PAUSE_S", 0.2))
        super().before_services()

    def setUp(self) -> None:
        super().setUp()
        # The image is in the connector from here on.
        self.delete(self.boot())
        self.simulator.journal.clear()

    def awaited(self) -> frozenset[str]:
        """The userids that may still come."""
        userids: frozenset[str] = self.driver.hypervisor.parts.guests.late.userids()
        return userids

    def fails(self, method: str, path: str, action: Action) -> tuple[dict[str, Any], str]:
        """A server that does not come, and what is said of it: an hour passes before the create is done."""
        self.simulator.faults.add(Fault(method, path, action, seconds=HOUR_S))
        server = self.boot(expected="ERROR")
        (planned,) = self.simulator.faults.faults()
        assert planned.fired == 1
        assert self.guests_of(server) == [] and len(self.awaited()) == 1
        return server, self.fault_of(server)

    def came_and_went(self) -> bool:
        """Whether the directory had the guest in the end, and has not any more."""
        changes = [(one.template, one.status) for one in self.simulator.journal.entries() if one.method == "SMAPI"]
        return ("Image_Delete_DM", 0) in changes and not self.awaited()

    def comes_and_goes(self, server: dict[str, Any]) -> None:
        """The hour passes, and what comes of the create is removed."""
        self.simulator.clock.advance(HOUR_S)
        self.wait_until(self.came_and_went, "the late guest is removed")
        self.check_nothing_left()
        self.delete(server)

    def test_the_connector_takes_longer_than_it_is_waited_for(self) -> None:
        self.compute.stop()
        self.zvm_options(deploy_timeout=GIVEN_UP_S)
        self.start_compute()
        server, said = self.fails("POST", "/guests", Action.HANG)
        assert f"did not answer within {GIVEN_UP_S:.0f} s" in said, said
        self.comes_and_goes(server)

    def test_the_directory_manager_takes_longer_than_the_connector_waits(self) -> None:
        server, _ = self.fails("SMAPI", "Image_Create_DM", Action.LATE)
        self.comes_and_goes(server)
        self.delete(self.boot())

    def test_nova_compute_dies_while_it_waits(self) -> None:
        with mock.patch.object(Guests, "remove", side_effect=errors.Unavailable("dead")):
            self.simulator.faults.add(Fault("SMAPI", "Image_Create_DM", Action.LATE, seconds=HOUR_S))
            server = self.boot(expected="ERROR")
            self.compute.stop()
        self.start_compute()
        assert len(self.awaited()) == 1
        self.comes_and_goes(server)

    def test_it_comes_while_nova_compute_is_down(self) -> None:
        server, _ = self.fails("SMAPI", "Image_Create_DM", Action.LATE)
        self.compute.stop()
        self.simulator.clock.advance(HOUR_S)
        self.wait_until(lambda: bool(self.guests_of(server)), "the guest is made late")
        self.start_compute()
        assert self.guests_of(server) == []
        assert self.awaited() == frozenset()
        self.check_nothing_left()
        self.delete(server)
