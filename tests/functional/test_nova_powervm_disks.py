"""Ephemeral disks and swap of servers on PowerVM, through a real Nova and over HTTP, with each disk driver."""

from __future__ import annotations

from typing import Any

import pytest
from nova import context, objects
from tests.functional.test_nova_powervm_rescue import Rescued
from tests.functional.test_nova_powervm_resize import Resizing

from bigiron.sim.powervm.model.partition import RMC_ACTIVE

KINDS = {"boot": "root", "eph": "ephemeral", "swap": "swap", "rescue": "rescue", "cfg": "drive", "rsc": "drive"}
LETTERS = {"b": "root", "s": "swap", "r": "rescue", **dict.fromkeys("efghjklmnopq", "ephemeral")}


def role_of(name: str) -> str:
    """What a disk or medium is for, by its name."""
    kind = name.split("_")[0]
    return KINDS.get(kind.rstrip("0123456789")) or LETTERS[kind]


class Disks(Resizing, Rescued):
    """What the tests of local disks share."""

    def flavor(self, ephemeral_gb: int = 0, swap_mb: int = 0, disk_gb: int = 2) -> str:
        return self.make_flavor(memory_mb=512, disk_gb=disk_gb, ephemeral_gb=ephemeral_gb, swap_mb=swap_mb)

    def disks(self, server: dict[str, Any]) -> list[tuple[str, float]]:
        """(role, GB) of what each VIOS presents to the server, in its order; that of all VIOSes is the same."""
        stored = {one["udid"]: one for one in self.stored()}
        found: dict[str, list[tuple[str, float]]] = {}
        for vios, target in self.targets_of(self.lpar_of(server)):
            one = stored[target["key"]]
            if role_of(one["name"]) != "drive":
                found.setdefault(vios, []).append((role_of(one["name"]), one["capacity"]))
        (every,) = {tuple(each) for each in found.values()}
        return list(every)

    def mapping(self, server: dict[str, Any]) -> list[tuple[str | None, str | None, int | None]]:
        """(device, format, size) of the server's empty disks in Nova's block device mapping."""
        found = objects.BlockDeviceMappingList.get_by_instance_uuid(context.get_admin_context(), server["id"])
        empty = [(one.device_name, one.guest_format, one.volume_size) for one in found if one.source_type == "blank"]
        return sorted(empty, key=str)


