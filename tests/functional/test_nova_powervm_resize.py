"""Resizes on one PowerVM host through a real Nova: up and down, confirmed and reverted, refused and cut off."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from unittest import mock

from nova import context, exception, objects
from tests.functional.actions import ServerActions
from tests.functional.powervm import PowerVMCloud
from tests.functional.test_nova_powervm_sweeps import SETTLE_S

from bigiron.hypervisor import Step, Values
from bigiron.plugins.nova.compute import resize
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
ROOMY = {
    "powervm:min_mem": "512", "powervm:max_mem": "4096", "powervm:min_vcpu": "1", "powervm:max_vcpu": "4",
    "powervm:min_proc_units": "0.05", "powervm:max_proc_units": "2",
}  # fmt: skip
KEYS = {
    "powervm:min_mem": "512", "powervm:max_mem": "4096", "powervm:min_vcpu": "1", "powervm:max_vcpu": "8",
    "powervm:proc_units": "0.6", "powervm:min_proc_units": "0.1", "powervm:max_proc_units": "4",
    "powervm:shared_weight": "200", "powervm:availability_priority": "190", "powervm:enable_lpar_metric": "true",
    "powervm:secure_boot": "2", "powervm:processor_compatibility": "POWER9", "powervm:srr_capability": "false",
    "powervm:shared_proc_pool_name": "gold",
}  # fmt: skip
DEDICATED = {"powervm:dedicated_proc": "true", "powervm:dedicated_sharing_mode": "keep_idle_procs"}


def keyed(lpar: dict[str, Any]) -> dict[str, Any]:
    """What the flavor keys decide, of a simulated partition."""
    names = ("availability_priority", "metrics", "secure_boot", "compatibility_mode", "remote_restart")
    return {**lpar["memory"], **lpar["processors"], **{name: lpar[name] for name in names}}


class Resizing(PowerVMCloud, ServerActions):
    """What the tests of resizes share: a cloud that may resize a server where it is."""

    def before_services(self) -> None:
        self.flags(allow_resize_to_same_host=True)
        super().before_services()

    def root_of(self, server: dict[str, Any]) -> dict[str, Any]:
        (pool,) = self.state()["pools"]
        units = [unit for tier in pool["tiers"] for unit in tier["units"]]
        (disk,) = [unit for unit in units if server["id"].replace("-", "")[:8] in unit["name"]]
        return dict(disk)

    def check_shape(self, server: dict[str, Any], memory_mb: int, vcpus: int, disk_gb: int, allocated_gb: int) -> None:
        """The partition, the disk and placement have these figures, and the partition its mark."""
        lpar = self.lpar_of(server)
        assert (lpar["memory"]["desired"], lpar["processors"]["vcpus"]) == (memory_mb, vcpus)
        assert self.root_of(server)["capacity"] == disk_gb
        assert self.allocated(server) == {"MEMORY_MB": memory_mb, "VCPU": vcpus, "DISK_GB": allocated_gb}
        assert self.driver.list_instance_uuids() == [server["id"]]


class GroupDisks:
    """For tests whose disks are in a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}

    def root_of(self, server: dict[str, Any]) -> dict[str, Any]:
        groups = [group for vios in self.state()["vioses"] for group in vios["groups"] if group["name"] == "datavg"]  # type: ignore[attr-defined]
        (disk,) = [disk for group in groups for disk in group["disks"] if disk["base"]]
        return dict(disk)


