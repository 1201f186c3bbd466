"""The management partition's virtual SCSI: adapters in /sys, disks in /dev once a host was told to scan.

Nothing in a plain file tree calls the simulator, so the files that a client writes (`scan` of a host, `delete` of a
device) are looked at while there are any.
"""

from __future__ import annotations

import itertools
import logging
import re
import shutil
import string
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bigiron.sim.powervm.model import backing, blocks
from bigiron.sim.powervm.model.mapping import ServerAdapter, Target
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.world import World

LOG = logging.getLogger(__name__)

_LOOK_S = 0.02
_SCAN = re.compile(r"\s*(-|\d+)\s+(-|\d+)\s+(-|\d+)\s*")
_FOLDERS = ("sys/bus/vio/devices", "sys/devices/vio", "sys/block", "dev/disk/by-id")
_BY_ID = "scsi-SAIX_VDASD_"
_TAIL = 32
"""Characters of a udid that a disk tells as its serial number."""


@dataclass(frozen=True, slots=True)
class Lun:
    """A disk as an adapter of the partition presents it; `target` is its place on the adapter."""

    slot: int
    target: int
    kind: str
    udid: str


@dataclass(slots=True)
class _Device:
    """A disk that the partition has found."""

    name: str
    folder: Path
    link: Path
    file: str | None
    """The content that its node shows."""


class ScsiBus:
    """Follows the world's mappings to the management partition, under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._root: Path | None = None
        self._hosts: dict[int, Path] = {}
        """The SCSI host's folder of each adapter's slot."""
        self._devices: dict[Lun, _Device] = {}
        self._local: dict[str, str | None] = {}
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._used = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="scsi-bus", daemon=True)

    def present(self, root: Path) -> None:
        """Make the folders anew, with all that is mapped in place: a partition that boots scans by itself."""
        with self._world.lock:
            if self._root is None:
                self._world.subscribe(self._changed)
                self._thread.start()
            self._hosts, self._devices, self._local = {}, {}, {}
            _clear(root)
            self._root = root
            self._follow()
            for slot in self._hosts:
                self._scan(slot)

    def stop(self) -> None:
        """End the look-out; the files stay."""
        with self._world.lock:
            # Not while `_follow` makes up its mind to let the look-out sleep.
            self._stopping.set()
            self._used.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- what the world has -----------------------------------------------------------------------------------------

    def _changed(self, _event: str, path: str, _detail: str) -> None:
        if not path or any(kind in path for kind in ("VirtualIOServer", "LogicalUnit", "VolumeGroup")):
            self._follow()

    def _adapters(self) -> Iterator[tuple[Vios, ServerAdapter]]:
        partition = self._world.management
        for vios in self._world.vioses if partition is not None else ():
            for server in vios.servers:
                if partition is not None and server.client == partition.uuid:
                    yield vios, server

    def _luns(self) -> set[Lun]:
        return {
            Lun(server.client_slot, _target(target), target.kind, target.key)
            for _vios, server in self._adapters()
            for target in server.targets
            if target.kind in (backing.UNIT, backing.DISK)
        }

    def _follow(self) -> None:
        """Adapters come and go with their pairs and lost disks vanish; new disks wait for a scan."""
        slots = {server.client_slot for _vios, server in self._adapters()}
        luns = self._luns() if self._devices else set()
        for lun in [lun for lun in self._devices if lun not in luns]:
            self._remove(lun)
        for lun, device in self._devices.items():
            self._refresh(lun, device)
        for slot in self._hosts.keys() - slots:
            self._remove_host(slot)
        for slot in slots - self._hosts.keys():
            self._add_host(slot)
        self._show_local()
        if self._hosts:
            self._used.set()
        elif not self._stopping.is_set():
            self._used.clear()

    # -- what the partition sees ------------------------------------------------------------------------------------

    @property
    def _tree(self) -> Path:
        if self._root is None:
            raise RuntimeError("the tree is not there yet")
        return self._root

    def _add_host(self, slot: int) -> None:
        name, host = _vio_name(slot), f"host{next(self._numbers)}"
        folder = self._tree / "sys/devices/vio" / name / host
        (folder / "scsi_host" / host).mkdir(parents=True)
        (folder / "scsi_host" / host / "scan").touch(0o200)
        (self._tree / "sys/bus/vio/devices" / name).symlink_to(f"../../../devices/vio/{name}")
        self._hosts[slot] = folder

    def _remove_host(self, slot: int) -> None:
        del self._hosts[slot]
        (self._tree / "sys/bus/vio/devices" / _vio_name(slot)).unlink(missing_ok=True)
        shutil.rmtree(self._tree / "sys/devices/vio" / _vio_name(slot), ignore_errors=True)

    def _scan(self, slot: int) -> None:
        for lun in sorted(self._luns(), key=lambda each: each.target):
            if lun.slot == slot and lun not in self._devices:
                self._add(lun)

    def _add(self, lun: Lun) -> None:
        disk = blocks.find(self._world, lun.kind, lun.udid)
        if disk is None:
            return
        name = next(each for each in _disk_names() if not (self._tree / "dev" / each).exists())
        host = self._hosts[lun.slot]
        number = host.name.removeprefix("host")
        folder = host / f"target{number}:0:{lun.target}" / f"{number}:0:{lun.target}:0"
        (folder / "block" / name).mkdir(parents=True)
        (folder / "delete").touch(0o200)
        (folder / "vendor").write_text("AIX     \n")
        (folder / "model").write_text("VDASD           \n")
        (folder / "block" / name / "device").symlink_to("../..")
        (folder / "block" / name / "size").write_text(f"{blocks.size(disk) // 512}\n")
        (self._tree / "sys/block" / name).symlink_to(Path("../..") / (folder / "block" / name).relative_to(self._tree))
        blocks.present(self._world, disk, self._tree / "dev" / name)
        link = self._tree / "dev/disk/by-id" / f"{_BY_ID}{lun.udid[-_TAIL:]}"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../{name}")
        self._devices[lun] = _Device(name, folder, link, disk.content.file if disk.content else None)

    def _remove(self, lun: Lun) -> None:
        device = self._devices.pop(lun)
        (self._tree / "sys/block" / device.name).unlink(missing_ok=True)
        (self._tree / "dev" / device.name).unlink(missing_ok=True)
        shutil.rmtree(device.folder.parent, ignore_errors=True)
        # Last, as udev does: who waits for the link to go may take the rest for gone.
        if device.link.is_symlink() and device.link.readlink().name == device.name:
            device.link.unlink()

    def _refresh(self, lun: Lun, device: _Device) -> None:
        """A guest's first write gives its disk another file, which the node must show."""
        disk = blocks.find(self._world, lun.kind, lun.udid)
        file = disk.content.file if disk is not None and disk.content else None
        if disk is not None and file != device.file:
            blocks.present(self._world, disk, self._tree / "dev" / device.name)
            device.file = file

    def _show_local(self) -> None:
        """Where the management partition is itself a VIOS, the disks that it serves are devices of its own."""
        vios = self._world.management
        if not isinstance(vios, Vios):
            return
        keys = {target.key for server in vios.servers for target in server.targets if target.kind == backing.DISK}
        wanted = {disk.name: disk for group in vios.groups for disk in group.disks if disk.udid in keys}
        for name in self._local.keys() - wanted.keys():
            del self._local[name]
            (self._tree / "dev" / name).unlink(missing_ok=True)
        for name, disk in wanted.items():
            file = disk.content.file if disk.content else None
            if name not in self._local or self._local[name] != file:
                blocks.present(self._world, disk, self._tree / "dev" / name)
                self._local[name] = file

    # -- what the partition asks ------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self._used.wait()
            try:
                self._look()
            except Exception:  # the look-out must go on
                LOG.exception("a request of the management partition was not served")

    def _look(self) -> None:
        with self._world.lock:
            for slot, folder in list(self._hosts.items()):
                asked = _taken(folder / "scsi_host" / folder.name / "scan")
                if asked and _SCAN.fullmatch(asked):
                    self._scan(slot)
            for lun, device in list(self._devices.items()):
                if _taken(device.folder / "delete").strip():
                    self._remove(lun)


