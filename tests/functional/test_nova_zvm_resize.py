"""Resizes of servers on z/VM, on the same host, live and cold, through a real Nova."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from tests.functional.zvm import ZVMCloud

from bigiron.plugins.nova.compute import resize
from bigiron.sim.kernel.faults import Action, Fault

LIVE, COLD = "zvm_live_resize", "zvm_cold_resize"


class Resizing(ZVMCloud):
    """What the tests of resizes share: a cloud that may resize a server where it is."""

    def before_services(self) -> None:
        self.flags(allow_resize_to_same_host=True)
        super().before_services()

    def flavor(self, memory_mb: int = 1024, vcpus: int = 1, disk_gb: int = 1, **fields: Any) -> str:
        return self.make_flavor(memory_mb=memory_mb, vcpus=vcpus, disk_gb=disk_gb, **fields)

    def running(self, **fields: Any) -> dict[str, Any]:
        """A server whose Linux is up."""
        server = self.boot(flavor_id=self.flavor(**fields))
        self.up(server)
        return server

    def boots(self, server: dict[str, Any]) -> int:
        with self.simulator.system.lock:
            return int(self.simulator.system.console(self.guest_of(server)["userid"]).text.count("Linux version"))

    def figures(self, server: dict[str, Any]) -> tuple[int, int]:
        """Memory in MB and processors of the guest, which placement and the driver have, too."""
        _, memory_mb, vcpus, _ = self.shape(server)
        allocated = self.allocated(server)
        assert (allocated["MEMORY_MB"], allocated["VCPU"]) == (memory_mb, vcpus)
        (state,) = [state for state in self.driver.hypervisor.guests() if state.uuid == server["id"]]
        assert (state.memory_mb, state.vcpus) == (memory_mb, vcpus)
        return memory_mb, vcpus


class Resize(Resizing):
    """What can be done."""

    def test_growing_is_live_and_a_confirmation_changes_nothing(self) -> None:
        server = self.running()
        self.resize(server, self.flavor(2048, 2))
        assert self.events(server, "resize")[LIVE] == "Success"
        assert (self.figures(server), self.boots(server)) == ((2048, 2), 1)
        self.simulator.journal.clear()
        self.confirm(server)
        assert self.changes() == []
        assert self.figures(server) == (2048, 2)
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        assert self.figures(server) == (2048, 2)
        self.delete(server)

    def test_a_revert_takes_away_what_was_added_with_a_stop(self) -> None:
        server = self.running()
        self.resize(server, self.flavor(2048, 2))
        self.revert(server)
        assert self.events(server, "revertResize")[COLD] == "Success"
        self.up(server)
        assert (self.figures(server), self.boots(server)) == ((1024, 1), 2)
        self.resize(server, self.flavor(1024, 2))
        self.confirm(server)
        assert self.figures(server) == (1024, 2)
        self.delete(server)

    def test_less_memory_needs_a_stop(self) -> None:
        server = self.running(memory_mb=2048)
        self.resize(server, self.flavor(1024))
        assert self.events(server, "resize")[COLD] == "Success"
        self.up(server)
        assert (self.figures(server), self.boots(server)) == ((1024, 1), 2)
        self.confirm(server)
        self.delete(server)

    @pytest.mark.full
    def test_a_guest_that_does_not_answer_is_stopped_for_it(self) -> None:
        server = self.running()
        self.simulator.faults.add(Fault("IUCV", "lscpu", Action.DROP_BEFORE, times=0))
        self.resize(server, self.flavor(2048, 2))
        self.simulator.faults.clear()
        assert self.events(server, "resize")[COLD] == "Success"
        assert self.figures(server) == (2048, 2)
        self.revert(server)
        assert self.figures(server) == (1024, 1)
        self.delete(server)

    def test_a_stopped_server_stays_stopped(self) -> None:
        server = self.running()
        self._stop_server(server)
        self.resize(server, self.flavor(2048, 2))
        assert (self.figures(server), self.guest_of(server)["state"]) == ((2048, 2), "off")
        self.confirm(server, "SHUTOFF")
        assert self.guest_of(server)["state"] == "off"
        self.delete(server)

    def test_disks_come_with_a_flavor_and_go_with_its_revert(self) -> None:
        server = self.running()
        self.resize(server, self.flavor(ephemeral_gb=1, swap_mb=512))
        guest = self.up(server)
        assert self.shape(server)[3] == ["rhel9.4", "ext3", "swap"]
        assert "/mnt/ephemeral0101 ext3" in guest["files"]["/etc/fstab"]
        self.revert(server)
        assert self.shape(server)[3] == ["rhel9.4"]
        self.resize(server, self.flavor(swap_mb=512))
        self.confirm(server)
        self.resize(server, self.flavor())
        self.confirm(server)
        assert self.shape(server)[3] == ["rhel9.4"]
        self.delete(server)


class Refused(Resizing):
    """What cannot be done leaves the server as it was."""

    def refused(self, server: dict[str, Any], flavor_id: str) -> str:
        """A resize that must fail before anything is changed; returns what the log says of it."""
        before, allocated = self.world.state(), self.allocated(server)
        said = len(self.stdlog.logger.output)
        self.simulator.journal.clear()
        self.resize(server, flavor_id, "ACTIVE")
        assert self.changes() == []
        assert self.world.state() == before
        self.wait_until(lambda: self.allocated(server) == allocated, "the old allocation is back")
        return str(self.stdlog.logger.output[said:])

    def test_what_z_vm_cannot_do_is_refused_before_anything_is_changed(self) -> None:
        self.zvm_options(max_memory=4096, max_cpu=4)
        self.compute.stop()
        self.start_compute()
        server = self.running(vcpus=2, ephemeral_gb=1)
        fewer: tuple[Any, ...] = (({"vcpus": 1}, "was made with 2 processors"),)
        if self.driver.hypervisor.parts.api.takes_made_cpus:
            fewer = ()
        for fields, words in (
            ({"disk_gb": 2}, "a minidisk cannot grow to 2 GB"),
            ({"ephemeral_gb": 2}, "an ephemeral disk of 1 GB"),
            ({"memory_mb": 8192}, "allows 4096 MB"),
            ({"vcpus": 5}, "No valid host"),
            *fewer,
        ):
            flavor = self.flavor(**{"vcpus": 2, "ephemeral_gb": 1, **fields})
            said = self.refused(server, flavor)
            assert words in said, said
        self.delete(server)

    def test_what_fails_is_undone_and_the_next_try_works(self) -> None:
        server = self.running()
        for function in ("Image_Replace_DM", "Image_Definition_Update_DM"):
            self.simulator.faults.add(Fault("SMAPI", function, Action.ERROR, reason="596/3661"))
            self.resize(server, self.flavor(2048, 2), "ACTIVE")
            (fault,) = self.simulator.faults.faults()
            assert fault.fired == 1, function
            self.simulator.faults.clear()
            self.wait_until(lambda: self.allocated(server)["MEMORY_MB"] == 1024, "the old allocation is back")
            assert self.guest_of(server)["state"] == "on"
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        self.up(server)
        assert self.figures(server) == (1024, 1)
        self.resize(server, self.flavor(2048, 2))
        self.confirm(server)
        assert self.figures(server) == (2048, 2)
        self.delete(server)

    def test_a_revert_that_cannot_be_done_is_mended_by_a_hard_reboot(self) -> None:
        server = self.running()
        self.resize(server, self.flavor(2048))
        self.simulator.faults.add(Fault("SMAPI", "Image_Replace_DM", Action.ERROR, reason="596/3661", times=0))
        with mock.patch.object(resize, "_REVERT_PAUSES_S", (0.0,)):
            self.revert(server, "ERROR")
        assert "memory" in self.fault_of(server)
        self.simulator.faults.clear()
        self.act(server, {"reboot": {"type": "HARD"}}, "ACTIVE")
        assert self.figures(server) == (1024, 1)
        self.delete(server)
