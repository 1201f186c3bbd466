"""What a partition's work uses: running totals as closed formulas of the time, so that nothing has to tick."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bigiron.sim.kernel.load import PROFILES, Phase


@dataclass(frozen=True, slots=True)
class Share:
    """What a partition may use, in processors."""

    entitled: float
    limit: float
    """The most it can use at a time: its entitlement where it is capped, else its virtual processors."""
    pool: int | None
    """The shared processor pool that it draws from; None has processors of its own."""
    donates: bool = False
    """Whether its own processors work for others while they have nothing to do."""


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
    donated: float = 0.0
    """The part of it in which others were served."""
    waiting: float = 0.0
    """How long there was work that had to wait for a processor."""

    @property
    def busy(self) -> float:
        """What was really used."""
        return self.capped + self.uncapped - self.idle - self.donated

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.entitled + other.entitled,
            self.capped + other.capped,
            self.uncapped + other.uncapped,
            self.idle + other.idle,
            self.donated + other.donated,
            self.waiting + other.waiting,
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
    wanted = level * share.entitled
    used = min(wanted, share.limit) * seconds
    waiting = max(0.0, wanted - share.limit) * seconds
    entitled = share.entitled * seconds
    if share.pool is None:
        # Processors of its own are dispatched all the time; what they do not do is idle, or given away.
        rest = entitled - used
        idle, donated = (0.0, rest) if share.donates else (rest, 0.0)
        return Usage(entitled, entitled, 0.0, idle, donated, waiting)
    within = min(used, entitled)
    return Usage(entitled, within, used - within, 0.0, 0.0, waiting)
