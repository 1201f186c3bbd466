"""The loop of the z/VM agent: when it looks, and which news of Neutron's make it look at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bigiron.errors import Unavailable
from bigiron.plugins.neutron.ports import Place, Port
from bigiron.plugins.neutron.zvm_loop import IDLE, LookLoop

HOST = "zvm1"
PLUGGED = Port("port-1", "02:00:00:00:00:01", "VSW1", 7, enabled=True, active=True, guest="")


class Recorder:
    """Stands for the reconciler: remembers the passes, fails those it is told to."""

    devices = 1

    def __init__(self) -> None:
        self.passes: list[str] = []
        self.failures: list[Exception | bool] = []
        self.ports = {"port-1": PLUGGED}
        self.expected: dict[str, Place | None] = {}
        self.forgotten: list[str] = []
        self.awaits = False
        self.news = 0

    def look(self) -> bool:
        return self._pass("look")

    def heal(self) -> bool:
        return self._pass("heal")

    def plugged(self, port_id: str) -> Port | None:
        return self.ports.get(port_id)

    def expect(self, port_id: str, place: Place | None) -> None:
        self.expected[port_id] = place

    def forget(self, port_id: str) -> None:
        self.forgotten.append(port_id)

    def changed(self) -> None:
        self.news += 1

    def _pass(self, kind: str) -> bool:
        self.passes.append(kind)
        outcome = self.failures.pop(0) if self.failures else True
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.recorder = Recorder()
        self.loop = LookLoop(self.recorder, HOST, 1.0, 1000.0, 5.0, lambda: self.now)

    def passes(self) -> list[str]:
        """Those that are due now."""
        self.recorder.passes.clear()
        self.loop.step(0)
        return self.recorder.passes


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_looks_often_only_while_an_adapter_is_to_come(bench: Bench) -> None:
    bench.now = IDLE - 1
    assert bench.passes() == []
    bench.recorder.awaits = True
    assert bench.passes() == ["look"]
    bench.now += 0.9
    assert bench.passes() == []
    bench.now += 0.1
    assert bench.passes() == ["look"]
    bench.recorder.awaits = False
    bench.now += IDLE
    assert bench.passes() == ["look"]


def test_a_look_that_fails_is_made_good_by_comparing_everything_soon(bench: Bench) -> None:
    bench.now = IDLE
    bench.recorder.failures = [Unavailable("away")]
    assert bench.passes() == ["look"]
    bench.now += 5
    assert bench.passes() == ["heal"]
    bench.now += 5
    assert bench.passes() == []


def test_comparisons_that_fail_are_made_at_growing_intervals(bench: Bench) -> None:
    bench.loop.heal_soon("the test asks for it")
    bench.recorder.failures = [False, False]
    assert bench.passes() == ["heal"]
    bench.now += 5
    assert bench.passes() == ["heal"]
    bench.now += 9
    assert bench.passes() == []
    bench.now += 1
    assert bench.passes() == ["heal"]


@pytest.mark.parametrize(
    ("tell", "passes", "news"),
    [
        (lambda loop: loop.port_changed("port-1", HOST, "VSW1", 7, True, True), [], 0),
        (lambda loop: loop.port_changed("port-1", HOST, "VSW1", 8, True, True), ["look"], 1),
        (lambda loop: loop.port_changed("port-1", HOST, "VSW1", 7, False, True), ["look"], 1),
        (lambda loop: loop.port_changed("port-1", HOST, "VSW1", 7, True, False), ["look"], 1),
        (lambda loop: loop.port_changed("port-1", "zvm2", "VSW1", 7, True, True), ["look"], 1),
        (lambda loop: loop.port_changed("port-2", HOST, "VSW1", 7, True, False), ["look"], 0),
        (lambda loop: loop.port_changed("port-2", HOST, "VSW1", 7, False, False), [], 0),
        (lambda loop: loop.port_changed("port-2", "zvm2", "VSW1", 7, True, False), [], 0),
        (lambda loop: loop.port_gone("port-1"), ["look"], 1),
        (lambda loop: loop.port_gone("port-2"), [], 0),
        (lambda loop: loop.port_arrived("port-2"), ["heal"], 0),
        (lambda loop: loop.trunk_changed("port-1", frozenset()), [], 0),
        (lambda loop: loop.subport_changed("port-1", HOST, 7, True, True), [], 0),
        (lambda loop: loop.addresses_changed("port-1", "ALL"), [], 0),
    ],
)
def test_what_neutron_tells(bench: Bench, tell: Callable[[LookLoop], None], passes: list[str], news: int) -> None:
    tell(bench.loop)
    assert bench.passes() == passes
    assert bench.recorder.news == news


def test_a_port_that_left_is_forgotten_and_one_that_is_disabled_not_expected(bench: Bench) -> None:
    bench.loop.port_changed("port-1", "zvm2", "VSW1", 7, True, True)
    bench.loop.port_gone("port-3")
    assert bench.recorder.forgotten == ["port-1", "port-3"]
    bench.loop.port_changed("port-2", HOST, "VSW1", 7, True, False)
    assert bench.recorder.expected["port-2"] == Place("VSW1", 7)
    bench.loop.port_changed("port-2", HOST, "VSW1", 7, False, False)
    assert bench.recorder.expected["port-2"] is None
