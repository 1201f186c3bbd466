"""How many requests an operation costs: within the bound, and the same however many partitions the host has."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from unittest import mock

from nova import context as nova_context
from tests.functional import base
from tests.functional.powervm import PowerVMCloud
from tests.support.powervm_host import until_read_up

from bigiron.powervm import mirror, platform
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

UOM, WEB = "/rest/api/uom", "/rest/api/web"
SPAWN = Counter(
    {
        ("PUT", f"{UOM}/ManagedSystem/{{uuid}}/LogicalPartition"): 1,
        ("PUT", f"{UOM}/LogicalPartition/{{uuid}}/ClientNetworkAdapter"): 2,
        ("PUT", f"{UOM}/Event"): 1,
        ("PUT", f"{UOM}/Tier/{{uuid}}/LogicalUnit"): 1,
        ("PUT", f"{WEB}/File"): 1,
        ("PUT", f"{WEB}/File/contents/{{uuid}}"): 1,
        ("DELETE", f"{WEB}/File/{{uuid}}"): 1,
        ("POST", f"{UOM}/VirtualIOServer/{{uuid}}"): 2,
        ("PUT", f"{UOM}/LogicalPartition/{{uuid}}/do/PowerOn"): 1,
        ("DELETE", f"{UOM}/jobs/{{id}}"): 1,
    }
)
"""A spawn with a cached image in a shared storage pool, one port, the management adapter and a config drive: 12."""
BOUND = 14
START_BOUND = 15 + 2 * 2
"""Of a start of nova-compute: 15, and 2 for each VIOS."""


class Calls(PowerVMCloud):
    """On a host with nothing but the service partitions."""

    def test_a_spawn_with_a_cached_image(self) -> None:
        # What the host has is asked for again after a while, however slow this machine is.
        self.enterContext(mock.patch.object(platform, "_CAPACITY_AGE_S", 3600.0))
        flavor_id = self.make_flavor(memory_mb=512)
        self.delete(self.boot("first", flavor_id=flavor_id, config_drive=True))
        for name in ("second", "third"):
            self.simulator.journal.clear()
            server = self.boot(name, flavor_id=flavor_id, config_drive=True)
            kinds = self.kinds()
            shown = "\n".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            assert self.asked() == SPAWN, shown
            assert kinds.total() <= BOUND, shown
            self.delete(server)


class CallsOnAFullHost(Calls):
    """On a host with 500 partitions."""

    system = "large.yaml"


class CallsOnABusyHost(Calls):
    """On a host with 50 partitions."""

    system = "large.yaml"

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        document["generate"]["partitions"]["count"] = 50
        return document


class PerHost(PowerVMCloud):
    """What Nova does for all servers of a host at once; test_nova_powervm_soak.py has the same of 500 servers."""

    def three_that_are_up(self) -> list[dict[str, Any]]:
        """Servers of which nothing changes by itself any more, which the platform would tell."""
        servers = [self.boot(f"web-{number}", flavor_id=self.make_flavor(memory_mb=512)) for number in range(3)]
        self.wait_until(lambda: all(self.lpar_of(one)["rmc"] == RMC_ACTIVE for one in servers), "the guests are up")
        until_read_up(self.simulator)
        return servers

    def test_a_power_sync_asks_the_platform_nothing_per_server(self) -> None:
        servers = self.three_that_are_up()
        self.simulator.journal.clear()
        self.compute.manager._sync_power_states(nova_context.get_admin_context())
        deadline = time.monotonic() + base.SETTLE_S
        while self.compute.manager._syncs_in_progress:
            assert time.monotonic() < deadline, "the power sync does not end"
            time.sleep(0.02)
        assert self.kinds().total() <= 2, self.kinds()
        self.delete(*servers)

    def test_an_audit_of_resources_asks_for_the_pool_and_the_system_alone(self) -> None:
        servers = self.three_that_are_up()
        self.simulator.journal.clear()
        self.grow_old()
        self.compute.manager.update_available_resource(nova_context.get_admin_context())
        assert 0 < self.kinds().total() <= 2, self.kinds()
        self.delete(*servers)

    def test_a_start_asks_the_platform_nothing_per_server(self) -> None:
        servers = self.three_that_are_up()
        self.compute.stop()
        self.simulator.journal.clear()
        # However long Nova takes to go through its instances.
        with mock.patch.object(mirror, "_FRESH_S", 0):
            self.start_compute()
        kinds = self.kinds()
        assert kinds.total() <= START_BOUND, kinds
        assert not [template for _method, template in kinds if "/LogicalPartition/{uuid}" in template], kinds
        self.delete(*servers)

    def test_a_start_makes_an_adapter_that_is_gone(self) -> None:
        server = self.boot()
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest can take an adapter")
        (port,) = self.neutron._ports.values()
        mac = port["mac_address"].replace(":", "").upper()
        lpar = self.lpar_of(server)
        self.compute.stop()
        with self.simulator.services.locked() as simulated:
            partition = simulated.partition(lpar["uuid"])
            (adapter,) = [adapter for adapter in partition.adapters if adapter.mac == mac]
            partition.adapters.remove(adapter)
            simulated.changed(partition)
        assert mac not in [adapter["mac"] for adapter in self.lpar_of(server)["adapters"]]
        self.start_compute()
        assert mac in [adapter["mac"] for adapter in self.lpar_of(server)["adapters"]]
        self.delete(server)
