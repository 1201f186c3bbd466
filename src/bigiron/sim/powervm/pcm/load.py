"""What a partition's work uses: running totals as closed formulas of the time, so that nothing has to tick."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a profile: how much of its entitlement a partition wants, and how much of its memory it uses."""

    seconds: float
    level: float
    memory: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What a partition does: phases that follow each other from its start, again and again."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def period(self) -> float:
        """Seconds until the phases begin again."""
        return sum(phase.seconds for phase in self.phases)

    def phase(self, age: float) -> Phase:
        """The phase that a partition of this age is in."""
        left = age % self.period
        for phase in self.phases:
            if left < phase.seconds:
                return phase
            left -= phase.seconds
        return self.phases[-1]

    def spent(self, age: float) -> tuple[float, ...]:
        """How many seconds up to this age a partition was in each of the phases."""
        rounds, left = divmod(max(0.0, age), self.period)
        found = []
        for phase in self.phases:
            now = min(phase.seconds, left)
            left -= now
            found.append(rounds * phase.seconds + now)
        return tuple(found)


IDLE = "idle"
PROFILES = {
    profile.name: profile
    for profile in (
        Profile(IDLE, (Phase(60, 0.02, 0.2),)),
        Profile("steady", (Phase(60, 0.6, 0.5),)),
        Profile("burst", (Phase(240, 0.1, 0.3), Phase(60, 2.0, 0.7))),
    )
}


@dataclass(frozen=True, slots=True)
class Share:
    """What a partition may use, in processors."""

    entitled: float
    limit: float
    """The most it can use at a time: its entitlement where it is capped, else its virtual processors."""
    pool: int | None
    """The shared processor pool that it draws from; None has processors of its own."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Running totals in seconds of one processor."""

    entitled: float = 0.0
    capped: float = 0.0
    """Dispatched within the entitlement."""
    uncapped: float = 0.0
    """Dispatched beyond it."""
    idle: float = 0.0
    """The part of the dispatched time in which there was nothing to do."""

    @property
    def busy(self) -> float:
        """What was really used."""
        return self.capped + self.uncapped - self.idle

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.entitled + other.entitled,
            self.capped + other.capped,
            self.uncapped + other.uncapped,
            self.idle + other.idle,
        )


@dataclass(frozen=True, slots=True)
class Meter:
    """The totals of a partition since it was activated: `banked` up to `since`, the profile's from then on."""

    started: float
    since: float
    profile: str
    share: Share
    banked: Usage = Usage()

    def at(self, time: float) -> Usage:
        """The totals at a time; before `since` they are what was banked."""
        if time <= self.since:
            return self.banked
        profile = PROFILES[self.profile]
        before, after = profile.spent(self.since - self.started), profile.spent(time - self.started)
        total = self.banked
        for phase, first, last in zip(profile.phases, before, after, strict=True):
            total += _used(self.share, phase.level, last - first)
        return total

    def phase(self, time: float) -> Phase:
        """What the partition does at a time."""
        return PROFILES[self.profile].phase(max(0.0, time - self.started))

    def changed(self, time: float, profile: str, share: Share) -> Meter:
        """Go on from a time with another profile or share; what was used until then is kept."""
        return replace(self, since=max(time, self.since), profile=profile, share=share, banked=self.at(time))


def _used(share: Share, level: float, seconds: float) -> Usage:
    used = min(level * share.entitled, share.limit) * seconds
    entitled = share.entitled * seconds
    if share.pool is None:
        # Processors of its own are dispatched all the time; what they do not do is idle.
        return Usage(entitled, entitled, 0.0, entitled - used)
    within = min(used, entitled)
    return Usage(entitled, within, used - within, 0.0)
