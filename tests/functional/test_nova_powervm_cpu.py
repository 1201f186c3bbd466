"""Nova's figures of the host's processors, from the platform's long-term monitor."""

from __future__ import annotations

import pytest
from tests.functional.powervm import PowerVMCloud


class HostProcessors(PowerVMCloud):
    """What the compute driver tells Nova's monitors; the simulated minutes pass at once."""

    def stats(self) -> dict[str, int]:
        return dict(self.driver.get_host_cpu_stats())

    def grown(self) -> dict[str, int]:
        """By how much the totals grow in five minutes."""
        self.simulator.clock.advance(300)
        before = self.stats()
        self.simulator.clock.advance(300)
        after = self.stats()
        return {name: after[name] - before[name] for name in ("kernel", "user", "idle", "iowait")}

    def test_the_totals_grow_and_a_busy_server_shows(self) -> None:
        with pytest.raises(NotImplementedError):
            self.stats()
        self.before = self.state()  # the monitor was off and is on for good, as on a real system
        server = self.boot()
        idle = self.grown()
        assert idle["kernel"] > 0 and 0 < idle["user"] < idle["idle"] and idle["iowait"] == 0
        with self.simulator.services.locked() as world:
            lpar = next(one for one in world.lpars if one.description == f"openstack:{server['id']}")
            self.simulator.monitor.set_profile(lpar, "steady")
        busy = self.grown()
        assert busy["user"] > idle["user"]
        assert busy["idle"] < idle["idle"]
        self.delete(server)
        assert self.stats()["user"] > 0, "a partition that is gone takes nothing back"
