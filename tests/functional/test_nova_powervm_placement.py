"""What placement has of a host through a real Nova: inventory that does not lie, traits, and the pool as a provider."""

from __future__ import annotations

from typing import Any
from unittest import mock

import os_traits
import pytest
from nova import context as nova_context
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.plugins.nova import sharing
from bigiron.plugins.nova.providers import PROC_UNITS
from bigiron.powervm import platform

VCPU_UNITS = 10
"""Hundredths of a processor in a VCPU, by the default of proc_units_factor."""


class Placed(PowerVMCloud):
    """What the tests share; the capacity is read again at each update."""

    def before_services(self) -> None:
        self.enterContext(mock.patch.object(platform, "_CAPACITY_AGE_S", 0.0))
        super().before_services()

    @property
    def node(self) -> str:
        """The uuid of the compute node's provider."""
        return str(self._get_provider_uuid_by_host(base.HOST))

    def update(self) -> None:
        """As Nova's periodic task does."""
        self.compute.manager.update_available_resource(nova_context.get_admin_context())

    def free(self, resource: str, provider: str | None = None) -> int:
        """What placement would still give."""
        provider = provider or self.node
        record = self._get_provider_inventory(provider)[resource]
        usage = self._get_provider_usages(provider)[resource]
        return int((record["total"] - record["reserved"]) * record["allocation_ratio"]) - int(usage)

    def delete(self, *servers: dict[str, Any]) -> None:
        """Nova gives back what a server had of placement when the server itself is gone already."""
        super().delete(*servers)
        for server in servers:
            self.wait_until(
                lambda uuid=server["id"]: not self._get_allocations_by_server_uuid(uuid), "all is given back"
            )

    def resize(self, server: dict[str, Any], flavor_id: str) -> None:
        self.flags(allow_resize_to_same_host=True)
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": flavor_id}})
        self.settle(server, "VERIFY_RESIZE")

    def end_resize(self, server: dict[str, Any], how: str) -> None:
        self.api.post_server_action(server["id"], {how: None})
        self.settle(server, "ACTIVE")


