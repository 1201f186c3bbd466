"""Nova's objects in, bigiron's values out, and platform errors in, Nova's exceptions out: free functions only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from nova import exception
from nova.compute import power_state, task_states
from nova.virt import driver as nova_driver

from bigiron import errors
from bigiron.model import DiskRole, DiskSpec, FixedAddress, GuestOs, GuestSpec, ImageSource, NicSpec, PowerState
from bigiron.naming import VIF_TYPE_OVS
from bigiron.plugins.nova import device_tags, image_properties
from bigiron.plugins.nova.image import ConvertedImage, GlanceImage
from bigiron.plugins.nova.image_properties import PROPERTIES, ImageProperty
from bigiron.plugins.nova.localdisks import EMPTY_SCSI, DiskRules, empty_disks

_POWER_STATES: dict[PowerState, int] = {
    PowerState.RUNNING: power_state.RUNNING,
    PowerState.STOPPED: power_state.SHUTDOWN,
    PowerState.PAUSED: power_state.PAUSED,
    PowerState.SUSPENDED: power_state.SUSPENDED,
    PowerState.CRASHED: power_state.CRASHED,
    # Nova's power sync leaves an instance alone while its state is NOSTATE, and must while the platform is at it.
    PowerState.CHANGING: power_state.NOSTATE,
    PowerState.UNKNOWN: power_state.NOSTATE,
}

_REBUILDING = (
    task_states.REBUILDING,
    task_states.REBUILD_BLOCK_DEVICE_MAPPING,
    task_states.REBUILD_SPAWNING,
)

_PROFILE_KEYS = {"vnic_required_vfs": "redundancy", "capacity": "capacity", "maxcapacity": "maxcapacity"}
"""Keys of a direct port's binding profile, with those of the binding's details that they become."""

_GUEST_OS = {"aix": GuestOs.AIX, "ibmi": GuestOs.IBMI}


def nova_power_state(state: PowerState) -> int:
    """The state in Nova's numbers."""
    return _POWER_STATES[state]


def guest_spec(
    instance: Any,
    image_meta: Any,
    network_info: Iterable[Mapping[str, Any]] | None,
    block_device_info: Mapping[str, Any] | None,
    *,
    namespace: str,
    config_drive: bool,
    power_on: bool,
    image: ImageSource | None,
    properties: Sequence[ImageProperty] = PROPERTIES,
    rules: DiskRules = EMPTY_SCSI,
) -> GuestSpec:
    """What the platform needs to make the instance; `namespace` picks the flavor keys that are the platform's.

    `properties` and `rules` say what the platform makes of image properties and of empty disks.

    Raises InvalidSpec for what the platform's plug-in cannot carry out at all.
    """
    image_properties.check(image_meta, properties)
    return GuestSpec(
        uuid=instance.uuid,
        name=instance.name,
        memory_mb=instance.flavor.memory_mb,
        vcpus=instance.flavor.vcpus,
        os=guest_os(image_meta),
        disks=disk_specs(instance.flavor, block_device_info, image, rules),
        nics=tuple(nic_spec(vif) for vif in network_info or ()),
        config_drive=config_drive,
        power_on=power_on,
        options=platform_options(instance.flavor, namespace),
    )


def rescue_spec(instance: Any, image_meta: Any, image: ImageSource | None, *, config_drive: bool) -> GuestSpec:
    """What the platform needs to rescue the instance from an image: a disk as large as the image.

    Raises InvalidSpec for an image that cannot be used.
    """
    image_properties.check(image_meta)
    if image is None:
        raise errors.InvalidSpec("the rescue names no image and the server was not made from one; name an image")
    return GuestSpec(
        uuid=instance.uuid,
        name=instance.name,
        memory_mb=instance.flavor.memory_mb,
        vcpus=instance.flavor.vcpus,
        disks=(DiskSpec(DiskRole.RESCUE, 0, image),),
        config_drive=config_drive,
    )


def guest_os(image_meta: Any) -> GuestOs:
    """The operating-system family that the image's os_distro names; Linux where it names none that differs."""
    return _GUEST_OS.get(str(image_meta.properties.get("os_distro", "")).lower(), GuestOs.LINUX)


def disk_specs(
    flavor: Any, block_device_info: Mapping[str, Any] | None, image: ImageSource | None, rules: DiskRules = EMPTY_SCSI
) -> tuple[DiskSpec, ...]:
    """The local disks of an instance, the root disk first and swap last."""
    check_disks(block_device_info)
    device_tags.check_disks(block_device_info)
    if image is None:
        raise errors.InvalidSpec("the server names no image and has no boot volume; name an image")
    return (DiskSpec(DiskRole.ROOT, flavor.root_gb, image), *empty_disks(flavor, block_device_info, rules))


def check_disks(block_device_info: Mapping[str, Any] | None) -> None:
    """Raise InvalidSpec for volumes."""
    if nova_driver.block_device_info_get_mapping(block_device_info):
        raise errors.InvalidSpec("volumes cannot be attached on this host; boot from an image without volumes")


def resize_spec(
    instance: Any,
    flavor: Any,
    *,
    namespace: str,
    power_on: bool,
    empty: tuple[DiskSpec, ...],
    root_gb: int | None = None,
) -> GuestSpec:
    """What an existing instance is to become; `root_gb` where its root disk is to grow, `empty` its other disks."""
    return GuestSpec(
        uuid=instance.uuid,
        name=instance.name,
        memory_mb=flavor.memory_mb,
        vcpus=flavor.vcpus,
        os=guest_os(instance.image_meta),
        disks=(*(() if root_gb is None else (DiskSpec(DiskRole.ROOT, root_gb),)), *empty),
        power_on=power_on,
        options=platform_options(flavor, namespace),
    )


