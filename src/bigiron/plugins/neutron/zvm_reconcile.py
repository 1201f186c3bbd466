"""Couples adapters of z/VM guests as their ports are to be, and tells Neutron which ports carry traffic.

Two ways in: `look`, which costs one quick request while nothing has changed, and `heal`, which compares everything with
the directory and with CP. A port is reported up only when its adapter is there and coupled with its VLAN.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from bigiron.errors import AuthError, NotFound, PlatformError, Timeout, Unavailable
from bigiron.plugins.neutron.ports import Place, Port, PortBook, Server
from bigiron.plugins.neutron.zvm_networks import Networks
from bigiron.plugins.neutron.zvm_plan import Key, Seen, plan
from bigiron.zvm.directory import Coupling
from bigiron.zvm.vswitches import Adapter, Couple, Grant, Op, Revoke, Switch, Uncouple

LOG = logging.getLogger(__name__)

_PARALLEL = 8
_AWAIT_S = 3600.0
"""For how long after its binding a port's adapter is looked for often: a server's disk may take that long to copy."""
_GRANT, _REVOKE = "grant", "revoke"
"""In the place of a device number, where a change is to the rights of a guest."""
_AWAY = "the Cloud Connector does not answer"
_OTHERS_S = 60.0
"""For how long a guest's adapters wait for its others, while nova-compute makes one after the other."""


class Platform(Protocol):
    """The system's virtual switches and adapters: see zvm.vswitches.Vswitches."""

    def adapters(self) -> list[Adapter]: ...
    def switches(self, names: Iterable[str]) -> dict[str, Switch]: ...
    def couplings(self, userids: Iterable[str]) -> dict[str, Mapping[str, Coupling]]: ...
    def running(self, userids: Iterable[str]) -> dict[str, bool]: ...
    def ipl_time(self) -> str: ...
    def apply(self, op: Op) -> None: ...


