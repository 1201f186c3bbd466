"""The diagnostics of z/VM servers through a real Nova, held against what the simulated z/VM says they did."""

from __future__ import annotations

from typing import Any

import pytest
from nova.tests.functional.api import client as api_client
from nova.utils import temporary_mutation
from tests.functional.zvm import ZVMCloud


class ServerDiagnostics(ZVMCloud):
    """Counters of processors and memory come without anything being switched on."""

    def diagnostics(self, server: dict[str, Any], microversion: str | None) -> dict[str, Any]:
        with temporary_mutation(self.admin_api, microversion=microversion):
            return dict(self.admin_api.get_server_diagnostics(server["id"]))

    def test_they_have_counters(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=1024, vcpus=1, disk_gb=1))
        simulator = self.world.simulator
        userid, scale = self.guest_of(server)["userid"], simulator.clock.scale
        with simulator.system.lock:
            simulator.system.set_load(userid, "steady")
        simulator.clock.set_scale(0)
        simulator.clock.advance(100)
        older, newer = self.diagnostics(server, None), self.diagnostics(server, "2.48")
        with simulator.system.lock:
            machine = simulator.system.state.running[userid]
            totals = simulator.system.meter(machine).at(simulator.clock.now())
        assert totals.used > 50
        assert older["cpu_used_ns"] == newer["cpu_details"][0]["time"] == int(totals.used * 1e6) * 1000
        assert older["cpu_in_use_samples"] == int(totals.used / 2)
        assert older["cpu_delay_samples"] == int(totals.waited / 2)
        assert "cpu_entitled_ns" not in older and "memory_swapped_in_mb" not in older
        assert newer["memory_details"] == {"maximum": 1024, "used": 512}
        assert (newer["state"], newer["hypervisor"], newer["driver"]) == ("running", "zvm", None)
        simulator.clock.set_scale(scale)
        self.delete(server)

    def test_a_stopped_server_has_none(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=1024, vcpus=1, disk_gb=1))
        self.api.post_server_action(server["id"], {"os-stop": None})
        self.settle(server, "SHUTOFF")
        with pytest.raises(api_client.OpenStackApiException) as caught:
            self.diagnostics(server, "2.48")
        assert caught.value.response.status_code == 409
        self.delete(server)