def platform_options(flavor: Any, namespace: str) -> dict[str, str]:
    """The flavor's keys that are the platform's."""
    return {key: str(value) for key, value in flavor.extra_specs.items() if key.startswith(namespace)}


def image_source(
    context: Any,
    image_meta: Any,
    image_api: Any,
    folder: Path,
    trusted_certs: Any = None,
    disk_bytes: MutableMapping[str, int] | None = None,
    *,
    inspect: bool = True,
) -> ImageSource | None:
    """The image to boot from, or None for a server without one (`image_meta` then has no id).

    `folder` is for files on the way to the platform; `disk_bytes` remembers the sizes of the disks in qcow2 images by
    image id, for an image never changes. Without `inspect` nobody but the platform looks at what a raw image is.
    """
    if not image_meta.obj_attr_is_set("id") or not image_meta.id:
        return None
    image_id = str(image_meta.id)
    name = image_meta.name if image_meta.obj_attr_is_set("name") and image_meta.name else image_id
    disk_format = image_meta.disk_format if image_meta.obj_attr_is_set("disk_format") else None

    def download() -> Any:
        return image_api.download(context, image_id, trusted_certs=trusted_certs)

    size = image_meta.size if image_meta.obj_attr_is_set("size") and image_meta.size else 0
    if disk_format == "raw":
        return GlanceImage(image_id, name, size, download, folder, distro(image_meta), inspect=inspect)
    if disk_format == "qcow2":
        known = disk_bytes if disk_bytes is not None else {}
        image = ConvertedImage(image_id, name, download, folder, size, known.get(image_id))
        known[image_id] = image.size_bytes
        return image
    raise errors.InvalidSpec(
        f"image {image_id} has the disk format {disk_format}, and raw and qcow2 images boot on this host; convert it "
        "with `qemu-img convert -O raw` and upload it with --disk-format raw"
    )


def nic_spec(vif: Mapping[str, Any]) -> NicSpec:
    """A VIF of Nova's network model; the VLAN is the binding's, or the network's where the binding has none.

    What a direct port's binding profile asks of its vNIC counts where the binding's details do not say it.
    """
    profile = vif.get("profile") or {}
    asked = {_PROFILE_KEYS[key]: value for key, value in profile.items() if key in _PROFILE_KEYS}
    details = {**asked, **(vif.get("details") or {})}
    meta = vif["network"].get("meta") or {}
    if vif["type"] == VIF_TYPE_OVS:
        details["vnic_type"] = vif.get("vnic_type") or "normal"
        if bridge := vif["network"].get("bridge"):
            # Where the binding names none, it is [neutron] ovs_bridge.
            details.setdefault("bridge_name", bridge)
    vlan = details.get("vlan", meta.get("vlan"))
    return NicSpec(
        id=vif["id"],
        mac=vif["address"],
        vif_type=vif["type"],
        vlan=None if vlan is None else int(vlan),
        physical_network=details.get("physical_network") or meta.get("physical_network"),
        mtu=meta.get("mtu"),
        tagged_vlans=_trunk_vlans(details.get("trunk_vlans")),
        fixed=_fixed_address(vif["network"].get("subnets") or ()),
        details={key: _text(value) for key, value in details.items()},
    )


def _fixed_address(subnets: Sequence[Mapping[str, Any]]) -> FixedAddress | None:
    """The port's first IPv4 address, with what its subnet says of the way out."""
    for subnet in subnets:
        addresses = [ip["address"] for ip in subnet.get("ips") or () if ":" not in ip["address"]]
        if addresses:
            gateway = (subnet.get("gateway") or {}).get("address")
            dns = tuple(server["address"] for server in subnet.get("dns") or () if ":" not in server["address"])
            return FixedAddress(addresses[0], str(subnet["cidr"]), gateway, dns)
    return None


def distro(image_meta: Any) -> str | None:
    """The image's os_distro in its own words."""
    return str(image_meta.properties.get("os_distro") or "") or None


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _trunk_vlans(text: str | None) -> tuple[int, ...] | None:
    """The VLANs of a trunk's subports, as the mechanism driver writes them in the binding's details."""
    return None if text is None else tuple(int(vlan) for vlan in str(text).split(",") if vlan)


@contextlib.contextmanager
def nova_errors(instance: Any, failure: Callable[[str], Exception]) -> Iterator[None]:
    """Turn what a platform raises inside into Nova's exceptions; `failure` makes the one for everything else."""
    try:
        yield
    except errors.NotFound as error:
        raise exception.InstanceNotFound(instance_id=instance.uuid) from error
    except errors.PlatformError as error:
        raise failure(error.message) from error


@contextlib.contextmanager
def build_errors(instance: Any) -> Iterator[None]:
    """Turn what a platform raises during a build into what makes Nova abort it or try another host.

    What no other host could do better aborts, so that the user sees this message and not that all hosts failed.
    """
    try:
        yield
    except (errors.InvalidSpec, errors.Unsupported, errors.Conflict) as error:
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=error.message) from error
    except errors.NoCapacity as error:
        if instance.task_state in _REBUILDING:
            # Nova would take it for an evacuation and give up the allocations of a guest that is here.
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=error.message) from error
        raise exception.ComputeResourcesUnavailable(reason=error.message) from error
    except errors.PlatformError as error:
        raise exception.InstanceDeployFailure(reason=error.message) from error
