"""What fault sweeps share: the requests of a recorded run, and every way in which each of them can fail."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.functional.powervm import is_counted

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.kernel.journal import Entry, Journal

LAST_REQUESTS = 40


@dataclass(frozen=True, slots=True)
class Call:
    """A request by its kind and its place among those of its kind."""

    method: str
    template: str
    nth: int
    if_match: bool

    def faults(self) -> Iterator[Fault]:
        """Every way in which it can fail."""
        actions = [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER]
        if self.if_match:
            actions.append(Action.STALE)
        for action in actions:
            yield Fault(method=self.method, path=self.template, action=action, nth=self.nth)


def calls_of(entries: Iterable[Entry]) -> list[Call]:
    """The requests of a recorded run; none of them failed."""
    seen: Counter[tuple[str, str]] = Counter()
    calls = []
    for entry in entries:
        kind = (entry.method, entry.template)
        seen[kind] += 1
        calls.append(Call(entry.method, entry.template, seen[kind], entry.if_match))
    return calls


def made_by_all(runs: list[list[Call]]) -> list[Call]:
    """The requests that every recorded run makes, but for the first, which may read what is known from then on.

    How often a state is asked for, and how many changes of a document go into one write, is up to the clock.
    """
    return [call for call in runs[-1] if all(call in run for run in runs[1:])]


def label_of(fault: Fault) -> str:
    """The fault in words, for messages."""
    return f"{fault.action} at {fault.method} {fault.path} number {fault.nth}"


@contextlib.contextmanager
def explained(label: str, journal: Journal) -> Iterator[None]:
    """Adds the fault and the last requests to an assertion that fails inside."""
    try:
        yield
    except BaseException as error:
        lines = [
            f"{entry.method} {entry.path} -> {entry.status} {entry.fault}"
            for entry in journal.entries()
            if is_counted(entry)
        ]
        error.add_note(f"after {label}; the last requests:\n" + "\n".join(lines[-LAST_REQUESTS:]))
        raise
