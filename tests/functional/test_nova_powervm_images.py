"""What servers are made of: qcow2 images, image properties, IBM i and AIX, rebuilds; through a real Nova."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.functional import base
from tests.functional.test_nova_powervm_rescue import RESCUE_BYTES, Rescued
from tests.functional.test_nova_powervm_resize import Resizing
from tests.support import qcow2

from bigiron.plugins.nova.image import can_convert
from bigiron.sim.kernel.faults import Action, Fault

GIB = 1 << 30
DISK_BYTES = 3 << 20
CONTENT = b"qcow2 inside " * 9000
CREATE = "/rest/api/uom/ManagedSystem/{uuid}/LogicalPartition"


class Made(Resizing, Rescued):
    """What the tests of images share."""

    def flavor(self, disk_gb: int = 2, **fields: Any) -> str:
        return self.make_flavor(memory_mb=512, disk_gb=disk_gb, **fields)

    def root_bytes(self, server: dict[str, Any]) -> bytes:
        """The image that the server's root disk is a copy of."""
        (root,) = [one for one in self.stored() if one["name"] in self.names_of(server) and self.is_own(one["name"])]
        source = root.get("cloned_from") or root.get("base")
        (image,) = [one for one in self.stored() if one["udid"] == source]
        return Path(self.simulator.world.media_dir, image["content"]["file"]).read_bytes()

    def properties(self, **values: str) -> str:
        """An image with these properties."""
        return self.upload_image(base.IMAGE_BYTES, properties=values)

    def console(self, server: dict[str, Any]) -> str:
        return str(self.simulator.management.guests.console(self.lpar_of(server)["name"]).read().text)


class Formats(Made):
    """qcow2, and what images say they are; QEMU's own program converts where it is installed, else a stand-in."""

    def before_services(self) -> None:
        super().before_services()
        if not can_convert():
            qcow2.install(self.scratch / "bin")
            self.enterContext(mock.patch.dict(os.environ, PATH=f"{self.scratch / 'bin'}:{os.environ['PATH']}"))

    def test_a_qcow2_image_is_converted_once_and_boots(self) -> None:
        image_id = self.upload_image(qcow2.write(CONTENT, DISK_BYTES), disk_format="qcow2")
        assert "COMPUTE_IMAGE_TYPE_QCOW2" in self.traits()
        first = self.boot(image_id=image_id, flavor_id=self.flavor())
        assert self.root_bytes(first) == CONTENT.ljust(DISK_BYTES, b"\0")
        self.simulator.journal.clear()
        second = self.boot("web-2", image_id=image_id, flavor_id=self.flavor())
        assert not [call for call in self.calls() if "/web/File" in call.template]
        assert self.rescue(first, image_id)["status"] == "RESCUE"
        assert self.unrescue(first)["status"] == "ACTIVE"
        self.delete(first, second)
        assert list(Path(base.CONF.powervm.image_conversion_path).iterdir()) == []

    def test_the_size_of_the_disk_inside_counts(self) -> None:
        image_id = self.upload_image(qcow2.announcing(3 * GIB), disk_format="qcow2")
        message = self.boot_fails(image_id=image_id, flavor_id=self.flavor(2))
        assert "of 3.00 GB does not fit the root disk of 2 GB" in message, message

    def test_images_that_lie_or_refer_to_other_files_are_refused(self) -> None:
        for content, disk_format in (
            (qcow2.write(CONTENT, DISK_BYTES, backing="/etc/shadow"), "qcow2"),
            (qcow2.write(CONTENT, DISK_BYTES, data_file=True), "qcow2"),
            (CONTENT, "qcow2"),
            (qcow2.write(CONTENT, DISK_BYTES), "raw"),
        ):
            image_id = self.upload_image(content, disk_format=disk_format)
            message = self.boot_fails(image_id=image_id, flavor_id=self.flavor())
            assert f"is registered as {disk_format} and is refused" in message, message
            self.check_nothing_left()


