"""What a request costs in simulated time; a profile is chosen at start and can be changed while serving."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bigiron.sim.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one kind of request; `serial` kinds wait for each other on the same object."""

    seconds: float = 0.0
    per_item: float = 0.0
    serial: bool = False

    def of(self, items: float) -> float:
        """Return the seconds for an answer with this many items."""
        return self.seconds + self.per_item * items


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs by kind of request; kinds that it does not name cost nothing."""

    name: str
    costs: Mapping[str, Cost] = field(default_factory=dict)


class UnknownProfile(ValueError):
    """The profile's name, or a kind that it should override, is not known."""


class Latency:
    """The profile in force, and the sleeping that it asks for."""

    def __init__(self, clock: Clock, profiles: Mapping[str, Profile], name: str) -> None:
        self._clock = clock
        self._profiles = profiles
        self._lock = threading.Lock()
        self._serial: dict[str, threading.Lock] = {}
        self._subscribers: list[Callable[[], None]] = []
        self._profile = self._named(name)

    @property
    def profile(self) -> Profile:
        """The profile in force."""
        return self._profile

    def select(self, name: str, overrides: Mapping[str, float] | None = None) -> None:
        """Put another profile in force, some kinds changed to the given seconds."""
        profile = self._named(name)
        known = {kind for each in self._profiles.values() for kind in each.costs}
        if unknown := set(overrides or {}) - known:
            raise UnknownProfile(
                f"no such kind of request: {', '.join(sorted(unknown))}; use {', '.join(sorted(known))}"
            )
        costs = dict(profile.costs)
        for kind, seconds in (overrides or {}).items():
            costs[kind] = replace(costs.get(kind, Cost()), seconds=float(seconds))
        self._profile = replace(profile, costs=costs)
        for callback in self._subscribers:
            callback()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when another profile is in force."""
        self._subscribers.append(callback)

    def seconds(self, kind: str, items: float = 0) -> float:
        """Return what a request of this kind costs now."""
        return self._profile.costs.get(kind, Cost()).of(items)

    @contextlib.contextmanager
    def spend(self, kind: str, key: str = "", items: float = 0) -> Iterator[None]:
        """Sleep for the cost, then run the block; serial kinds hold the key's turn for both."""
        cost = self._profile.costs.get(kind, Cost())
        if not cost.serial:
            self._clock.sleep(cost.of(items))
            yield
            return
        with self._turn(key):
            self._clock.sleep(cost.of(items))
            yield

    def _turn(self, key: str) -> threading.Lock:
        with self._lock:
            return self._serial.setdefault(key, threading.Lock())

    def _named(self, name: str) -> Profile:
        try:
            return self._profiles[name]
        except KeyError:
            raise UnknownProfile(f"no latency profile {name!r}; use {', '.join(sorted(self._profiles))}") from None
