"""Servers on z/VM through a real Nova and the real Cloud Connector: what they are made with, and the host."""

from __future__ import annotations

import base64
import gzip
from typing import Any
from unittest import mock

from nova import context, objects
from nova.compute import power_state
from tests.functional.actions import NETWORK
from tests.functional.zvm import ZVMCloud
from tests.support import zvm_host

from bigiron import naming
from bigiron.zvm import inventory

USER_DATA = b"#cloud-config\n{}\n"


class Servers(ZVMCloud):
    """Spawn and delete."""

    def test_a_server_lives_and_goes(self) -> None:
        server = self.boot()
        assert self.shape(server) == ("on", 1024, 1, ["rhel9.4"])
        guest = self.up(server)
        assert (guest["config_drive"], len(guest["nics"])) == (None, 1)
        assert guest["userid"].startswith("NV")
        assert self.power_state(server) == power_state.RUNNING
        self.delete(server)
        assert self.guests_of(server) == []

    def test_a_server_has_what_its_flavor_and_its_request_say(self) -> None:
        flavor = self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=1, ephemeral_gb=1, swap_mb=512)
        server = self.boot(
            flavor_id=flavor,
            networks=[{"uuid": NETWORK}] * 2,
            config_drive=True,
            metadata={"role": "web"},
            user_data=base64.b64encode(USER_DATA).decode(),
        )
        assert self.shape(server) == ("on", 2048, 2, ["rhel9.4", "ext3", "swap"])
        guest = self.up(server)
        assert [nic["mac"] for nic in guest["nics"]] == self.ports(server)
        written = "\n".join(text for path, text in guest["files"].items() if "ifcfg" in path)
        for port in self.api.get_port_interfaces(server["id"]):
            assert port["fixed_ips"][0]["ip_address"] in written
        fstab = guest["files"]["/etc/fstab"]
        assert "ccw-0.0.0101-part1 /mnt/ephemeral0101 ext3" in fstab
        assert "ccw-0.0.0102" in fstab and "swap" in fstab
        drive = guest["config_drive"]
        assert drive["meta_data"]["uuid"] == server["id"]
        assert drive["meta_data"]["meta"] == {"role": "web"}
        assert guest["hostname"] == "web"
        # The activation engine configures the network, and cloud-init is not to do it again.
        assert not drive.get("network_data", {}).get("links")
        self.delete(server)

    def test_a_spawn_asks_for_nothing_twice(self) -> None:
        # What the host has is asked for again after a while, however slow this machine is.
        self.enterContext(mock.patch.object(inventory, "_FRESH_S", 3600.0))
        self.delete(self.boot(config_drive=True))
        self.simulator.journal.clear()
        server = self.boot(config_drive=True)
        assert len(self.requests()) == len(self.changes())
        templates = [template for _method, template in self.changes()]
        assert templates.count("/guests") == 1
        assert templates.count("/guests/{name}/interface") == 1
        assert templates.count("/guests/{name}/action") == 2
        assert len(templates) == 9
        self.delete(server)

    def test_servers_at_once_do_not_meet(self) -> None:
        booted = [self.boot(f"web-{number}", expected=None, config_drive=True) for number in range(5)]
        servers = [self.settle(server, "ACTIVE") for server in booted]
        assert len({self.guest_of(server)["userid"] for server in servers}) == 5
        for server in servers:
            assert self.up(server)["config_drive"]["meta_data"]["uuid"] == server["id"]
        self.delete(*servers)

    def test_an_image_whose_disk_is_compressed_boots(self) -> None:
        data = zvm_host.disk_image()
        packed = data[:512].replace(b"GZIP: 0", b"GZIP: 6") + gzip.compress(data[512:])
        self.world.image.id = image = self.upload_image(packed, properties={"os_distro": "rhel9.4"})
        server = self.boot(image_id=image)
        assert self.guest_of(server)["disks"][0]["os"] == "rhel9.4"
        self.delete(server)

    def test_the_console_log_is_what_the_guest_wrote(self) -> None:
        server = self.boot(config_drive=True)
        self.up(server)
        for _ in range(2):
            # Nothing new was written the second time, and the connector fails for that.
            log = self.console_log(server)
            assert "web login:" in log
        assert len(self.console_log(server, length=3).splitlines()) <= 3
        self.delete(server)

    def console_log(self, server: dict[str, Any], **options: Any) -> str:
        answer = self.api.post_server_action(server["id"], {"os-getConsoleOutput": options})
        return str(answer["output"])

    def test_diagnostics_say_what_the_platform_knows(self) -> None:
        server = self.boot(config_drive=True)
        self.up(server)
        found = self.driver.get_diagnostics(self.instance_of(server))
        assert (found["state"], found["memory_mb"], found["vcpus"]) == ("running", 1024, 1)
        assert (found["operating_system"], found["config_drive"]) == ("rhel9.4", True)
        assert [found["nic0_mac"]] == self.ports(server)
        self.delete(server)

    def instance_of(self, server: dict[str, Any]) -> Any:
        return objects.Instance.get_by_uuid(context.get_admin_context(), server["id"])


class Host(ZVMCloud):
    """The host, and what on it is not ours."""

    def test_the_host_is_what_placement_and_operators_see(self) -> None:
        inventory = self.inventory()
        assert inventory["VCPU"]["total"] == 8
        assert inventory["MEMORY_MB"]["total"] == 262144
        assert inventory["DISK_GB"]["total"] == 83
        (found,) = self.admin_api.api_get("/os-hypervisors/detail").body["hypervisors"]
        assert (found["hypervisor_type"], found["hypervisor_hostname"]) == ("zvm", "ZVMSIM1")
        assert "COMPUTE_IMAGE_TYPE_RAW" in self.traits()
        assert "IPL" in self.driver.get_host_uptime()

    def test_only_what_has_our_mark_is_ours(self) -> None:
        server = self.boot()
        first = next(naming.userids(server["id"], "NV"))
        assert self.guest_of(server)["userid"] == first
        api = self.driver.hypervisor.parts.api
        # A foreign userid that begins as ours do.
        api.create("NVOTHERS", {"vcpus": 1, "memory": 512, "disk_list": []}, "Making another's guest")
        self.compute.stop()
        self.start_compute()
        assert self.driver.list_instance_uuids() == [server["id"]]
        assert len(self.driver.list_instances()) == 1
        self.delete(server)
        assert "NVOTHERS" in self.world.guests()
        self.driver.hypervisor.parts.api.delete("NVOTHERS")

    def test_servers_are_compared_with_what_z_vm_has(self) -> None:
        server = self.boot()
        userid = self.guest_of(server)["userid"]
        # An operator's doing, on z/VM itself.
        answer = self.simulator.commands.run(["smcli", "Image_Deactivate", "-T", userid])
        assert answer.status == 0, answer
        self.settle(server, "SHUTOFF")
        assert self.power_state(server) == power_state.SHUTDOWN
        self.act(server, {"os-start": None}, "ACTIVE")
        self.delete(server)
