"""Images in the Cloud Connector, through a real Nova: they come ahead of time and go when nobody needs them."""

from __future__ import annotations

import uuid
from pathlib import Path
from unittest import mock

from nova import context, exception
from tests.functional.zvm import ZVMCloud
from tests.support import zvm_host

from bigiron import imagecache
from bigiron.sim.kernel.faults import Action, Fault

DAY = 24 * 3600


class ImageCache(ZVMCloud):
    """Both ends: the connector's images, and what nova-compute keeps of them on its own disk, which is nothing."""

    def before_services(self) -> None:
        self.now = 1_800_000_000.0
        made = imagecache.ImageCache.__init__

        def timed(this: imagecache.ImageCache, state_path: Path) -> None:
            made(this, state_path, lambda: self.now)

        self.enterContext(mock.patch.object(imagecache.ImageCache, "__init__", timed))
        super().before_services()

    def clean_up(self) -> None:
        """Nova's periodic pass."""
        self.compute.manager._run_image_cache_manager_pass(context.get_admin_context())
        assert list((self.scratch / "images").glob("*")) == []

    def cached_images(self) -> set[str]:
        return self.world.images_left() - {"bigiron-blank"}

    def cache(self, image_id: str) -> str:
        return str(self.compute.manager.cache_images(context.get_admin_context(), [image_id])[image_id])

    def uploads(self) -> list[tuple[str, str]]:
        return [change for change in self.changes() if change[1] in ("/files", "/images")]

    def test_an_image_is_cached_ahead_and_a_boot_uploads_nothing(self) -> None:
        assert self.cache(self.image_id) == "cached"
        assert self.cached_images() == {self.image_id}
        assert self.cache(self.image_id) == "existing"
        self.simulator.journal.clear()
        server = self.boot()
        assert self.uploads() == []
        self.delete(server)

    def test_what_cannot_be_cached_says_why(self) -> None:
        odd = self.upload_disk(b"x", disk_format="qcow2")
        with self.assertRaisesRegex(exception.ImageUnacceptable, "disk-format raw"):
            self.driver.cache_image(context.get_admin_context(), odd)
        assert self.cache(str(uuid.uuid4())) == "error"
        assert self.cached_images() == set()

    def test_an_unused_image_goes_after_its_time_and_not_before(self) -> None:
        self.delete(self.boot())
        self.clean_up()
        self.now += DAY - 1
        self.clean_up()
        assert self.cached_images() == {self.image_id}
        self.compute.stop()
        self.start_compute()
        self.now += 1
        self.clean_up()
        assert self.cached_images() == set()
        self.delete(self.boot())
        assert self.cached_images() == {self.image_id}

    def test_the_image_of_a_server_stays_and_that_of_nobody_goes(self) -> None:
        server = self.boot()
        other = self.upload_disk(zvm_host.disk_image(b"another" * 100))
        self.cache(other)
        for _ in range(3):
            self.now += DAY
            self.clean_up()
        assert self.cached_images() == {self.image_id}
        self.delete(server)

    def test_other_peoples_images_stay(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        api = self.driver.hypervisor.parts.api
        # A name that is none of Glance's.
        path = str(self.simulator.layout.images / "netboot" / "rhel9.4" / self.image_id / "0100")
        api.import_image("golden", path, "rhel9.4", "Importing another's image")
        self.clean_up()
        assert self.cached_images() == {"golden"}
        api.delete_image("golden")

    def test_a_removal_that_fails_is_made_up_for_by_the_next_pass(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        self.simulator.faults.add(Fault("DELETE", "/images/{name}", Action.ERROR))
        with self.assertRaises(exception.NovaException):
            self.clean_up()
        assert self.cached_images() == {self.image_id}
        self.simulator.faults.clear()
        self.clean_up()
        assert self.cached_images() == set()

    def test_nothing_goes_where_the_operator_says_so(self) -> None:
        self.flags(remove_unused_base_images=False, group="image_cache")
        self.flags(remove_unused_original_minimum_age_seconds=0, group="image_cache")
        self.cache(self.image_id)
        self.clean_up()
        assert self.cached_images() == {self.image_id}
