"""Every REST call of a snapshot, of caching an image and of clearing the cache fails in turn, on a real Nova.

Afterwards the platform is as it was before or the operation done, Nova says which, and the next try works.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pytest
from nova import context, exception
from tests.functional.sweep import explained, label_of
from tests.functional.test_nova_powervm_snapshot import SnapshotBase
from tests.functional.test_nova_powervm_sweeps import LPAR, Sweep

from bigiron.sim.kernel.faults import Fault
from bigiron.sim.kernel.journal import Entry

ON_GROUP = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


class SnapshotSweep(SnapshotBase, Sweep):
    """On a shared storage pool."""

    def is_swept(self, entry: Entry) -> bool:
        # Events of a guest that comes up make the driver ask for its state whenever they arrive.
        return super().is_swept(entry) and (entry.method, entry.template) != ("GET", LPAR)

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_snapshot(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        before = self.state()
        for _ in range(2):
            self.simulator.journal.clear()
            self.glance.delete(None, self.take(server))
            calls = self.recorded()
        outcomes = Counter(self.strike(server, before, fault) for call in calls for fault in call.faults())
        assert outcomes["active"], outcomes
        assert outcomes["gone"], outcomes
        self.delete(server)

    def strike(self, server: dict[str, Any], before: dict[str, Any], fault: Fault) -> str:
        """One snapshot under a fault, and one without; returns what became of the first one's image."""
        label = f"snapshot with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            self.simulator.journal.clear()
            self.plan(fault)
            self.api.post_server_action(server["id"], {"createImage": {"name": "snap"}})
            assert self.idle(server)["status"] == "ACTIVE"
            self.check_fired(label)
            self.wait_until(lambda: self.states() in ([], ["active"]), "Nova settles the image")
            outcome = "".join(self.states()) or "gone"
            self.unchanged(before)
            self.clear_images()
            self.take(server)
            self.unchanged(before)
            self.clear_images()
        return outcome

    def states(self) -> list[str]:
        return [image["status"] for image in self.glance.images.values() if image["name"] == "snap"]

    def clear_images(self) -> None:
        for image in [image for image in self.glance.images.values() if image["name"] == "snap"]:
            self.glance.delete(None, image["id"])


class SnapshotSweepOnVolumeGroup(SnapshotSweep):
    """On a volume group of one VIOS."""

    options = ON_GROUP


class ImageCacheSweep(Sweep):
    """On a shared storage pool."""

    def setUp(self) -> None:
        super().setUp()
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")

    def cache(self) -> bool:
        return bool(self.driver.cache_image(context.get_admin_context(), self.image_id))

    def clean_up(self) -> None:
        self.compute.manager._run_image_cache_manager_pass(context.get_admin_context())

    def images(self) -> int:
        """How many images the platform has, claims of uploads included."""
        state = self.state()
        units = [unit["name"] for pool in state["pools"] for tier in pool["tiers"] for unit in tier["units"]]
        disks = [disk["name"] for vios in state["vioses"] for group in vios["groups"] for disk in group["disks"]]
        return len(units) + len([name for name in disks if name.startswith("i_")])

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_caching_and_clearing(self) -> None:
        for _ in range(2):
            self.simulator.journal.clear()
            assert self.cache()
            caching = self.recorded()
            self.simulator.journal.clear()
            self.clean_up()
            clearing = self.recorded()
        assert caching, "caching an image asked the platform for nothing"
        assert clearing, "clearing the cache asked the platform for nothing"
        seen = Counter(self.strike("caching", fault) for call in caching for fault in call.faults())
        for fault in [fault for call in clearing for fault in call.faults()]:
            self.cache()
            seen[self.strike("clearing", fault)] += 1
        assert seen["failed"], seen
        assert seen["done"], seen

    def strike(self, what: str, fault: Fault) -> str:
        """One operation under a fault; in the end the image was cached, and is gone. Returns what the fault did."""
        label = f"{what} with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            self.simulator.journal.clear()
            self.plan(fault)
            with contextlib.suppress(exception.ImageUnacceptable, exception.NovaException):
                self.cache() if what == "caching" else self.clean_up()
            self.check_fired(label)
            outcome = "done" if self.images() == (1 if what == "caching" else 0) else "failed"
            if what == "caching":
                self.cache()
                assert self.images() == 1
            self.clean_up()
            assert self.images() == 0
            self.check_nothing_left()
        return outcome


class ImageCacheSweepOnVolumeGroup(ImageCacheSweep):
    """On a volume group of one VIOS."""

    options = ON_GROUP
