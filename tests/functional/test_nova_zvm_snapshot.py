"""Snapshots of servers on z/VM, shelving and rebuilds, through a real Nova: what Glance gets boots byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.functional.zvm import ZVMCloud
from tests.support import zvm_host

WRITTEN = bytes(range(255, -1, -1)) * 3
FAR = 700 << 20
BLOCK = 1 << 16


def content(path: Path) -> dict[int, bytes]:
    """What a disk holds: each of its blocks that is not empty, by its offset."""
    found: dict[int, bytes] = {}
    with path.open("rb") as file:
        at, size = 0, path.stat().st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // BLOCK * BLOCK
            except OSError:
                break
            file.seek(at)
            data = file.read(BLOCK)
            if any(data):
                found[at] = data
            at += BLOCK
    return found


class Snapshot(ZVMCloud):
    """Images of root disks."""

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def snap(self, server: dict[str, Any], name: str = "snap") -> str:
        """Snapshot a server; the image may stay in the connector once a server was made from it."""
        image_id = self.take(server, name)
        self.cached.add(image_id)
        return image_id

    def write(self, server: dict[str, Any], offset: int = FAR, data: bytes = WRITTEN) -> None:
        """Write to the root disk as the guest does."""
        with self.disk_of(server).open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)

    def test_a_snapshot_of_a_running_server_boots_byte_for_byte(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.up(server)
        self.write(server)
        image_id = self.snap(server)
        image = self.glance.images[image_id]
        assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
        assert image["properties"]["image_location"] == "snapshot"
        assert image["properties"]["os_distro"] == "rhel9.4"
        assert image["size"] == self.glance.file_of(image_id).stat().st_size
        assert self.glance.file_of(image_id).read_bytes().startswith(b"xCAT CKD Disk Image:")
        assert self.guest_of(server)["state"] == "on"
        assert self.admin_api.get_server(server["id"])["status"] == "ACTIVE"
        copy = self.boot("copy", flavor_id=self.flavor_id, image_id=image_id)
        wanted, found = content(self.disk_of(server)), content(self.disk_of(copy))
        assert FAR // BLOCK * BLOCK in wanted
        assert found == wanted
        self.up(copy)
        self.delete(server, copy)

    @pytest.mark.full
    def test_a_stopped_server_stays_stopped(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self._stop_server(server)
        self.write(server)
        before = self.world.state()
        image_id = self.snap(server)
        assert self.world.state() == before
        assert self.admin_api.get_server(server["id"])["status"] == "SHUTOFF"
        copy = self.boot("copy", flavor_id=self.flavor_id, image_id=image_id)
        assert content(self.disk_of(copy)) == content(self.disk_of(server))
        self.delete(server, copy)

    def test_an_upload_that_fails_leaves_no_image_and_a_running_server(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.up(server)
        images = set(self.glance.images)
        self.glance.upload_error = OSError("the store is full")
        self.api.post_server_action(server["id"], {"createImage": {"name": "snap"}})
        self.wait_until(lambda: self.is_idle(server), "the snapshot fails")
        self.wait_until(lambda: set(self.glance.images) == images, "Nova deletes the image")
        assert self.guest_of(server)["state"] == "on"
        assert self.world.images_left() <= {"bigiron-blank", self.image_id}
        self.delete(server)

    @pytest.mark.full
    def test_shelve_offload_and_unshelve(self) -> None:
        server = self.boot(flavor_id=self.flavor_id, config_drive=True)
        self.up(server)
        self.write(server)
        kept = content(self.disk_of(server))
        self.flags(shelved_offload_time=0)
        self.act(server, {"shelve": {}}, "SHELVED_OFFLOADED")
        assert self.guests_of(server) == []
        (shelved,) = [each["id"] for each in self.glance.images.values() if each["name"].endswith("-shelved")]
        self.cached.add(shelved)
        self.act(server, {"unshelve": None}, "ACTIVE")
        assert content(self.disk_of(server)) == kept
        self.up(server)
        self.delete(server)


class Rebuild(ZVMCloud):
    """A server is made anew."""

    def test_a_server_is_rebuilt_from_another_image(self) -> None:
        server = self.boot(config_drive=True)
        before = self.up(server)
        other = self.upload_disk(zvm_host.disk_image(b"another" * 1000))
        self.cached.add(other)
        self.act(server, {"rebuild": {"imageRef": other}}, "ACTIVE")
        after = self.up(server)
        assert content(self.disk_of(server))[0].startswith(b"another")
        assert after["userid"] == before["userid"]
        assert [nic["mac"] for nic in after["nics"]] == [nic["mac"] for nic in before["nics"]]
        self.delete(server)

    def test_what_cannot_be_made_is_refused_while_the_old_guest_still_runs(self) -> None:
        server = self.boot(config_drive=True)
        self.up(server)
        before = self.world.state()
        for content_, fields, words in (
            (b"\x7fELF" + bytes(4096), {"properties": {"os_distro": "rhel9.4"}}, "no z/VM disk image"),
            (zvm_host.disk_image(), {}, "os_distro"),
        ):
            image = self.upload_image(content_, **fields)
            self.api.post_server_action(server["id"], {"rebuild": {"imageRef": image}})
            self.idle(server)
            assert words in self.fault_of(server)
            assert self.world.state() == before
        self.delete(server)
