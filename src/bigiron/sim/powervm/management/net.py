"""The management partition's network devices with names of their own, in /sys/class/net."""

from __future__ import annotations

import shutil
from pathlib import Path

from bigiron.sim.powervm.model import taps
from bigiron.sim.powervm.model.world import World


class NetDevices:
    """Follows the world's adapters of the management partition, under the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder: Path | None = None
        self._shown: dict[str, tuple[str, int]] = {}
        """MAC and MTU by name of what is in the folder."""

    def present(self, root: Path) -> None:
        """Make the folder anew with all devices that there are."""
        with self._world.lock:
            if self._folder is None:
                self._world.subscribe(self._changed)
            self._folder = root / "sys/class/net"
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            self._shown = {}
            self._follow(self._folder)

    def _changed(self, _event: str, path: str, _detail: str) -> None:
        owner = self._world.management
        if self._folder is not None and owner is not None and (not path or f"{owner.uuid}/ClientNetwork" in path):
            self._follow(self._folder)

    def _follow(self, folder: Path) -> None:
        devices = taps.devices(self._world)
        wanted = {str(one.device): (one.mac, one.configured_mtu or taps.DEFAULT_MTU) for one in devices}
        for name in self._shown.keys() - wanted.keys():
            shutil.rmtree(folder / name)
        for name, (mac, mtu) in wanted.items():
            if self._shown.get(name) != (mac, mtu):
                (folder / name).mkdir(exist_ok=True)
                octets = ":".join(mac[i : i + 2] for i in range(0, 12, 2)).lower()
                (folder / name / "address").write_text(f"{octets}\n")
                (folder / name / "mtu").write_text(f"{mtu}\n")
        self._shown = wanted