class OnSharedPool(Resizing):
    """On a shared storage pool."""

    def test_up_and_confirmed_down_and_deleted(self) -> None:
        server = self.boot(config_drive=True)
        self.resize(server, self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=4))
        self.check_shape(server, 2048, 2, 4, 4)
        assert self.lpar_of(server)["state"] == "running"
        assert self.events(server, "resize")["powervm_cold_resize"] == "Success"
        self.simulator.journal.clear()
        self.confirm(server)
        assert not [entry for entry in self.calls() if entry.method != "GET"], "a confirmation changes nothing"
        self.check_shape(server, 2048, 2, 4, 4)
        self.resize(server, self.make_flavor(memory_mb=512, vcpus=1, disk_gb=4))
        self.check_shape(server, 512, 1, 4, 4)
        assert self.power_state(server) == 1
        # Nova confirms it first.
        self.delete(server)

    def test_up_and_reverted_and_up_again(self) -> None:
        server = self.boot()
        before = keyed(self.lpar_of(server))
        self.resize(server, self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=4))
        self.revert(server)
        self.check_shape(server, 1024, 1, 4, 2)
        assert keyed(self.lpar_of(server)) == before
        assert self.lpar_of(server)["state"] == "running"
        self.simulator.journal.clear()
        self.resize(server, self.make_flavor(memory_mb=2048, disk_gb=3))
        assert not any("VolumeGroup" in path or "GrowLogicalUnit" in path for _method, path in self.kinds())
        self.confirm(server)
        self.check_shape(server, 2048, 1, 4, 3)
        self.delete(server)

    def test_a_stopped_server_stays_stopped(self) -> None:
        server = self.boot()
        self._stop_server(server)
        self.resize(server, self.make_flavor(memory_mb=2048, disk_gb=3))
        assert self.lpar_of(server)["state"] == "not activated"
        self.revert(server, "SHUTOFF")
        self.check_shape(server, 1024, 1, 3, 2)
        self.resize(server, self.make_flavor(memory_mb=512))
        self.confirm(server, "SHUTOFF")
        self.check_shape(server, 512, 1, 3, 2)
        assert self.lpar_of(server)["state"] == "not activated"
        self._start_server(server)
        self.delete(server)


class OnVolumeGroup(GroupDisks, OnSharedPool):
    """On a volume group of one VIOS."""


class Keys(Resizing):
    """What the flavor keys say, and a guest that need not stop."""

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        document["processor_pools"] = [{"name": "gold"}]
        return document

    def test_every_key_comes_and_goes(self) -> None:
        server = self.boot()
        before = keyed(self.lpar_of(server))
        self.resize(server, self.make_flavor(vcpus=2, extra_specs=KEYS))
        after = keyed(self.lpar_of(server))
        assert (after["minimum"], after["desired"], after["maximum"]) == (512, 1024, 4096)
        assert (after["min_vcpus"], after["vcpus"], after["max_vcpus"]) == (1, 2, 8)
        assert (after["min_units"], after["units"], after["max_units"]) == (0.1, 0.6, 4.0)
        assert (after["weight"], after["availability_priority"], after["metrics"]) == (200, 190, True)
        assert (after["secure_boot"], after["compatibility_mode"], after["remote_restart"]) == (2, "POWER9", False)
        assert after["pool"] != before["pool"]
        self.revert(server)
        assert keyed(self.lpar_of(server)) == before
        self.resize(server, self.make_flavor(vcpus=2, extra_specs=DEDICATED))
        whole = self.lpar_of(server)["processors"]
        assert (whole["dedicated"], whole["vcpus"], whole["sharing"]) == (True, 2, "keep idle procs")
        self.revert(server)
        assert keyed(self.lpar_of(server)) == before
        self.resize(server, self.make_flavor(extra_specs={"powervm:uncapped": "false"}))
        assert self.lpar_of(server)["processors"]["sharing"] == "capped"
        self.confirm(server)
        self.delete(server)

    def test_a_server_with_room_in_its_limits_goes_on_running(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(extra_specs=ROOMY))
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest has an RMC connection")
        started = self.lpar_of(server)["started"]
        self.simulator.journal.clear()
        self.resize(server, self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=4, extra_specs=ROOMY))
        assert self.kinds()["POST", LPAR] == 1
        self.check_shape(server, 2048, 2, 4, 4)
        assert self.events(server, "resize")["powervm_live_resize"] == "Success"
        self.revert(server)
        assert "powervm_live_resize" in self.events(server, "revertResize")
        self.check_shape(server, 1024, 1, 4, 2)
        assert self.lpar_of(server)["started"] == started, "it was never stopped"
        assert not any("/do/Power" in path for _method, path in self.kinds())
        self.delete(server)


