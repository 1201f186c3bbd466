"""The management partition's virtual SCSI disks: finding what a VIOS presents to it, and letting go of it.

Linux looks for disks on an adapter that it has already only when it is told to; see /sys/bus/vio, /dev/disk/by-id and
/sys/block on the NovaLink partition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bigiron.errors import PlatformError, Timeout
from bigiron.powervm.management.access import Access

LOG = logging.getLogger(__name__)

T = TypeVar("T")

_SCAN = "- - -"
_TAIL = 32
"""Characters of a udid with which the names of its device end."""
_LEAST = 16
_POLL_S = 0.05
FIND_S = 120.0
REMOVE_S = 20.0


class ScsiDisks:
    """The disks under one root directory."""

    def __init__(self, root: Path, access: Access, find_s: float = FIND_S, remove_s: float = REMOVE_S) -> None:
        self._root = root
        self._access = access
        self._find_s = find_s
        self._remove_s = remove_s

    def device(self, udid: str) -> Path | None:
        """The device node of the disk with that udid, if it has been found."""
        tail = _tail(udid)
        for link in sorted((self._root / "dev/disk/by-id").iterdir()):
            if link.name.endswith(tail) and (path := link.resolve()).exists():
                return path
        return None

    def find(self, udid: str, slot: int) -> Path:
        """The device of a disk mapped just now on the client adapter in that slot. Raises Timeout."""
        adapter = f"{0x30000000 | slot:x}"
        hosts = f"sys/bus/vio/devices/{adapter}/host*/scsi_host/host*/scan"
        scans: list[Path] = []

        def found() -> Path | None:
            if not scans:
                # The adapter itself may have come just now.
                scans.extend(sorted(self._root.glob(hosts)))
                for scan in scans:
                    self._write(scan, _SCAN)
            return self.device(udid)

        if (path := _await(found, self._find_s)) is None:
            state = "was scanned and shows no such disk" if scans else "is not there"
            raise Timeout(
                f"The disk with udid {udid} did not appear in the management partition within {self._find_s:.0f} s: "
                f"virtual SCSI adapter {adapter} {state}. Look at {self._root / hosts} and the kernel's log."
            )
        return path

    def remove(self, udid: str) -> None:
        """Let go of the disk; one that is not there is no error. Raises Timeout where it stays."""
        device = self.device(udid)
        if device is None:
            return
        control = self._root / "sys/block" / device.name / "device/delete"
        if control.exists():
            self._write(control, "1")
        if _await(lambda: True if self.device(udid) is None else None, self._remove_s) is None:
            raise Timeout(f"Device {device} did not go within {self._remove_s:.0f} s of writing to {control}.")

    def _write(self, path: Path, text: str) -> None:
        try:
            self._access.write(path, text)
        except OSError as error:
            raise PlatformError(
                f"{path} cannot be written: {error}. See 'Snapshots' in the operator's guide."
            ) from error


def _tail(udid: str) -> str:
    """What the device's names end with; a short one could be that of any disk."""
    if len(udid) < _LEAST:
        raise PlatformError(f"The platform tells no udid of the disk ({udid!r}), so its device cannot be found.")
    return udid[-_TAIL:]


def _await(look: Callable[[], T | None], seconds: float) -> T | None:
    """What `look` returns once that is not None; None when the time is over."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return seen
