"""What the punched scripts that attach and detach FCP volumes do in a guest, and how they end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bigiron.sim.zvm.guest.files import Files
from bigiron.sim.zvm.model import fcp
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine

INVALID_PARAMETERS, INVALID_WWPNS, NO_DEVICE = 2, 3, 4
"""Exit statuses of the Cloud Connector's scripts."""
_VARIABLE = re.compile(r'^(\w+)="([^"]*)"', re.MULTILINE)
_BY_PATH = "/dev/disk/by-path/"


def attach(system: System, machine: VirtualMachine, files: Files, script: str) -> tuple[int, str]:
    """atvol.sh: the status and what is printed."""
    given = dict(_VARIABLE.findall(script))
    devices = [word.upper().zfill(4) for word in given.get("fcp_list", "").split()]
    wwpns, lun = given.get("input_wwpns", "").split(), given.get("lun", "")
    if not devices or not wwpns:
        return INVALID_PARAMETERS, "fcp_list is empty"
    paths = list(_paths(system, machine, devices, wwpns, lun))
    if not paths:
        ports = {w.upper().removeprefix("0X") for w in wwpns}
        known = any(ports & set(unit.wwpns) for unit in system.state.luns)
        here = any(device in machine.devices.values() for device in devices)
        return (NO_DEVICE, "no disk file found") if known and here else (INVALID_WWPNS, "no valid WWPN found")
    for path in paths:
        files.write(path, lun.encode())
    if target := given.get("target_filename"):
        files.write(f"/dev/{target}", lun.encode())
    return 0, f"{len(paths)} path(s) to {lun} are up"


def detach(files: Files, script: str) -> tuple[int, str]:
    """devol.sh: the status and what is printed."""
    given = dict(_VARIABLE.findall(script))
    lun, target = given.get("lun", "").lower(), given.get("target_filename", "")
    for path in files.paths():
        if path.startswith(_BY_PATH) and path.endswith(f"-lun-{lun}"):
            files.remove(path)
    if target:
        files.remove(f"/dev/{target}")
    return 0, f"{lun} is gone"


def _paths(system: System, machine: VirtualMachine, devices: list[str], wwpns: list[str], lun: str) -> Iterator[str]:
    for number in devices:
        device = system.state.fcp.get(number)
        if device is None or number not in machine.devices.values():
            continue
        for wwpn in wwpns:
            if fcp.reach(system, device, wwpn, lun):
                yield f"{_BY_PATH}ccw-0.0.{number.lower()}-fc-{wwpn.lower()}-lun-{lun.lower()}"
