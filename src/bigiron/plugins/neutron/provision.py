"""Provisions VLANs on the bridges: reads, plans and applies until they are carried, or says why each one is not.

What the platform refuses is tried VLAN by VLAN, so that only the one at fault fails. A bridge that does not answer is
left as it is, and the others go ahead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from bigiron.errors import AuthError, PlatformError, Timeout
from bigiron.plugins.neutron.plan import Plan, Wanted, plan
from bigiron.powervm.errors import Stale
from bigiron.powervm.network.trunks import AddTrunk, Bridge, Op, Renumber

LOG = logging.getLogger(__name__)

_STALE_TRIES = 8

Vlans = Mapping[str, frozenset[int]]
"""VLANs by the bridge's uuid."""


class Bridges(Protocol):
    """The platform's bridges: see powervm.network.bridges.BridgeDocuments."""

    def read(self) -> tuple[Bridge, ...]: ...
    def known(self) -> tuple[Bridge, ...]: ...
    def read_orphans(self) -> dict[int, dict[int, str]]: ...
    def vlans_in_use(self) -> dict[int, frozenset[int]]: ...
    def apply(self, ops: Sequence[Op]) -> int: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The (bridge, VLAN) not carried, with the reasons; `failed` where it was the platform that refused."""

    refused: Mapping[tuple[str, int], str]
    failed: bool = False


class _Failed(Exception):
    """The platform did not take the changes of one bridge."""

    def __init__(self, bridge: str, error: PlatformError) -> None:
        super().__init__(error.message)
        self.bridge = bridge
        self.error = error


@dataclass(slots=True)
class Provisioner:
    """Keeps what else is on the switches from its first reading on, until `forget`."""

    bridges: Bridges
    _orphans: dict[int, dict[int, str]] | None = None
    _taken: dict[int, frozenset[int]] | None = None
    _blocked: dict[str, PlatformError] = field(default_factory=dict)

    def forget(self) -> None:
        """Read anew what else is on the switches."""
        self._orphans = self._taken = None

    def plan(self, seen: Sequence[Bridge], vlans: Vlans, unused: Vlans | None = None) -> Plan:
        """The changes that `ensure` would make first, or `clean` with `unused`."""

        def planned() -> Plan:
            return plan(seen, Wanted(vlans, self._taken or {}, self._orphans or {}), unused)

        result = planned()
        # What else is on the switches is read only for a change that it matters to, and kept until all is compared.
        if result.ops and self._orphans is None:
            self._orphans = self.bridges.read_orphans()
            result = planned()
        if self._taken is None and any(isinstance(op, AddTrunk | Renumber) for op in result.ops):
            self._taken = self.bridges.vlans_in_use()
            result = planned()
        return result

    def ensure(self, seen: Sequence[Bridge], vlans: Vlans) -> Outcome:
        """Make the bridges carry the VLANs, in one go where the platform takes it."""
        self._blocked = {}
        return self._ensure(seen, vlans)

    def clean(self, seen: Sequence[Bridge], vlans: Vlans, unused: Vlans) -> bool:
        """Take a few of the unused VLANs off; says whether the platform took it, and the next comparison goes on."""
        ops = self.plan(seen, vlans, unused).ops
        try:
            self._apply(ops)
        except _Failed as failed:
            LOG.warning("Unused VLANs stay on the bridges for now (%s): %s", _said(ops), failed.error)
            return False
        return True

    def _ensure(self, seen: Sequence[Bridge], vlans: Vlans) -> Outcome:
        stale = 0
        while True:
            result = self.plan(seen, self._reachable(seen, vlans))
            if any(op.bridge in self._blocked for op in result.ops):
                # It is to give something up for another bridge, and does not answer.
                return self._missing(seen, vlans, result.refused)
            try:
                self._apply(result.ops)
            except _Failed as failed:
                stale += isinstance(failed.error, Stale)
                if isinstance(failed.error, Stale) and stale < _STALE_TRIES:
                    LOG.debug("A bridge has changed since it was read; planning again: %s", failed.error)
                else:
                    LOG.warning("The platform did not take %s: %s", _said(result.ops), failed.error)
                    if not _is_unanswered(failed.error):
                        return self._one_by_one(vlans, result.refused, failed.error)
                    self._blocked[failed.bridge] = failed.error
                seen = self.bridges.read()
            else:
                return self._missing(self.bridges.known(), vlans, result.refused)

    def _apply(self, ops: Sequence[Op]) -> None:
        updates = 0
        for bridge, group in groupby(ops, key=attrgetter("bridge")):
            try:
                updates += self.bridges.apply(list(group))
            except PlatformError as error:
                raise _Failed(bridge, error) from error
        if updates:
            LOG.info("Changed the bridges in %d updates: %s", updates, _said(ops))

    def _reachable(self, seen: Sequence[Bridge], vlans: Vlans) -> Vlans:
        """Of a bridge that does not answer only what it carries already, which asks nothing of it."""
        there = {bridge.uuid: bridge for bridge in seen if bridge.uuid in self._blocked}
        return {
            uuid: frozenset(vlan for vlan in wanted if there[uuid].carries(vlan)) if uuid in there else wanted
            for uuid, wanted in vlans.items()
        }

    def _missing(self, seen: Sequence[Bridge], vlans: Vlans, refused: Mapping[tuple[str, int], str]) -> Outcome:
        """What is not carried after all is done, whatever the reason."""
        found = dict(refused)
        failed = False
        for uuid, vlan in _not_carried(seen, vlans):
            if (uuid, vlan) not in found:
                blocked = self._blocked.get(uuid) or next(iter(self._blocked.values()), None)
                found[uuid, vlan] = blocked.message if blocked else "the bridge has not got it from the last update"
                failed = True
        return Outcome(found, failed)

    def _one_by_one(
        self, vlans: Vlans, refused: Mapping[tuple[str, int], str], error: PlatformError
    ) -> Outcome:  # fmt: skip
        """After a refused update, add each VLAN alone, so that only the one at fault fails."""
        self._orphans = None
        missing = [one for one in _not_carried(self.bridges.read(), vlans) if one not in refused]
        if len(missing) < 2:
            return Outcome({**refused, **dict.fromkeys(missing, error.message)}, failed=True)
        there = {uuid: vlans[uuid] - {vlan for bridge, vlan in missing if bridge == uuid} for uuid in vlans}
        found, failed = dict(refused), False
        for uuid, vlan in missing:
            if uuid in self._blocked:
                found[uuid, vlan], failed = self._blocked[uuid].message, True
                continue
            alone = self._ensure(self.bridges.read(), {**there, uuid: there[uuid] | {vlan}})
            found |= alone.refused
            failed |= alone.failed
        return Outcome(found, failed)


def _not_carried(seen: Sequence[Bridge], vlans: Vlans) -> Iterator[tuple[str, int]]:
    for bridge in seen:
        yield from ((bridge.uuid, vlan) for vlan in sorted(vlans.get(bridge.uuid, ())) if not bridge.carries(vlan))


def _is_unanswered(error: PlatformError) -> bool:
    """Whether it says nothing about the VLANs: asked again at once, the platform would do no better."""
    return error.retryable or isinstance(error, Timeout | AuthError)


def _said(ops: Sequence[Op]) -> str:
    return ", ".join(map(str, ops))
