"""The cache of images: made ahead of time, and cleared of what no instance uses any more."""

from __future__ import annotations

from typing import Any

import nova.conf
from nova import exception, objects
from oslo_log import log as logging

from bigiron import errors
from bigiron.plugins.nova import image
from bigiron.plugins.nova.compute.host import host_errors
from bigiron.plugins.nova.compute.service import Service

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Images(Service):
    """What Nova's image cache manager asks, and which formats this host can use."""

    def __init__(self, virtapi: Any) -> None:
        super().__init__(virtapi)
        # From this Nova takes the trait by which it may choose hosts.
        qcow2 = self.converts_images and image.can_convert()
        self.capabilities = {**self.capabilities, "supports_image_type_qcow2": qcow2}

    def cache_image(self, context: Any, image_id: str) -> bool:
        """True if the image was fetched, False if it was cached already."""
        image_meta = objects.ImageMeta.from_dict(self._image_api.get(context, image_id))
        try:
            source = self.image_source(context, image_meta)
            if source is None:
                raise exception.ImageNotFound(image_id=image_id)
            return self.hypervisor.cache_image(source)
        except errors.PlatformError as error:
            raise exception.ImageUnacceptable(image_id=image_id, reason=error.message) from error

    def manage_image_cache(self, context: Any, all_instances: Any) -> None:
        """Remove what has been unused for `[image_cache] remove_unused_original_minimum_age_seconds`."""
        options = CONF.image_cache
        if not options.remove_unused_base_images:
            return
        used = {instance.image_ref for instance in all_instances if instance.image_ref}
        try:
            with host_errors():
                gone = self.hypervisor.trim_images(used, options.remove_unused_original_minimum_age_seconds)
        except errors.PlatformError as error:
            raise exception.NovaException(f"Cached images stay until the next pass: {error.message}") from error
        for name in gone:
            LOG.info("cached image %s was unused and is removed", name)
