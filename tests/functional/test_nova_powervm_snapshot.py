"""Snapshots of servers on PowerVM, and shelving, through a real Nova: what Glance gets is what the disk holds."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.functional import base, world
from tests.functional.actions import ServerActions
from tests.functional.powervm import PowerVMCloud

from bigiron.sim.powervm.model import blocks

GB = 1 << 30
WRITTEN = b"what the guest wrote"
OF_RMC = re.compile(r"^changed: /lpars/[^/]+/(rmc|rmc_due|os_version|reference_code|address) ")
"""What a guest that comes up changes by itself."""


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def padded(content: bytes, size: int) -> str:
    """The digest of the content with zeros up to the size."""
    made = hashlib.sha256(content)
    left = size - len(content)
    while left:
        made.update(base.ZEROS[: min(left, base.CHUNK)])
        left -= min(left, base.CHUNK)
    return made.hexdigest()


class SnapshotBase(PowerVMCloud, ServerActions):
    """What tests of snapshots share."""

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def unchanged(self, before: dict[str, Any]) -> None:
        """The platform is as it was, object by object, and the management partition has let go of every disk."""
        lines = [line for line in world.differences(before, self.state()) if not OF_RMC.search(line)]
        assert lines == [], "\n".join(lines)
        assert self.devices() == []

    def devices(self) -> list[Path]:
        root = self.simulator.management_root
        return [*root.glob("dev/disk/by-id/*"), *root.glob("sys/block/*"), *root.glob("sys/bus/vio/devices/*")]

    def write(self, server: dict[str, Any], offset: int, data: bytes) -> None:
        """Write to the root disk as the guest does."""
        target = next(t for _vios, t in self.targets_of(self.lpar_of(server)) if t["kind"] != "VirtualOpticalMedia")
        with self.simulator.services.locked() as simulated:
            disk = blocks.find(simulated, target["kind"], target["key"])
            assert disk is not None
            blocks.write(simulated, disk, offset, data)


class Snapshot(SnapshotBase):
    """On a shared storage pool."""

    @pytest.mark.full
    def test_a_fresh_servers_snapshot_is_its_image_padded_to_the_disk(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        before = self.state()
        image_id = self.take(server)
        self.unchanged(before)
        image = self.glance.images[image_id]
        assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
        assert image["size"] == GB
        assert image["properties"]["image_location"] == "snapshot"
        assert image["properties"]["image_state"] == "available"
        assert image["properties"]["owner_id"] == self.admin_api.get_server(server["id"])["tenant_id"]
        assert digest(self.glance.file_of(image_id)) == padded(base.IMAGE_BYTES, GB)
        assert self.admin_api.get_server(server["id"])["status"] == "ACTIVE"
        self.delete(server)

    def test_a_snapshot_has_what_the_guest_wrote_and_boots(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.write(server, 100, WRITTEN)
        self.write(server, GB - len(WRITTEN), WRITTEN)
        self._stop_server(server)
        image_id = self.take(server)
        with self.glance.file_of(image_id).open("rb") as file:
            assert file.read(100 + len(WRITTEN)) == base.IMAGE_BYTES[:100] + WRITTEN
            file.seek(-len(WRITTEN), os.SEEK_END)
            assert file.read() == WRITTEN
        assert self.admin_api.get_server(server["id"])["status"] == "SHUTOFF"
        copy = self.boot("copy", flavor_id=self.flavor_id, image_id=image_id)
        again = self.take(copy, "again")
        assert digest(self.glance.file_of(again)) == digest(self.glance.file_of(image_id))
        self.delete(server, copy)

    @pytest.mark.full
    def test_two_snapshots_at_once_do_not_meet(self) -> None:
        servers = [self.boot(f"web-{number}", flavor_id=self.flavor_id) for number in range(2)]
        for number, server in enumerate(servers):
            self.write(server, 0, f"guest {number}".encode())
        before = self.state()
        for number, server in enumerate(servers):
            self.api.post_server_action(server["id"], {"createImage": {"name": f"snap-{number}"}})
        for server in servers:
            self.wait_until(lambda server=server: self.is_idle(server), "the snapshot ends")
        self.unchanged(before)
        for number in range(2):
            (image,) = [each for each in self.glance.images.values() if each["name"] == f"snap-{number}"]
            with self.glance.file_of(image["id"]).open("rb") as file:
                assert file.read(7) == f"guest {number}".encode()
        self.delete(*servers)

    def test_an_upload_that_fails_leaves_no_image_and_no_mapping(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        before, images = self.state(), set(self.glance.images)
        self.glance.upload_error = OSError("the store is full")
        self.api.post_server_action(server["id"], {"createImage": {"name": "snap"}})
        self.wait_until(lambda: self.is_idle(server), "the snapshot fails")
        self.wait_until(lambda: set(self.glance.images) == images, "Nova deletes the image")
        self.unchanged(before)
        self.glance.upload_error = None
        self.take(server)
        self.unchanged(before)
        self.delete(server)

    @pytest.mark.full
    def test_the_task_states_tell_how_far_it_is(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        seen: list[str] = []
        take = self.driver.snapshot

        def noting(context: Any, instance: Any, image_id: str, update: Any) -> None:
            def noted(task_state: str, **expected: Any) -> None:
                update(task_state=task_state, **expected)
                seen.append(self.admin_api.get_server(server["id"])["OS-EXT-STS:task_state"])
                mapped = len([each for each in self.devices() if each.parent.name == "block"])
                seen.append(f"{mapped} mapped")

            take(context, instance, image_id, noted)

        self.driver.snapshot = noting
        self.take(server)
        assert seen == ["image_pending_upload", "0 mapped", "image_uploading", f"{self.mapped_disks} mapped"]
        self.delete(server)

    mapped_disks = 1
    partition_name = "novalink"

    def test_shelve_offload_and_unshelve(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.write(server, 0, WRITTEN)
        self.flags(shelved_offload_time=0)
        self.api.post_server_action(server["id"], {"shelve": {}})
        self.settle(server, "SHELVED_OFFLOADED")
        assert self.lpars_of(server) == []
        assert self.devices() == []
        self.api.post_server_action(server["id"], {"unshelve": None})
        self.settle(server, "ACTIVE")
        assert self.lpar_of(server)["state"] == "running"
        image_id = self.take(server)
        with self.glance.file_of(image_id).open("rb") as file:
            assert file.read(len(WRITTEN)) == WRITTEN
        self.delete(server)

    def test_shelved_and_not_offloaded_unshelves_where_it_is(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.flags(shelved_offload_time=-1)
        self.api.post_server_action(server["id"], {"shelve": {}})
        self.settle(server, "SHELVED")
        assert self.lpar_of(server)["state"] == "not activated"
        self.api.post_server_action(server["id"], {"unshelve": None})
        self.settle(server, "ACTIVE")
        assert self.lpar_of(server)["state"] == "running"
        self.delete(server)

    def lpars_of(self, server: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.state()["lpars"] if each["description"] == f"openstack:{server['id']}"]

    def test_a_host_that_is_not_its_management_partition_says_so(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        (self.simulator.management_root / "proc/ppc64/lparcfg").unlink()
        before = self.state()
        self.api.post_server_action(server["id"], {"createImage": {"name": "snap"}})
        self.wait_until(lambda: self.is_idle(server), "the snapshot fails")
        self.unchanged(before)
        assert f"to run in the management partition {self.partition_name} (id " in self.stdlog.logger.output
        self.delete(server)

    def test_what_a_killed_snapshot_left_goes_at_the_next_start(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        before = self.state()
        self.break_off(server)
        assert world.differences(before, self.state()) != []
        self.compute.stop()
        self.start_compute()
        self.unchanged(before)
        self.delete(server)

    def test_what_a_killed_snapshot_left_does_not_keep_the_server_from_its_end(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.break_off(server)
        self.delete(server)

    def break_off(self, server: dict[str, Any]) -> None:
        """As a process does that is killed in the middle: the disk is mapped, and nothing undoes it."""
        opened = self.driver.hypervisor.root_disk(server["id"])
        opened.__enter__()
        opened.gen.gi_frame.f_locals["undo"].pop_all()


@pytest.mark.full
class SnapshotOnVolumeGroup(Snapshot):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


@pytest.mark.full
class SnapshotWhereNovaLinkServesDisks(SnapshotOnVolumeGroup):
    """The management partition is the VIOS that has the volume group: it reads its own device."""

    mapped_disks = 0

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        document["partitions"] = []
        document["vioses"][0]["management"] = True
        return document

    def test_a_host_that_is_not_its_management_partition_says_so(self) -> None:
        """As on the others, and the partition has the VIOS's name."""
        self.partition_name = "vios1"
        super().test_a_host_that_is_not_its_management_partition_says_so()

    def test_what_a_killed_snapshot_left_goes_at_the_next_start(self) -> None:
        """Nothing is mapped, so nothing is left."""
        server = self.boot(flavor_id=self.flavor_id)
        before = self.state()
        self.simulator.journal.clear()
        self.take(server)
        assert self.asked() == {}
        self.unchanged(before)
        self.delete(server)
