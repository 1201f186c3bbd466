"""What has to change so that adapters are coupled as their ports are to be: a pure function of what is and what should.

A VLAN is an adapter's own (in its NICDEF statement), which is a right to the switch by itself; for a flat network the
guest is granted the switch. A right goes with the last adapter that the guest has on the switch, for CP uncouples
all of them when it is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bigiron.zvm.directory import Coupling
from bigiron.zvm.vswitches import Adapter, Couple, Grant, Op, Revoke, Switch, Uncouple

Key = tuple[str, str]
"""Userid and device number of an adapter."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is.

    `adapters` are all of the connector's list. `couplings` are those of the directory, by userid and device number, of
    every guest that may change. `live` says of adapters of running guests which switch CP has them on, empty for none;
    one that is missing there is as it should be, or its guest does not run.
    """

    adapters: Sequence[Adapter]
    switches: Mapping[str, Switch]
    couplings: Mapping[str, Mapping[str, Coupling]]
    running: Collection[str] = ()
    live: Mapping[Key, str] = field(default_factory=dict)

    def coupling(self, adapter: Adapter) -> Coupling | None:
        """What the directory couples an adapter to."""
        return self.couplings.get(adapter.userid, {}).get(adapter.vdev)

    def is_loose(self, adapter: Adapter) -> bool:
        """Whether nothing at all says that the adapter is coupled."""
        return not (self.coupling(adapter) or adapter.switch or self.live.get(adapter.key))

    def is_right(self, adapter: Adapter, target: Coupling) -> bool:
        """Whether everything agrees that the adapter is coupled to the target."""
        live = self.live.get(adapter.key, target.switch)
        return self.coupling(adapter) == target and adapter.switch == live == target.switch


def plan(seen: Seen, wanted: Mapping[Key, Coupling | None], left: Collection[tuple[str, str]] = ()) -> tuple[Op, ...]:
    """The changes for the `wanted` adapters, None for one that is to be uncoupled; all others stay as they are.

    `left` are guests and switches that they may have no adapter on any more. The changes of one guest follow each other
    in the order given; those of different guests depend on nothing of each other's.
    """
    ops: list[Op] = []
    granted = {(userid, switch.name) for switch in seen.switches.values() for userid in switch.grants}
    moved = set(left)
    for adapter in sorted(seen.adapters, key=lambda one: one.key):
        if adapter.key not in wanted:
            continue
        target = wanted[adapter.key]
        ops += _grants(adapter, target, granted)
        ops += _changes(adapter, target, seen)
        moved |= {(adapter.userid, switch) for switch in _places(adapter, seen)}
    ops += [Revoke(*one) for one in sorted(moved & granted - _used(seen, wanted))]
    return tuple(ops)


def _grants(adapter: Adapter, target: Coupling | None, granted: set[tuple[str, str]]) -> Iterator[Op]:
    if target is not None and target.vlan is None and (adapter.userid, target.switch) not in granted:
        granted.add((adapter.userid, target.switch))
        yield Grant(adapter.userid, target.switch)


def _changes(adapter: Adapter, target: Coupling | None, seen: Seen) -> Iterator[Op]:
    if target is not None and seen.is_right(adapter, target):
        return
    running = adapter.userid in seen.running
    if not seen.is_loose(adapter):
        # The connector leaves an adapter as it is that its entry has on the switch, whatever the VLAN.
        yield Uncouple(adapter.userid, adapter.vdev, running)
    if target is not None:
        yield Couple(adapter.userid, adapter.vdev, target, running)


def _places(adapter: Adapter, seen: Seen) -> set[str]:
    """The switches that anything says the adapter is on."""
    coupling = seen.coupling(adapter)
    return {adapter.switch, seen.live.get(adapter.key, ""), coupling.switch if coupling else ""} - {""}


def _used(seen: Seen, wanted: Mapping[Key, Coupling | None]) -> set[tuple[str, str]]:
    """Guests and the switches that they will have adapters on, be it such as nobody made through the connector."""
    used = set()
    for adapter in seen.adapters:
        if adapter.key not in wanted:
            used |= {(adapter.userid, switch) for switch in _places(adapter, seen)}
    for userid, couplings in seen.couplings.items():
        used |= {(userid, each.switch) for number, each in couplings.items() if (userid, number) not in wanted}
    for switch in seen.switches.values():
        used |= {(userid, switch.name) for userid, number in switch.coupled if (userid, number) not in wanted}
    return used | {(userid, target.switch) for (userid, _), target in wanted.items() if target is not None}
