"""One z/VM system as one object: its state, finding things in it, and what happens when time passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bigiron.sim.kernel.load import IDLE, PROFILES
from bigiron.sim.kernel.values import dump, load
from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.disks import Disks
from bigiron.sim.zvm.model.load import Meter
from bigiron.sim.zvm.model.spool import Spool
from bigiron.sim.zvm.model.values import FcpDevice, Link, Lun, Machine, Minidisk, Pool, SpoolFile, Vswitch
from bigiron.sim.zvm.model.virtual_machine import ConsoleLog, VirtualMachine


class Clock(Protocol):
    """The simulation's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


@dataclass(slots=True)
class State:
    """Everything that is kept on disk."""

    machine: Machine
    connector: str
    """The userid of the Linux that the Cloud Connector runs in."""
    mac_prefix: str = "020000"
    user_prefix: str = "020000"
    guest_os: str = "rhel9.4"
    """What runs in a guest whose image does not say it."""
    ipl_time: float = 0.0
    profiles: list[str] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    """Name lists of SMAPI."""
    vswitches: dict[str, Vswitch] = field(default_factory=dict)
    running: dict[str, VirtualMachine] = field(default_factory=dict)
    loads: dict[str, str] = field(default_factory=dict)
    """Load profiles by userid; who has none is idle."""
    consoles: dict[str, ConsoleLog] = field(default_factory=dict)
    fcp: dict[str, FcpDevice] = field(default_factory=dict)
    luns: list[Lun] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    """Minidisks that the connector's Linux has linked, by its device name."""
    spool: list[SpoolFile] = field(default_factory=list)
    next_spool: int = 1
    next_mac: int = 1


class System:
    """Whoever reads or changes it holds `lock`."""

    def __init__(self, state: State, clock: Clock, folder: Path) -> None:
        self.state = state
        self.clock = clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Notified of every change."""
        self.revision = 0
        self.folder = folder
        self.disks = Disks(folder / "dasd")
        self.spool = Spool(state.spool, state.next_spool, folder / "spool")
        self.logon_hooks: list[Callable[[VirtualMachine], None]] = []
        self.settle_hooks: list[Callable[[VirtualMachine], None]] = []
        """Called with every machine whose `due` has come."""
        self.logoff_seconds = 0.0
        self.boot_seconds = 0.0
        self.shutdown_seconds = 0.0

    @classmethod
    def from_state(cls, state: Mapping[str, Any], clock: Clock, folder: Path) -> System:
        """The system that `to_state` wrote; contents of disks that it does not know are removed."""
        system = cls(load(State, state), clock, folder)
        system.disks.sweep({disk.key for e in system.state.entries.values() for disk in directory.minidisks(e)})
        return system

    def to_state(self) -> dict[str, Any]:
        """Everything, as JSON-able values."""
        self.state.next_spool = self.spool.following
        return dict(dump(self.state))

    def touch(self) -> None:
        """Something has changed."""
        with self.changed:
            for machine in self.state.running.values():
                # What it used until now counts by what it did until now.
                self.meter(machine)
            self.revision += 1
            self.changed.notify_all()

    def settle(self) -> None:
        """Have happened what was due by now: logoffs, boots and shutdowns."""
        now = self.clock.now()
        for machine in list(self.state.running.values()):
            if machine.logs_off is not None and machine.logs_off <= now:
                del self.state.running[machine.userid]
                self.touch()
            elif machine.due is not None and machine.due <= now and not machine.paused and not machine.logging_off:
                for hook in self.settle_hooks:
                    hook(machine)
                self.touch()

    # -- finding ------------------------------------------------------------------------------------------------------

    def entry(self, userid: str) -> Entry:
        """A userid's directory entry. SMAPI 400/4."""
        try:
            return self.state.entries[directory.check_userid(userid)]
        except KeyError:
            raise SmapiError(400, 4) from None

    def editable(self, userid: str) -> Entry:
        """The entry, for a change of it. SMAPI 400/4, and 400/12 while it is locked."""
        entry = self.entry(userid)
        if entry.locked:
            raise SmapiError(400, 12)
        return entry

    def running(self, userid: str) -> VirtualMachine:
        """A virtual machine that is logged on. SMAPI 200/4, 200/12 and, while it logs off, 200/16."""
        name = directory.check_userid(userid)
        machine = self.state.running.get(name)
        if machine is None:
            raise SmapiError(200, 12) if name in self.state.entries else SmapiError(200, 4)
        if machine.logging_off:
            raise SmapiError(200, 16)
        return machine

    def pool(self, name: str) -> Pool:
        """A DASD pool. SMAPI 596/3541."""
        try:
            return self.state.pools[name.upper()]
        except KeyError:
            raise SmapiError(596, 3541, f"DASD group {name.upper()} is not defined") from None

    def vswitch(self, name: str) -> Vswitch:
        """A virtual switch. SMAPI 212/40."""
        try:
            return self.state.vswitches[name.upper()]
        except KeyError:
            raise SmapiError(212, 40) from None

    def disk(self, userid: str, vdev: str) -> Minidisk | None:
        """A userid's minidisk, if it is defined."""
        entry = self.state.entries.get(userid.upper())
        return directory.minidisk(entry, directory.device(vdev)) if entry else None

    # -- loads --------------------------------------------------------------------------------------------------------

    def meter(self, machine: VirtualMachine) -> Meter:
        """What a virtual machine uses, as of now."""
        return machine.metered(self.clock.now(), self.state.loads.get(machine.userid, IDLE))

    def set_load(self, userid: str, profile: str) -> None:
        """Give a userid another load from now on. SMAPI 400/4; raises ValueError for a profile that there is not."""
        entry = self.entry(userid)
        if profile not in PROFILES:
            raise ValueError(f"no such load profile: {profile!r}; use one of {', '.join(PROFILES)}")
        self.state.loads[entry.userid] = profile
        if profile == IDLE:
            del self.state.loads[entry.userid]
        self.touch()

    # -- changes ------------------------------------------------------------------------------------------------------

    def put_entry(self, entry: Entry) -> None:
        """Take a new or changed entry; minidisks that it defines come to be, those that it no longer has go."""
        before = self.state.entries.get(entry.userid)
        known = {disk.key: disk for disk in (directory.minidisks(before) if before else []) if not disk.virtual}
        wanted = {disk.key: disk for disk in directory.minidisks(entry) if not disk.virtual}
        for key in wanted.keys() - known.keys():
            self.disks.create(wanted[key])
        for key in known.keys() - wanted.keys():
            self.disks.drop(known[key])
        self.state.entries[entry.userid] = entry
        self.touch()

    def remove_entry(self, userid: str) -> None:
        """Forget a userid, its minidisks, its reader and its console."""
        entry = self.state.entries.pop(userid)
        for disk in directory.minidisks(entry):
            if not disk.virtual:
                self.disks.drop(disk)
        self.spool.purge(userid)
        self.state.consoles.pop(userid, None)
        self.state.loads.pop(userid, None)
        self.touch()

    def put_vswitch(self, switch: Vswitch, **values: Any) -> Vswitch:
        """Keep a virtual switch with some attributes changed."""
        changed = replace(switch, **values)
        self.state.vswitches[changed.name] = changed
        self.touch()
        return changed

    def console(self, userid: str) -> ConsoleLog:
        """A userid's console."""
        return self.state.consoles.setdefault(userid, ConsoleLog())

    def print(self, userid: str, text: str) -> None:
        """Print on a userid's console."""
        self.console(userid).write(text)
        self.touch()
