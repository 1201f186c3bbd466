"""What must change on the network bridges so that they carry the VLANs wanted: a pure function.

It never touches a primary trunk, never a bridge that the agent does not serve, and plans nothing where the bridges
are right already. What cannot be done is refused for that one VLAN, with a reason, and the others go ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bigiron.powervm.network.trunks import (
    HIGHEST_VLAN,
    MAX_ADDITIONAL_TRUNKS,
    MAX_VLANS_PER_TRUNK,
    AddTrunk,
    AddVlan,
    Bridge,
    Op,
    RemoveTrunk,
    RemoveVlan,
    Renumber,
    Trunk,
)

CLEANUP_LIMIT = 3
"""VLANs removed in one pass at most: a wrong reading of the host must not take the network away at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the bridges served (by uuid) have to carry, and what else of their virtual switches is known.

    `taken` holds VLANs in use on a switch (by its number) that no trunk may take as its PVID; `orphans` names, by
    switch and VLAN, the trunk adapter outside any bridge that has it, which would clash.
    """

    vlans: Mapping[str, frozenset[int]]
    taken: Mapping[int, frozenset[int]] = field(default_factory=dict)
    orphans: Mapping[int, Mapping[int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The operations in the order to apply, and the refused (bridge uuid, VLAN) with the reason of each."""

    ops: tuple[Op, ...] = ()
    refused: Mapping[tuple[str, int], str] = field(default_factory=dict)


def plan(bridges: Iterable[Bridge], wanted: Wanted, unused: Mapping[str, frozenset[int]] | None = None) -> Plan:
    """Plan the changes that make the bridges carry what is wanted and drop a few of the `unused` VLANs by bridge.

    `unused` is what nobody needs, as far as the caller knows; a VLAN wanted stays whatever `unused` says.
    """
    given = tuple(bridges)
    full: dict[tuple[str, int], str] = {}
    while True:
        planner = _Planner(given, wanted, full)
        result = planner.run(unused or {})
        if planner.full.keys() == full.keys():
            return result
        # Nothing is to be moved or renumbered for a VLAN that then finds no room: without it from the start.
        full = planner.full