class LocalDisks(Disks):
    """On a shared storage pool."""

    def test_root_ephemeral_and_swap_live_as_long_as_their_server(self) -> None:
        server = self.boot(flavor_id=self.flavor(3, 512), config_drive=True)
        wanted = [("root", 2), ("ephemeral", 3), ("swap", 0.5)]
        assert self.disks(server) == wanted
        assert self.mapping(server) == [("/dev/sdb", None, 3), ("/dev/sdc", "swap", 512)]
        assert self.allocated(server)["DISK_GB"] == 2 + 3 + 1
        own, names = self.presented(server), self.names_of(server)
        self._stop_server(server)
        self._start_server(server)
        self._reboot_server(server, hard=True)
        assert (self.disks(server), self.presented(server), self.names_of(server)) == (wanted, own, names)
        assert self.rescue(server)["status"] == "RESCUE"
        assert self.disks(server) == [*wanted, ("rescue", 1)]
        assert self.unrescue(server)["status"] == "ACTIVE"
        assert (self.disks(server), self.presented(server), self.names_of(server)) == (wanted, own, names)
        self.resize(server, self.flavor(3, 512, disk_gb=3))
        self.confirm(server)
        assert self.disks(server) == [("root", 3), ("ephemeral", 3), ("swap", 0.5)]
        self.delete(server)

    def test_several_ephemeral_disks_are_made_in_the_order_of_the_request(self) -> None:
        blank = {"source_type": "blank", "destination_type": "local", "boot_index": -1}
        request = [
            {"uuid": self.image_id, "source_type": "image", "destination_type": "local", "boot_index": 0},
            {**blank, "volume_size": 2},
            {**blank, "volume_size": 1},
            {**blank, "guest_format": "swap", "volume_size": 256},
        ]
        self.flags(max_local_block_devices=-1)
        server = self.boot(flavor_id=self.flavor(4, 512), block_device_mapping_v2=request)
        assert self.disks(server) == [("root", 2), ("ephemeral", 2), ("ephemeral", 1), ("swap", 0.25)]
        # Divided by the user, they stay as they are.
        self.resize(server, self.flavor(6, 512))
        assert self.disks(server) == [("root", 2), ("ephemeral", 2), ("ephemeral", 1), ("swap", 0.25)]
        self.delete(server)

    def test_a_resize_enlarges_them_and_a_revert_keeps_them_large(self) -> None:
        server = self.boot(flavor_id=self.flavor(1, 512))
        self.resize(server, self.flavor(2, 1024))
        large = [("root", 2), ("ephemeral", 2), ("swap", 1)]
        assert self.disks(server) == large
        assert self.mapping(server)[0][2] == 2
        self.revert(server)
        assert self.disks(server) == large
        assert self.mapping(server)[0][2] == 1
        self.resize(server, self.flavor(2, 1024))
        self.confirm(server)
        assert self.disks(server) == large
        assert self.mapping(server)[0][2] == 2
        self.delete(server)

    def test_a_resize_makes_those_that_the_flavor_has_more_and_a_revert_removes_them(self) -> None:
        server = self.boot(flavor_id=self.flavor())
        names = self.names_of(server)
        self.resize(server, self.flavor(1, 512))
        wanted = [("root", 2), ("ephemeral", 1), ("swap", 0.5)]
        assert self.disks(server) == wanted
        self.revert(server)
        assert self.disks(server) == [("root", 2)]
        assert self.names_of(server) == names
        self.resize(server, self.flavor(1, 512))
        self.confirm(server)
        assert self.disks(server) == wanted
        self.resize(server, self.flavor(1))
        assert self.disks(server) == wanted[:2]
        self.confirm(server)
        self.delete(server)

    def test_a_smaller_ephemeral_disk_is_refused_and_nothing_changes(self) -> None:
        server = self.boot(flavor_id=self.flavor(2, 512))
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "nothing changes by itself any more")
        lpar = self.lpar_of(server)
        self.simulator.journal.clear()
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": self.flavor(1, 512)}})
        assert self.idle(server)["status"] == "ACTIVE"
        assert self.result_of(server, "resize") == "Error"
        assert "cannot shrink to the 1 GB" in self.stdlog.logger.output
        assert not [call for call in self.calls() if call.method != "GET"]
        assert self.lpar_of(server) == lpar
        assert self.disks(server) == [("root", 2), ("ephemeral", 2), ("swap", 0.5)]
        self.delete(server)

    def test_an_ephemeral_disk_with_a_file_system_is_refused(self) -> None:
        request = [
            {"uuid": self.image_id, "source_type": "image", "destination_type": "local", "boot_index": 0},
            {
                "source_type": "blank", "destination_type": "local", "boot_index": -1, "volume_size": 1,
                "guest_format": "ext4",
            },
        ]  # fmt: skip
        message = self.boot_fails(flavor_id=self.flavor(1), block_device_mapping_v2=request)
        assert "ext4" in message and "guest_format" in message

    @pytest.mark.full
    def test_shelved_and_offloaded_they_go_and_unshelved_they_are_new(self) -> None:
        server = self.boot(flavor_id=self.flavor(1, 512, disk_gb=1))
        self.flags(shelved_offload_time=0)
        self.api.post_server_action(server["id"], {"shelve": {}})
        self.settle(server, "SHELVED_OFFLOADED")
        assert self.names_of(server) == []
        self.api.post_server_action(server["id"], {"unshelve": None})
        self.settle(server, "ACTIVE")
        assert self.disks(server) == [("root", 1), ("ephemeral", 1), ("swap", 0.5)]
        self.delete(server)

    def test_a_rebuild_makes_them_anew(self) -> None:
        server = self.boot(flavor_id=self.flavor(1, 512))
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": self.image_id}})
        self.settle(server, "ACTIVE")
        assert self.disks(server) == [("root", 2), ("ephemeral", 1), ("swap", 0.5)]
        self.delete(server)


@pytest.mark.full
class LocalDisksOnVolumeGroup(LocalDisks):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
