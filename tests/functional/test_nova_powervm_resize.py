"""Resizes on one PowerVM host through a real Nova: up and down, confirmed and reverted, refused and failing."""

from __future__ import annotations

from typing import Any

from tests.functional.powervm import PowerVMCloud


class Resizing(PowerVMCloud):
    """What the tests of resizes share: a cloud that may resize a server where it is."""

    def before_services(self) -> None:
        self.flags(allow_resize_to_same_host=True)
        super().before_services()

    def resize(self, server: dict[str, Any], flavor_id: str, expected: str = "VERIFY_RESIZE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": flavor_id}})
        return self.settle(server, expected)

    def confirm(self, server: dict[str, Any], expected: str = "ACTIVE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"confirmResize": None})
        return self.settle(server, expected)

    def revert(self, server: dict[str, Any], expected: str = "ACTIVE") -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"revertResize": None})
        return self.settle(server, expected)

    def allocated(self, server: dict[str, Any]) -> dict[str, int]:
        """What placement has the server use, of the only host."""
        (allocation,) = self._get_allocations_by_server_uuid(server["id"]).values()
        return dict(allocation["resources"])

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


class OnSharedPool(Resizing):
    """On a shared storage pool."""

    def test_up_and_confirmed(self) -> None:
        server = self.boot(config_drive=True)
        self.resize(server, self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=4))
        self.check_shape(server, 2048, 2, 4, 4)
        assert self.lpar_of(server)["state"] == "running"
        self.confirm(server)
        self.check_shape(server, 2048, 2, 4, 4)
        self.delete(server)

    def test_up_and_reverted(self) -> None:
        server = self.boot()
        self.resize(server, self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=4))
        self.revert(server)
        self.check_shape(server, 1024, 1, 4, 2)
        assert self.lpar_of(server)["state"] == "running"
        self.delete(server)


class OnVolumeGroup(OnSharedPool):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}

    def root_of(self, server: dict[str, Any]) -> dict[str, Any]:
        groups = [group for vios in self.state()["vioses"] for group in vios["groups"] if group["name"] == "datavg"]
        (disk,) = [disk for group in groups for disk in group["disks"] if disk["base"]]
        return dict(disk)
