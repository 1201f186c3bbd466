"""Sizes of disks, and what is refused before anything is made."""

from __future__ import annotations

import pytest
from tests.support.images import BytesImage, SizedImage

from bigiron.errors import InvalidSpec
from bigiron.model import DiskRole, DiskSpec, GuestSpec
from bigiron.powervm.disk.driver import GIB, image_gb, ordinal, role_name, size_gb


def test_a_root_disk_of_no_size_takes_the_images_rounded_up() -> None:
    assert size_gb(DiskSpec(DiskRole.ROOT, 0, SizedImage(GIB + 1))) == 2
    assert image_gb(SizedImage(1)) == 1


def test_an_image_larger_than_the_disk_is_refused_with_both_sizes() -> None:
    with pytest.raises(InvalidSpec, match=r"3\.00 GB does not fit the root disk of 2 GB"):
        size_gb(DiskSpec(DiskRole.ROOT, 2, SizedImage(3 * GIB)))


@pytest.mark.parametrize("disk", [DiskSpec(DiskRole.SWAP, 0), DiskSpec(DiskRole.ROOT, 1, BytesImage(b""))])
def test_nothing_to_make_is_refused(disk: DiskSpec) -> None:
    with pytest.raises(InvalidSpec):
        size_gb(disk)


def test_disks_of_one_role_are_told_apart() -> None:
    guest = GuestSpec(
        uuid="u",
        name="n",
        memory_mb=1,
        vcpus=1,
        disks=(DiskSpec(DiskRole.ROOT, 1), DiskSpec(DiskRole.EPHEMERAL, 1), DiskSpec(DiskRole.EPHEMERAL, 1)),
    )
    names = [role_name(disk.role, ordinal(guest, index)) for index, disk in enumerate(guest.disks)]
    assert names == ["boot", "eph0", "eph1"]