class NoConverter(Made):
    """A host without qemu-img."""

    def before_services(self) -> None:
        super().before_services()
        self.enterContext(mock.patch.dict(os.environ, PATH=str(self.scratch)))

    def test_the_package_is_named_and_the_trait_is_missing(self) -> None:
        assert "COMPUTE_IMAGE_TYPE_QCOW2" not in self.traits()
        image_id = self.upload_image(qcow2.write(CONTENT, DISK_BYTES), disk_format="qcow2")
        assert "Install the package qemu-utils" in self.boot_fails(image_id=image_id, flavor_id=self.flavor())


class Properties(Made):
    """What an image's properties ask for."""

    def test_what_a_partition_cannot_have_is_refused_before_anything_is_made(self) -> None:
        self.simulator.journal.clear()
        for name, value in (
            ("hw_disk_bus", "virtio"), ("hw_vif_model", "e1000"), ("hw_machine_type", "pseries"),
            ("hw_firmware_type", "uefi"), ("hw_architecture", "x86_64"),
        ):  # fmt: skip
            message = self.boot_fails(image_id=self.properties(**{name: value}), flavor_id=self.flavor())
            assert name in message or "No valid host" in message, message
        assert not [call for call in self.calls() if call.method != "GET"]

    def test_what_it_has_boots(self) -> None:
        image_id = self.properties(
            hw_disk_bus="scsi", hw_vif_model="spapr-vlan", hw_architecture="ppc64le", os_distro="rhel",
            hw_cdrom_bus="scsi", os_type="linux",
        )  # fmt: skip
        self.delete(self.boot(image_id=image_id, flavor_id=self.flavor(), config_drive=True))

    def test_least_disk_and_memory_are_held_against_the_flavor(self) -> None:
        for fields in ({"min_disk": 3}, {"min_ram": 1024}):
            image_id = self.upload_image(base.IMAGE_BYTES, **fields)
            with self.assertRaises(base.api_client.OpenStackApiException) as caught:
                self.boot(image_id=image_id, flavor_id=self.flavor())
            assert caught.exception.response.status_code == 400


class Systems(Made):
    """Operating systems, on a shared storage pool."""

    def test_ibm_i_lives_and_leaves_nothing(self) -> None:
        server = self.boot(image_id=self.properties(os_distro="ibmi"), flavor_id=self.flavor(), config_drive=True)
        lpar = self.lpar_of(server)
        assert (lpar["type"], lpar["restricted_io"], lpar["source"], lpar["keylock"]) == ("OS400", True, "b", "normal")
        tagged = lpar["tagged_io"]
        assert (tagged["console"], tagged["load_source"].isdigit()) == ("HMC", True)
        self.wait_until(lambda: "Load source found: b" in self.console(server), "IBM i loads")
        self._reboot_server(server)
        self._reboot_server(server, hard=True)
        self._stop_server(server)
        assert self.lpar_of(server)["state"] == "not activated"
        self._start_server(server)
        self.resize(server, self.make_flavor(memory_mb=1024, disk_gb=3, swap_mb=512))
        after = self.lpar_of(server)
        assert (after["type"], after["memory"]["desired"], after["tagged_io"]) == ("OS400", 1024, tagged)
        assert after["state"] == "running"
        self.revert(server)
        assert self.lpar_of(server)["tagged_io"] == tagged
        self.delete(server)

    def test_ibm_i_cannot_be_rescued(self) -> None:
        server = self.boot(image_id=self.properties(os_distro="ibmi"), flavor_id=self.flavor())
        own = self.presented(server)
        self.rescue(server)
        assert "cannot be rescued" in self.fault_of(server)
        assert self.presented(server) == own
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
        assert self.idle(server)["status"] == "ACTIVE"
        self.delete(server)

    def test_aix_is_an_ordinary_partition(self) -> None:
        server = self.boot(image_id=self.properties(os_distro="aix"), flavor_id=self.flavor(), config_drive=True)
        assert self.lpar_of(server)["type"] == "AIX/Linux"
        assert self.lpar_of(server)["tagged_io"] is None
        assert self.rescue(server)["status"] == "RESCUE"
        assert self.unrescue(server)["status"] == "ACTIVE"
        self._reboot_server(server)
        self.delete(server)

    def test_a_stable_rescue_is_asked_for_by_the_image(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, ephemeral_gb=1, swap_mb=256))
        own = list(self.targets_of(self.lpar_of(server)))
        good = self.upload_image(RESCUE_BYTES, properties={"hw_rescue_device": "disk", "hw_rescue_bus": "scsi"})
        assert self.rescue(server, good)["status"] == "RESCUE"
        assert self.is_rescue(self.boot_disk(server))
        rescued = self.targets_of(self.lpar_of(server))
        for vios in {vios for vios, _target in own}:
            before = [target for name, target in own if name == vios]
            assert [target for name, target in rescued if name == vios][: len(before)] == before
        assert self.unrescue(server)["status"] == "ACTIVE"
        bad = self.upload_image(RESCUE_BYTES, properties={"hw_rescue_device": "disk", "hw_rescue_bus": "virtio"})
        assert "hw_rescue_bus is virtio" in self.fault_of(self.rescue(server, bad))
        self.delete(server)


