"""How many requests an operation costs: within the bound, and the same however many partitions the host has."""

from __future__ import annotations

from nova import context as nova_context
from tests.functional.powervm import PowerVMCloud

SPAWN_CALLS = 14


class Calls(PowerVMCloud):
    """On a host with nothing but the service partitions."""

    def test_a_spawn_with_a_cached_image(self) -> None:
        flavor_id = self.make_flavor(memory_mb=512)
        self.delete(self.boot("first", flavor_id=flavor_id, config_drive=True))
        counts = []
        for name in ("second", "third"):
            self.simulator.journal.clear()
            server = self.boot(name, flavor_id=flavor_id, config_drive=True)
            counts.append(self.kinds())
            self.delete(server)
        assert counts[0] == counts[1]
        assert counts[0].total() <= SPAWN_CALLS, "\n".join(f"{n} {kind}" for kind, n in sorted(counts[0].items()))

    def test_a_power_sync_asks_the_platform_nothing_per_server(self) -> None:
        servers = [self.boot(f"web-{number}", flavor_id=self.make_flavor(memory_mb=512)) for number in range(3)]
        self.simulator.journal.clear()
        self.compute.manager._sync_power_states(nova_context.get_admin_context())
        self.compute.manager._sync_power_executor.shutdown(wait=True)
        assert self.kinds().total() <= 2, self.kinds()
        self.delete(*servers)


class CallsOnAFullHost(Calls):
    """On a host with 500 partitions."""

    system = "large.yaml"