class CouplingReconciler(PortBook):
    """Works for one host; `look` and `heal` are called from one thread."""

    title = "network adapter"

    def __init__(
        self, server: Server, platform: Platform, networks: Networks, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.server = server
        self.announce = lambda ports: None
        self._platform = platform
        self._networks = networks
        self._clock = clock
        self._guard = threading.Lock()
        self._awaited: dict[str, float] = {}
        self._incomplete: dict[str, float] = {}
        self._managed: dict[str, Adapter] = {}
        """By port id, every adapter that was seen with a port of this host, until it or its port is gone for good."""
        self._rows: frozenset[Adapter] = frozenset()
        self._couplings: dict[str, Mapping[str, Coupling]] = {}
        """Of each guest what its entry says, as far as that is certain."""
        self._switches: dict[str, Switch] = {}
        self._ipl_time = ""
        self._left: set[tuple[str, str]] = set()
        """Guests and switches of adapters that are gone, where the right may not be gone yet."""
        self._deferred = False
        self._news = True

    # What Neutron tells, from any thread

    def expect(self, port_id: str, place: Place | None) -> None:
        """Neutron has bound the port here, or None: it is disabled."""
        with self._guard:
            if place is None:
                self._awaited.pop(port_id, None)
            else:
                self._awaited.setdefault(port_id, self._clock())

    def forget(self, port_id: str) -> None:
        """The port is no longer bound here."""
        # First: a pass that has listed it before then finds it forgotten, or what it puts back is taken here.
        super().forget(port_id)
        with self._guard:
            self._awaited.pop(port_id, None)

    def changed(self) -> None:
        """Neutron has changed ports that have adapters here: the next look asks for them."""
        self._news = True

    @property
    def awaits(self) -> bool:
        """Whether a port was bound here a while ago whose adapter is still to come."""
        with self._guard:
            since = self._clock() - _AWAIT_S
            return any(at > since and self.plugged(port) is None for port, at in self._awaited.items())

    # The passes

    def look(self) -> bool:
        """Look for adapters that came or went, and couple the new ones; False where not all of that worked."""
        self._begin()
        # Before the ports are asked for: an adapter's port was bound before it was made.
        rows = self._platform.adapters()
        if frozenset(rows) == self._rows and not self._news and not self._deferred:
            return True
        self._news = False
        return self._reconcile(rows, whole=False)

    def heal(self) -> bool:
        """Compare everything: switches, grants, the directory, and what CP has of running guests."""
        self._begin()
        self._note_ipl()
        self._news = False
        self._switches = self._networks.refresh()
        self._couplings.clear()
        return self._reconcile(self._platform.adapters(), whole=True)

    def _note_ipl(self) -> None:
        ipl_time = self._platform.ipl_time()
        if self._ipl_time and ipl_time != self._ipl_time:
            LOG.warning("z/VM was started anew (%s, before: %s): everything is compared", ipl_time, self._ipl_time)
        self._ipl_time = ipl_time

    def _reconcile(self, rows: Sequence[Adapter], whole: bool) -> bool:
        try:
            return self._reconciled(rows, whole)
        except BaseException:
            # Whatever was missed is found again.
            self._rows, self._news = frozenset(), True
            raise

    def _reconciled(self, rows: Sequence[Adapter], whole: bool) -> bool:
        with self._guard:
            before = set(self._awaited) if whole else set()
        ports = {port.id.lower(): port for port in self.server.ports()}
        self._await_others(rows, ports, before)
        ours = {row.port: row for row in rows if row.port in ports}
        self._note_gone(rows)
        if not whole:
            self._read_again(self._left | self._uncoupled(rows))
        wanted, refused = self._wanted(rows, ours, ports)
        seen = self._seen(rows, wanted, refused, whole)
        if whole:
            userids = {row.userid for row in ours.values()} & self._couplings.keys()
            self._left |= {(each, name) for name, one in self._switches.items() for each in one.grants & userids}
        ops = plan(seen, wanted, self._left)
        doomed = {(op.userid, op.switch) for op in ops if isinstance(op, Revoke)} - self._left
        if doomed and not whole:
            self._read_again(doomed)
            ops = plan(replace(seen, couplings=self._couplings, switches=self._switches), wanted, self._left)
        failed, gone = self._apply(ops)
        if ops:
            self._remember(ops, failed)
            failed |= self._missed(ops, failed)
            rows = self._platform.adapters()
            failed |= _unlisted((row for row in rows if row.key not in gone), wanted, failed)
        doubtful = {userid for userid, _ in failed}
        certain = {row.userid for row in rows} - doubtful
        self._couplings = {userid: each for userid, each in self._couplings.items() if userid in certain}
        self._left = {one for one in self._left if one[0] in doubtful}
        self._rows = frozenset(rows)
        self._managed |= {row.port: row for row in rows if row.port in ours}
        made_anew = {_key(op) for op in ops if isinstance(op, Couple) and not op.running and _key(op) not in failed}
        self._tell(self._told_anew(ports, ours, made_anew), ours, wanted, refused | failed)
        return not failed

    # What there is, and what should be

    def _note_gone(self, rows: Iterable[Adapter]) -> None:
        """Forget the adapters of ours that are no longer there, but for the rights that may be left of them.

        One that was coupled when it was last seen, and is not any more, was made anew: a rebuild takes a guest and
        makes it again between two looks, under the same userid.
        """
        there = {(row.key, row.port): row.switch for row in rows}
        before = [(each, there.get((each.key, each.port))) for each in self._managed.values()]
        for adapter in [each for each, switch in before if switch is None or (each.switch and not switch)]:
            del self._managed[adapter.port]
            if (known := self._couplings.get(adapter.userid)) is not None:
                self._couplings[adapter.userid] = {vdev: to for vdev, to in known.items() if vdev != adapter.vdev}
            granted = {name for name, switch in self._switches.items() if adapter.userid in switch.grants}
            self._left |= {(adapter.userid, name) for name in granted}

    def _uncoupled(self, rows: Iterable[Adapter]) -> set[tuple[str, str]]:
        """Guests and the switches that an adapter of ours has left by no doing of ours: with a guest that is deleted
        and made anew, as in a rebuild, the connector takes its rights too."""
        before = {(row.key, row.port): row.switch for row in self._rows & set(self._managed.values())}
        left = {(row.userid, was) for row in rows if (was := before.get((row.key, row.port), row.switch)) != row.switch}
        return {(userid, switch) for userid, switch in left if switch in self._switches}

    def _read_again(self, rights: Collection[tuple[str, str]]) -> None:
        """Read what decides about rights that may go: others may have given and taken adapters since it was read."""
        if rights:
            self._couplings |= self._platform.couplings({userid for userid, _ in rights})
            self._switches |= self._platform.switches({switch for _, switch in rights})

    def _await_others(self, rows: Iterable[Adapter], ports: Mapping[str, Port], before: Collection[str]) -> None:
        """Note the ports without an adapter, and the guests of whose ports only some have theirs.

        The connector reads an entry, and locks it only then to replace it: what nova-compute adds in between is lost.
        `before` were awaited before the ports were listed: that one of them has gone may not have been heard.
        """
        there = {row.port for row in rows}
        missing = {port.guest for port in ports.values() if port.guest and port.id.lower() not in there}
        partly = missing & {ports[port].guest for port in there & ports.keys()}
        now = self._clock()
        self._incomplete = {guest: self._incomplete.get(guest, now) for guest in partly}
        with self._guard:
            to_come = [p.id for p in ports.values() if p.enabled and p.guest and p.id.lower() not in there]
            # One that was bound only after the ports were listed stays, and one that was forgotten since stays so.
            gone = there | {port.lower() for port in before} - ports.keys()
            self._awaited = {port: at for port, at in self._awaited.items() if port.lower() not in gone}
            self._awaited |= {port: self._awaited.get(port, now) for port in to_come if port not in self._forgotten}

    def _wanted(
        self, rows: Iterable[Adapter], ours: Mapping[str, Adapter], ports: Mapping[str, Port]
    ) -> tuple[dict[Key, Coupling | None], dict[Key, str]]:
        """What each adapter of ours is to be coupled to, and why some cannot be."""
        wanted: dict[Key, Coupling | None] = {}
        refused: dict[Key, str] = {}
        self._deferred = False
        for port_id, row in ours.items():
            port = ports[port_id]
            target, reason = self._networks.target(port, self._switches) if port.enabled else (None, "")
            if reason:
                refused[row.key] = reason
            if self._waits(port) and self._couplings.get(row.userid, {}).get(row.vdev) != target:
                self._deferred = True
            else:
                wanted[row.key] = target
        guests = {row.userid for row in ours.values()}
        for row in rows:
            before = row.port in self._managed or (row.userid in guests and row.port and row.switch)
            if before and row.port not in ports:
                # Its port has left this host, or Neutron.
                wanted[row.key] = None
        return wanted, refused

    def _waits(self, port: Port) -> bool:
        since = self._incomplete.get(port.guest)
        return since is not None and self._clock() - since < _OTHERS_S

    def _seen(
        self, rows: Sequence[Adapter], wanted: dict[Key, Coupling | None], refused: dict[Key, str], whole: bool
    ) -> Seen:
        """What the plan needs to know, and no more: the adapters of a guest that is new have no couplings yet.

        Where a guest's entry cannot be read, nothing is wanted of its adapters.
        """
        by_key = {row.key: row for row in rows}
        known = {row.userid for row in self._rows} | {row.userid for row in rows if row.switch}
        unknown = {userid for userid, _ in wanted} - self._couplings.keys()
        fresh = set() if whole else unknown - known
        self._couplings |= self._platform.couplings(unknown - fresh) | {userid: {} for userid in fresh}
        for key in [key for key in wanted if key[0] not in self._couplings]:
            del wanted[key]
            refused[key] = f"the directory entry of {key[0]} cannot be read"
        coupled = {key: switch.name for switch in self._switches.values() for key in switch.coupled} if whole else {}
        seen = Seen(rows, self._switches, self._couplings)
        astray = {key for key, to in wanted.items() if not _is_settled(seen, by_key[key], to)}
        if whole:
            astray |= {key for key, to in wanted.items() if coupled.get(key, "") != (to.switch if to else "")}
        # A guest that is new does not run before its ports are up; see `_missed`.
        powers = self._platform.running({userid for userid, _ in astray} - fresh)
        for key in [key for key in astray if key[0] not in powers and key[0] not in fresh]:
            # Coupled in its entry only, it would be reported up and carry nothing if it runs.
            del wanted[key]
            refused[key] = f"whether {key[0]} runs cannot be told"
            self._deferred = True
        running = {userid for userid, on in powers.items() if on}
        live = {key: coupled.get(key, "") for key in wanted if key[0] in running} if whole else {}
        return Seen(rows, self._switches, self._couplings, running, live)

    # Changes

    def _apply(self, ops: Sequence[Op]) -> tuple[dict[Key, str], set[Key]]:
        """Carry the changes out, those of several guests side by side; returns why some adapters' were not done, and
        the adapters that were not there any more to be uncoupled."""
        groups = [list(group) for _, group in groupby(sorted(ops, key=attrgetter("userid")), attrgetter("userid"))]
        failed: dict[Key, str] = {}
        gone: set[Key] = set()
        if groups:
            away = threading.Event()
            with ThreadPoolExecutor(min(_PARALLEL, len(groups)), thread_name_prefix="bigiron-couple") as pool:
                outcomes = list(pool.map(lambda group: self._apply_group(group, away), groups))
            for reasons, missing in outcomes:
                failed |= reasons
                gone |= missing
        return failed, gone

    def _apply_group(self, ops: Sequence[Op], away: threading.Event) -> tuple[dict[Key, str], set[Key]]:
        """The changes of one guest, in order; after one that failed, nothing more is done to the same adapter."""
        failed: dict[Key, str] = {}
        gone: set[Key] = set()
        for op in ops:
            key = _key(op)
            # What a guest was not granted, none of its adapters can use.
            before = failed.get(key) or failed.get((op.userid, _GRANT)) or (_AWAY if away.is_set() else "")
            if before:
                failed[key] = before
                continue
            try:
                self._platform.apply(op)
            except PlatformError as error:
                if isinstance(error, NotFound) and isinstance(op, Uncouple):
                    # Its guest was deleted since the adapters were listed, and the list follows.
                    LOG.info("Nothing to %s: %s", op, error)
                    gone.add(key)
                    continue
                LOG.error("Not done: %s: %s", op, error)
                failed[key] = error.message
                if isinstance(error, Unavailable | Timeout | AuthError):
                    away.set()
        return failed, gone

    def _remember(self, ops: Sequence[Op], failed: Mapping[Key, str]) -> None:
        """What is certain after the changes."""
        for op in ops:
            if _key(op) in failed:
                continue
            if isinstance(op, Grant | Revoke):
                self._switches[op.switch] = op.on(self._switches[op.switch])
                continue
            couplings = dict(self._couplings.get(op.userid, {}))
            couplings.pop(op.vdev, None)
            if isinstance(op, Couple):
                couplings[op.vdev] = op.to
            self._couplings[op.userid] = couplings

    def _missed(self, ops: Sequence[Op], failed: Mapping[Key, str]) -> dict[Key, str]:
        """The adapters that were coupled in the directory only, for a guest that runs by now and has not noticed it."""
        done = [op for op in ops if isinstance(op, Couple) and not op.running and _key(op) not in failed]
        started = self._platform.running({op.userid for op in done})
        return {_key(op): "its guest was started before it was coupled" for op in done if started.get(op.userid, True)}

    # Reports

    def _told_anew(
        self, ports: Mapping[str, Port], ours: Mapping[str, Adapter], coupled: Collection[Key]
    ) -> Mapping[str, Port]:
        """The ports, with those as not active that Neutron counts as active and whose adapters were made anew.

        nova-compute waits to be told of them, and Neutron tells it only of ports that were not active before; asking
        for a port makes it such.
        """
        again = [port_id for port_id, row in ours.items() if row.key in coupled and ports[port_id].active]
        if again:
            self.server.lookup([ports[port_id].id for port_id in again])
        return {**ports, **{port_id: replace(ports[port_id], active=False) for port_id in again}}

    def _tell(
        self,
        ports: Mapping[str, Port],
        ours: Mapping[str, Adapter],
        wanted: Mapping[Key, Coupling | None],
        refused: Mapping[Key, str],
    ) -> None:
        carrying = set()
        for port_id, row in ours.items():
            reason = refused.get(row.key) or refused.get((row.userid, _GRANT))
            if reason:
                stays = "down" if row.key in wanted else "as it is"
                LOG.error("Port %s stays %s: %s", port_id, stays, reason)
            elif wanted.get(row.key) is not None:
                carrying.add(ports[port_id].id)
        undecided = {port_id for port_id, row in ours.items() if row.key not in wanted}
        decided = [port for port_id, port in ports.items() if port_id not in undecided]
        self._compared(decided, [ports[port_id] for port_id in ours], carrying)


def _key(op: Op) -> Key:
    """The adapter that a change concerns; of a right, the guest and what is done to it."""
    if isinstance(op, Grant | Revoke):
        return op.userid, _GRANT if isinstance(op, Grant) else _REVOKE
    return op.userid, op.vdev


def _is_settled(seen: Seen, adapter: Adapter, target: Coupling | None) -> bool:
    return seen.is_loose(adapter) if target is None else seen.is_right(adapter, target)


def _unlisted(
    rows: Iterable[Adapter], wanted: Mapping[Key, Coupling | None], refused: Mapping[Key, str]
) -> dict[Key, str]:
    """Adapters of which the connector does not say, after all is done, that they are as they should be."""
    return {
        row.key: "the Cloud Connector has not noted its coupling"
        for row in rows
        if row.key in wanted and row.key not in refused and row.switch != getattr(wanted[row.key], "switch", "")
    }
