"""nova-compute dies and starts again on z/VM: the tables of restart.py, and what only z/VM has to remember."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from nova.compute import power_state
from tests.functional import restart
from tests.functional.restart import Case
from tests.functional.zvm import ZVMCloud

from bigiron import errors
from bigiron.zvm.guests import Guests

_STATES = {"on": restart.RUNNING, "off": restart.STOPPED}


class Restart(ZVMCloud, restart.RestartTables):
    """The tables."""

    def guest_state(self, server: dict[str, Any]) -> str:
        found = self.guests_of(server)
        return _STATES[found[0]["state"]] if found else restart.GONE

    def left_half_made(self) -> Callable[[Case, dict[str, Any]], None]:
        ledger = self.driver.hypervisor.parts.ledger
        return lambda _case, server: ledger.change(server["id"], making=True)


class Remembered(ZVMCloud):
    """What a new process finds out again."""

    def restart(self) -> None:
        self.compute.stop()
        self.start_compute()

    def test_a_paused_server_is_still_paused(self) -> None:
        server = self.boot()
        self.act(server, {"pause": None}, "PAUSED")
        self.restart()
        assert self.power_state(server) == power_state.PAUSED
        self.act(server, {"unpause": None}, "ACTIVE")
        assert self.guest_of(server)["state"] == "on"
        self.delete(server)

    def test_a_lost_ledger_is_made_again_from_the_marks(self) -> None:
        server = self.boot()
        self.compute.stop()
        for record in (self.state_path() / "bigiron" / "zvm-guests").iterdir():
            record.unlink()
        self.start_compute()
        assert self.driver.list_instance_uuids() == [server["id"]]
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        self.delete(server)

    def test_what_a_process_that_died_in_a_spawn_left_goes_at_the_next_start(self) -> None:
        # As when it dies once the directory entry is made: nothing is undone any more.
        with (
            mock.patch.object(Guests, "completed", side_effect=errors.Unavailable("died here")),
            mock.patch.object(Guests, "remove", side_effect=errors.Unavailable("dead")),
        ):
            server = self.boot(expected="ERROR", config_drive=True)
            assert self.guest_of(server)["state"] == "on"
            self.compute.stop()
        self.start_compute()
        assert self.guests_of(server) == []
        self.check_nothing_left()
        self.delete(server)
        self.delete(self.boot())

    def test_what_a_killed_snapshot_left_goes_at_the_next_start(self) -> None:
        server = self.boot()
        self._stop_server(server)
        userid = self.guest_of(server)["userid"]
        left = f"bigiron-snap-{userid.lower()}-0123456789ab"
        self.driver.hypervisor.parts.api.action(userid, "capture", what="Capturing", image=left)
        assert left in self.world.images_left()
        self.restart()
        assert left not in self.world.images_left()
        self.delete(server)
