"""The image cache on PowerVM through a real Nova: images come ahead of time and go when nobody needs them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
from nova import context, exception
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.powervm.disk import cache
from bigiron.powervm.disk.ssp import SharedStoragePool
from bigiron.powervm.disk.volume_group import LocalVolumeGroup
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model import pool as pools

DAY = 24 * 3600


class ImageCacheBase(PowerVMCloud):
    """A shared storage pool, and a time that the test sets."""

    disks: type = SharedStoragePool

    def before_services(self) -> None:
        self.now = 1_800_000_000.0
        made = cache.ImageCache.__init__

        def timed(this: cache.ImageCache, state_path: Any) -> None:
            made(this, state_path, lambda: self.now)

        self.enterContext(mock.patch.object(cache.ImageCache, "__init__", timed))
        super().before_services()

    def setUp(self) -> None:
        super().setUp()
        self.flavor_id = self.make_flavor(memory_mb=512, disk_gb=1)

    def clean_up(self) -> None:
        """Nova's periodic pass."""
        self.compute.manager._run_image_cache_manager_pass(context.get_admin_context())

    def cached(self) -> Sequence[str]:
        """The names of the images that the platform has."""
        units = [unit["name"] for pool in self.state()["pools"] for tier in pool["tiers"] for unit in tier["units"]]
        return [name for name in units if name.startswith("image_")]

    def cache(self, image_id: str) -> str:
        return str(self.compute.manager.cache_images(context.get_admin_context(), [image_id])[image_id])

    def long_after_a_boot(self) -> dict[str, Any]:
        """A server, and days later, in which another image was cached and used by nobody."""
        server = self.boot(flavor_id=self.flavor_id)
        other = self.upload_image(b"another" * 1000)
        self.cache(other)
        for _ in range(3):
            self.now += DAY
            self.clean_up()
        return server


class ImageCache(ImageCacheBase):
    """On a shared storage pool."""

    removal = ("DELETE", "/rest/api/uom/Tier/{uuid}/LogicalUnit/{uuid}")

    def test_an_image_is_cached_ahead_and_a_boot_uploads_nothing(self) -> None:
        assert self.cache(self.image_id) == "cached"
        assert len(self.cached()) == 1
        assert self.cache(self.image_id) == "existing"
        self.simulator.journal.clear()
        server = self.boot(flavor_id=self.flavor_id)
        assert not [call for call in self.calls() if "/web/File" in call.template]
        self.delete(server)

    def test_what_cannot_be_cached_says_why(self) -> None:
        odd = self.upload_image(b"x", disk_format="vmdk")
        with self.assertRaisesRegex(exception.ImageUnacceptable, "qemu-img convert"):
            self.driver.cache_image(context.get_admin_context(), odd)
        assert self.cache(str(uuid.uuid4())) == "error"
        assert self.cached() == []

    def test_an_unused_image_goes_after_its_time_and_not_before(self) -> None:
        server = self.boot(flavor_id=self.flavor_id)
        self.delete(server)
        self.clean_up()
        self.now += DAY - 1
        self.clean_up()
        assert len(self.cached()) == 1
        self.now += 1
        self.clean_up()
        assert self.cached() == []
        server = self.boot(flavor_id=self.flavor_id)
        assert len(self.cached()) == 1
        self.delete(server)

    def test_the_age_survives_a_restart(self) -> None:
        self.cache(self.image_id)
        self.clean_up()
        self.compute.stop()
        self.now += DAY
        self.start_compute()
        self.clean_up()
        assert self.cached() == []

    def test_a_use_in_between_begins_the_time_anew(self) -> None:
        self.cache(self.image_id)
        self.clean_up()
        self.now += DAY
        server = self.boot(flavor_id=self.flavor_id)
        self.delete(server)
        self.clean_up()
        assert len(self.cached()) == 1
        self.now += DAY
        self.clean_up()
        assert self.cached() == []

    def test_the_image_of_a_server_stays(self) -> None:
        server = self.long_after_a_boot()
        assert [name.endswith(self.image_id) for name in self.cached()] == [True]
        self.delete(server)

    def test_nothing_goes_where_the_operator_says_so(self) -> None:
        self.flags(remove_unused_base_images=False, group="image_cache")
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        self.clean_up()
        assert len(self.cached()) == 1

    def test_an_image_that_a_build_is_about_to_copy_stays(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        reached, go = threading.Event(), threading.Event()
        create = self.disks.create

        def waiting(*args: Any, **kwargs: Any) -> Any:
            reached.set()
            assert go.wait(base.SETTLE_S)
            return create(*args, **kwargs)

        with mock.patch.object(self.disks, "create", waiting):
            server = self.boot(flavor_id=self.flavor_id, expected=None)
            assert reached.wait(base.SETTLE_S)
            # As the pass sees it that read the instances before this one came.
            self.driver.manage_image_cache(context.get_admin_context(), [])
            kept = self.cached()
            go.set()
            self.settle(server, "ACTIVE")
        assert len(kept) == 1
        self.delete(server)

    def test_a_removal_that_fails_is_made_up_for_by_the_next_pass(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        self.simulator.faults.add(Fault(*self.removal, action=Action.ERROR))
        with self.assertRaises(exception.NovaException):
            self.clean_up()
        assert self.simulator.faults.faults()[0].fired
        assert len(self.cached()) == 1
        self.simulator.faults.clear()
        self.clean_up()
        assert self.cached() == []


class ImageCacheOfSeveralHosts(ImageCacheBase):
    """Other hosts of the pool have servers that this one knows nothing of."""

    def test_an_image_with_a_clone_of_another_host_stays(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        with self.simulator.services.locked() as simulated:
            (tier,) = simulated.state.pools[0].tiers
            image = next(unit for unit in tier.units if unit.is_image)
            clone = pools.create(simulated, tier, pools.UnitSpec("boot_elsewhere", 1.0, cloned_from=image.udid))
        self.clean_up()
        assert len(self.cached()) == 1
        with self.simulator.services.locked() as simulated:
            pools.delete(simulated, tier, clone)
        self.clean_up()
        assert self.cached() == []

    def test_an_image_that_another_host_is_uploading_stays(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        with self.simulator.services.locked() as simulated:
            (tier,) = simulated.state.pools[0].tiers
            spec = pools.UnitSpec(f"part01234567_{self.image_id}", 0.001, type=pools.IMAGE)
            claim = pools.create(simulated, tier, spec)
        self.clean_up()
        assert len(self.cached()) == 1
        with self.simulator.services.locked() as simulated:
            pools.delete(simulated, tier, claim)


@pytest.mark.full
class ImageCacheOnVolumeGroup(ImageCache):
    """On a volume group of one VIOS."""

    options = {"disk_driver": "localdisk", "volume_group_name": "datavg"}
    disks = LocalVolumeGroup
    removal = ("POST", "/rest/api/uom/VirtualIOServer/{uuid}/VolumeGroup/{uuid}")

    def cached(self) -> Sequence[str]:
        groups = [group for vios in self.state()["vioses"] for group in vios["groups"]]
        return [disk["name"] for group in groups for disk in group["disks"] if disk["name"].startswith("i_")]

    def test_the_image_of_a_server_stays(self) -> None:
        server = self.long_after_a_boot()
        assert len(self.cached()) == 1
        self.simulator.journal.clear()
        second = self.boot("second", flavor_id=self.flavor_id)
        assert not [call for call in self.calls() if "/web/File" in call.template]
        self.delete(server, second)
