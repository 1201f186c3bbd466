"""Servers are rescued and unrescued through a real Nova and over HTTP, with each disk driver."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.functional.sweep import Call, explained, label_of
from tests.functional.test_nova_powervm_sweeps import Sweep
from tests.support.powervm_host import until_read_up

from bigiron import naming
from bigiron.sim.kernel.faults import Action, Fault

RESCUE_BYTES = b"PowerVM rescue disk image " * 1024
PASSWORD = "rescue-me-9"
VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"


class Rescued(Sweep):
    """What the tests of rescue share."""

    def after_services(self) -> None:
        super().after_services()
        self.rescue_image_id = self.upload_image(RESCUE_BYTES, name="rescue")

    def rescue(self, server: dict[str, Any], image_id: str | None = None) -> dict[str, Any]:
        body = {"adminPass": PASSWORD, "rescue_image_ref": image_id or self.rescue_image_id}
        self.api.post_server_action(server["id"], {"rescue": body})
        return self.idle(server)

    def unrescue(self, server: dict[str, Any]) -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"unrescue": None})
        return self.idle(server)

    def presented(self, server: dict[str, Any]) -> Counter[tuple[str, str]]:
        """(VIOS, name of the storage) of what the partition has."""
        names = {stored["udid"]: stored["name"] for stored in self.stored()}
        return Counter((vios, names[target["key"]]) for vios, target in self.targets_of(self.lpar_of(server)))

    def stored(self) -> list[dict[str, Any]]:
        """Every logical unit, virtual disk and optical medium."""
        state = self.state()
        units = [unit for pool in state["pools"] for tier in pool["tiers"] for unit in tier["units"]]
        groups = [group for vios in state["vioses"] for group in vios["groups"]]
        media = [medium for group in groups for medium in (group["repository"] or {"media": []})["media"]]
        return [*units, *(disk for group in groups for disk in group["disks"]), *media]

    def names_of(self, server: dict[str, Any]) -> list[str]:
        """The names of the storage that is the server's, presented or not."""
        uuid = server["id"]
        hints = (naming.volume_group_disk("", uuid)[1:], uuid.replace("-", "")[:8])
        return sorted(one["name"] for one in self.stored() if any(hint in one["name"] for hint in hints))

    def boot_disk(self, server: dict[str, Any]) -> str:
        """The name of the disk that the guest runs from, by the console of its last start."""
        name = self.lpar_of(server)["name"]

        def last() -> list[str]:
            text = self.simulator.management.guests.console(name).read().text.rsplit("--- power on", 1)[-1]
            return [line for line in text.splitlines() if line.startswith("Boot disk: ")]

        self.wait_until(lambda: bool(last()), f"{name} boots")
        return last()[-1].removeprefix("Boot disk: ").split(" of ")[0]

    @staticmethod
    def is_own(disk: str) -> bool:
        return disk.startswith(("boot_", "b_"))

    @staticmethod
    def is_rescue(disk: str) -> bool:
        return disk.startswith(("rescue_", "r_"))


class Rescue(Rescued):
    """On a shared storage pool."""

    def test_a_rescued_server_boots_the_rescue_image_and_then_its_own_disk_again(self) -> None:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(memory_mb=512))
        own, names = self.presented(server), self.names_of(server)
        assert self.is_own(self.boot_disk(server))
        assert self.rescue(server)["status"] == "RESCUE"
        assert self.lpar_of(server)["state"] == "running"
        disk = self.boot_disk(server)
        assert self.is_rescue(disk)
        self.check_content(disk)
        presented = self.presented(server)
        drive = naming.rescue_drive(server["id"])
        assert {name for _vios, name in own - presented} == {naming.config_drive(server["id"])}
        assert {name for _vios, name in presented - own} == {disk, drive}
        (medium,) = [one for one in self.stored() if one["name"] == drive]
        assert json.loads(self.files_of(medium)["meta_data.json"])["admin_pass"] == PASSWORD
        assert self.unrescue(server)["status"] == "ACTIVE"
        assert self.is_own(self.boot_disk(server))
        assert self.presented(server) == own
        assert self.names_of(server) == names
        self._stop_server(server)
        self._start_server(server)
        assert self.is_own(self.boot_disk(server))
        self.delete(server)

    def check_content(self, disk: str) -> None:
        """The disk is a copy of the rescue image."""
        (stored,) = [one for one in self.stored() if one["name"] == disk]
        source = stored.get("cloned_from") or stored.get("base")
        (image,) = [one for one in self.stored() if one["udid"] == source]
        assert Path(self.simulator.world.media_dir, image["content"]["file"]).read_bytes() == RESCUE_BYTES

    def test_a_stopped_server_without_a_config_drive(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        own, names = self.presented(server), self.names_of(server)
        self._stop_server(server)
        self.simulator.journal.clear()
        assert self.rescue(server)["status"] == "RESCUE"
        assert self.is_rescue(self.boot_disk(server))
        assert not [name for _vios, name in self.presented(server) if name.endswith(".iso")]
        assert self.unrescue(server)["status"] == "ACTIVE"
        assert (self.presented(server), self.names_of(server)) == (own, names)
        self.delete(server)

    def test_a_rescued_server_is_deleted_with_all_it_has(self) -> None:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(memory_mb=512))
        assert self.rescue(server)["status"] == "RESCUE"
        self.delete(server)
        self.check_nothing_left()

    def test_a_failed_unrescue_leaves_the_server_rescued_and_a_hard_reboot_ends_it(self) -> None:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(memory_mb=512))
        own, names = self.presented(server), self.names_of(server)
        for put_right in ("reboot", "rescue"):
            assert self.rescue(server)["status"] == "RESCUE"
            rescued = self.presented(server)
            self.plan(Fault(method="POST", path=VIOS, action=Action.ERROR))
            after = self.unrescue(server)
            self.check_fired("unrescue")
            assert (after["status"], self.presented(server)) == ("ERROR", rescued)
            assert self.is_rescue(self.boot_disk(server))
            if put_right == "reboot":
                self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
                assert self.idle(server)["status"] == "ACTIVE"
            else:
                assert self.rescue(server)["status"] == "RESCUE"
                assert self.unrescue(server)["status"] == "ACTIVE"
            assert self.is_own(self.boot_disk(server))
            assert (self.presented(server), self.names_of(server)) == (own, names)
        self.delete(server)

    def test_an_image_that_cannot_rescue_is_refused_before_anything_is_changed(self) -> None:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(memory_mb=512))
        own, names = self.presented(server), self.names_of(server)
        image = self.upload_image(b"QFI", disk_format="vmdk")
        assert self.rescue(server, image)["status"] == "ERROR"
        assert "raw and qcow2 images boot on this host" in self.fault_of(server)
        assert (self.presented(server), self.names_of(server)) == (own, names)
        assert self.rescue(server)["status"] == "RESCUE"
        assert self.unrescue(server)["status"] == "ACTIVE"
        self.delete(server)


