"""A guest's boot: what Linux, the activation engine and cloud-init do, and what the console shows of it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from bigiron.sim.kernel.configdrive import ConfigDrive, NoConfigDrive, fingerprint, read_stream
from bigiron.sim.zvm.guest import activation
from bigiron.sim.zvm.guest.files import CONFIG_DRIVE, HOSTNAME, INSTANCE_ID, SSH_KEYS, Files
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import BOOTING, DOWN, STOPPING, UP, VirtualMachine

KERNEL = "6.12.0-55.el10.s390x"


class Guests:
    """Moves the guests of a system on when their time has come."""

    def __init__(self, system: System) -> None:
        self._system = system
        system.settle_hooks.append(self._due)

    def _due(self, machine: VirtualMachine) -> None:
        if machine.phase == BOOTING:
            boot(self._system, machine)
        elif machine.phase == STOPPING:
            self._stopped(machine)

    def _stopped(self, machine: VirtualMachine) -> None:
        if machine.restarts:
            self._system.print(machine.userid, "reboot: Restarting system\n")
            machine.restarts = False
            machine.phase, machine.due = BOOTING, self._system.clock.now() + self._system.boot_seconds
            return
        machine.phase, machine.due = DOWN, None
        self._system.print(
            machine.userid,
            "reboot: System halted\nHCPGSP2629I The virtual machine is placed in CP mode due to a SIGP stop.\n",
        )


def shut_down(system: System, machine: VirtualMachine, *, restart: bool) -> None:
    """Have a guest's Linux stop, and start again if asked to."""
    machine.phase, machine.restarts = STOPPING, restart
    machine.due = system.clock.now() + system.shutdown_seconds
    system.print(machine.userid, "systemd-shutdown[1]: Syncing filesystems and block devices.\n")


def boot(system: System, machine: VirtualMachine) -> None:
    """Bring a guest's Linux up."""
    files = Files.of(system, machine.userid)
    machine.hostname = files.text(HOSTNAME).strip() or "localhost"
    text = "".join(_kernel(system, machine))
    result = activation.run(system, machine, files)
    text += "".join(f"zvmguestconfigure: {line}\n" for line in result.output)
    machine.unit_status = result.status
    text += "".join(f"cloud-init[612]: {line}\n" for line in _cloud_init(system, machine, files))
    files.save()
    name, version = files.distribution
    text += f"\n{name} {version}\nKernel {KERNEL} on an s390x\n\n{machine.hostname} login: \n"
    machine.phase, machine.due = UP, None
    system.print(machine.userid, text)


def _kernel(system: System, machine: VirtualMachine) -> Iterator[str]:
    facts = system.state.machine
    lines = [
        f"Linux version {KERNEL} (gcc 14) #1 SMP",
        "setup: Linux is running as a z/VM guest operating system in 64-bit mode",
        f"setup: The maximum memory size is {machine.memory_mb}MB",
        f"cpu: {len(machine.cpus)} configured CPUs, 0 standby CPUs",
        f"z/VM {facts.version}.{facts.release}.0 on {facts.name}, {facts.cpc_type} {facts.cpc}",
    ]
    for number, vdev in enumerate(machine.disks):
        disk = system.disk(machine.userid, vdev)
        if disk is None:
            continue
        kind = "FBA" if disk.fixed_block else "ECKD"
        lines.append(
            f"dasd({kind.lower()}): 0.0.{vdev.lower()}: {kind} dasd{chr(97 + number)} with {disk.bytes // 1024} KB"
        )
    for adapter in machine.adapters.values():
        state = f"coupled to {adapter.lan}" if adapter.lan else "without a link"
        lines.append(
            f"qeth 0.0.{adapter.vdev.lower()}: Device is a Virtual NIC QDIO card, {_colons(adapter.mac)}, {state}"
        )
    for vdev, rdev in machine.devices.items():
        lines.append(f"zfcp: 0.0.{vdev.lower()}: qdio: ZFCP on SC {rdev.lower()} using AI:1")
    for place, line in enumerate(lines):
        yield f"[{0.11 * place:12.6f}] {line}\n"


def _colons(mac: str) -> str:
    return ":".join(mac[at : at + 2] for at in range(0, len(mac), 2)).lower()


def _cloud_init(system: System, machine: VirtualMachine, files: Files) -> Iterable[str]:
    """Read the config drive back from what was punched, and apply it once for each instance."""
    content = files.read(CONFIG_DRIVE)
    if content is None:
        return ["no config drive; used DataSourceNone"]
    try:
        drive = read_stream(io.BytesIO(content), "cfgdrive.iso")
    except NoConfigDrive as error:
        return [f"no config drive: {error}"]
    instance = str(drive.meta_data.get("uuid", ""))
    said = [f"Cloud-init, found datasource DataSourceConfigDrive [net,ver=2] for instance {instance}"]
    if files.text(INSTANCE_ID).strip() == instance:
        return [*said, "this instance is configured already"]
    files.write(INSTANCE_ID, f"{instance}\n".encode())
    files.write(HOSTNAME, f"{drive.hostname}\n".encode())
    machine.hostname = drive.hostname
    said.append(f"hostname {drive.hostname}")
    if drive.keys:
        files.write(SSH_KEYS, "".join(f"{key}\n" for key in drive.keys).encode())
        said += [f"authorized key {fingerprint(key)}" for key in drive.keys]
    if drive.user_data:
        said.append(f"{len(drive.user_data)} byte(s) of user data")
    return said


def config_drive(system: System, userid: str) -> dict[str, Any] | None:
    """The config drive of a guest as it was punched, for who looks from outside; None where there is none."""
    content = Files.of(system, userid).read(CONFIG_DRIVE)
    if content is None:
        return None
    try:
        drive: ConfigDrive = read_stream(io.BytesIO(content), "cfgdrive.iso")
    except NoConfigDrive as error:
        return {"error": str(error)}
    return {
        "label": drive.label, "meta_data": drive.meta_data, "network_data": drive.network_data,
        "user_data": drive.user_data.decode("utf-8", "replace") if drive.user_data else None,
    }  # fmt: skip
