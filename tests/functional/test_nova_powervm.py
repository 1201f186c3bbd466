"""A server on PowerVM from create to delete, through a real Nova and over HTTP, with each disk driver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.functional import base
from tests.functional.powervm import EVENTS, PowerVMCloud

from bigiron.powervm.network import rmc
from bigiron.sim.powervm.model import power


class Lifecycle(PowerVMCloud):
    """On a shared storage pool."""

    def test_a_server_lives_and_leaves_nothing(self) -> None:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(vcpus=2, memory_mb=2048))
        lpar = self.lpar_of(server)
        assert lpar["state"] == "running"
        assert lpar["memory"]["desired"] == 2048
        assert lpar["processors"]["vcpus"] == 2
        self._stop_server(server)
        assert self.lpar_of(server)["state"] == "not activated"
        self._start_server(server)
        assert self.lpar_of(server)["state"] == "running"
        self._reboot_server(server)
        self._reboot_server(server, hard=True)
        assert self.lpar_of(server)["state"] == "running"
        assert self.power_state(server) == 1
        self.delete(server)

    def test_the_guest_has_its_disk_its_adapters_and_its_mark(self) -> None:
        server = self.boot(config_drive=True)
        lpar = self.lpar_of(server)
        kinds = sorted(target["kind"] for _vios, target in self.targets_of(lpar))
        assert kinds == self.expected_targets
        port = next(iter(self.neutron._ports.values()))
        macs = {adapter["mac"]: adapter for adapter in lpar["adapters"]}
        assert set(macs) == {one.replace(":", "").upper() for one in (port["mac_address"], rmc.mac(server["id"]))}
        assert macs[port["mac_address"].replace(":", "").upper()]["pvid"] == base.VLAN
        self.delete(server)

    expected_targets = ["LogicalUnit", "LogicalUnit", "VirtualOpticalMedia"]

    def test_the_disk_holds_the_images_bytes(self) -> None:
        server = self.boot()
        disk = self.disk_of(server)
        assert disk["capacity"] == 2
        self.delete(server)

    def disk_of(self, server: dict[str, Any]) -> dict[str, Any]:
        (pool,) = self.state()["pools"]
        units = [unit for tier in pool["tiers"] for unit in tier["units"]]
        (disk,) = [unit for unit in units if server["id"].replace("-", "")[:8] in unit["name"]]
        (image,) = [unit for unit in units if unit["udid"] == disk["cloned_from"]]
        assert self.content(image) == base.IMAGE_BYTES
        return dict(disk)

    def content(self, stored: dict[str, Any]) -> bytes:
        return Path(self.simulator.world.media_dir, stored["content"]["file"]).read_bytes()

    def test_the_config_drive_tells_the_guest_who_it_is(self) -> None:
        server = self.boot(config_drive=True, metadata={"role": "web"}, user_data="IyEvYmluL3NoCg==")
        drive = self.config_drive_of(server)
        meta_data = json.loads(drive["meta_data.json"])
        assert meta_data["uuid"] == server["id"]
        assert meta_data["meta"] == {"role": "web"}
        assert drive["user_data"] == b"#!/bin/sh\n"
        network = json.loads(drive["network_data.json"])
        port = next(iter(self.neutron._ports.values()))
        macs = [link["ethernet_mac_address"] for link in network["links"]]
        assert macs == [port["mac_address"], rmc.mac(server["id"])]
        addresses = {each["ip_address"] for each in network["networks"] if "ip_address" in each}
        assert rmc.link_local(rmc.mac(server["id"])) in addresses
        self.delete(server)

    def config_drive_of(self, server: dict[str, Any]) -> dict[str, bytes]:
        """The files below openstack/latest of the medium that the guest has in its drive."""
        (medium,) = [
            medium
            for vios in self.state()["vioses"]
            for group in vios["groups"]
            for medium in (group["repository"] or {"media": []})["media"]
        ]
        return self.files_of(medium)

    def test_a_guest_that_stops_by_itself_is_seen_to(self) -> None:
        server = self.boot()
        lpar = self.lpar_of(server)
        with self.simulator.services.locked() as simulated:
            self.stop_on_platform(simulated, lpar["uuid"])
        self.settle(server, "SHUTOFF")
        self.delete(server)

    def stop_on_platform(self, simulated: Any, lpar_uuid: str) -> None:
        """As if an operator had stopped the partition at the console."""
        lpar = simulated.partition(lpar_uuid)
        power.begin_off(simulated, lpar, "shutdown", False)
        power.finish_off(simulated, lpar, False)

    def test_the_guest_starts_after_its_port_is_reported_up(self) -> None:
        self.flags(vif_plugging_timeout=base.SETTLE_S)
        self.neutron.status = "DOWN"
        server = self.boot(expected=None)
        self.wait_until(lambda: ("PUT", EVENTS) in self.kinds(), "the adapter is announced to the network agent")
        lpar, (port,) = self.lpar_of(server), self.neutron._ports.values()
        assert port["mac_address"].replace(":", "").upper() in {adapter["mac"] for adapter in lpar["adapters"]}
        assert lpar["state"] == "not activated"
        self.admin_api.create_server_external_events(
            [{"name": "network-vif-plugged", "server_uuid": server["id"], "tag": port["id"], "status": "completed"}]
        )
        self.settle(server, "ACTIVE")
        assert self.lpar_of(server)["state"] == "running"
        self.delete(server)

    def test_the_inventory_leaves_out_what_the_platform_holds(self) -> None:
        inventory, state = self.inventory(), self.state()
        held = sum(vios["memory"]["desired"] for vios in state["vioses"])
        assert inventory["MEMORY_MB"]["reserved"] >= held
        assert inventory["MEMORY_MB"]["allocation_ratio"] == 1.0
        assert inventory["VCPU"]["allocation_ratio"] == 1.0
        assert inventory["MEMORY_MB"]["step_size"] == inventory["MEMORY_MB"]["min_unit"] > 1
        assert inventory["DISK_GB"]["total"] > 0
        traits = self.traits()
        assert {"HW_ARCH_PPC64LE", "COMPUTE_ARCH_PPC64LE", "COMPUTE_IMAGE_TYPE_RAW"} <= traits
        assert any(trait.startswith("CUSTOM_POWERVM_") for trait in traits)

    def test_only_our_partitions_are_listed(self) -> None:
        server = self.boot()
        assert self.driver.list_instance_uuids() == [server["id"]]
        assert len(self.state()["lpars"]) > 1
        self.delete(server)

    def test_eight_servers_at_once(self) -> None:
        flavor_id = self.make_flavor(memory_mb=512)
        servers = [self.boot(f"web-{number}", flavor_id=flavor_id, expected=None) for number in range(8)]
        for server in servers:
            self.settle(server, "ACTIVE")
        assert len({self.lpar_of(server)["id"] for server in servers}) == 8
        self.delete(*servers)

    def test_nova_compute_comes_back_to_its_guests(self) -> None:
        server = self.boot()
        self.compute.stop()
        self.start_compute()
        assert self.admin_api.get_server(server["id"])["status"] == "ACTIVE"
        self._stop_server(server)
        self.delete(server)


@pytest.mark.full
class LifecycleOnVolumeGroup(Lifecycle):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
    expected_targets = ["VirtualDisk", "VirtualOpticalMedia"]

    def disk_of(self, server: dict[str, Any]) -> dict[str, Any]:
        groups = [group for vios in self.state()["vioses"] for group in vios["groups"] if group["name"] == "datavg"]
        disks = [disk for group in groups for disk in group["disks"]]
        (disk,) = [disk for disk in disks if disk["base"]]
        (image,) = [each for each in disks if each["udid"] == disk["base"]]
        assert self.content(image) == base.IMAGE_BYTES
        return dict(disk)
