"""Disks of the management partition: found after a scan, let go of, and what is said where that does not work."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from bigiron.errors import PlatformError, Timeout
from bigiron.powervm.disk.snapshot import WholeStream
from bigiron.powervm.management.access import DirectAccess
from bigiron.powervm.management.scsi import ScsiDisks

UDID = "27c78d9e00c24c3e9a1b2c3d4e5f60718293a4b5c6d7e8f90"
LINK = f"scsi-SAIX_VDASD_{UDID[-32:]}"


class Kernel(DirectAccess):
    """A tree that answers a scan with a disk and a removal with its end, as Linux does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[tuple[str, str]] = []
        self.finds = True
        self.removes = True
        for folder in ("dev/disk/by-id", "sys/block"):
            (root / folder).mkdir(parents=True)

    def adapter(self, name: str = "30000003") -> None:
        scan = self.root / "sys/bus/vio/devices" / name / "host0/scsi_host/host0/scan"
        scan.parent.mkdir(parents=True)
        scan.touch()

    def disk(self, name: str = "sdb", link: str = LINK) -> Path:
        (self.root / "sys/block" / name / "device").mkdir(parents=True)
        (self.root / "sys/block" / name / "device/delete").touch()
        (self.root / "dev" / name).write_bytes(b"disk")
        (self.root / "dev/disk/by-id" / link).symlink_to(f"../../{name}")
        return self.root / "dev" / name

    def write(self, path: Path, text: str) -> None:
        super().write(path, text)
        self.written.append((str(path.relative_to(self.root)), text))
        if path.name == "scan" and self.finds:
            self.disk()
        if path.name == "delete" and self.removes:
            (self.root / "dev/disk/by-id" / LINK).unlink()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def disks(kernel: Kernel) -> ScsiDisks:
    return ScsiDisks(kernel.root, kernel, find_s=0.2, remove_s=0.2)


def test_a_disk_is_found_by_a_scan_of_its_adapter_alone(kernel: Kernel) -> None:
    kernel.adapter()
    kernel.adapter("30000004")
    assert disks(kernel).find(UDID, 3) == kernel.root / "dev/sdb"
    assert kernel.written == [("sys/bus/vio/devices/30000003/host0/scsi_host/host0/scan", "- - -")]


def test_slots_are_written_as_hexadecimal(kernel: Kernel) -> None:
    kernel.adapter("3000001f")
    assert disks(kernel).find(UDID, 31).name == "sdb"


def test_partitions_of_the_disk_and_other_disks_are_not_taken_for_it(kernel: Kernel) -> None:
    kernel.disk("sdc1", f"{LINK}-part1")
    kernel.disk("sdd", "scsi-SAIX_VDASD_00000000000000000000000000000000")
    assert disks(kernel).device(UDID) is None


def test_a_link_whose_device_is_gone_is_no_disk(kernel: Kernel) -> None:
    kernel.disk().unlink()
    assert disks(kernel).device(UDID) is None


def test_a_disk_that_does_not_come_is_named_with_its_adapter(kernel: Kernel) -> None:
    kernel.finds = False
    with pytest.raises(Timeout, match="adapter 30000003 is not there"):
        disks(kernel).find(UDID, 3)
    kernel.adapter()
    with pytest.raises(Timeout, match="was scanned and shows no such disk"):
        disks(kernel).find(UDID, 3)


def test_letting_go_waits_until_the_device_is_gone(kernel: Kernel) -> None:
    kernel.disk()
    disks(kernel).remove(UDID)
    assert kernel.written == [("sys/block/sdb/device/delete", "1")]
    disks(kernel).remove(UDID)
    assert len(kernel.written) == 1


def test_a_device_that_stays_is_named(kernel: Kernel) -> None:
    kernel.disk()
    kernel.removes = False
    with pytest.raises(Timeout, match="sdb did not go"):
        disks(kernel).remove(UDID)


@pytest.mark.parametrize("udid", ["", "27"])
def test_no_udid_never_means_any_disk(kernel: Kernel, udid: str) -> None:
    kernel.disk()
    for work in (disks(kernel).device, disks(kernel).remove):
        with pytest.raises(PlatformError, match="tells no udid"):
            work(udid)
    assert kernel.written == []


def test_a_control_that_refuses_is_named(kernel: Kernel) -> None:
    class Refusing(DirectAccess):
        def write(self, path: Path, text: str) -> None:
            raise PermissionError(13, os.strerror(13))

    kernel.adapter()
    with pytest.raises(PlatformError, match=r"host0/scan cannot be written.*operator's guide"):
        ScsiDisks(kernel.root, Refusing(), find_s=0.2).find(UDID, 3)


def test_a_stream_ends_with_the_disk_and_never_before() -> None:
    assert io.BufferedReader(WholeStream(io.BytesIO(b"0123456789"), "disk", 8)).read() == b"01234567"
    short = io.BufferedReader(WholeStream(io.BytesIO(b"0123"), "disk", 8))
    with pytest.raises(PlatformError, match="ends 4 bytes before"):
        short.read()


def test_a_device_that_fails_in_the_middle_fails_the_stream() -> None:
    class Failing(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(PlatformError, match="cannot be read on"):
        io.BufferedReader(WholeStream(Failing(b"0123"), "disk", 4)).read()
