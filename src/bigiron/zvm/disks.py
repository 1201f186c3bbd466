"""Disks of guests: what the connector is asked for, and what it made of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bigiron.errors import InvalidSpec, PlatformError, Unsupported
from bigiron.model import DiskRole, DiskSpec, GuestSpec
from bigiron.zvm.directory import Entry, vdev
from bigiron.zvm.header import Header
from bigiron.zvm.ledger import HeldDisk
from bigiron.zvm.options import ZvmOptions

_MB_PER_GB = 1024
_DISTRO = re.compile(
    r"^(rhel(6|7|8|9|10)([.]\d{1,2})?|redhat[67]([.]\d{1,2})?|(sles|suse)(11|12|15)(([.]|sp)\d)?"
    r"|ubuntu\d\d([.]\d\d)?([.]\d)?)$",
    re.IGNORECASE,
)
_SWAP = "swap"


def distro_of(spec: GuestSpec) -> str:
    """The os_distro of the image that the guest is made from, as the connector knows it; raises InvalidSpec.

    The connector decides by it which files configure the guest's network and disks.
    """
    image = next((disk.image for disk in spec.disks if disk.image is not None), None)
    if image is None:
        raise InvalidSpec(f"Guest {spec.name} has no image to be made from.")
    return checked_distro(image.name, image.distro)


def checked_distro(image: str, distro: str | None) -> str:
    """The distribution that an image names; raises InvalidSpec where it names none that the connector knows."""
    if not distro:
        raise InvalidSpec(
            f"Image {image} has no property os_distro, and z/VM must know the distribution. Set it, for instance: "
            f"openstack image set --property os_distro=rhel9.4 {image}"
        )
    if distro.lower().startswith("rhcos"):
        raise Unsupported(f"Image {image} is Red Hat CoreOS ({distro}), which cannot be deployed here.")
    if not _DISTRO.match(distro):
        raise InvalidSpec(
            f"Image {image} has os_distro = {distro}, which the Cloud Connector does not know: use the distribution "
            "with its version and no blanks, such as rhel9.4, sles15.5 or ubuntu22.04."
        )
    return distro.lower()


def wanted(spec: GuestSpec, header: Header, options: ZvmOptions) -> list[dict[str, Any]]:
    """The disk list of a create: the root disk first. Raises InvalidSpec for an image that does not fit."""
    pool = {"disk_pool": options.disk_pool} if options.disk_pool else {}
    found: list[dict[str, Any]] = []
    for disk in spec.disks:
        if disk.role is DiskRole.ROOT:
            found.append({"size": _root_size(spec, disk, header, options), "is_boot_disk": True, **pool})
        else:
            found.append(empty(disk, options))
    return found


def empty(disk: DiskSpec, options: ZvmOptions) -> dict[str, Any]:
    """One further disk, which the connector formats: a raw minidisk is of no use to a guest."""
    pool = {"disk_pool": options.disk_pool} if options.disk_pool else {}
    return {"size": _size(disk.size_gb), "format": file_system(disk, options), **pool}


def file_system(disk: DiskSpec, options: ZvmOptions) -> str:
    """What a further disk is formatted with."""
    return _SWAP if disk.role is DiskRole.SWAP else disk.format or options.ephemeral_format


def mounts(held: Sequence[HeldDisk], spec: GuestSpec, options: ZvmOptions) -> list[dict[str, str]]:
    """What the guest is told of its further disks, so that it mounts them (PUT /guests/{userid}/disks)."""
    return [
        mount(disk, made, options)
        for disk, made in zip(spec.disks, held, strict=True)
        if disk.role is not DiskRole.ROOT
    ]


def mount(disk: DiskSpec, made: HeldDisk, options: ZvmOptions) -> dict[str, str]:
    """What the guest is told of one further disk; swap is switched on instead of mounted."""
    where = _SWAP if disk.role is DiskRole.SWAP else f"/mnt/ephemeral{made.vdev}"
    return {"vdev": made.vdev, "format": file_system(disk, options), "mntdir": where}


def held(spec: GuestSpec, made: Sequence[Mapping[str, Any]]) -> tuple[HeldDisk, ...]:
    """The disks of the spec with the device numbers that they were given; raises PlatformError where one is missing."""
    if len(made) != len(spec.disks):
        raise PlatformError(f"Guest {spec.name} was given {len(made)} disks instead of {len(spec.disks)}.")
    return tuple(
        HeldDisk(vdev(str(answer["vdev"])), disk.role, disk.size_gb)
        for disk, answer in zip(spec.disks, made, strict=True)
    )


def of_entry(entry: Entry) -> tuple[HeldDisk, ...]:
    """The disks of an entry that this ledger did not see made: the first is the root disk, and of the others nothing
    says what they are for."""
    return tuple(
        HeldDisk(disk.vdev, DiskRole.EPHEMERAL if number else DiskRole.ROOT, _gb(disk.device, disk.units), found=True)
        for number, disk in enumerate(entry.minidisks)
    )


def size_bytes(device: str, units: int) -> int:
    """The size of a minidisk: an FBA disk or one in storage has blocks, any other the cylinders of a 3390 disk."""
    return units * (512 if device.startswith(("9336", "FB")) else 737280)


def _gb(device: str, units: int) -> float:
    """As it was asked for: in whole megabytes, which a disk exceeds by less than a cylinder of 0.7 MB."""
    return size_bytes(device, units) // 2**20 / _MB_PER_GB


def _root_size(spec: GuestSpec, disk: DiskSpec, header: Header, options: ZvmOptions) -> str:
    """The flavor's size, or the image's own where the flavor has none."""
    kind = options.disk_pool.split(":")[0].upper()
    if kind and kind != header.pool_kind:
        raise InvalidSpec(
            f"Guest {spec.name} cannot be made: its image is of a disk of kind {header.pool_kind}, and [zvm] disk_pool "
            f"is {options.disk_pool}. Use an image that was taken from such a disk."
        )
    if not disk.size_gb:
        return str(header.units)
    if header.units > math.ceil(disk.size_gb * 2**30 / header.unit_bytes):
        raise InvalidSpec(
            f"Guest {spec.name} has a root disk of {disk.size_gb:g} GB, and its image needs {header.size_gb:.1f} GB. "
            "Use a flavor with a larger disk."
        )
    return _size(disk.size_gb)


def _size(gigabytes: float) -> str:
    if gigabytes == int(gigabytes):
        return f"{int(gigabytes)}g"
    return f"{math.ceil(gigabytes * _MB_PER_GB)}m"
