"""The flow adaptor: order, undoing, the error that comes out, the request context and what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from oslo_context import context as oslo_context

from bigiron import errors
from bigiron.hypervisor import Key, Step, Values
from bigiron.plugins.nova import flows

A: Key[int] = Key("a")
B: Key[int] = Key("b")


class Recorded(Step):
    """Writes what happens to it into a shared journal."""

    def __init__(
        self,
        name: str,
        journal: list[str],
        needs: tuple[Key[Any], ...] = (),
        provides: Key[Any] | None = None,
        result: Any = None,
        fails: Exception | None = None,
        revert_fails: Exception | None = None,
    ) -> None:
        self.name = name
        self.needs = needs
        self.provides = provides
        self.journal = journal
        self.result = result
        self.fails = fails
        self.revert_fails = revert_fails
        self.reverted_with: list[Any] = []

    def execute(self, values: Values) -> Any:
        self.journal.append(f"do {self.name}")
        if self.fails:
            raise self.fails
        return self.result

    def revert(self, values: Values) -> None:
        self.journal.append(f"undo {self.name}")
        self.reverted_with = [values[key] for key in self.needs]
        if self.revert_fails:
            raise self.revert_fails


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield pool


def test_needs_decide_the_order_and_values_arrive(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []
    seen: list[int] = []

    class Uses(Step):
        name = "uses"
        needs = (A,)

        def execute(self, values: Values) -> None:
            journal.append("do uses")
            seen.append(values[A])

    flows.run("op", [Uses(), Recorded("gives", journal, provides=A, result=7)], executor)
    assert journal == ["do gives", "do uses"]
    assert seen == [7]


def test_independent_steps_run_side_by_side(executor: ThreadPoolExecutor) -> None:
    barrier = threading.Barrier(3, timeout=10)

    class Meets(Step):
        def __init__(self, name: str) -> None:
            self.name = name

        def execute(self, values: Values) -> None:
            barrier.wait()

    flows.run("op", [Meets("one"), Meets("two"), Meets("three")], executor)
    assert not barrier.broken


def test_a_failure_undoes_all_in_reverse_and_comes_out_unwrapped(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []
    failure = errors.Busy("the VIOS is busy")
    first = Recorded("first", journal, provides=A, result=1)
    second = Recorded("second", journal, needs=(A,), provides=B, result=2)
    third = Recorded("third", journal, needs=(B,), fails=failure)
    with pytest.raises(errors.Busy) as caught:
        flows.run("op", [third, second, first], executor)
    assert caught.value is failure
    assert journal == ["do first", "do second", "do third", "undo third", "undo second", "undo first"]
    assert third.reverted_with == [2]
    assert second.reverted_with == [1]


def test_an_error_while_undoing_neither_stops_the_undoing_nor_hides_the_first(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []
    steps = [
        Recorded("first", journal, provides=A),
        Recorded("second", journal, needs=(A,), provides=B, revert_fails=RuntimeError("undo broke")),
        Recorded("third", journal, needs=(B,), fails=errors.NoCapacity("full")),
    ]
    with pytest.raises(errors.NoCapacity, match="full"):
        flows.run("op", steps, executor)
    assert journal[-2:] == ["undo second", "undo first"]


def test_the_earliest_of_several_failures_comes_out() -> None:
    journal: list[str] = []
    failures = {name: errors.Busy(name) for name in ("one", "two")}
    steps = [Recorded(name, journal, fails=failure) for name, failure in failures.items()]
    # One thread: both steps are handed over at once and fail one after the other.
    with ThreadPoolExecutor(max_workers=1) as pool, pytest.raises(errors.Busy) as caught:
        flows.run("op", steps, pool)
    assert sorted(line for line in journal if line.startswith("do ")) == ["do one", "do two"]
    assert caught.value is failures[journal[0].removeprefix("do ")]


def test_steps_run_and_are_undone_under_the_callers_request(executor: ThreadPoolExecutor) -> None:
    seen: list[str] = []

    class Looks(Step):
        name = "looks"

        def execute(self, values: Values) -> None:
            seen.append(oslo_context.get_current().request_id)
            raise errors.Busy("no")

        def revert(self, values: Values) -> None:
            seen.append(oslo_context.get_current().request_id)

    ours = oslo_context.RequestContext(request_id="req-1", overwrite=True)
    with pytest.raises(errors.Busy):
        flows.run("op", [Looks()], executor)
    assert seen == [ours.request_id, ours.request_id]


def test_a_step_that_became_ready_as_another_failed_is_not_undone(executor: ThreadPoolExecutor) -> None:
    """The engine learns of both at once, which depends on threads: each of many runs must be in order."""

    class Together(Recorded):
        def execute(self, values: Values) -> Any:
            barrier.wait(10)
            return super().execute(values)

    for _ in range(100):
        barrier = threading.Barrier(2)
        journal: list[str] = []
        steps = [
            Together("first", journal, provides=A, result=1),
            Together("bad", journal, fails=errors.Busy("full")),
            Recorded("next", journal, needs=(A,)),
        ]
        with pytest.raises(errors.Busy):
            flows.run("spawn web", steps, executor)
        assert ("undo next" in journal) == ("do next" in journal), journal


def test_two_steps_may_not_provide_the_same_key(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []
    with pytest.raises(ValueError, match="more than one step provides a"):
        flows.run("op", [Recorded("one", journal, provides=A), Recorded("two", journal, provides=A)], executor)
    assert journal == []


def test_a_need_that_nobody_provides_is_named(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []
    with pytest.raises(ValueError, match="no step provides b, which step 'one' needs"):
        flows.run("op", [Recorded("one", journal, needs=(B,))], executor)
    assert journal == []


def test_more_operations_at_once_than_threads(executor: ThreadPoolExecutor) -> None:
    journal: list[str] = []

    def operation(number: int) -> None:
        steps = [
            Recorded(f"{number} first", journal, provides=A, result=1),
            Recorded(f"{number} second", journal, needs=(A,)),
        ]
        flows.run(f"op {number}", steps, executor)

    with ThreadPoolExecutor(max_workers=16) as callers:
        for future in [callers.submit(operation, number) for number in range(16)]:
            future.result(timeout=30)
    assert len(journal) == 32