class Inventory(Placed):
    """On a shared storage pool whose space counts on each host, as without the option."""

    def free_hundredths(self) -> int:
        """What the simulated system can still give."""
        state = self.state()
        taken = sum(one["processors"]["units"] or one["processors"]["vcpus"] for one in self.partitions(state))
        return round(100 * (state["system"]["processors"] - taken))

    @staticmethod
    def partitions(state: dict[str, Any]) -> list[dict[str, Any]]:
        return [*state["lpars"], *state["vioses"]]

    def check_truth(self) -> None:
        """Placement would give what the platform has, and no more."""
        self.update()
        free = self.free_hundredths()
        assert self.free(PROC_UNITS) == free
        assert self.free("VCPU") == free // VCPU_UNITS

    def test_what_is_free_is_free_whatever_the_flavors_say(self) -> None:
        self.check_truth()
        plain = self.boot("plain", flavor_id=self.make_flavor(memory_mb=512, vcpus=2))
        self.check_truth()
        more = {"powervm:proc_units": "0.5"}
        silent = self.boot("silent", flavor_id=self.make_flavor(memory_mb=512, extra_specs=more))
        self.check_truth()
        asking = {**more, f"resources:{PROC_UNITS}": "50"}
        exact = self.boot("exact", flavor_id=self.make_flavor(memory_mb=512, extra_specs=asking))
        assert self._get_allocations_by_server_uuid(exact["id"])[self.node]["resources"][PROC_UNITS] == 50
        self.check_truth()
        own = {"powervm:dedicated_proc": "true"}
        dedicated = self.boot("dedicated", flavor_id=self.make_flavor(memory_mb=512, extra_specs=own))
        self.check_truth()
        self.resize(plain, self.make_flavor(memory_mb=512, vcpus=2, extra_specs={"powervm:proc_units": "1.5"}))
        self.update()
        self.end_resize(plain, "revertResize")
        self.check_truth()
        self.delete(plain, silent, exact, dedicated)
        self.check_truth()

    def test_a_flavor_that_no_longer_fits_finds_no_host(self) -> None:
        hundredths = self.free_hundredths()
        wants = {"powervm:proc_units": "1.0", f"resources:{PROC_UNITS}": str(hundredths + 1)}
        message = self.boot_fails(flavor_id=self.make_flavor(memory_mb=512, extra_specs=wants))
        assert "No valid host" in message

    def test_the_inventory_follows_the_system(self) -> None:
        before = self.inventory()["MEMORY_MB"]
        with self.simulator.services.locked() as simulated:
            simulated.system.firmware_memory += 1000
            simulated.system.processors += 2
            simulated.changed(simulated.system)
        self.update()
        after = self.inventory()
        assert after["MEMORY_MB"]["reserved"] == before["reserved"] + 1024, "rounded to blocks"
        self.check_truth()
        self.before = self.state()

    def test_reservations_and_ratios_of_the_operator_are_honoured(self) -> None:
        held = self.inventory()["MEMORY_MB"]["reserved"]
        self.flags(reserved_host_memory_mb=held + 4096, reserved_host_disk_mb=10 * 1024, cpu_allocation_ratio=2.0)
        self.update()
        found = self.inventory()
        assert found["MEMORY_MB"]["reserved"] == held + 4096
        assert found["DISK_GB"]["reserved"] == 10
        assert found["VCPU"]["allocation_ratio"] == 2.0

    def test_what_an_operator_sets_in_placement_stays(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._create_trait("CUSTOM_RACK_7")
        self._set_provider_traits(self.node, [*self._get_provider_traits(self.node), "CUSTOM_RACK_7"])
        self.set_ratio(self.node, "MEMORY_MB", 1.5)
        # Nova's view is out of date now, and this must be written: it is refused, read again and written.
        with self.simulator.services.locked() as simulated:
            simulated.system.firmware_memory += 1024
            simulated.changed(simulated.system)
        for _ in range(3):
            self.update()
        assert "CUSTOM_RACK_7" in self.traits()
        assert self.inventory()["MEMORY_MB"]["allocation_ratio"] == 1.5
        with self.simulator.services.locked() as simulated:
            simulated.system.firmware_memory -= 1024
        self.delete(server)

    def set_ratio(self, provider: str, resource: str, ratio: float) -> None:
        """As an operator does by `openstack resource provider inventory set`."""
        inventories = self._get_provider_inventory(provider)
        inventories[resource]["allocation_ratio"] = ratio
        generation = self._get_resource_provider_by_uuid(provider)["generation"]
        body = {"inventories": inventories, "resource_provider_generation": generation}
        self._update_inventory(provider, body)

    def test_the_traits_say_what_the_host_can_do(self) -> None:
        found = self.traits()
        modes = self.state()["system"]["compatibility_modes"]
        assert {f"CUSTOM_POWERVM_MODE_{mode.upper()}" for mode in modes if mode != "default"} <= found
        assert ("HW_CPU_PPC64LE_POWER9" in found) == ("POWER9" in modes)
        assert {"CUSTOM_POWERVM_DEDICATED_PROCESSORS", "CUSTOM_POWERVM_PROCESSOR_POOLS"} <= found
        assert os_traits.HW_NIC_SRIOV not in found, "this system has no adapter in SR-IOV mode"


class SharedDisks(Placed):
    """With the pool as a provider that its hosts share."""

    options = {"disk_driver": "ssp", "ssp_sharing_provider": True}

    @property
    def pool(self) -> sharing.SharedPool:
        (pool,) = self.state()["pools"]
        return sharing.SharedPool(pool["uuid"].lower())

    def used_gb(self) -> int:
        return int(self._get_provider_usages(self.pool.provider).get("DISK_GB", 0))

    def disks_of(self, server: dict[str, Any]) -> dict[str, int]:
        """How much disk space the server has of each provider."""
        allocations = self._get_allocations_by_server_uuid(server["id"])
        return {
            uuid: each["resources"]["DISK_GB"] for uuid, each in allocations.items() if "DISK_GB" in each["resources"]
        }

    def test_the_pool_gives_the_disks_and_the_host_the_rest(self) -> None:
        inventory = self._get_provider_inventory(self.pool.provider)
        assert inventory["DISK_GB"]["total"] > 0 and set(inventory) == {"DISK_GB"}
        assert "DISK_GB" not in self.inventory() and "VCPU" in self.inventory()
        assert os_traits.MISC_SHARES_VIA_AGGREGATE in self._get_provider_traits(self.pool.provider)
        assert self.pool.aggregate in self._get_provider_aggregates(self.pool.provider)
        assert self._get_provider_aggregates(self.node) == [self.pool.aggregate]
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, disk_gb=2))
        assert self.disks_of(server) == {self.pool.provider: 2}
        for _ in range(3):
            self.update()
        assert self.disks_of(server) == {self.pool.provider: 2}
        self.delete(server)
        assert self.used_gb() == 0

    def test_resizes_keep_the_allocations_right(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, disk_gb=2))
        larger = self.make_flavor(memory_mb=512, disk_gb=4)
        self.resize(server, larger)
        assert self.used_gb() == 2 + 4, "the old size is kept until the end"
        self.end_resize(server, "revertResize")
        self.wait_until(lambda: self.used_gb() == 2, "the new size is given back")
        assert self.disks_of(server) == {self.pool.provider: 2}
        self.resize(server, larger)
        self.end_resize(server, "confirmResize")
        self.wait_until(lambda: self.used_gb() == 4, "the old size is given back")
        assert self.disks_of(server) == {self.pool.provider: 4}
        self.delete(server)
        assert self.used_gb() == 0

    def test_a_disk_that_the_pool_has_no_room_for_finds_no_host(self) -> None:
        total = self._get_provider_inventory(self.pool.provider)["DISK_GB"]["total"]
        message = self.boot_fails(flavor_id=self.make_flavor(memory_mb=512, disk_gb=total + 1))
        assert "No valid host" in message
        assert self.used_gb() == 0

    def test_what_another_host_or_an_operator_has_changed_stays(self) -> None:
        """A second host on the pool writes it too: who comes with an old view is refused, looks again and writes."""
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._create_trait("CUSTOM_FAST")
        self._set_provider_traits(self.pool.provider, [os_traits.MISC_SHARES_VIA_AGGREGATE, "CUSTOM_FAST"])
        inventory = self._get_provider_inventory(self.pool.provider)
        inventory["DISK_GB"] |= {"reserved": 11, "allocation_ratio": 1.5}
        generation = self._get_resource_provider_by_uuid(self.pool.provider)["generation"]
        self._update_inventory(
            self.pool.provider, {"inventories": inventory, "resource_provider_generation": generation}
        )
        self.grow_pool(64)
        self.update()
        found = self._get_provider_inventory(self.pool.provider)["DISK_GB"]
        assert found["total"] == inventory["DISK_GB"]["total"] + 64
        assert (found["reserved"], found["allocation_ratio"]) == (11, 1.5)
        assert "CUSTOM_FAST" in self._get_provider_traits(self.pool.provider)
        assert self.pool.aggregate in self._get_provider_aggregates(self.pool.provider)
        self.grow_pool(-64)
        self.delete(server)

    def grow_pool(self, more_gb: int) -> None:
        """As when an operator adds a physical volume to the pool."""
        with self.simulator.services.locked() as simulated:
            (pool,) = simulated.state.pools
            (tier,) = pool.tiers
            tier.capacity += more_gb
            simulated.changed(pool)

    def restart(self, shared: bool) -> None:
        self.compute.stop()
        self.powervm_options(ssp_sharing_provider=shared)
        self.start_compute()

    def test_the_option_may_be_turned_off_and_on_with_servers_there(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, disk_gb=2))
        self.restart(shared=False)
        assert self.disks_of(server) == {self.node: 2}
        assert self.inventory()["DISK_GB"]["total"] > 0
        assert self._get_provider_aggregates(self.node) == []
        assert self.used_gb() == 0
        second = self.boot("second", flavor_id=self.make_flavor(memory_mb=512, disk_gb=3))
        assert self.disks_of(second) == {self.node: 3}
        self.restart(shared=True)
        assert self.disks_of(server) == {self.pool.provider: 2}
        assert self.disks_of(second) == {self.pool.provider: 3}
        assert "DISK_GB" not in self.inventory()
        self.restart(shared=True)
        assert self.used_gb() == 5
        self.update()
        self.delete(server, second)
        assert self.used_gb() == 0

    @pytest.mark.full
    def test_an_empty_host_may_turn_it_on_and_off(self) -> None:
        self.restart(shared=False)
        assert "DISK_GB" in self.inventory()
        self.restart(shared=True)
        assert "DISK_GB" not in self.inventory()
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        assert set(self.disks_of(server)) == {self.pool.provider}
        self.delete(server)

    def test_a_zone_needs_the_pool_in_its_aggregate(self) -> None:
        """Placement looks for a zone's disks in the zone only: the operator adds the pool, and the driver keeps it."""
        zone = self.api.post_aggregate({"aggregate": {"name": "zone1", "availability_zone": "zone1"}})
        self.api.add_host_to_aggregate(zone["id"], base.HOST)
        aggregate = next(iter(set(self._get_provider_aggregates(self.node)) - {self.pool.aggregate}))
        flavor_id = self.make_flavor(memory_mb=512)
        assert "No valid host" in self.boot_fails(flavor_id=flavor_id, availability_zone="zone1")
        generation = self._get_resource_provider_by_uuid(self.pool.provider)["generation"]
        body = {"aggregates": [self.pool.aggregate, aggregate], "resource_provider_generation": generation}
        self.placement.put(f"/resource_providers/{self.pool.provider}/aggregates", body=body, version="1.19")
        self.grow_pool(64)
        self.update()
        assert aggregate in self._get_provider_aggregates(self.pool.provider)
        server = self.boot(flavor_id=flavor_id, availability_zone="zone1")
        assert self.disks_of(server) == {self.pool.provider: 2}
        self.grow_pool(-64)
        self.delete(server)
