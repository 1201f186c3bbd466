"""What the driver may do as the superuser, and that it starts no daemon where its own rights are enough."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest
from oslo_privsep import daemon

from bigiron.plugins.nova import privsep

SCAN = "/sys/bus/vio/devices/30000003/host0/scsi_host/host0/scan"


def test_what_this_process_may_do_needs_no_daemon(tmp_path: Path) -> None:
    control = tmp_path / "scan"
    control.touch()
    with mock.patch.object(privsep.context, "start") as start:
        privsep.PrivilegedAccess().write(control, "- - -")
        with privsep.PrivilegedAccess().open(control) as file:
            assert file.read() == b"- - -"
    start.assert_not_called()


@pytest.mark.parametrize(
    ("path", "text"),
    [(SCAN, "- - -"), ("/sys/block/sdb/device/delete", "1"), ("/sys/block/sdab/device/delete", "1")],
)
def test_the_known_controls_may_be_written(path: str, text: str) -> None:
    privsep.check_control(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (SCAN, "1"),
        (SCAN + "/../x", "- - -"),
        ("/sys/block/sdb/device/delete", "- - -"),
        ("/sys/block/../sdb/device/delete", "1"),
        ("/sys/block/nvme0n1/device/delete", "1"),
        ("/etc/passwd", "1"),
        ("/etc/passwd", "root::0:0:root:/root:/bin/sh"),
    ],
)
def test_nothing_else_may_be_written(path: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not to be written"):
        privsep.check_control(path, text)


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/null", "/dev/../etc/passwd"])
def test_only_disks_are_lent(path: str) -> None:
    with pytest.raises(ValueError, match="block device"):
        privsep.check_device(path)


def test_a_link_from_dev_to_elsewhere_is_no_disk(tmp_path: Path) -> None:
    link = tmp_path / "sdb"
    link.symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="block device"):
        privsep.check_device(str(link))


def test_a_device_is_lent_for_the_time_of_its_opening(tmp_path: Path) -> None:
    device = tmp_path / "sdb"
    device.write_bytes(b"disk")
    given: list[tuple[str, int]] = []
    opened = privsep.DirectAccess.open
    tries = iter([PermissionError, None])

    def refused_once(access: privsep.DirectAccess, path: Path) -> object:
        if (error := next(tries)) is not None:
            raise error
        return opened(access, path)

    def give(path: str, owner: int) -> int:
        given.append((path, owner))
        return 7

    with (
        mock.patch.object(privsep.DirectAccess, "open", refused_once),
        mock.patch.object(privsep, "give_device", give),
        privsep.PrivilegedAccess().open(device) as file,
    ):
        assert given == [(str(device), os.getuid()), (str(device), 7)]
        assert file.read() == b"disk"


def test_a_daemon_that_cannot_start_is_a_lack_of_rights(tmp_path: Path) -> None:
    with (
        mock.patch.object(privsep.DirectAccess, "write", side_effect=PermissionError),
        mock.patch.object(privsep, "write_control", side_effect=daemon.FailedToDropPrivileges("no sudo")),
        pytest.raises(PermissionError, match="bigiron_privileged"),
    ):
        privsep.PrivilegedAccess().write(tmp_path / "scan", "- - -")


def test_what_the_daemon_refuses_is_a_lack_of_rights(tmp_path: Path) -> None:
    with (
        mock.patch.object(privsep.DirectAccess, "write", side_effect=PermissionError),
        mock.patch.object(privsep, "write_control", privsep.check_control),
        pytest.raises(PermissionError, match="is not to be written"),
    ):
        privsep.PrivilegedAccess().write(tmp_path / "scan", "- - -")
