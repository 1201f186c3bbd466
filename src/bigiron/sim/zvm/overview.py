"""What the control address shows of a simulated z/VM: its userids, with what they have and what runs in them."""

from __future__ import annotations

from typing import Any

from bigiron.sim.kernel.load import IDLE
from bigiron.sim.zvm.guest.boot import config_drive
from bigiron.sim.zvm.guest.files import CONFIG_DRIVE, Files
from bigiron.sim.zvm.model import directory, networks
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import CP, VirtualMachine

_PREVIEW_BYTES = 4096


def guests(system: System) -> list[dict[str, Any]]:
    """Every userid; the caller holds the system's lock."""
    return [guest(system, entry) for _, entry in sorted(system.state.entries.items())]


def guest(system: System, entry: Entry) -> dict[str, Any]:
    """One userid as JSON-able values."""
    machine = system.state.running.get(entry.userid)
    return {
        "userid": entry.userid,
        "foreign": entry.foreign,
        "locked": entry.locked,
        "state": _state(machine),
        "guest": machine.phase if machine and machine.phase != CP else "",
        "hostname": machine.hostname if machine else "",
        "load": system.state.loads.get(entry.userid, IDLE),
        "cpus": machine.cpus if machine else directory.cpu_addresses(entry),
        "memory_mb": machine.memory_mb if machine else directory.memory_mb(entry),
        "comments": [line[2:] for line in entry.lines if line.startswith("* ")],
        "entry": list(entry.lines),
        "disks": [_disk(system, disk) for disk in directory.minidisks(entry)],
        "nics": [_nic(system, entry, machine, nic) for nic in directory.nics(entry)],
        "devices": machine.devices if machine else directory.dedicated(entry),
        "reader": [f"{f.number:04d} {f.spool_class} {f.name}.{f.type}" for f in system.spool.reader(entry.userid)],
    }


def _state(machine: VirtualMachine | None) -> str:
    if machine is None:
        return "off"
    return "logging off" if machine.logging_off else "paused" if machine.paused else "on"


def _disk(system: System, disk: Any) -> dict[str, Any]:
    written = None if disk.virtual else system.disks.written(disk)
    return {
        "vdev": disk.vdev, "type": disk.device_type, "size": disk.size, "volume": disk.volume or "V-DISK",
        "start": disk.start, "gigabytes": round(disk.bytes / 2**30, 2),
        "filesystem": written.filesystem if written else "", "os": written.os_version if written else "",
    }  # fmt: skip


def _nic(system: System, entry: Entry, machine: VirtualMachine | None, nic: Any) -> dict[str, Any]:
    adapter = machine.adapters.get(nic.vdev) if machine else None
    switch = system.state.vswitches.get(nic.lan)
    vlans = adapter.vlans if adapter else networks.vlans(switch, entry.userid, nic) if switch else ()
    mac = adapter.mac if adapter else (system.state.user_prefix + nic.mac_id if nic.mac_id else "")
    return {
        "vdev": nic.vdev, "mac": ":".join(mac[at : at + 2] for at in range(0, len(mac), 2)).lower(), "lan": nic.lan,
        "vlan": nic.vlan, "coupled": adapter.lan if adapter else "", "vlans": list(vlans),
    }  # fmt: skip


def files(system: System, userid: str) -> dict[str, Any]:
    """What the Linux on a userid's boot disk was configured with, and its config drive."""
    found = Files.of(system, userid)
    return {
        "os": found.os_version,
        "files": {p: found.text(p)[:_PREVIEW_BYTES] for p in found.paths() if p != CONFIG_DRIVE},
        "config_drive": config_drive(system, userid),
    }


def switches(system: System) -> list[dict[str, Any]]:
    """The virtual switches with grants and what is coupled."""
    return [
        {
            "name": switch.name,
            "aware": switch.aware,
            "vlan": switch.vlan,
            "rdevs": list(switch.rdevs),
            "grants": {name: list(grant.vlans) for name, grant in sorted(switch.grants.items())},
            "coupled": [
                {"userid": m.userid, "vdev": a.vdev, "vlans": list(a.vlans)} for m, a in networks.coupled(system, name)
            ],
        }
        for name, switch in sorted(system.state.vswitches.items())
    ]
