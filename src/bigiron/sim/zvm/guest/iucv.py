"""iucvclnt: commands for the IUCV server in a guest, which obeys only the userid that it was told to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.guest import activation
from bigiron.sim.zvm.guest.boot import KERNEL, shut_down
from bigiron.sim.zvm.guest.files import AUTHORIZED_USERID, Files, boot_disk
from bigiron.sim.zvm.guest.shell import Shell
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine

UNAUTHORIZED, USAGE, SOCKET, FAILED = 1, 2, 4, 8
"""Exit statuses of iucvclnt."""
_NO_ROUTE, _TIMED_OUT = 101, 110
_UNIT = "zvmguestconfigure"


def run(system: System, arguments: Sequence[str]) -> str:
    """`iucvclnt USERID COMMAND`: what the command prints. The caller holds the system's lock. Raises ToolError."""
    if len(arguments) < 2:
        raise _error(USAGE, 0, "Usage: iucvclnt userid command")
    machine = system.state.running.get(arguments[0].upper())
    if machine is None or machine.logging_off:
        raise _error(SOCKET, _NO_ROUTE, "Failed to connect to the IUCV server")
    if not machine.reachable:
        raise _error(SOCKET, _TIMED_OUT if machine.paused else _NO_ROUTE, "Failed to connect to the IUCV server")
    files = Files.of(system, machine.userid)
    if files.text(AUTHORIZED_USERID).strip().upper() != system.state.connector:
        raise _error(UNAUTHORIZED, 0, f"UNAUTHORIZED_ERROR: {system.state.connector} is not authorized")
    status, output = _execute(system, machine, files, arguments[1].strip())
    files.save()
    if status:
        raise ToolError(FAILED, f"{output}ERROR: command failed\nReturn code {FAILED}, Reason code {status}.\n")
    return output


def _error(status: int, reason: int, text: str) -> ToolError:
    return ToolError(status, f"ERROR: {text}\nReturn code {status}, Reason code {reason}.\n")


def _execute(system: System, machine: VirtualMachine, files: Files, command: str) -> tuple[int, str]:
    for pattern, handler in _COMMANDS:
        match = re.fullmatch(pattern, command)
        if match:
            return handler(system, machine, files, match)
    shell = Shell(files)
    status = shell.run(command)
    machine.hostname = shell.hostname or machine.hostname
    return status, "".join(f"{line}\n" for line in shell.output)


Handler = Callable[[System, VirtualMachine, Files, "re.Match[str]"], tuple[int, str]]


def _says(text: str) -> Handler:
    return lambda system, machine, files, match: (0, text)


def _uname(_system: System, machine: VirtualMachine, files: Files, match: re.Match[str]) -> tuple[int, str]:
    if match[1] == "-srm":
        return 0, f"Linux {KERNEL} s390x\n"
    return 0, f"Linux {machine.hostname} {KERNEL} #1 SMP {files.distribution[0]} s390x GNU/Linux\n"


def _show(_system: System, _machine: VirtualMachine, files: Files, match: re.Match[str]) -> tuple[int, str]:
    content = files.read(match[1])
    if content is None:
        return 1, f"cat: {match[1]}: No such file or directory\n"
    return 0, content.decode("utf-8", "replace")