class _Planner:
    """Keeps the bridges as they will be after the operations planned so far.

    `full` are the VLANs known to find no room, with the reasons; those that turn out to are added.
    """

    def __init__(self, bridges: Iterable[Bridge], wanted: Wanted, full: Mapping[tuple[str, int], str]) -> None:
        self._bridges = {bridge.uuid: bridge for bridge in bridges}
        self._wanted = wanted
        self._ops: list[Op] = []
        self._refused: dict[tuple[str, int], str] = {}
        self.full = dict(full)

    def run(self, unused: Mapping[str, frozenset[int]]) -> Plan:
        for uuid in self._wanted.vlans.keys() - self._bridges.keys():
            reason = (
                f"network bridge {uuid} is not on the system any more; restart the agent once there is one again, or "
                "correct [AGENT] bridge_mappings"
            )
            self._refused |= {(uuid, vlan): reason for vlan in self._wanted.vlans[uuid]}
        missing = {uuid: list(self._missing(uuid)) for uuid in sorted(self._wanted.vlans) if uuid in self._bridges}
        # Whole steps, in this order: a number must be free on the switch before another trunk can take it.
        for vlan in sorted({vlan for vlans in missing.values() for vlan in vlans}):
            self._free_placeholder(vlan, [uuid for uuid, vlans in missing.items() if vlan in vlans])
        for uuid, vlans in missing.items():
            for vlan in vlans:
                self._take_from_peers(self._bridges[uuid], vlan)
        left = CLEANUP_LIMIT
        for uuid, vlans in missing.items():
            for vlan in vlans:
                self._place(uuid, vlan)
            spare = sorted(self._bridges[uuid].added_vlans() & unused.get(uuid, frozenset()) - self._wanted.vlans[uuid])
            for vlan in spare[:left]:
                self._drop(uuid, vlan)
            left -= len(spare[:left])
        return Plan(tuple(self._ops), self._refused)

    def _do(self, op: Op) -> None:
        self._bridges[op.bridge] = op.on(self._bridges[op.bridge])
        self._ops.append(op)

    def _missing(self, uuid: str) -> Iterator[int]:
        """The VLANs to add to the bridge; those that cannot be are refused."""
        bridge = self._bridges[uuid]
        for vlan in sorted(self._wanted.vlans[uuid]):
            if bridge.carries(vlan):
                continue
            reason = self.full.get((uuid, vlan)) or self._obstacle(bridge, vlan)
            if reason:
                self._refused[uuid, vlan] = reason
            else:
                yield vlan

    def _obstacle(self, bridge: Bridge, vlan: int) -> str:
        if not 1 <= vlan <= HIGHEST_VLAN:
            return f"VLAN {vlan} is not between 1 and {HIGHEST_VLAN}"
        if vlan in bridge.fixed_vlans():
            return f"VLAN {vlan} is on the primary trunk of one adapter only of {bridge.names()}; make both alike"
        orphan = self._wanted.orphans.get(bridge.vswitch, {}).get(vlan)
        if orphan:
            return f"VLAN {vlan} is on {orphan}, a trunk adapter outside any network bridge; remove it there"
        return next(filter(None, (self._peer_obstacle(bridge, peer, vlan) for peer in self._peers(bridge))), "")

    def _peer_obstacle(self, bridge: Bridge, peer: Bridge, vlan: int) -> str:
        served = peer.uuid in self._wanted.vlans
        if vlan in peer.fixed_vlans():
            return f"VLAN {vlan} is on the primary trunk of another bridge, {peer.names()}; use another VLAN"
        if served and vlan in self._wanted.vlans[peer.uuid] and self._claim(peer, vlan) < self._claim(bridge, vlan):
            return f"VLAN {vlan} is also wanted on {peer.names()}, on the same virtual switch; use another VLAN"
        if not served and vlan in peer.added_vlans() | peer.placeholders():
            return (
                f"VLAN {vlan} is on another bridge, {peer.names()}, that this agent does not serve; remove it there "
                "or map the bridge in [AGENT] bridge_mappings"
            )
        return ""

    @staticmethod
    def _claim(bridge: Bridge, vlan: int) -> tuple[bool, bool, str]:
        """Sorts the bridges that want one VLAN: the one that has it keeps it."""
        return not bridge.carries(vlan), vlan not in bridge.added_vlans(), bridge.uuid

    def _peers(self, bridge: Bridge) -> Iterator[Bridge]:
        """The other bridges on the same virtual switch, where a VLAN can be on one of them only."""
        return (b for b in self._bridges.values() if b.vswitch == bridge.vswitch and b.uuid != bridge.uuid)

    def _free_placeholder(self, vlan: int, wanting: Iterable[str]) -> None:
        switches = {self._bridges[uuid].vswitch for uuid in wanting}
        for bridge in tuple(self._bridges.values()):
            if bridge.vswitch in switches and vlan in bridge.placeholders():
                new = self._placeholder(bridge)
                if new:
                    self._do(Renumber(bridge.uuid, vlan, new))

    def _take_from_peers(self, bridge: Bridge, vlan: int) -> None:
        for peer in tuple(self._peers(bridge)):
            if vlan in peer.added_vlans():
                self._drop(peer.uuid, vlan)

    def _drop(self, uuid: str, vlan: int) -> None:
        """Take the VLAN off, and delete trunks left without any; a load-sharing bridge keeps its last one."""
        carriers = [trunk.pvid for trunk in self._bridges[uuid].additional() if vlan in trunk.vlans]
        self._do(RemoveVlan(uuid, vlan))
        for pvid in carriers:
            trunks = self._bridges[uuid].additional()
            empty = any(trunk.pvid == pvid and not trunk.vlans for trunk in trunks)
            if empty and not (self._bridges[uuid].load_sharing and len(trunks) == 1):
                self._do(RemoveTrunk(uuid, pvid))

    def _place(self, uuid: str, vlan: int) -> None:
        trunk = _holder(self._bridges[uuid], vlan)
        if trunk is None and vlan in self._bridges[uuid].added_vlans():
            self._do(RemoveVlan(uuid, vlan))
        bridge = self._bridges[uuid]
        trunk = trunk or _roomiest(bridge)
        pvid = trunk.pvid if trunk else self._placeholder(bridge)
        lacking = [a for a in bridge.adapters if all(trunk.pvid != pvid for trunk in a.additional)]
        if pvid is None or any(len(a.additional) >= MAX_ADDITIONAL_TRUNKS for a in lacking):
            self._refused[uuid, vlan] = self.full[uuid, vlan] = (
                f"there is no room for VLAN {vlan} on {bridge.names()}: {len(bridge.additional())} additional trunk "
                f"adapters with up to {MAX_VLANS_PER_TRUNK} VLANs each; remove VLANs that nobody uses"
            )
            return
        if lacking:
            self._do(AddTrunk(uuid, pvid))
        self._do(AddVlan(uuid, pvid, vlan))

    def _placeholder(self, bridge: Bridge) -> int | None:
        """A PVID for a new trunk: the highest number that nothing on the virtual switch uses or will."""
        used = set(self._wanted.taken.get(bridge.vswitch, ())) | set(self._wanted.orphans.get(bridge.vswitch, ()))
        for other in (bridge, *self._peers(bridge)):
            used |= other.fixed_vlans() | other.added_vlans() | other.placeholders()
            used |= self._wanted.vlans.get(other.uuid, frozenset())
        return next((number for number in range(HIGHEST_VLAN, 1, -1) if number not in used), None)


def _holder(bridge: Bridge, vlan: int) -> Trunk | None:
    """The trunk that has the VLAN on one adapter already and lacks it on its counterpart."""
    return next((t for t in bridge.additional() if vlan in t.vlans and len(t.vlans) <= MAX_VLANS_PER_TRUNK), None)


def _roomiest(bridge: Bridge) -> Trunk | None:
    """The additional trunk with most room, or None where a new one is due."""
    trunks = bridge.additional()
    open_trunks = [trunk for trunk in trunks if len(trunk.vlans) < MAX_VLANS_PER_TRUNK]
    # A load-sharing bridge splits its trunks between the VIOSes, so it wants them in pairs: the second of a pair is
    # made for the second VLAN and not for the first, because an empty trunk serves nothing.
    unpaired = bridge.load_sharing and len(open_trunks) == 1 and len(trunks) % 2 == 1
    if not open_trunks or (unpaired and len(trunks) < MAX_ADDITIONAL_TRUNKS):
        return None
    return min(open_trunks, key=lambda trunk: (len(trunk.vlans), -trunk.pvid))
