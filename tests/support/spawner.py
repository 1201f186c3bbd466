"""Spawns one PowerVM guest in a process of its own, for a test that kills that process half-way: JSON on stdin."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, Step, Values, nic_plugged
from bigiron.model import DiskRole, DiskSpec, GuestSpec, NicSpec
from bigiron.plugins.nova import flows
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.platform import PowerVM


class FileImage:
    """An image that is a file."""

    def __init__(self, image_id: str, path: Path) -> None:
        self.id = image_id
        self.name = "linux"
        self.size_bytes = path.stat().st_size
        self.sha256: str | None = None
        self._path = path

    def open(self) -> BinaryIO:
        return self._path.open("rb")


class Provide(Step):
    """Stands for a step of the plug-in's: gives a value."""

    def __init__(self, name: str, key: Any, value: Any, needs: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.provides = key
        self.needs = needs
        self._value = value

    def execute(self, values: Values) -> Any:
        return self._value


def main() -> None:
    request = json.load(sys.stdin)
    options = request["options"]
    platform = PowerVM(
        PowerVMOptions(
            **{
                **options,
                "state_path": Path(options["state_path"]),
                "management_root": Path(options["management_root"]),
            }
        )
    )
    platform.start()
    nics = tuple(NicSpec(**nic) for nic in request["nics"])
    image = FileImage(request["image_id"], Path(request["image"]))
    spec = GuestSpec(
        uuid=request["uuid"],
        name=request["name"],
        memory_mb=request["memory_mb"],
        vcpus=1,
        disks=(DiskSpec(DiskRole.ROOT, 2, image),),
        nics=nics,
        config_drive=True,
    )
    steps = [
        *platform.spawn_steps(spec),
        Provide("config drive", CONFIG_DRIVE, Path(request["image"])),
        Provide("ports", NICS_READY, None, tuple(nic_plugged(nic) for nic in nics)),
    ]
    with ThreadPoolExecutor(max_workers=8) as executor:
        flows.run("spawn", steps, executor)


if __name__ == "__main__":
    main()
