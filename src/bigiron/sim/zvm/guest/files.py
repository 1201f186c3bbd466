"""The files of a guest's Linux that matter: what it was configured with, kept on its root disk."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import replace

from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.disks import Written, volume
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Minidisk

AUTHORIZED_USERID = "/etc/iucv_authorized_userid"
CONFIG_DRIVE = "/var/opt/zthin/cfgdrive.iso"
HOSTNAME = "/etc/hostname"
INSTANCE_ID = "/var/lib/cloud/data/instance-id"
SSH_KEYS = "/root/.ssh/authorized_keys"
_OS = re.compile(r"([a-z]+)([0-9.]*)")


class Files:
    """Files by path; what changes is written to the disk by `save`."""

    def __init__(self, system: System, disk: Minidisk | None, written: Written) -> None:
        self._system = system
        self._disk = disk
        self._written = written
        self._files = dict(written.files)
        self.os_version = written.os_version or system.state.guest_os

    @classmethod
    def of(cls, system: System, userid: str) -> Files:
        """The files of the system on a userid's boot disk; none of them is kept where it has no such minidisk."""
        disk = boot_disk(system, userid)
        return cls(system, disk, system.disks.written(disk) if disk else Written())

    @property
    def distribution(self) -> tuple[str, str]:
        """Its name and version, such as rhel and 9.4."""
        match = _OS.match(self.os_version)
        return (match[1], match[2]) if match else (self.os_version, "")

    def read(self, path: str) -> bytes | None:
        """The content of a file."""
        if path in self._files:
            return self._files[path].encode("latin-1")
        if path == "/etc/os-release":
            name, version = self.distribution
            return f'NAME="{name}"\nID="{name}"\nVERSION_ID="{version}"\nPRETTY_NAME="{name} {version}"\n'.encode()
        return None

    def text(self, path: str) -> str:
        """The content of a text file; empty where there is none."""
        return (self.read(path) or b"").decode("utf-8", "replace")

    def write(self, path: str, data: bytes) -> None:
        """Replace a file."""
        self._files[path] = data.decode("latin-1")

    def append(self, path: str, data: bytes) -> None:
        """Write to a file's end."""
        self.write(path, (self.read(path) or b"") + data)

    def remove(self, pattern: str) -> None:
        """Remove the files that a shell's pattern names, or all below the folder of that name."""
        folder = pattern.rstrip("/") + "/"
        doomed = [p for p in self._files if fnmatch.fnmatchcase(p, pattern) or p.startswith(folder)]
        for path in doomed:
            del self._files[path]

    def paths(self) -> list[str]:
        """Every file that was written."""
        return sorted(self._files)

    def save(self) -> None:
        """Keep the files on the disk."""
        if self._disk is None or self._files == self._written.files:
            return
        self._written = replace(self._written, files=dict(self._files))
        self._system.disks.write(self._disk, self._written)


def boot_disk(system: System, userid: str) -> Minidisk | None:
    """The disk that a userid loads its system from: a minidisk, or what LOADDEV names behind an FCP device."""
    entry = system.state.entries.get(userid)
    vdev = directory.ipl_device(entry) if entry else None
    if entry is None or vdev is None:
        return None
    disk = directory.minidisk(entry, vdev)
    if disk is not None:
        return None if disk.virtual else disk
    lun = directory.loaddev(entry).get("LUN")
    return volume(lun) if lun and vdev in directory.dedicated(entry) else None
