"""Real devices: FCP devices and OSA cards given to userids."""

from __future__ import annotations

from collections.abc import Iterable

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, fcp
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.smapi.protocol import DONE, Call


def dedicate_dm(system: System, call: Call) -> Iterable[str]:
    """Image_Device_Dedicate_DM: 404/4 the device number is taken."""
    entry, vdev = system.editable(call.target), call.vdev()
    rdev = directory.device(call.required("r"))
    taken = {disk.vdev for disk in directory.minidisks(entry)} | directory.dedicated(entry).keys()
    if vdev in taken or directory.nic(entry, vdev):
        raise SmapiError(404, 4)
    system.put_entry(directory.with_line(entry, f"DEDICATE {vdev} {rdev}"))
    return DONE


def dedicate(system: System, call: Call) -> Iterable[str]:
    """Image_Device_Dedicate: 204/4 the number is taken, 204/12 another machine has it, 204/16 there is none."""
    machine, vdev = system.running(call.target), call.vdev()
    rdev = directory.device(call.required("r"))
    if vdev in machine.devices or vdev in machine.disks or vdev in machine.adapters:
        raise SmapiError(204, 4)
    device = system.state.fcp.get(rdev)
    if device is None or not device.online:
        raise SmapiError(204, 16)
    if fcp.owner(system, rdev):
        raise SmapiError(204, 12)
    machine.devices[vdev] = rdev
    system.touch()
    return DONE


def undedicate_dm(system: System, call: Call) -> Iterable[str]:
    """Image_Device_Undedicate_DM: 404/8."""
    entry, vdev = system.editable(call.target), call.vdev()
    if vdev not in directory.dedicated(entry):
        raise SmapiError(404, 8)
    system.put_entry(directory.without_device(entry, "DEDICATE", vdev))
    return DONE


def undedicate(system: System, call: Call) -> Iterable[str]:
    """Image_Device_Undedicate: 204/8."""
    machine, vdev = system.running(call.target), call.vdev()
    if machine.devices.pop(vdev, None) is None:
        raise SmapiError(204, 8)
    system.touch()
    return DONE


def query_wwpns(system: System, call: Call) -> Iterable[str]:
    """System_WWPN_Query: six lines for each FCP device; 4/28 there is none."""
    if not system.state.fcp:
        raise SmapiError(4, 28)
    lines: list[str] = []
    for device in system.state.fcp.values():
        lines += [
            f"FCP device number: {device.device}",
            f"  Status: {fcp.status(system, device)}",
            f"  NPIV world wide port number: {device.npiv_wwpn}",
            f"  Channel path ID: {device.chpid}",
            f"  Physical world wide port number: {device.physical_wwpn}",
        ]
        if call.keyword("OWNER").upper() == "YES":
            lines.append(f"  Owner: {fcp.owner(system, device.device) or 'NONE'}")
    return lines


def query_osas(_system: System, _call: Call) -> Iterable[str]:
    """Virtual_Network_OSA_Query: no OSA card is free to be dedicated."""
    raise SmapiError(4, 4)


def relocate(system: System, call: Call) -> Iterable[str]:
    """VMRELOCATE: a system outside of a cluster relocates nobody. 8/45 not logged on, 8/3000 and 4/3000 failed."""
    if call.target not in system.state.running:
        raise SmapiError(8, 45, "Userid not logged on")
    if call.keyword("action").upper() == "TEST":
        raise SmapiError(4, 3000, "VMRELOCATE TEST error\nDetails: 1821")
    raise SmapiError(8, 3000, "VMRELOCATE MOVE error\nDetails: 1821")
