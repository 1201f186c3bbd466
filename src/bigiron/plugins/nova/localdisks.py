"""The empty disks of an instance: ephemeral ones and swap, from its block device mapping or else its flavor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nova.virt import driver as nova_driver

from bigiron import errors
from bigiron.model import DiskRole, DiskSpec

_MB_PER_GB = 1024


@dataclass(frozen=True, slots=True)
class DiskRules:
    """What an empty disk may ask for: the buses that there are, and the file systems that the platform makes."""

    bus: str = "scsi"
    bus_words: str = "virtual SCSI disks"
    formats: tuple[str, ...] = ()


EMPTY_SCSI = DiskRules()


def empty_disks(
    flavor: Any, block_device_info: Mapping[str, Any] | None, rules: DiskRules = EMPTY_SCSI
) -> tuple[DiskSpec, ...]:
    """The ephemeral disks in the order of the mapping, then swap. Raises InvalidSpec for what cannot be made."""
    swap = nova_driver.block_device_info_get_swap(block_device_info)
    swap_mb = swap["swap_size"] if nova_driver.swap_is_usable(swap) else flavor.swap
    sizes = _sizes(flavor, block_device_info, rules)
    return (*_ephemeral(sizes, _formats(block_device_info)), *_swap(swap_mb))


def resized_disks(
    old: Any, new: Any, block_device_info: Mapping[str, Any] | None, rules: DiskRules = EMPTY_SCSI
) -> tuple[DiskSpec, ...]:
    """The same after a resize from the old flavor to the new one.

    Raises InvalidSpec where an ephemeral disk would have to shrink. An only ephemeral disk of all that the old flavor
    gave becomes all that the new one gives; several were divided by the user, and stay.
    """
    if new.ephemeral_gb < old.ephemeral_gb:
        raise errors.InvalidSpec(
            f"The ephemeral disks have {old.ephemeral_gb} GB and cannot shrink to the {new.ephemeral_gb} GB of flavor "
            f"{new.name!r}. Use a flavor whose ephemeral disk is not smaller."
        )
    sizes = _sizes(new, block_device_info, rules)
    formats = _formats(block_device_info)
    if sizes == [old.ephemeral_gb]:
        sizes = [new.ephemeral_gb]
    if new.swap == old.swap:
        return (*_ephemeral(sizes, formats), *empty_disks(new, block_device_info, rules)[len(sizes) :])
    return (*_ephemeral(sizes, formats), *_swap(new.swap))


def note_growth(before: Any, after: Any, block_device_info: Mapping[str, Any] | None) -> None:
    """Make the mapping of an only ephemeral disk follow the flavor from one to the other: Nova itself does so for swap
    only, and a rebuild goes by the mapping."""
    if before is None or before.ephemeral_gb == after.ephemeral_gb:
        return
    ephemerals = nova_driver.block_device_info_get_ephemerals(block_device_info)
    if len(ephemerals) == 1 and ephemerals[0]["size"] == before.ephemeral_gb:
        mapping = ephemerals[0]._bdm_obj
        mapping.volume_size = after.ephemeral_gb
        mapping.save()
        ephemerals[0]["size"] = after.ephemeral_gb


def _sizes(flavor: Any, block_device_info: Mapping[str, Any] | None, rules: DiskRules) -> list[int]:
    ephemerals = nova_driver.block_device_info_get_ephemerals(block_device_info)
    for disk in ephemerals:
        _check(disk, rules)
    if ephemerals:
        return [int(disk["size"]) for disk in ephemerals]
    return [flavor.ephemeral_gb] if flavor.ephemeral_gb else []


def _formats(block_device_info: Mapping[str, Any] | None) -> list[str | None]:
    """The file system that each ephemeral disk asks for."""
    ephemerals = nova_driver.block_device_info_get_ephemerals(block_device_info)
    return [disk.get("guest_format") or None for disk in ephemerals]


def _check(disk: Mapping[str, Any], rules: DiskRules) -> None:
    wanted = disk.get("guest_format")
    if wanted and rules.formats and wanted not in rules.formats:
        raise errors.InvalidSpec(
            f"An ephemeral disk asks for a file system ({wanted}), and this host makes {', '.join(rules.formats)}. Use "
            "one of these, or leave guest_format out."
        )
    if wanted and not rules.formats:
        raise errors.InvalidSpec(
            f"An ephemeral disk asks for a file system ({disk['guest_format']}), and ephemeral disks are made empty "
            "here. Leave guest_format out, and unset [DEFAULT] default_ephemeral_format in nova.conf."
        )
    if disk.get("device_type") not in (None, "disk") or disk.get("disk_bus") not in (None, rules.bus):
        raise errors.InvalidSpec(
            f"An ephemeral disk asks for device type {disk.get('device_type')} on bus {disk.get('disk_bus')}, and a "
            f"guest of this host has {rules.bus_words}. Leave both out."
        )


def _ephemeral(sizes: Sequence[int], formats: Sequence[str | None]) -> tuple[DiskSpec, ...]:
    """Disks of these sizes; those of the flavor, which no mapping names, have no formats."""
    return tuple(
        DiskSpec(DiskRole.EPHEMERAL, size, format=wanted)
        for size, wanted in itertools.zip_longest(sizes, formats[: len(sizes)])
    )


def _swap(megabytes: int) -> tuple[DiskSpec, ...]:
    return (DiskSpec(DiskRole.SWAP, megabytes / _MB_PER_GB),) if megabytes else ()
