"""FCP devices: who has which, and which logical units their ports reach."""

from __future__ import annotations

from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import FcpDevice, Lun


def owner(system: System, device: str) -> str:
    """The userid that a real device is attached to, else empty."""
    for machine in system.state.running.values():
        if device in machine.devices.values():
            return machine.userid
    return ""


def holders(system: System, device: str) -> list[str]:
    """The userids whose entries dedicate a real device."""
    return [u for u, entry in system.state.entries.items() if device in directory.dedicated(entry).values()]


def status(system: System, device: FcpDevice) -> str:
    """Active, Free or Offline, as System_WWPN_Query says it."""
    if not device.online:
        return "Offline"
    return "Active" if owner(system, device.device) else "Free"


def reach(system: System, device: FcpDevice, wwpn: str, lun: str) -> Lun | None:
    """The logical unit behind a target port, as far as this device's port may see it."""
    wanted = wwpn.upper().removeprefix("0X")
    for unit in system.state.luns:
        allowed = not unit.initiators or device.npiv_wwpn in unit.initiators
        if unit.lun == lun.upper().removeprefix("0X") and wanted in unit.wwpns and allowed:
            return unit
    return None
