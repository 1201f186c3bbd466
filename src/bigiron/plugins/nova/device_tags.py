"""Device tags: by which a guest tells its network adapters apart, in the config drive and the metadata service.

The guest finds a tagged adapter by its MAC address. A disk it would have to find by its bus, and Nova's device metadata
has no bus for Power's virtual adapters (vio): a tagged disk is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova import objects

from bigiron import errors
from bigiron.hypervisor import Key, Step, Values

TAGGED: Key[None] = Key("device_tags")
"""The instance knows the tags of its devices: what its config drive shows waits for it."""


class TagNics(Step):
    """Notes the tagged adapters in the instance, which the compute manager saves with the build's result."""

    name = "note the tags of the network adapters"
    provides = TAGGED

    def __init__(self, context: Any, instance: Any) -> None:
        self._context = context
        self._instance = instance

    def execute(self, values: Values) -> None:
        self._instance.device_metadata = of_nics(self._context, self._instance)


def save(context: Any, instance: Any) -> None:
    """Note the tags of an instance whose adapters changed; Nova itself forgets those of a detached adapter."""
    tagged = of_nics(context, instance)
    if tagged is not None:
        instance.device_metadata = tagged
        instance.save()


def of_nics(context: Any, instance: Any) -> Any:
    """The InstanceDeviceMetadata of an instance's tagged adapters; None where there is none."""
    vifs = objects.VirtualInterfaceList.get_by_instance_uuid(context, instance.uuid)
    tagged = [objects.NetworkInterfaceMetadata(mac=vif.address, tags=[vif.tag]) for vif in vifs if vif.tag]
    return objects.InstanceDeviceMetadata(devices=tagged) if tagged else None


def check_disks(block_device_info: Mapping[str, Any] | None) -> None:
    """Raise InvalidSpec for a tagged disk, as long as nothing is made."""
    info = block_device_info or {}
    for disk in (*(info.get("image") or ()), *(info.get("ephemerals") or ()), info.get("swap")):
        # Nova hands no driver a disk's tag; asking the database would delay every build for it.
        mapping = getattr(disk, "_bdm_obj", None)
        if mapping is not None and mapping.tag:
            raise errors.InvalidSpec(
                f"the disk with the tag {mapping.tag} cannot be tagged: a guest on this platform could not find it by "
                "what Nova tells of it; leave the tag out (network adapters can have tags)"
            )
