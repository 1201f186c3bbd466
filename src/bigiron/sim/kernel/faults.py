"""Planned failures: the n-th request of a kind is refused, delayed or cut, so that a sweep is the same each time."""

from __future__ import annotations

import enum
import itertools
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

DEFAULT_MESSAGE = "Injected failure."


class Action(enum.StrEnum):
    """What happens to the request that a fault strikes."""

    ERROR = "error"
    """Refused with `status` and `message`, without effect."""
    DROP_BEFORE = "drop_before"
    """The connection ends and the request has no effect."""
    DROP_AFTER = "drop_after"
    """The request takes effect, then the connection ends without an answer."""
    HANG = "hang"
    """The request waits `seconds`, then goes on as usual."""
    STALE = "stale"
    """412, as if the object had changed since the client read it."""
    BUSY = "busy"
    """503, as a VIOS that is busy with something else."""
    LATE = "late"
    """Answered as if nobody were there, and takes effect `seconds` later; only of what a simulator says it can."""


class BadFault(ValueError):
    """A fault that cannot be planned as written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned failure; `nth` counts the matching requests since it was planned, `times` how many it strikes."""

    method: str
    path: str
    action: Action
    nth: int = 1
    times: int = 1
    status: int = 500
    message: str = DEFAULT_MESSAGE
    reason: str = ""
    seconds: float = 0.0
    id: int = 0
    seen: int = 0
    fired: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Read a fault as the control address receives it."""
        known = {"method", "path", "action", "nth", "times", "status", "message", "reason", "seconds"}
        if unknown := set(data) - known:
            raise BadFault(f"fault has unknown keys {sorted(unknown)}; use {sorted(known)}")
        if missing := {"method", "path", "action"} - set(data):
            raise BadFault(f"fault lacks {sorted(missing)}")
        if data["action"] not in set(Action):
            raise BadFault(f"no such fault action: {data['action']!r}; use {', '.join(Action)}")
        try:
            fault = cls(
                method=str(data["method"]).upper(), path=str(data["path"]), action=Action(data["action"]),
                nth=int(data.get("nth", 1)), times=int(data.get("times", 1)), status=int(data.get("status", 500)),
                message=str(data.get("message", DEFAULT_MESSAGE)), reason=str(data.get("reason", "")),
                seconds=float(data.get("seconds", 0.0)),
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise BadFault(f"fault on {data['path']}: {error}; nth, times, status and seconds are numbers") from error
        if fault.nth < 1 or fault.times < 0 or not 400 <= fault.status <= 599:
            raise BadFault(f"fault on {fault.path}: nth from 1, times from 0 (0: every one), status 400 to 599")
        return fault

    def to_json(self) -> dict[str, Any]:
        """Return the fault with its counts as the control address shows it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def matches(self, method: str, path: str, template: str) -> bool:
        """Tell whether a request is of this fault's kind; the path may be given as it is or as a template."""
        return self.method in (method, "*") and self.path in (template, path)

    def strikes(self) -> bool:
        """Tell whether the request that was just counted is one to fail."""
        return self.seen >= self.nth and (self.times == 0 or self.seen < self.nth + self.times)


class FaultPlan:
    """The faults that are set, with their counts; requests of the methods `late` can take effect late."""

    def __init__(self, late: Collection[str] = ()) -> None:
        self._late = frozenset(late)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        """Plan a fault; its count begins now. Raises BadFault."""
        (planned,) = self.add_all([fault])
        return planned

    def add_all(self, faults: Sequence[Fault]) -> Sequence[Fault]:
        """Plan them all or, where one cannot be planned, none. Raises BadFault."""
        for fault in faults:
            if fault.action is Action.LATE and fault.method not in self._late:
                able = ", ".join(sorted(self._late)) or "none here"
                raise BadFault(f"fault on {fault.path}: late is for requests of the method {able}")
        with self._lock:
            planned = [replace(fault, id=next(self._ids), seen=0, fired=0) for fault in faults]
            self._faults += planned
            return planned

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def faults(self) -> list[Fault]:
        """Return the plan with its counts."""
        with self._lock:
            return list(self._faults)

    def strike(self, method: str, path: str, template: str) -> Fault | None:
        """Count a request and return the first fault that strikes it, if any."""
        struck: Fault | None = None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if not fault.matches(method, path, template):
                    continue
                fault = replace(fault, seen=fault.seen + 1)
                if struck is None and fault.strikes():
                    struck = fault = replace(fault, fired=fault.fired + 1)
                self._faults[index] = fault
        return struck