@pytest.mark.full
class RescueOnVolumeGroup(Rescue):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


class RescueSweep(Rescued):
    """Every request of a rescue and of an unrescue fails in turn; the server is stopped before it is rescued."""

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_rescue(self) -> None:
        server = self.stopped()
        for _ in range(2):
            until_read_up(self.simulator)
            self.simulator.journal.clear()
            assert self.rescue(server)["status"] == "RESCUE"
            calls = self.recorded()
            self.back(server)
        outcomes = Counter(self.strike_rescue(server, fault) for fault in self.faults(calls))
        assert outcomes["Success"], outcomes
        assert outcomes["Error"], outcomes
        self.delete(server)
        self.check_nothing_left()

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_unrescue(self) -> None:
        server = self.stopped()
        for _ in range(2):
            assert self.rescue(server)["status"] == "RESCUE"
            until_read_up(self.simulator)
            self.simulator.journal.clear()
            assert self.unrescue(server)["status"] == "ACTIVE"
            calls = self.recorded()
        outcomes = Counter(self.strike_unrescue(server, fault) for fault in self.faults(calls))
        assert outcomes["Success"], outcomes
        assert outcomes["Error"], outcomes
        self.delete(server)
        self.check_nothing_left()

    def stopped(self) -> dict[str, Any]:
        server = self.boot(config_drive=True, flavor_id=self.make_flavor(memory_mb=512))
        self.own, self.names = self.presented(server), self.names_of(server)
        self._stop_server(server)
        return server

    @staticmethod
    def faults(calls: list[Call]) -> list[Fault]:
        faults = [fault for call in calls for fault in call.faults()]
        assert any(fault.action is Action.STALE for fault in faults)
        return faults

    def back(self, server: dict[str, Any]) -> None:
        """Unrescue and stop the server; it has what it had."""
        assert self.unrescue(server)["status"] == "ACTIVE"
        self.check_unchanged(server)
        self._stop_server(server)

    def check_unchanged(self, server: dict[str, Any]) -> None:
        assert self.presented(server) == self.own
        assert self.names_of(server) == self.names

    def strike_rescue(self, server: dict[str, Any], fault: Fault) -> str:
        """A rescue under a fault: done, or nothing of it is left, and the next one works."""
        label = f"rescue with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            self.simulator.journal.clear()
            self.plan(fault)
            after = self.rescue(server)
            self.check_fired(label)
            outcome = self.result_of(server, "rescue")
            if outcome == "Error":
                assert after["status"] == "ERROR", after["status"]
                assert self.fault_of(server)
                assert self.lpar_of(server)["state"] == "not activated"
                self.check_unchanged(server)
                after = self.rescue(server)
            assert after["status"] == "RESCUE"
            assert self.lpar_of(server)["state"] == "running"
            assert [name for _vios, name in self.presented(server) if self.is_rescue(name)]
            self.back(server)
        return outcome

    def strike_unrescue(self, server: dict[str, Any], fault: Fault) -> str:
        """An unrescue under a fault: done, or the guest runs rescued as before, and the next one works."""
        label = f"unrescue with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            assert self.rescue(server)["status"] == "RESCUE"
            rescued, names = self.presented(server), self.names_of(server)
            self.simulator.journal.clear()
            self.plan(fault)
            after = self.unrescue(server)
            self.check_fired(label)
            outcome = self.result_of(server, "unrescue")
            if outcome == "Error":
                assert after["status"] == "ERROR", after["status"]
                assert (self.presented(server), self.names_of(server)) == (rescued, names)
                assert self.lpar_of(server)["state"] == "running"
                after = self.hard_reboot(server)
            assert after["status"] == "ACTIVE"
            assert self.lpar_of(server)["state"] == "running"
            self.check_unchanged(server)
            self._stop_server(server)
        return outcome

    def hard_reboot(self, server: dict[str, Any]) -> dict[str, Any]:
        """What Nova allows for a server in ERROR."""
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
        return self.idle(server)
