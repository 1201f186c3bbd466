"""Servers on z/VM through a real Nova and the real Cloud Connector: one thin path, and what a user sees of it."""

from __future__ import annotations

import gzip

from nova.compute import power_state
from tests.functional.zvm import ZVMCloud
from tests.support import zvm_host


class Servers(ZVMCloud):
    """Spawn with a config drive, power, reboot, pause, delete."""

    def test_a_server_lives_and_goes(self) -> None:
        server = self.boot(config_drive=True)
        guest = self.guest_of(server)
        assert guest["state"] == "on"
        assert guest["memory_mb"] == 1024
        assert len(guest["nics"]) == 1
        assert self.power_state(server) == power_state.RUNNING

        self.api.post_server_action(server["id"], {"os-stop": None})
        self.settle(server, "SHUTOFF")
        assert self.guest_of(server)["state"] == "off"

        self.api.post_server_action(server["id"], {"os-start": None})
        self.settle(server, "ACTIVE")
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
        self.settle(server, "ACTIVE")
        assert self.guest_of(server)["state"] == "on"

        self.api.post_server_action(server["id"], {"pause": None})
        self.settle(server, "PAUSED")
        assert self.guest_of(server)["state"] == "paused"
        self.api.post_server_action(server["id"], {"unpause": None})
        self.settle(server, "ACTIVE")

        self.delete(server)

    def test_a_server_gets_another_shape_and_its_old_one_again(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=1024, vcpus=1, disk_gb=1))
        larger = self.make_flavor(memory_mb=2048, vcpus=2, disk_gb=1)
        self.flags(allow_resize_to_same_host=True)
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": larger}})
        self.settle(server, "VERIFY_RESIZE")
        guest = self.guest_of(server)
        assert (guest["memory_mb"], len(guest["cpus"])) == (2048, 2)
        self.api.post_server_action(server["id"], {"revertResize": None})
        self.settle(server, "ACTIVE")
        guest = self.guest_of(server)
        assert (guest["memory_mb"], len(guest["cpus"])) == (1024, 1)
        self.delete(server)

    def test_an_image_without_os_distro_says_what_is_missing(self) -> None:
        image = self.upload_image(b"\0" * 4096)
        message = self.boot_fails(image_id=image)
        assert "os_distro" in message
        self.delete(*self.api.get_servers())

    def test_an_image_whose_disk_is_compressed_boots(self) -> None:
        data = zvm_host.disk_image()
        packed = data[:512].replace(b"GZIP: 0", b"GZIP: 6") + gzip.compress(data[512:])
        self.world.image.id = image = self.upload_image(packed, properties={"os_distro": "rhel9.4"})
        server = self.boot(image_id=image)
        assert self.guest_of(server)["disks"][0]["os"] == "rhel9.4"
        self.delete(server)

    def test_an_image_of_another_kind_says_so_and_leaves_nothing(self) -> None:
        image = self.upload_image(b"\0" * 4096, properties={"os_distro": "rhel9.4"})
        assert "no z/VM disk image" in self.boot_fails(image_id=image)
        self.delete(*self.api.get_servers())
