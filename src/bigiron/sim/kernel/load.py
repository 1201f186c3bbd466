"""What a simulated guest does: profiles of load as closed formulas of the time, so that nothing has to tick."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a profile: how much of the processors that it is entitled to a guest wants, and of its memory."""

    seconds: float
    level: float
    memory: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What a guest does: phases that follow each other from its start, again and again."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def period(self) -> float:
        """Seconds until the phases begin again."""
        return sum(phase.seconds for phase in self.phases)

    def phase(self, age: float) -> Phase:
        """The phase that a guest of this age is in."""
        left = age % self.period
        for phase in self.phases:
            if left < phase.seconds:
                return phase
            left -= phase.seconds
        return self.phases[-1]

    def spent(self, age: float) -> tuple[float, ...]:
        """How many seconds up to this age a guest was in each of the phases."""
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
