"""Every REST call of a resize, and of a revert, fails in turn on a real Nova, for guests that stop and that do not.

A resize that failed leaves the server as it was, and the next try works; a revert comes to its end in any case.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from tests.functional.sweep import explained, label_of
from tests.functional.test_nova_powervm_resize import ROOMY, GroupDisks, Resizing
from tests.functional.test_nova_powervm_sweeps import SETTLE_S, Sweep

from bigiron.plugins.nova.compute import resize
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model.partition import RMC_ACTIVE


class ResizeSweep(Resizing, Sweep):
    """Every REST call of a resize fails in turn, and every one of a revert; on a shared storage pool."""

    extra_specs: dict[str, str] = {}

    def before_services(self) -> None:
        self.enterContext(mock.patch.object(resize, "_REVERT_PAUSES_S", (0.05, 0.05)))
        super().before_services()

    def ask(self, server: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        self.api.post_server_action(server["id"], body)
        return self.idle(server)

    def start(self) -> dict[str, Any]:
        self.disk_gb = 2
        self.shape = (512, 1)
        return self.boot(flavor_id=self.flavor(self.shape, self.disk_gb))

    def flavor(self, shape: tuple[int, int], disk_gb: int) -> str:
        return self.make_flavor(memory_mb=shape[0], vcpus=shape[1], disk_gb=disk_gb, extra_specs=self.extra_specs)

    def other(self) -> tuple[int, int]:
        return (1024, 2) if self.shape == (512, 1) else (512, 1)

    def check(self, server: dict[str, Any], disks: tuple[int, ...]) -> None:
        """Nova, placement and the platform agree on the shape that the server should have."""
        wanted = {"MEMORY_MB": self.shape[0], "VCPU": self.shape[1]}
        lpar = self.lpar_of(server)
        assert (lpar["memory"]["desired"], lpar["processors"]["vcpus"]) == self.shape
        assert lpar["state"] == "running"
        assert self.root_of(server)["capacity"] in disks
        deadline = time.monotonic() + SETTLE_S
        while {name: self.allocated(server)[name] for name in wanted} != wanted:
            assert time.monotonic() < deadline, f"{self.allocated(server)} are allocated, not {wanted}"
            time.sleep(0.05)
        flavor = self.admin_api.get_server(server["id"])["flavor"]
        assert (flavor["ram"], flavor["vcpus"]) == self.shape

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_resize_and_confirm(self) -> None:
        server = self.start()
        for _ in range(2):
            self.simulator.journal.clear()
            self.resize_on(server)
            calls = self.recorded()
        faults = [fault for call in calls for fault in call.faults()]
        assert any(fault.action is Action.STALE for fault in faults)
        outcomes = Counter(self.strike_resize(server, fault) for fault in faults)
        assert outcomes["ACTIVE"] and outcomes["VERIFY_RESIZE"], outcomes
        self.delete(server)

    def resize_on(self, server: dict[str, Any]) -> None:
        """A resize to the other shape and a larger disk, which must work, and its confirmation."""
        self.shape, self.disk_gb = self.other(), self.disk_gb + 1
        current = self.ask(server, {"resize": {"flavorRef": self.flavor(self.shape, self.disk_gb)}})
        assert current["status"] == "VERIFY_RESIZE", current
        self.check(server, (self.disk_gb,))
        self.confirm(server)
        self.check(server, (self.disk_gb,))

    def makes(self, fault: Fault) -> bool:
        """Whether a resize from the present shape makes the request of the fault."""
        return True

    def strike_resize(self, server: dict[str, Any], fault: Fault) -> str:
        """A resize under a fault; where it failed the server is as it was, and the next try works."""
        label = f"resize with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            for _ in range(2):
                if self.makes(fault):
                    break
                # It is a request of the other direction.
                self.resize_on(server)
            was, target = self.shape, self.other()
            flavor_id = self.flavor(target, self.disk_gb + 1)
            self.simulator.journal.clear()
            self.plan(fault)
            current = self.ask(server, {"resize": {"flavorRef": flavor_id}})
            self.check_fired(label)
            status = str(current["status"])
            assert status in ("ACTIVE", "VERIFY_RESIZE"), current.get("fault")
            if status == "ACTIVE":
                self.shape = was
                self.check(server, (self.disk_gb, self.disk_gb + 1))
                self.resize_on(server)
            else:
                self.shape, self.disk_gb = target, self.disk_gb + 1
                self.check(server, (self.disk_gb,))
                self.confirm(server)
            assert self.agree(server) == "ACTIVE"
        return status

    @pytest.mark.full
    @pytest.mark.timeout(1800)
    def test_revert(self) -> None:
        server = self.start()
        for _ in range(2):
            self.resize_away(server)
            self.simulator.journal.clear()
            assert self.ask(server, {"revertResize": None})["status"] == "ACTIVE"
            calls = self.recorded()
            self.check(server, (2,))
        faults = [fault for call in calls for fault in call.faults()]
        assert any(fault.action is Action.STALE for fault in faults)
        for fault in faults:
            label = f"revert with {label_of(fault)}"
            with explained(label, self.simulator.journal):
                self.resize_away(server)
                self.simulator.journal.clear()
                self.plan(fault)
                current = self.ask(server, {"revertResize": None})
                self.check_fired(label)
                assert current["status"] == "ACTIVE", current.get("fault")
                self.check(server, (2,))
                assert self.agree(server) == "ACTIVE"
        self.delete(server)

    def resize_away(self, server: dict[str, Any]) -> None:
        """A resize to the other shape, not confirmed; `shape` stays what a revert brings back."""
        flavor_id = self.flavor(self.other(), self.disk_gb)
        assert self.ask(server, {"resize": {"flavorRef": flavor_id}})["status"] == "VERIFY_RESIZE"


class ResizeSweepOnVolumeGroup(GroupDisks, ResizeSweep):
    """On a volume group of one VIOS."""


class ResizeSweepOfRunningGuest(ResizeSweep):
    """A guest with room in its limits, which nothing ever stops."""

    extra_specs = ROOMY

    def start(self) -> dict[str, Any]:
        server = super().start()
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest has an RMC connection")
        self.started = self.lpar_of(server)["started"]
        return server

    def check(self, server: dict[str, Any], disks: tuple[int, ...]) -> None:
        super().check(server, disks)
        assert self.lpar_of(server)["started"] == self.started, "it was stopped"
