"""The empty disks that a flavor and a block device mapping ask for, when a server is made and when it is resized."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nova.objects.flavor import Flavor

from bigiron import errors
from bigiron.model import DiskRole, DiskSpec
from bigiron.plugins.nova import localdisks

E, S = DiskRole.EPHEMERAL, DiskRole.SWAP


def flavor(ephemeral_gb: int = 0, swap: int = 0) -> Any:
    return Flavor(name="small", ephemeral_gb=ephemeral_gb, swap=swap)


def mapping(*sizes: int, swap_mb: int = 0, **fields: Any) -> dict[str, Any]:
    swap = {"device_name": "/dev/sdc", "swap_size": swap_mb} if swap_mb else None
    return {"ephemerals": [{"size": size, **fields} for size in sizes], "swap": swap}


def test_without_a_mapping_the_flavor_decides() -> None:
    assert localdisks.empty_disks(flavor(), None) == ()
    assert localdisks.empty_disks(flavor(3, 512), {}) == (DiskSpec(E, 3), DiskSpec(S, 0.5))


def test_a_mapping_divides_what_the_flavor_gives() -> None:
    wanted = (DiskSpec(E, 2), DiskSpec(E, 1), DiskSpec(S, 0.25))
    assert localdisks.empty_disks(flavor(4, 512), mapping(2, 1, swap_mb=256)) == wanted


@pytest.mark.parametrize("fields", [{"guest_format": "ext4"}, {"disk_bus": "virtio"}, {"device_type": "cdrom"}])
def test_a_disk_that_cannot_be_made_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidSpec, match="ephemeral disk asks for"):
        localdisks.empty_disks(flavor(1), mapping(1, **fields))


@pytest.mark.parametrize(
    ("old", "new", "mapped", "wanted"),
    [
        ((1, 512), (2, 1024), mapping(1, swap_mb=512), (DiskSpec(E, 2), DiskSpec(S, 1))),
        ((0, 0), (1, 512), mapping(), (DiskSpec(E, 1), DiskSpec(S, 0.5))),
        ((4, 512), (6, 512), mapping(2, 1, swap_mb=256), (DiskSpec(E, 2), DiskSpec(E, 1), DiskSpec(S, 0.25))),
        ((2, 512), (4, 0), mapping(1, swap_mb=512), (DiskSpec(E, 1),)),
    ],
)
def test_a_resize(old: tuple[int, int], new: tuple[int, int], mapped: dict[str, Any], wanted: Any) -> None:
    assert localdisks.resized_disks(flavor(*old), flavor(*new), mapped) == wanted


def test_an_ephemeral_disk_cannot_shrink() -> None:
    with pytest.raises(errors.InvalidSpec, match="cannot shrink to the 1 GB"):
        localdisks.resized_disks(flavor(2), flavor(1), mapping(2))


class Disk(dict[str, Any]):
    """An ephemeral disk with the record that Nova's own has."""

    def __init__(self, size: int) -> None:
        super().__init__(size=size)
        self.saved: list[int] = []
        self._bdm_obj = SimpleNamespace(volume_size=size, save=lambda: self.saved.append(self._bdm_obj.volume_size))


@pytest.mark.parametrize(
    ("before", "after", "size", "saved"),
    [(1, 2, 1, [2]), (2, 1, 2, [1]), (2, 2, 1, []), (4, 6, 1, []), (None, 2, 1, [])],
)
def test_the_record_follows_the_flavor(before: int | None, after: int, size: int, saved: list[int]) -> None:
    disk = Disk(size)
    localdisks.note_growth(flavor(before) if before else None, flavor(after), {"ephemerals": [disk]})
    assert disk.saved == saved
