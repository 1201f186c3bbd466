"""What virtual machines use: totals since their logon, which grow as their userids' load profiles say."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bigiron.sim.kernel.load import PROFILES, Phase

BOOT_LEVEL = 0.9
"""The part of its processors that a booting system keeps busy."""
_CONTENTION, _OVERLOAD = 0.02, 0.2
"""How long a guest waits for a real processor, per second of work and per second of work that it does not get done."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What decides how fast the totals of a virtual machine grow."""

    profile: str
    cpus: int
    booting: bool = False
    stopped: bool = False
    """Paused, halted or logging off: its processors do nothing."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Seconds of one processor since logon: in use, and waiting for a real processor."""

    used: float = 0.0
    waited: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.used + other.used, self.waited + other.waited)


@dataclass(frozen=True, slots=True)
class Meter:
    """The totals of a virtual machine: `banked` up to `since`, and from then on what follows from what it does."""

    started: float
    since: float
    doing: Doing
    banked: Totals = Totals()

    def at(self, time: float) -> Totals:
        """The totals at a time; before `since` they are what was banked."""
        doing = self.doing
        if time <= self.since or doing.stopped:
            return self.banked
        if doing.booting:
            return self.banked + _grown(BOOT_LEVEL, doing.cpus, time - self.since)
        profile = PROFILES[doing.profile]
        total = self.banked
        before, after = profile.spent(self.since - self.started), profile.spent(time - self.started)
        for phase, first, last in zip(profile.phases, before, after, strict=True):
            total += _grown(phase.level, doing.cpus, last - first)
        return total

    def phase(self, time: float) -> Phase:
        """The phase of its profile at a time."""
        return PROFILES[self.doing.profile].phase(max(0.0, time - self.started))

    def follow(self, time: float, doing: Doing) -> Meter:
        """Go on from a time with what it does now; what was used until then is kept."""
        if doing == self.doing:
            return self
        return replace(self, since=max(time, self.since), doing=doing, banked=self.at(time))


def _grown(level: float, cpus: int, seconds: float) -> Totals:
    used = min(level, 1.0) * cpus * seconds
    return Totals(used, used * _CONTENTION + max(0.0, level - 1.0) * cpus * seconds * _OVERLOAD)
