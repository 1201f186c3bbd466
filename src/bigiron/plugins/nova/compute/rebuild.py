"""Rebuild: Nova's own steps, a destroy and a spawn, once it is sure that the new guest can be made."""

from __future__ import annotations

from typing import Any

from nova.virt import driver as nova_driver

from bigiron.plugins.nova import translate
from bigiron.plugins.nova.compute.service import Service


class Rebuild(Service):
    """What can be refused is refused while the old guest still is as it was."""

    def rebuild(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: str | None,
        allocations: Any,
        bdms: Any,
        detach_block_devices: Any,
        attach_block_devices: Any,
        network_info: Any = None,
        evacuate: bool = False,
        block_device_info: Any = None,
        preserve_ephemeral: bool = False,
        accel_uuids: Any = None,
        reimage_boot_volume: bool = False,
    ) -> None:
        """Raise BuildAbortException, with the guest untouched, for an image that cannot be used: it is fetched now.

        Always raises: NotImplementedError has Nova go its own way, which also refuses to preserve ephemeral disks.
        """
        if not (evacuate or preserve_ephemeral or _boots_from_volume(block_device_info)):
            with translate.build_errors(instance):
                image = self.image_source(context, image_meta, instance.trusted_certs)
                spec = self._guest_spec(instance, image_meta, network_info, block_device_info, image)
                self.hypervisor.check(spec, replacing=True)
                if image is not None:
                    self.hypervisor.cache_image(image)
        raise NotImplementedError


def _boots_from_volume(block_device_info: Any) -> bool:
    """Whether the image goes into a volume, which Nova sees to; `reimage_boot_volume` only says that it may."""
    return any(disk.get("boot_index") == 0 for disk in nova_driver.block_device_info_get_mapping(block_device_info))
