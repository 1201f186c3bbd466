"""The power of servers on z/VM, through a real Nova."""

from __future__ import annotations

from typing import Any

from nova.compute import power_state
from tests.functional.zvm import ZVMCloud

from bigiron.sim.kernel.faults import Action, Fault

BOOT = "Linux version"
HALT = "System halted"


class Power(ZVMCloud):
    """On, off, reboot, pause."""

    def console(self, server: dict[str, Any]) -> str:
        """All that the guest has written since it was made."""
        with self.simulator.system.lock:
            return str(self.simulator.system.console(self.guest_of(server)["userid"]).text)

    def test_a_stop_lets_the_guest_shut_down(self) -> None:
        server = self.boot()
        self.up(server)
        self.act(server, {"os-stop": None}, "SHUTOFF")
        assert self.guest_of(server)["state"] == "off"
        assert HALT in self.console(server)
        assert self.power_state(server) == power_state.SHUTDOWN
        self.act(server, {"os-start": None}, "ACTIVE")
        self.up(server)
        assert self.console(server).count(BOOT) == 2
        self.delete(server)

    def test_a_guest_that_does_not_answer_is_stopped_all_the_same(self) -> None:
        server = self.boot()
        self.up(server)
        for command in ("echo", "shutdown"):
            self.simulator.faults.add(Fault("IUCV", command, Action.DROP_BEFORE, times=0))
        self.act(server, {"os-stop": None}, "SHUTOFF")
        self.simulator.faults.clear()
        assert self.guest_of(server)["state"] == "off"
        assert HALT not in self.console(server)
        self.delete(server)

    def test_a_soft_reboot_is_the_guests_own_and_a_hard_one_is_not(self) -> None:
        server = self.boot()
        self.up(server)
        self.act(server, {"reboot": {"type": "SOFT"}}, "ACTIVE")
        self.up(server)
        assert self.console(server).count(BOOT) == 2
        self.simulator.journal.clear()
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        self.up(server)
        assert self.console(server).count(BOOT) == 3
        assert self.changes() == [("POST", "/guests/{name}/action")] * 2
        self.delete(server)

    def test_a_soft_reboot_of_a_guest_that_does_not_answer_becomes_hard(self) -> None:
        server = self.boot()
        self.up(server)
        for command in ("echo", "shutdown"):
            self.simulator.faults.add(Fault("IUCV", command, Action.DROP_BEFORE, times=0))
        self.act(server, {"reboot": {"type": "SOFT"}}, "ACTIVE")
        self.simulator.faults.clear()
        self.up(server)
        assert self.console(server).count(BOOT) == 2
        self.delete(server)

    def test_pause_and_unpause(self) -> None:
        server = self.boot()
        self.act(server, {"pause": None}, "PAUSED")
        assert self.guest_of(server)["state"] == "paused"
        assert self.power_state(server) == power_state.PAUSED
        self.act(server, {"unpause": None}, "ACTIVE")
        assert self.guest_of(server)["state"] == "on"
        self.act(server, {"pause": None}, "PAUSED")
        # Whoever restarts a paused server wants it to run.
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        assert self.guest_of(server)["state"] == "on"
        assert self.power_state(server) == power_state.RUNNING
        self.act(server, {"pause": None}, "PAUSED")
        self.delete(server)

    def test_what_fails_leaves_the_server_as_it_is(self) -> None:
        server = self.boot()
        self.act(server, {"os-stop": None}, "SHUTOFF")
        self.simulator.faults.add(Fault("SMAPI", "Image_Activate", Action.ERROR, reason="396/1234"))
        self.api.post_server_action(server["id"], {"os-start": None})
        assert self.result_of(server, "start") == "Error"
        assert self.idle(server)["status"] == "SHUTOFF"
        self.simulator.faults.clear()
        self.act(server, {"os-start": None}, "ACTIVE")
        self.delete(server)
