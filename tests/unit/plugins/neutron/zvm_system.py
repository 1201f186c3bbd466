"""z/VM in memory, as the network agent sees it through the Cloud Connector 1.6.3: its rules, and what it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bigiron.errors import Conflict, NotFound, PlatformError
from bigiron.zvm.directory import Coupling
from bigiron.zvm.errors import Exists
from bigiron.zvm.vswitches import Adapter, Couple, Grant, Op, Revoke, Switch, Uncouple

Key = tuple[str, str]


@dataclass
class FakeSystem:
    """`live` has the adapters of running guests, with the switch that CP has each on, empty for none."""

    made: dict[str, Switch] = field(default_factory=dict)
    rows: dict[Key, Adapter] = field(default_factory=dict)
    directory: dict[Key, Coupling] = field(default_factory=dict)
    live: dict[Key, str] = field(default_factory=dict)
    on: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    done: list[Op] = field(default_factory=list)
    failures: dict[str, PlatformError] = field(default_factory=dict)
    """By the words of a change or the name of a reading: what it raises."""
    unreadable: set[str] = field(default_factory=set)
    """Guests whose entries make no sense."""
    untold: set[str] = field(default_factory=set)
    """Guests of which CP does not tell whether they run."""
    ipl: str = "IPL at 1"

    def add(self, userid: str, number: str, port: str, *, running: bool = False) -> Key:
        """An adapter that nova-compute has made."""
        self.rows[userid, number] = Adapter(userid, number, port)
        if running:
            self.on.add(userid)
            self.live[userid, number] = ""
        return userid, number

    def remove(self, userid: str, number: str) -> None:
        for kept in (self.rows, self.directory, self.live):
            kept.pop((userid, number), None)  # type: ignore[attr-defined]

    def log_on(self, userid: str) -> None:
        self.on.add(userid)
        for key in self.rows:
            if key[0] == userid:
                to = self.directory.get(key)
                self.live[key] = to.switch if to and self.may(key, to) else ""

    def log_off(self, userid: str) -> None:
        self.on.discard(userid)
        self.live = {key: switch for key, switch in self.live.items() if key[0] != userid}

    def define(self, name: str, aware: bool = True, default_vlan: int | None = None) -> None:
        self.made[name] = Switch(name, aware, default_vlan, frozenset(), frozenset())

    def grants(self, name: str) -> frozenset[str]:
        return self.made[name].grants

    # What the agent asks

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.failures:
            raise self.failures[what]

    def adapters(self) -> list[Adapter]:
        self._note("adapters")
        return list(self.rows.values())

    def names(self) -> list[str]:
        self._note("names")
        return list(self.made)

    def switches(self, names: Iterable[str]) -> dict[str, Switch]:
        found = {}
        for name in sorted(names):
            self._note(f"switch {name}")
            if name in self.made:
                switch = self.made[name]
                coupled = frozenset(key for key, lan in self.live.items() if lan == name)
                found[name] = Switch(name, switch.aware, switch.default_vlan, switch.grants, coupled)
        return found

    def create(self, name: str, rdevs: Sequence[str], vid: int | str) -> None:
        self._note(f"create {name}")
        if name in self.made:
            raise Exists(f"{name} exists")
        self.define(name, vid != "UNAWARE", vid if isinstance(vid, int) else None)

    def couplings(self, userids: Iterable[str]) -> dict[str, Mapping[str, Coupling]]:
        found = {}
        for userid in sorted(userids):
            self._note(f"entry {userid}")
            if userid in self.unreadable:
                continue
            found[userid] = {number: to for (owner, number), to in self.directory.items() if owner == userid}
        return found

    def running(self, userids: Iterable[str]) -> dict[str, bool]:
        for userid in sorted(userids):
            self._note(f"power {userid}")
        return {userid: userid in self.on for userid in userids if userid not in self.untold}

    def ipl_time(self) -> str:
        self._note("ipl")
        return self.ipl

    # What it does

    def may(self, key: Key, to: Coupling) -> bool:
        """A VLAN of the entry's own is a right."""
        return to.switch in self.made and (to.vlan is not None or key[0] in self.made[to.switch].grants)

    def apply(self, op: Op) -> None:
        if str(op) in self.failures:
            raise self.failures[str(op)]
        match op:
            case Grant() | Revoke():
                self._change_right(op)
            case Couple():
                self._couple(op)
            case Uncouple():
                self._uncouple(op)
        self.done.append(op)

    def _change_right(self, op: Grant | Revoke) -> None:
        if op.switch not in self.made:
            raise NotFound(f"no {op.switch}")
        self.made[op.switch] = op.on(self.made[op.switch])
        if isinstance(op, Revoke):
            # CP may force every adapter of the user off the switch.
            for key, lan in self.live.items():
                if key[0] == op.userid and lan == op.switch:
                    self.live[key] = ""

    def _couple(self, op: Couple) -> None:
        key = op.userid, op.vdev
        if key not in self.rows:
            raise NotFound(f"no {key}")
        if key in self.directory and self.directory[key].switch == op.to.switch:
            return
        self.directory[key] = op.to
        if op.running:
            if op.userid not in self.on:
                raise Conflict(f"{op.userid} does not run")
            if not self.live[key]:
                if not self.may(key, op.to):
                    del self.directory[key]
                    raise Conflict(f"{key} is not authorized")
                self.live[key] = op.to.switch
        self._list(key, op.to.switch)

    def _uncouple(self, op: Uncouple) -> None:
        key = op.userid, op.vdev
        if op.running and op.userid not in self.on:
            raise Conflict(f"{op.userid} does not run")
        if key not in self.rows:
            raise NotFound(f"no {key}")
        self.directory.pop(key, None)
        self._list(key, "")
        if op.running:
            self.live[key] = ""

    def _list(self, key: Key, switch: str) -> None:
        row = self.rows[key]
        self.rows[key] = Adapter(row.userid, row.vdev, row.port, switch)
