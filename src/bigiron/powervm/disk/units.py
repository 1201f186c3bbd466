"""The logical units of one tier: read once as a feed, kept current by our own changes, read again on a miss."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pypowervm import exceptions as pvm_errors
from pypowervm.wrappers.cluster import Cluster
from pypowervm.wrappers.storage import LUEnt, LUType, Tier

from bigiron.errors import NotFound, PlatformError
from bigiron.powervm import jobs
from bigiron.powervm.errors import translated
from bigiron.powervm.mapping import Backing, BackingKind

_GROW_S = 600.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A logical unit, its capacity in GB; the first two digits of `udid` are a type and differ between views of it."""

    uuid: str
    name: str
    udid: str
    image: bool
    capacity: float
    in_use: bool
    cloned_from: str = ""

    @property
    def backing(self) -> Backing:
        return Backing(BackingKind.LOGICAL_UNIT, self.name, self.udid)


class Units:
    """The tier's units by uuid, safe to share between threads."""

    def __init__(self, adapter: Any, tier_uuid: str) -> None:
        self._adapter = adapter
        self._tier_uuid = tier_uuid
        self._units: dict[str, Unit] = {}
        self._guard = threading.Lock()
        self._reading = threading.Lock()
        self._started = 0
        self._finished = 0

    def refresh(self) -> None:
        """Read the feed; callers that come while one is being read share the next one.

        What returns was read after the call, never before: the protocol between hosts depends on that.
        """
        with self._guard:
            wanted = self._started + 1
        with self._reading:
            if self._finished >= wanted:
                return
            with self._guard:
                self._started += 1
                number = self._started
            with translated(f"Reading the logical units of tier {self._tier_uuid}"):
                feed = LUEnt.get(self._adapter, parent_type=Tier, parent_uuid=self._tier_uuid)
            with self._guard:
                self._units = {unit.uuid: unit for unit in map(_unit, feed)}
                self._finished = number

    def named(self, name: str) -> Unit | None:
        """The unit of that name, from what is known."""
        with self._guard:
            return next((unit for unit in self._units.values() if unit.name == name), None)

    def matching(self, pattern: re.Pattern[str]) -> Sequence[Unit]:
        """The units whose whole name matches, from what is known."""
        with self._guard:
            return [unit for unit in self._units.values() if pattern.fullmatch(unit.name)]

    def by_udid(self, udid: str) -> Unit | None:
        """The unit of that udid, whatever its type digits, from what is known."""
        with self._guard:
            return next((unit for unit in self._units.values() if unit.udid[2:] == udid[2:]), None)

    def has_clones(self, unit: Unit) -> bool:
        """Whether any unit of the tier, of whatever host, is a linked clone of this one, from what is known."""
        with self._guard:
            return any(other.cloned_from[2:] == unit.udid[2:] for other in self._units.values() if other.cloned_from)

    def used_gb(self) -> float:
        """What all disks and images of the tier may come to take."""
        with self._guard:
            return sum(unit.capacity for unit in self._units.values())

    def create(self, name: str, capacity_gb: float, image: bool = False, source: Unit | None = None) -> Unit:
        """Create a thin unit, as a linked clone where there is a source."""
        typ = LUType.IMAGE if image else LUType.DISK
        wrapper = LUEnt.bld(self._adapter, name, capacity_gb, thin=True, typ=typ, clone=source)
        with translated(f"Creating logical unit {name} of {capacity_gb} GB"):
            unit = _unit(wrapper.create(parent_type=Tier, parent_uuid=self._tier_uuid))
        with self._guard:
            self._units[unit.uuid] = unit
        return unit

    def grow(self, udid: str, capacity_gb: float, cluster_uuid: str) -> None:
        """Enlarge a unit by the cluster's GrowLogicalUnit job; one whose job's end is not known is looked at."""
        unit = self._present(udid)
        parameters = {"LogicalUnitUDID": unit.udid, "Capacity": str(capacity_gb)}
        what = f"Growing logical unit {unit.name} to {capacity_gb} GB"
        try:
            jobs.run(self._adapter, Cluster.schema_type, cluster_uuid, "GrowLogicalUnit", parameters, _GROW_S, what)
        except PlatformError:
            self.refresh()
            if self._present(udid).capacity < capacity_gb:
                raise
        with self._guard:
            self._units[unit.uuid] = replace(unit, capacity=float(capacity_gb))

    def _present(self, udid: str) -> Unit:
        unit = self.by_udid(udid)
        if unit is None:
            self.refresh()
            unit = self.by_udid(udid)
        if unit is None:
            raise NotFound(f"Tier {self._tier_uuid} has no logical unit {udid}.")
        return unit

    def delete(self, unit: Unit) -> None:
        """Delete the unit; one that is gone already is no error."""
        with translated(f"Deleting logical unit {unit.name}"), contextlib.suppress(pvm_errors.HttpNotFound):
            self._adapter.delete(
                Tier.schema_type, root_id=self._tier_uuid, child_type=LUEnt.schema_type, child_id=unit.uuid
            )
        with self._guard:
            self._units.pop(unit.uuid, None)


def _unit(wrapper: Any) -> Unit:
    return Unit(
        uuid=wrapper.uuid,
        name=wrapper.name,
        udid=wrapper.udid,
        image=wrapper.lu_type == LUType.IMAGE,
        capacity=wrapper.capacity or 0.0,
        in_use=bool(wrapper.in_use),
        cloned_from=wrapper.cloned_from_udid or "",
    )