def _cpus(_system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    wanted = [cpu for cpu in machine.cpus if (cpu in machine.online_cpus) is not bool(match[1])]
    head = "# The following is the parsable format, which can be fed to other\n# programs.\n# Address\n"
    return 0, head + "".join(f"{int(cpu, 16)}\n" for cpu in wanted)


def _define_cpus(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    wanted = [word.upper().zfill(2) for word in match[1].split()]
    entry = system.state.entries.get(machine.userid)
    allowed = directory.max_cpus(entry) if entry else 1
    if any(word in machine.cpus for word in wanted):
        return 45, f"HCPCPU045E CPU {wanted[0]} already defined\n"
    if len(machine.cpus) + len(wanted) > allowed or any(int(word, 16) >= allowed for word in wanted):
        return 1458, f"HCPCPU1458E CPU address not valid; at most {allowed} CPUs\n"
    machine.cpus = sorted([*machine.cpus, *wanted])
    system.touch()
    return 0, "".join(f"CPU {word} defined\n" for word in wanted)


def _rescan_cpus(system: System, machine: VirtualMachine, files: Files, _match: re.Match[str]) -> tuple[int, str]:
    if files.distribution[0] != "ubuntu":  # Ubuntu leaves it to the administrator
        machine.online_cpus = list(machine.cpus)
        system.touch()
    return 0, "Triggered rescan of CPUs\n"


def _enable_cpus(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    wanted = [f"{int(word, 16):02X}" for word in match[1].split(",")]
    if not set(wanted) <= set(machine.cpus):
        return 1, f"chcpu: CPU {match[1]} does not exist\n"
    machine.online_cpus = sorted({*machine.online_cpus, *wanted})
    system.touch()
    return 0, f"CPU {match[1]} enabled\n"


def _memory(_system: System, machine: VirtualMachine, _files: Files, _match: re.Match[str]) -> tuple[int, str]:
    size = f"{machine.memory_mb // 1024}G" if machine.memory_mb % 1024 == 0 else f"{machine.memory_mb}M"
    return 0, (
        "RANGE                                 SIZE  STATE REMOVABLE BLOCK\n\n"
        f"Memory block size:       256M\nTotal online memory:     {size}\n"
        f"Total offline memory:    {machine.standby_mb}M\n"
    )


def _standby(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    wanted = int(match[1])
    if wanted > machine.reserved_mb:
        return 1452, f"HCPDST1452E Storage not defined; only {machine.reserved_mb}M are reserved\n"
    machine.standby_mb = wanted
    system.touch()
    return 0, f"STORAGE = {machine.memory_mb}M MAX = {machine.memory_mb + machine.reserved_mb}M STANDBY = {wanted}M\n"


def _online_memory(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    wanted = int(match[1])
    if wanted > machine.standby_mb:
        return 1, f"chmem: Could not enable {wanted}M: only {machine.standby_mb}M are there\n"
    machine.memory_mb += wanted
    machine.standby_mb -= wanted
    machine.reserved_mb -= wanted
    system.touch()
    return 0, ""


def _query_device(_system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    vdev = match[1].upper().zfill(4)
    if vdev in machine.adapters:
        return 0, f"NIC  {vdev} ON NIC   {vdev}  UNIT 000 SUBCHANNEL = 0002\n"
    if vdev in machine.devices:
        return 0, f"FCP  {vdev} ON FCP   {machine.devices[vdev]} CHPID 10 SUBCHANNEL = 0003\n"
    if vdev in machine.disks:
        return 0, f"DASD {vdev} 3390 R/W ON DASD SUBCHANNEL = 0001\n"
    return 40, f"HCPQVD040E Device {vdev} does not exist\n"


def _stop(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    shut_down(system, machine, restart=match[1] == "-r")
    return 0, ""


def _configure(system: System, machine: VirtualMachine, files: Files, _match: re.Match[str]) -> tuple[int, str]:
    result = activation.run(system, machine, files)
    machine.unit_status = result.status
    system.print(machine.userid, "".join(f"zvmguestconfigure: {line}\n" for line in result.output))
    if result.status:
        return 1, f"Job for {_UNIT}.service failed because the control process exited with error code.\n"
    return 0, ""


def _unit_status(_system: System, machine: VirtualMachine, _files: Files, _match: re.Match[str]) -> tuple[int, str]:
    ended = f"{machine.unit_status}/{'FAILURE' if machine.unit_status else 'SUCCESS'}"
    return 0, f"{_UNIT}.service - Activation engine\n   Main PID: 812 (code=exited, status={ended})\n"


def _root_device(system: System, machine: VirtualMachine, _files: Files, _match: re.Match[str]) -> tuple[int, str]:
    vdev = _root_vdev(system, machine)
    return 0, f"/dev/{_node(machine, vdev)}1\n" if vdev in machine.disks else "/dev/mapper/mpatha1\n"


def _root_vdev(system: System, machine: VirtualMachine) -> str:
    disk = boot_disk(system, machine.userid)
    return disk.vdev if disk else ""


def _node(machine: VirtualMachine, vdev: str) -> str:
    return f"dasd{chr(97 + sorted(machine.disks).index(vdev))}"


def _dasd_devices(system: System, machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    for vdev in machine.disks:
        disk = system.disk(machine.userid, vdev)
        if disk is not None and _node(machine, vdev) == match[1]:
            kind, blocks = ("FBA ", disk.size) if disk.fixed_block else ("ECKD", disk.bytes // 4096)
            return 0, (
                f"0.0.{vdev.lower()}({kind}) at ( 94:  0) is {match[1]}       : active at blocksize: 4096, {blocks} "
                f"blocks, {disk.bytes >> 20} MB\n"
            )
    return 1, ""


def _readlink(_system: System, _machine: VirtualMachine, _files: Files, match: re.Match[str]) -> tuple[int, str]:
    return 0, f"{match[1]}\n"


_COMMANDS: tuple[tuple[str, Handler], ...] = (
    (r"echo '?ping'?", _says("ping\n")),
    (r"pwd", _says("/\n")),
    (r"ls /etc/\*-release", _says("/etc/os-release\n")),
    (r"uname (-\w+)", _uname),
    (r"lscpu --parse=ADDRESS( --offline)?", _cpus),
    (r"vmcp def(?:ine)? cpu (.+)", _define_cpus),
    (r"chcpu -r", _rescan_cpus),
    (r"chcpu -e ([0-9A-Fa-f,]+)", _enable_cpus),
    (r"lsmem(?: -b)?", _memory),
    (r"vmcp def storage standby (\d+)M", _standby),
    (r"chmem -e (\d+)M", _online_memory),
    (r"vmcp q (?:v )?([0-9A-Fa-f]{1,4})", _query_device),
    (r"shutdown (-[hr]) now", _stop),
    (r"(?:systemctl start|service) zvmguestconfigure(?:\.service)?(?: start)?", _configure),
    (r"(?:/usr/bin/)?zvmguestconfigure start", _configure),
    (r"systemctl status zvmguestconfigure\.service", _unit_status),
    (r"cat /proc/cmdline .*root=.*", _root_device),
    (r"readlink -f (\S+)", _readlink),
    (r'cat /proc/dasd/devices \| grep -i "is (\w+)"', _dasd_devices),
    (r"(?:cat|grep -v \^#) (/\S+)", _show),
)
"""What the Cloud Connector asks guests to do; anything else goes to the little shell."""


def kind(command: str) -> str:
    """The program that a command begins with, for the journal."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return words[0].rpartition("/")[2] if words else ""
