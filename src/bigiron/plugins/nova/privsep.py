"""What the driver does as the superuser: the one privileged context, `[bigiron_privileged]` in nova.conf.

Its daemon starts when something is needed that nova-compute's own user may not do, and serves three requests: scan a
virtual SCSI adapter, let go of a SCSI disk, and lend a disk's device node to nova-compute while it is opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from oslo_privsep import capabilities, daemon, priv_context

from bigiron.powervm.management.access import DirectAccess

context: Any = priv_context.PrivContext(
    "bigiron",
    cfg_section="bigiron_privileged",
    pypath=f"{__name__}.context",
    capabilities=[capabilities.CAP_CHOWN, capabilities.CAP_DAC_OVERRIDE, capabilities.CAP_FOWNER],
)

_CONTROLS = {
    "- - -": re.compile(r"/sys/bus/vio/devices/3[0-9a-f]{7}/host\d+/scsi_host/host\d+/scan"),
    "1": re.compile(r"/sys/block/sd[a-z]+/device/delete"),
}


class PrivilegedAccess(DirectAccess):
    """With this process's own rights where they are enough, and through the privileged daemon where they are not."""

    def write(self, path: Path, text: str) -> None:
        try:
            super().write(path, text)
        except PermissionError:
            with _rights():
                write_control(str(path), text)

    def open(self, path: Path) -> BinaryIO:
        try:
            return super().open(path)
        except PermissionError:
            with _rights():
                owner = give_device(str(path), os.getuid())
        try:
            # What is open stays open, so the node goes back at once.
            return super().open(path)
        finally:
            give_device(str(path), owner)


@contextlib.contextmanager
def _rights() -> Iterator[None]:
    """A daemon that cannot be started, and one that refuses, are lacks of rights like any other."""
    try:
        yield
    except daemon.FailedToDropPrivileges as error:
        reason = f"the privileged daemon of [bigiron_privileged] did not start ({error})"
        raise PermissionError(errno.EPERM, reason) from error
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


@context.entrypoint
def write_control(path: str, text: str) -> None:
    """Write one of the known words to its control file."""
    check_control(path, text)
    DirectAccess().write(Path(path), text)


@context.entrypoint
def give_device(path: str, owner: int) -> int:
    """Make the user the owner of a block device's node; returns whose it was."""
    real = check_device(path)
    before = real.stat().st_uid
    os.chown(real, owner, -1)
    return before


def check_control(path: str, text: str) -> None:
    """Raise ValueError for anything but a scan and a removal."""
    allowed = _CONTROLS.get(text)
    if allowed is None or not allowed.fullmatch(path):
        raise ValueError(f"{text!r} is not to be written to {path}")


def check_device(path: str) -> Path:
    """The real path of a block device below /dev; raises ValueError for anything else."""
    real = Path(path).resolve()
    if not real.is_relative_to("/dev") or not real.is_block_device():
        raise ValueError(f"{path} is not a block device below /dev")
    return real