def _clear(root: Path) -> None:
    """Remove what an earlier life left of its own, and nothing else: in `dev` its nodes are the plain files."""
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / "sys/devices/vio")
    (root / "sys/devices/vio").mkdir()
    stale = [*(root / "sys/bus/vio/devices").glob("3???????"), *(root / "sys/block").glob("sd*")]
    stale += [*(root / "dev/disk/by-id").glob(f"{_BY_ID}*"), *(each for each in (root / "dev").iterdir())]
    for path in stale:
        if path.is_symlink() or path.is_file():
            path.unlink()


def _taken(path: Path) -> str:
    """What was written to a file since it was last looked at; emptied first, so that nothing later is lost."""
    if not path.exists() or path.stat().st_size == 0:
        return ""
    path.chmod(0o600)
    text = path.read_text()
    path.write_text("")
    path.chmod(0o200)
    return text


def _vio_name(slot: int) -> str:
    return f"{0x30000000 | slot:x}"


def _target(target: Target) -> int:
    """The SCSI target number in a logical unit address: 1 for 0x81 followed by zeros, as the first on an adapter."""
    return int(target.lua, 16) >> 56 & 0x3F if len(target.lua) == 18 else int(target.lua, 16)


def _disk_names() -> Iterator[str]:
    """sda, sdb ... sdz, sdaa and so on."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "sd" + "".join(letters)