@pytest.mark.full
class SystemsOnVolumeGroup(Systems):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


class Rebuild(Made):
    """On a shared storage pool."""

    def rebuild(self, server: dict[str, Any], image_id: str, **fields: Any) -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": image_id, **fields}})
        return self.idle(server)

    def test_the_same_and_another_image_the_same_ports(self) -> None:
        server = self.boot(flavor_id=self.flavor(), config_drive=True)
        macs = sorted(adapter["mac"] for adapter in self.lpar_of(server)["adapters"])
        assert self.rebuild(server, self.image_id)["status"] == "ACTIVE"
        other = self.upload_image(b"another system " * 2048)
        assert self.rebuild(server, other)["status"] == "ACTIVE"
        assert self.root_bytes(server) == b"another system " * 2048
        assert sorted(adapter["mac"] for adapter in self.lpar_of(server)["adapters"]) == macs
        self._stop_server(server)
        self.rebuild(server, self.image_id)
        self.settle(server, "SHUTOFF")
        assert self.lpar_of(server)["state"] == "not activated"
        self.delete(server)

    def test_an_image_that_cannot_be_used_is_refused_while_the_guest_still_runs(self) -> None:
        server = self.boot(flavor_id=self.flavor())
        before = self.lpar_of(server)["started"], self.presented(server)
        for image_id, says in (
            (self.upload_image(b"half of it", size=20), "10 bytes where 20 were announced"),
            (self.properties(hw_disk_bus="virtio"), "hw_disk_bus is virtio"),
            (self.upload_image(b"KDMV", disk_format="vmdk"), "raw and qcow2 images boot"),
        ):
            assert self.rebuild(server, image_id)["status"] == "ERROR"
            assert says in self.fault_of(server)
            assert (self.lpar_of(server)["started"], self.presented(server)) == before
        assert self.rebuild(server, self.image_id)["status"] == "ACTIVE"
        self.delete(server)

    def test_an_image_larger_than_the_flavors_disk_is_refused_by_the_api(self) -> None:
        server = self.boot(flavor_id=self.flavor(2))
        large = self.upload_image(b"x", size=3 * GIB)
        with self.assertRaises(base.api_client.OpenStackApiException) as caught:
            self.rebuild(server, large)
        assert caught.exception.response.status_code == 400
        assert self.admin_api.get_server(server["id"])["status"] == "ACTIVE"
        self.delete(server)

    def test_ephemeral_disks_are_not_preserved(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512, ephemeral_gb=1))
        own = self.presented(server)
        self.rebuild(server, self.image_id, preserve_ephemeral=True)
        assert "preserving ephemeral" in self.fault_of(server)
        assert self.presented(server) == own
        assert self.rebuild(server, self.image_id)["status"] == "ACTIVE"
        self.delete(server)

    def test_a_rebuild_that_fails_later_leaves_nothing_and_the_next_works(self) -> None:
        server = self.boot(flavor_id=self.flavor(), config_drive=True)
        self.plan(Fault(method="PUT", path=CREATE, action=Action.ERROR))
        after = self.rebuild(server, self.image_id)
        self.check_fired("rebuild")
        assert after["status"] == "ERROR"
        # The old guest is gone and of the new one nothing is there.
        self.check_nothing_left()
        assert self.rebuild(server, self.image_id)["status"] == "ACTIVE"
        assert self.lpar_of(server)["state"] == "running"
        self.delete(server)


@pytest.mark.full
class RebuildOnVolumeGroup(Rebuild):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
