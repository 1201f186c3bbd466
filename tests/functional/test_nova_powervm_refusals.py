"""Bad input and a platform in trouble: each ends in a message that names the object and the fix, and leaves nothing."""

from __future__ import annotations

import threading
import time
from typing import Any

from nova import exception
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RMC_INACTIVE

GIB = 2**30


class BadInput(PowerVMCloud):
    """What a user or an administrator of the cloud can get wrong."""

    def unchecked_flavor(self, **fields: Any) -> str:
        """A flavor whose keys the API has not looked at, as one made before the validator was installed."""
        extra_specs = fields.pop("extra_specs")
        flavor_id = self.make_flavor(**fields)
        self.admin_api.microversion = "2.85"
        try:
            self.admin_api.post_extra_spec(flavor_id, {"extra_specs": extra_specs})
        finally:
            self.admin_api.microversion = self.microversion
        return flavor_id

    def test_the_api_refuses_an_unknown_key_and_a_bad_value(self) -> None:
        for extra_specs in ({"powervm:no_such_key": "1"}, {"powervm:shared_weight": "256"}):
            with self.assertRaises(base.api_client.OpenStackApiException) as caught:
                self.make_flavor(extra_specs=extra_specs)
            assert caught.exception.response.status_code == 400
            assert next(iter(extra_specs)) in caught.exception.response.text

    def test_the_driver_refuses_them_again(self) -> None:
        for name, value, says in (
            ("powervm:no_such_key", "1", "is not known"),
            ("powervm:shared_weight", "256", "from 0 to 255"),
            ("powervm:proc_units", "8", "from 0.05 to 1"),
            ("powervm:min_mem", "999936", "must be at most"),
            ("powervm:processor_compatibility", "POWER6", "POWER"),
        ):
            message = self.boot_fails(flavor_id=self.unchecked_flavor(extra_specs={name: value}))
            assert name in message, message
            assert says in message, message

    def test_a_flavor_larger_than_the_host_finds_no_host(self) -> None:
        memory = self.inventory()["MEMORY_MB"]
        too_much = (memory["total"] // memory["step_size"] + 1) * memory["step_size"]
        assert "No valid host" in self.boot_fails(flavor_id=self.make_flavor(memory_mb=too_much))
        assert "No valid host" in self.boot_fails(flavor_id=self.make_flavor(vcpus=10_000))

    def test_memory_that_is_no_multiple_of_the_hosts_block_finds_no_host(self) -> None:
        step = self.inventory()["MEMORY_MB"]["step_size"]
        assert "No valid host" in self.boot_fails(flavor_id=self.make_flavor(memory_mb=step + 1))

    def test_an_image_larger_than_the_pool_is_refused_before_anything_is_copied(self) -> None:
        image_id = self.upload_image(b"x", size=100_000 * GIB)
        message = self.boot_fails(image_id=image_id, flavor_id=self.make_flavor(disk_gb=0))
        assert "disk of 100000 GB" in message, message
        assert "enlarge the pool" in message

    def test_an_image_that_ends_early_fails_the_build(self) -> None:
        image_id = self.upload_image(b"half of it", size=20)
        assert "10 bytes where 20 were announced" in self.boot_fails(image_id=image_id)

    def test_a_network_that_no_sea_serves_is_named(self) -> None:
        self.neutron.vif_type = "tap"
        message = self.boot_fails()
        assert "interface type tap" in message
        assert "mechanism driver" in message

    def test_a_foreign_partition_of_the_same_name_is_left_alone_and_named(self) -> None:
        self.flags(instance_name_template="%(display_name)s")
        foreign = self.state()["lpars"][0]
        message = self.boot_fails(name=foreign["name"])
        assert foreign["name"] in message
        assert "by hand" in message


class Trouble(PowerVMCloud):
    """A platform that is in trouble while Nova works."""

    def set_vios(self, names: set[str], rmc: str) -> None:
        with self.simulator.services.locked() as simulated:
            for vios in simulated.state.vioses:
                if vios.name in names:
                    vios.rmc = rmc
                    simulated.changed(vios, "RMCState")

    def vios_names(self) -> list[str]:
        return sorted(vios["name"] for vios in self.state()["vioses"])

    def test_one_vios_down_is_enough_to_work(self) -> None:
        down, up = self.vios_names()
        self.set_vios({down}, RMC_INACTIVE)
        server = self.boot()
        assert {vios for vios, _target in self.targets_of(self.lpar_of(server))} == {up}
        self.delete(server)
        self.set_vios({down}, RMC_ACTIVE)

    def test_both_vioses_down_is_refused(self) -> None:
        self.set_vios(set(self.vios_names()), RMC_INACTIVE)
        message = self.boot_fails()
        self.set_vios(set(self.vios_names()), RMC_ACTIVE)
        assert "VIOS" in message
        assert "RMC" in message
        self.delete(self.boot())

    def test_the_rest_service_goes_down_in_the_middle_of_a_spawn(self) -> None:
        template = "/rest/api/uom/VirtualIOServer/{uuid}"
        hang = Fault(method="POST", path=template, action=Action.HANG, seconds=10.0, times=0)
        fault = self.simulator.faults.add(hang)
        server = self.boot(config_drive=True, expected=None)
        self.wait_until(lambda: self.fired(fault.id), "the spawn reaches its mappings")
        # The simulator lets go of what hangs a moment before it takes no more requests: none may go on or undo it then.
        self.simulator.faults.clear()
        lpar = "/rest/api/uom/LogicalPartition/{uuid}"
        for method, path in (("POST", template), ("PUT", f"{lpar}/do/PowerOn"), ("DELETE", lpar)):
            self.simulator.faults.add(Fault(method=method, path=path, action=Action.DROP_BEFORE, times=0))
        self.stop_simulator(self.simulator)
        self.settle(server, "ERROR")
        assert "cannot be reached" in self.fault_of(server)
        self.restart_simulator()
        # Nova has taken the host from the failed server: deleting it does not reach the driver.
        self.delete(server)
        self.wait_until(lambda: not self.leftovers(), "the driver removes what it could not undo")
        self.delete(self.boot())

    def fired(self, fault_id: int) -> bool:
        return any(fault.id == fault_id and fault.fired for fault in self.simulator.faults.faults())

    def test_one_bad_mapping_among_eight_fails_only_its_owner(self) -> None:
        self.simulator.latency.select("none", {"vios_post": 0.3})
        flavor_id = self.make_flavor(memory_mb=512)
        disks = self.driver.powervm._started.disks
        create = disks.create

        def create_and_lose(guest: Any, index: int, image: Any = None) -> Any:
            disk = create(guest, index, image)
            if guest.name == self.unlucky:
                self.lose_unit(disk.backing.name)
            return disk

        disks.create = create_and_lose
        self.flags(instance_name_template="%(display_name)s")
        self.unlucky = "web-3"
        servers = [self.boot(f"web-{number}", flavor_id=flavor_id, expected=None) for number in range(8)]
        for server in servers:
            self.settle(server, "ERROR" if server["name"] == self.unlucky else "ACTIVE")
        self.delete(*servers)

    def lose_unit(self, name: str) -> None:
        """As if an operator had deleted the disk at that moment."""
        with self.simulator.services.locked() as simulated:
            for pool in simulated.state.pools:
                for tier in pool.tiers:
                    tier.units = [unit for unit in tier.units if unit.name != name]
                simulated.changed(pool)


class Start(PowerVMCloud):
    """nova-compute starts against a platform that it cannot use."""

    def start_service_under_test(self) -> None:
        """Each test starts it itself."""

    def refused(self, **options: Any) -> str:
        """Start nova-compute, which must refuse to; returns why."""
        self.powervm_options(**options)
        with self.assertRaises(exception.InvalidConfiguration) as caught:
            self.start_compute()
        return str(caught.exception)

    def test_wrong_credentials(self) -> None:
        message = self.refused(rest_password="wrong")
        assert "rest_password" in message
        assert "wrong" not in message.replace("wrong user", "")

    def test_options_that_name_what_is_not_there(self) -> None:
        assert "cluster_name" in self.refused(cluster_name="nowhere")
        message = self.refused(cluster_name="", disk_driver="localdisk", volume_group_name="nowhere")
        assert "volume_group_name" in message

    def test_options_that_cannot_be(self) -> None:
        message = self.refused(disk_driver="localdisk", volume_group_name="")
        assert "[powervm] volume_group_name" in message

    def test_a_config_drive_that_is_no_optical_medium(self) -> None:
        self.flags(config_drive_format="vfat")
        assert "config_drive_format" in self.refused()

    def test_a_rest_service_that_comes_late_is_waited_for(self) -> None:
        self.stop_simulator(self.simulator)

        def begin() -> None:
            while "waiting for the platform" not in self.stdlog.logger.output:
                time.sleep(0.02)
            self.restart_simulator()

        thread = threading.Thread(target=begin, daemon=True)
        thread.start()
        self.start_compute()
        thread.join(timeout=10)
        self.delete(self.boot())
