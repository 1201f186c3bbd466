"""Every REST call fails in turn where servers have ephemeral disks and swap, run IBM i, or are rebuilt."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.functional import test_nova_powervm_faults as spawning
from tests.functional import test_nova_powervm_resize_sweeps as resizing
from tests.functional.sweep import Call, explained, label_of
from tests.functional.test_nova_powervm_disks import role_of
from tests.functional.test_nova_powervm_rescue import Rescued
from tests.functional.test_nova_powervm_sweeps import RUNS

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.audit import audit

LARGE = (1024, 2)
"""The shape whose flavor has swap too."""


class SpawnOfMore(spawning.Spawning):
    """A spawn that is more than the plain one, whose every request another sweep strikes: here the requests that carry
    what it has more are struck, and its last one, for which all of it is undone."""

    __test__ = False
    carriers: tuple[str, ...]
    """How the templates of these requests end."""

    def record(self) -> list[Call]:
        # Disks that are made at once may share a write: what every run makes is struck.
        runs = [super(SpawnOfMore, self).record() for _ in range(RUNS)]
        sure = [call for call in runs[0] if all(call in run for run in runs)]
        own = [call for call in sure if call.method != "GET" and call.template.endswith(self.carriers)]
        assert own, f"no request to {self.carriers}"
        return [*own, *([] if sure[-1] in own else sure[-1:])]

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_every_call_fails_in_every_way(self) -> None:
        outcomes, _ = self.sweep(*Action)
        assert outcomes["ERROR"], outcomes


class SpawnWithThreeDisks(SpawnOfMore):
    """A root disk, an ephemeral disk and swap, on a shared storage pool."""

    __test__ = True
    carriers = ("/LogicalUnit",)

    def make_flavor(self, *args: Any, **fields: Any) -> str:
        return super().make_flavor(*args, **{"ephemeral_gb": 1, "swap_mb": 256, **fields})


class SpawnWithThreeDisksOnVolumeGroup(SpawnWithThreeDisks):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
    carriers = ("/VolumeGroup/{uuid}",)


class SpawnOfIbmI(SpawnOfMore):
    """An IBM i partition, which is told what to load from."""

    __test__ = True
    carriers = ("/LogicalPartition/{uuid}",)

    def upload_image(self, content: bytes, **fields: Any) -> str:
        return super().upload_image(content, **{"properties": {"os_distro": "ibmi"}, **fields})


class ResizeOfDisks(resizing.ResizeSweep, Rescued):
    """Swap comes with one flavor and goes with the other; on a shared storage pool."""

    def flavor(self, shape: tuple[int, int], disk_gb: int) -> str:
        swap_mb = 512 if shape == LARGE else 0
        return self.make_flavor(memory_mb=shape[0], vcpus=shape[1], disk_gb=disk_gb, ephemeral_gb=1, swap_mb=swap_mb)

    def makes(self, fault: Fault) -> bool:
        # The disks are deleted with which the large shape was made.
        return fault.method != "DELETE" or "jobs" in fault.path or self.shape == LARGE

    def root_of(self, server: dict[str, Any]) -> dict[str, Any]:
        names = self.names_of(server)
        (disk,) = [one for one in self.stored() if one["name"] in names and role_of(one["name"]) == "root"]
        return disk

    def check(self, server: dict[str, Any], disks: tuple[int, ...]) -> None:
        super().check(server, disks)
        wanted = ["ephemeral", "root", *(["swap"] if self.shape == LARGE else [])]
        assert sorted(map(role_of, self.names_of(server))) == wanted
        assert sorted({role_of(name) for _vios, name in self.presented(server)}) == wanted


class ResizeOfDisksOnVolumeGroup(resizing.GroupDisks, ResizeOfDisks):
    """On a volume group of one VIOS."""

    def root_of(self, server: dict[str, Any]) -> dict[str, Any]:
        return ResizeOfDisks.root_of(self, server)


class RebuildSweep(Rescued):
    """On a shared storage pool, with all kinds of disks and a config drive."""

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_rebuild(self) -> None:
        flavor_id = self.make_flavor(memory_mb=512, ephemeral_gb=1, swap_mb=256)
        server = self.boot(flavor_id=flavor_id, config_drive=True)
        self.disks = Counter(role_of(name) for name in self.names_of(server))
        runs = []
        for _ in range(RUNS):
            self.simulator.journal.clear()
            assert self.rebuild(server)["status"] == "ACTIVE"
            runs.append(self.recorded())
        # How many changes of a document go into one write is up to the clock.
        calls = [call for call in runs[-1] if all(call in run for run in runs[1:])]
        # What the mirror reads in the background is not the rebuild's.
        swept = [call for call in calls if call.method != "GET" or "LogicalPartition/{uuid}" not in call.template]
        outcomes = Counter(self.strike(server, fault) for call in swept for fault in call.faults())
        assert outcomes["ACTIVE"] and outcomes["ERROR"], outcomes
        self.delete(server)

    def rebuild(self, server: dict[str, Any]) -> dict[str, Any]:
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": self.image_id}})
        return self.idle(server)

    def strike(self, server: dict[str, Any], fault: Fault) -> str:
        """A rebuild under a fault; where it failed, the next one works and nothing is left of the first."""
        label = f"rebuild with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            for _ in range(RUNS):
                self.simulator.journal.clear()
                self.plan(fault)
                status = str(self.rebuild(server)["status"])
                if self.has_fired():
                    break
                assert status == "ACTIVE"
            self.check_fired(label)
            assert status in ("ACTIVE", "ERROR")
            # What a POST wrote for several steps at once is tried again for each of them.
            final = fault.action is Action.ERROR and fault.method == "PUT"
            assert status == "ERROR" or not final, label
            if status == "ERROR":
                assert self.rebuild(server)["status"] == "ACTIVE"
            assert Counter(role_of(name) for name in self.names_of(server)) == self.disks
            assert self.lpar_of(server)["state"] == "running"
            with self.simulator.services.locked() as simulated:
                assert audit(simulated) == []
        return status


class RebuildSweepOnVolumeGroup(RebuildSweep):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
