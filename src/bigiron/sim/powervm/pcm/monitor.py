"""The long-term monitor: takes samples as simulated time passes and keeps the last ones."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bigiron.sim.kernel.load import IDLE, PROFILES
from bigiron.sim.powervm.model.entity import dump, load
from bigiron.sim.powervm.model.partition import Lpar, Partition, Vios
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.pcm.facts import SystemFacts, collect, share_of
from bigiron.sim.powervm.pcm.load import Meter
from bigiron.sim.powervm.pcm.script import Script

INTERVAL = 30
LPAR_INTERVAL = 120
"""Partitions are asked for their memory less often than the hypervisor is."""
KEPT = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the system."""

    time: int
    system: SystemFacts
    compute_only: bool
    """Without what VIOSes tell, and without adapters."""
    up_since: float
    retired: Mapping[int, float]
    """Seconds of one processor that partitions which are gone had used, by pool."""
    bases: Mapping[str, Mapping[str, float]]
    """What partitions had used when a VIOS started: by its uuid and then by theirs."""
    script: Script
    """What went wrong when the sample was taken."""

    def categories(self, now: float) -> list[str]:
        """What there is a document of by now."""
        found = ["phyp"]
        if not self.compute_only:
            found += [f"vios_{vios.partition.id}" for vios in self.system.vioses if vios.reached]
        if self.time % LPAR_INTERVAL == 0:
            found.append("lpar")
        script = self.script
        return [one for one in found if one not in script.missing and self.time + script.late.get(one, 0) <= now]


class Monitor:
    """Callers hold the world's lock. Loads and totals outlive the process through `to_state`; samples do not."""

    def __init__(
        self,
        world: World,
        touched: Callable[[], None],
        state: Mapping[str, Any] | None = None,
        loads: Mapping[str, str] | None = None,
    ) -> None:
        """`loads` are those that the system document gives to partitions, by name; a kept state goes before."""
        if state is None:
            named = loads or {}
            state = {"profiles": {p.uuid: named[p.name] for p in world.partitions if p.name in named}}
        self._world = world
        self._touched = touched
        self._up_since = float(state.get("up_since", world.clock.now()))
        self._profiles: dict[str, str] = dict(state.get("profiles", {}))
        self._meters = {uuid: load(Meter, one) for uuid, one in state.get("meters", {}).items()}
        self._retired: collections.Counter[int] = collections.Counter()
        self._bases: dict[str, dict[str, float]] = {k: dict(v) for k, v in state.get("bases", {}).items()}
        self._script = Script()
        self._samples: collections.deque[Sample] = collections.deque(maxlen=KEPT)
        self._due: int | None = None
        self._facts: SystemFacts | None = None
        self._revision = -1
        world.subscribe(self._forget)

    def to_state(self) -> dict[str, Any]:
        """What must not be lost, as JSON-able values; totals that follow from a partition's start are left out."""
        kept = {
            uuid: meter for uuid, meter in self._meters.items() if meter.since != meter.started or uuid in self._bases
        }
        meters = {uuid: dump(meter) for uuid, meter in kept.items()}
        return {
            "up_since": self._up_since, "profiles": dict(self._profiles), "meters": meters, "bases": self._bases,
        }  # fmt: skip

    # -- loads ----------------------------------------------------------------------------------------------------

    def profile(self, partition: Partition) -> str:
        """The load that a partition has, or will have when it runs."""
        return self._profiles.get(partition.uuid, IDLE)

    def set_profile(self, partition: Partition, name: str) -> None:
        """Give a partition another load from now on; raises ValueError."""
        if name not in PROFILES:
            raise ValueError(f"no such load profile: {name!r}; use one of {', '.join(PROFILES)}")
        self.catch_up()
        self._meter(partition)  # what was used until now counts with the load until now
        self._profiles[partition.uuid] = name
        self._meter(partition)
        self._revision = -1
        self._touched()

    @property
    def script(self) -> Script:
        """What goes wrong now."""
        return self._script

    @script.setter
    def script(self, script: Script) -> None:
        self.catch_up()
        self._script = script

    def _meter(self, partition: Partition) -> Meter | None:
        """Bring the partition's meter up to date: new after a start, going on when its load or share has changed."""
        kept = self._meters.get(partition.uuid)
        if not partition.is_on:
            if kept is not None:
                self._retire(partition.uuid)
            return None
        started = self._up_since if partition.started is None else partition.started
        profile, share = self.profile(partition), share_of(partition.processors)
        if kept is not None and kept.started != started:
            self._retire(partition.uuid)
            kept = None
        if kept is None and isinstance(partition, Vios):
            self._bases[partition.uuid] = self._served_before(started)
        if kept is None:
            kept = Meter(started, started, profile, share)
        elif (kept.profile, kept.share) != (profile, share):
            kept = kept.changed(self._world.clock.now(), profile, share)
            self._touched()
        self._meters[partition.uuid] = kept
        return kept

    def _retire(self, uuid: str) -> None:
        """Keep what a partition has used for its pool, whose totals never fall."""
        meter = self._meters.pop(uuid)
        for served in self._bases.values():
            served.pop(uuid, None)
        if meter.share.pool is not None:
            self._retired[meter.share.pool] += meter.at(self._world.clock.now()).busy  # type: ignore[assignment]

    def _served_before(self, started: float) -> dict[str, float]:
        """What each partition had used when a VIOS started, whose own counters began at 0 then."""
        used = {uuid: meter.at(started).busy for uuid, meter in self._meters.items() if meter.started < started}
        return {uuid: busy for uuid, busy in used.items() if busy}

    def _forget(self, event_type: str, path: str, _detail: str) -> None:
        kind, _, uuid = path.partition("/")
        if event_type == "DELETE_URI" and kind == Lpar.KIND and "/" not in uuid:
            self._profiles.pop(uuid, None)
            if uuid in self._meters:
                self._retire(uuid)

    # -- samples --------------------------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """The samples that are kept, oldest first."""
        self.catch_up()
        return list(self._samples)

    def catch_up(self) -> None:
        """Take the samples that are due by now; cheap when none is."""
        preferences = self._world.state.pcm
        if not preferences.long_term:
            self._samples.clear()
            self._due = None
            return
        now = self._world.clock.now()
        newest = math.floor(now / INTERVAL) * INTERVAL
        if self._due is None:
            self._due = newest + INTERVAL
        if newest < self._due:
            return
        facts = self._current()
        times = range(max(self._due, newest - (KEPT - 1) * INTERVAL), newest + 1, INTERVAL)
        self._due = newest + INTERVAL
        if self._script.gap:
            return
        bases = {uuid: dict(served) for uuid, served in self._bases.items()}
        for time in times:
            self._samples.append(
                Sample(
                    time, facts, preferences.compute_ltm, self._up_since, dict(self._retired), bases, self._script
                )
            )  # fmt: skip

    def _current(self) -> SystemFacts:
        """The facts of now; what has not changed since the last ones is shared with them."""
        if self._facts is None or self._revision != self._world.revision:
            made = collect(self._world, self._meter)
            if self._facts is not None:
                known = {one.uuid: one for one in self._facts.lpars}
                lpars = tuple(k if (k := known.get(one.uuid)) == one else one for one in made.lpars)
                made = dataclasses.replace(made, lpars=lpars)
            self._facts, self._revision = made, self._world.revision
        return self._facts
