"""Logging virtual machines on and off, and what CP gives them at logon."""

from __future__ import annotations

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, fcp, networks
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import BOOTING, CP, VirtualMachine


def log_on(system: System, userid: str) -> VirtualMachine:
    """Have CP autolog a userid. SMAPI 200/4, 200/8, 200/16."""
    name = directory.check_userid(userid)
    entry = system.state.entries.get(name)
    if entry is None:
        raise SmapiError(200, 4)
    running = system.state.running.get(name)
    if running is not None:
        raise SmapiError(200, 16) if running.logging_off else SmapiError(200, 8)
    standby_mb = directory.standby_mb(entry)
    machine = VirtualMachine(
        name, system.clock.now(), directory.memory_mb(entry), directory.cpu_addresses(entry),
        reserved_mb=directory.reserved_mb(entry) + standby_mb, standby_mb=standby_mb,
    )  # fmt: skip
    machine.online_cpus = list(machine.cpus)
    system.state.running[name] = machine
    system.print(
        name, f"HCPCLS6056I XAUTOLOG information for {name}: The IPL command is verified by the IPL command.\n"
    )
    machine.disks = [disk.vdev for disk in directory.minidisks(entry)]
    _attach_devices(system, machine, entry)
    for nic in directory.nics(entry):
        networks.attach(system, machine, nic)
    _load(system, machine, entry)
    system.touch()
    return machine


def _attach_devices(system: System, machine: VirtualMachine, entry: Entry) -> None:
    for vdev, rdev in directory.dedicated(entry).items():
        owner = fcp.owner(system, rdev)
        if owner:
            system.print(machine.userid, f"HCPATR1126E Device {rdev} is attached to {owner} already\n")
        else:
            machine.devices[vdev] = rdev


def _load(system: System, machine: VirtualMachine, entry: Entry) -> None:
    """IPL: from a minidisk that holds something, or through an FCP device that reaches its LOADDEV."""
    vdev = directory.ipl_device(entry)
    if vdev is None:
        return
    if vdev in machine.devices:
        loadable = _reaches(system, machine.devices[vdev], directory.loaddev(entry))
        said = "HCPLDI2816I Acquiring the machine loader from the processor controller.\n"
    else:
        disk = directory.minidisk(entry, vdev)
        if disk is None:
            system.print(machine.userid, f"HCPIPN104E Device {vdev} does not exist\n")
            return
        loadable = not disk.virtual and system.disks.holds_data(disk)
        said = ""
    system.print(machine.userid, said)
    if not loadable:
        system.print(machine.userid, "HCPGIR450W CP entered; disabled wait PSW 00020001 80000000 00000000 00004502\n")
        return
    machine.phase, machine.due = BOOTING, system.clock.now() + system.boot_seconds


def _reaches(system: System, rdev: str, loaddev: dict[str, str]) -> bool:
    device = system.state.fcp.get(rdev)
    return device is not None and fcp.reach(system, device, loaddev.get("PORT", ""), loaddev.get("LUN", "")) is not None


def log_off(system: System, userid: str) -> None:
    """Have CP log a userid off, which takes a while. SMAPI 200/4, 200/12, 200/16."""
    machine = system.running(userid)
    machine.logs_off = system.clock.now() + system.logoff_seconds
    machine.phase, machine.due = CP, None
    machine.adapters.clear()
    machine.devices.clear()
    system.print(machine.userid, f"USER DSC   LOGOFF AS {machine.userid}\n")
    system.settle()