class Refused(Resizing):
    """What cannot be done leaves the server as it was."""

    def check_unchanged(self, server: dict[str, Any], before: dict[str, Any], allocated: dict[str, int]) -> None:
        current = self.admin_api.get_server(server["id"])
        assert (current["status"], self.power_state(server)) == ("ACTIVE", 1)
        assert keyed(self.lpar_of(server)) == keyed(before)
        assert self.lpar_of(server)["started"] == before["started"], "it was never stopped"
        self.wait_until(lambda: self.allocated(server) == allocated, "the old allocation is back")

    def refused(self, server: dict[str, Any], flavor_id: str) -> str:
        """A resize that must fail; returns what the log says of it."""
        before, allocated = self.lpar_of(server), self.allocated(server)
        said = len(self.stdlog.logger.output)
        self.resize(server, flavor_id, "ACTIVE")
        self.check_unchanged(server, before, allocated)
        return str(self.stdlog.logger.output[said:])

    def test_refused_before_anything_is_touched(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(disk_gb=2))
        memory = self.inventory()["MEMORY_MB"]
        too_much = (memory["total"] // memory["step_size"] + 1) * memory["step_size"]
        assert "No valid host" in self.refused(server, self.make_flavor(memory_mb=too_much, disk_gb=2))
        said = self.refused(server, self.make_flavor(extra_specs={"powervm:proc_units": "8"}))
        assert "powervm:proc_units is 8" in said
        dedicated = self.make_flavor(vcpus=20, extra_specs={"powervm:dedicated_proc": "true"})
        assert "asks for 20.00 processors" in self.refused(server, dedicated)
        self.refused_elsewhere(server)
        self.delete(server)

    def test_a_disk_does_not_shrink(self) -> None:
        server = self.boot()
        self.resize(server, self.make_flavor(disk_gb=4))
        self.confirm(server)
        said = self.refused(server, self.make_flavor(disk_gb=3))
        assert "has 4 GB and cannot shrink to the 3 GB of flavor" in said
        assert self.root_of(server)["capacity"] == 4
        self.delete(server)

    def refused_elsewhere(self, server: dict[str, Any]) -> None:
        admin = context.get_admin_context()
        instance = objects.Instance.get_by_uuid(admin, server["id"])
        with self.assertRaises(exception.InstanceFaultRollback) as caught:
            self.driver.migrate_disk_and_power_off(admin, instance, "192.0.2.9", instance.flavor, [])
        assert "cannot move to 192.0.2.9" in str(caught.exception.inner_exception)
        assert isinstance(caught.exception.inner_exception, exception.ResizeError)

    def test_a_revert_that_cannot_be_done_is_mended_by_a_hard_reboot(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(disk_gb=2))
        before = keyed(self.lpar_of(server))
        self.resize(server, self.make_flavor(memory_mb=2048, disk_gb=2))
        self.simulator.faults.add(Fault(method="POST", path=LPAR, action=Action.ERROR, times=0))
        with mock.patch.object(resize, "_REVERT_PAUSES_S", (0.0,)):
            self.revert(server, "ERROR")
        assert "Changing LPAR" in self.fault_of(server)
        assert self.lpar_of(server)["state"] == "running"
        self.simulator.faults.clear()
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
        self.settle(server, "ACTIVE")
        assert keyed(self.lpar_of(server)) == before
        assert self.allocated(server) == {"MEMORY_MB": 1024, "VCPU": 1, "DISK_GB": 2}
        self.delete(server)


class Interrupted(Resizing):
    """nova-compute ends in the middle of a resize."""

    def test_the_next_start_puts_the_server_back(self) -> None:
        for done in (1, 2):
            with self.subTest(f"after {done} steps"):
                self.interrupt(done)

    def interrupt(self, done: int) -> None:
        server = self.boot(f"web-{done}", flavor_id=self.make_flavor(memory_mb=512))
        before = keyed(self.lpar_of(server))
        reached, release = threading.Event(), threading.Event()

        def run(name: str, steps: Sequence[Step], executor: Any) -> None:
            for step in steps[:done]:
                step.execute(Values({}))
            reached.set()
            release.wait(SETTLE_S)
            raise AssertionError("the process that would raise this is dead")

        with mock.patch.object(resize.flows, "run", run):
            body = {"resize": {"flavorRef": self.make_flavor(memory_mb=1024, vcpus=2)}}
            self.api.post_server_action(server["id"], body)
            assert reached.wait(SETTLE_S)
        assert self.lpar_of(server)["state"] == "not activated"
        try:
            # What a start does for each instance; a stop would wait for the thread that stands for the dead process.
            admin = context.get_admin_context()
            attributes = ["info_cache", "metadata", "numa_topology"]
            instance = objects.Instance.get_by_uuid(admin, server["id"], expected_attrs=attributes)
            self.compute.manager._init_instance(admin, instance)
            self.settle(server, "ACTIVE")
            assert self.lpar_of(server)["state"] == "running"
            assert keyed(self.lpar_of(server)) == before
        finally:
            release.set()
        self.settle(server, "ERROR")
        self.delete(server)
        self.check_nothing_left()
