"""Crash dumps, guests after a restart of their host, and the power states that PowerVM does not have."""

from __future__ import annotations

from typing import Any

from tests.functional.powervm import PowerVMCloud

from bigiron.sim.powervm.model import power


class Recovery(PowerVMCloud):
    """On a shared storage pool."""

    def test_a_crash_dump_restarts_the_guest(self) -> None:
        server = self.boot()
        started = self.lpar_of(server)["started"]
        self.api.post_server_action(server["id"], {"trigger_crash_dump": None})
        self.wait_until(lambda: self.lpar_of(server)["started"] not in (None, started), "the guest has restarted")
        assert self.settle(server, "ACTIVE")["status"] == "ACTIVE"
        assert self.power_state(server) == 1
        self.delete(server)

    def test_guests_that_ran_are_started_again_with_their_host(self) -> None:
        server = self.boot()
        self.compute.stop()
        with self.simulator.services.locked() as simulated:
            lpar = simulated.partition(self.uuid_of(simulated, server))
            power.begin_off(simulated, lpar, "shutdown", False)
            power.finish_off(simulated, lpar, False)
        self.flags(resume_guests_state_on_host_boot=True)
        self.start_compute()
        assert self.lpar_of(server)["state"] == "running"
        self.settle(server, "ACTIVE")
        self.delete(server)

    @staticmethod
    def uuid_of(simulated: Any, server: dict[str, Any]) -> str:
        return next(str(lpar.uuid) for lpar in simulated.lpars if lpar.description == f"openstack:{server['id']}")

    def test_pause_and_suspend_are_refused_and_change_nothing(self) -> None:
        server = self.boot()
        for action, reason in (("pause", "stops a partition's processors"), ("suspend", "current Power firmware")):
            said = len(self.stdlog.logger.output)
            self.api.post_server_action(server["id"], {action: None})
            self.wait_until(lambda said=said, reason=reason: reason in self.stdlog.logger.output[said:], reason)
            self.settle(server, "ACTIVE")
            assert self.lpar_of(server)["state"] == "running"
        self.delete(server)
