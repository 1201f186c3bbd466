"""Fault plans, latency profiles, the journal's ring and the state on disk."""

from __future__ import annotations

import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import Action, BadFault, Fault, FaultPlan
from bigiron.sim.kernel.journal import Entry, Journal
from bigiron.sim.kernel.latency import Cost, Latency, Profile, UnknownProfile
from bigiron.sim.kernel.steps import take_all
from bigiron.sim.kernel.store import Store, write_private

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"


def fault(**values: Any) -> Fault:
    return Fault.from_json({"method": "GET", "path": LPAR, "action": "error"} | values)


def test_a_fault_strikes_the_nth_of_its_kind_only() -> None:
    plan = FaultPlan()
    plan.add(fault(nth=2, times=2))
    struck = [plan.strike("GET", "/x", LPAR) is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert plan.strike("POST", "/x", LPAR) is None
    [planned] = plan.faults()
    assert (planned.seen, planned.fired) == (5, 2)


def test_a_fault_counts_from_when_it_was_planned() -> None:
    plan = FaultPlan()
    plan.add(fault(nth=3))
    for _ in range(2):
        plan.strike("GET", "/x", LPAR)
    plan.add(fault(nth=2, action="busy"))
    first, second = (plan.strike("GET", "/x", LPAR) for _ in range(2))
    assert first is not None and first.action is Action.ERROR
    assert second is not None and second.action is Action.BUSY


def test_an_own_path_and_any_method_can_be_named() -> None:
    plan = FaultPlan()
    plan.add(fault(method="*", path="/rest/api/uom/LogicalPartition/1", times=0))
    assert plan.strike("DELETE", "/rest/api/uom/LogicalPartition/1", LPAR) is not None
    assert plan.strike("PUT", "/rest/api/uom/LogicalPartition/1", LPAR) is not None
    assert plan.strike("PUT", "/rest/api/uom/LogicalPartition/2", LPAR) is None
    plan.clear()
    assert plan.strike("PUT", "/rest/api/uom/LogicalPartition/1", LPAR) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"action": "explode"}, "drop_before"),
        ({"nht": 2}, "nth"),
        ({"nth": 0}, "from 1"),
        ({"status": 200}, "400 to 599"),
        ({"nth": "two"}, "numbers"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_what_would(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadFault, match=said):
        fault(**wrong)


PROFILES = {"none": Profile("none"), "slow": Profile("slow", {"feed": Cost(1, 0.5), "post": Cost(2, serial=True)})}


def test_a_profile_prices_kinds_and_items() -> None:
    latency = Latency(Clock(), PROFILES, "slow")
    assert latency.seconds("feed", 4) == 3.0
    assert latency.seconds("unknown") == 0.0
    latency.select("none", {"feed": 0.25})
    assert latency.seconds("feed", 4) == 0.25
    with pytest.raises(UnknownProfile, match="none, slow"):
        latency.select("fast")
    with pytest.raises(UnknownProfile, match="feed, post"):
        latency.select("none", {"fed": 1})


def test_serial_kinds_wait_for_each_other_on_the_same_key_only() -> None:
    clock = Clock(2)
    latency = Latency(clock, PROFILES, "slow")
    spans: list[tuple[str, float, float]] = []

    def spend(key: str) -> None:
        began = clock.now()
        with latency.spend("post", key):
            spans.append((key, began, clock.now()))

    threads = [threading.Thread(target=spend, args=(key,)) for key in ("a", "a", "b")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(key for key, *_times in spans) == ["a", "a", "b"]
    (_, began, first), (_, _, second) = sorted((span for span in spans if span[0] == "a"), key=lambda span: span[2])
    assert first - began >= 2 and second - first >= 2, spans
    (other,) = (end for key, _began, end in spans if key == "b")
    assert other < second, spans


def entry(path: str) -> Entry:
    return Entry(0.0, "GET", path, path, "", 200, 0, 0, 0.0, 1, "u", "", False, "")


def test_the_journal_keeps_the_last_and_numbers_all() -> None:
    journal = Journal(limit=2)
    for path in "abc":
        journal.add(entry(path))
    assert [(e.number, e.path) for e in journal.entries()] == [(2, "b"), (3, "c")]
    journal.clear()
    journal.add(entry("d"))
    assert [e.number for e in journal.entries()] == [4]


def test_private_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_store_writes_changes_soon_and_the_last_at_its_end(tmp_path: Path) -> None:
    path, state = tmp_path / "state.json", {"n": 0}
    store = Store(path, lambda: dict(state))
    store.start()
    assert json.loads(path.read_text()) == {"n": 0}
    state["n"] = 1
    store.touch()
    deadline = time.monotonic() + 60
    while Store.load(path) != {"n": 1} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Store.load(path) == {"n": 1}
    state["n"] = 2
    store.stop()
    assert Store.load(path) == {"n": 2}


class Ended:
    """The lock of a store that somebody ends just as its thread takes the lock to write."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        if threading.current_thread() is self._store._thread:
            self._store._stopping.set()
            self._store._changed.set()

    def __exit__(self, *_exc: object) -> None: ...


def test_the_store_ends_though_it_is_about_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "state.json", dict)
    monkeypatch.setattr(store, "_writing", Ended(store))
    store.start()
    store.touch()
    store._thread.join(60)
    assert not store._thread.is_alive()


def test_every_step_of_an_end_is_taken_and_the_first_failure_wins(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    def failing(name: str) -> None:
        taken.append(name)
        raise ValueError(name)

    steps = (lambda: failing("one"), lambda: failing("two"), lambda: taken.append("three"))
    with pytest.raises(ValueError, match="one"):
        take_all(*steps)
    assert taken == ["one", "two", "three"]
    assert "ValueError: two" in caplog.text and "ValueError: one" not in caplog.text
    take_all(*steps, after=OSError("the start failed"))
    assert taken == ["one", "two", "three"] * 2 and "ValueError: one" in caplog.text


def test_the_store_tells_when_a_state_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    seen: list[object] = []
    store = Store(path, lambda: {"n": len(seen)}, lambda: seen.append(Store.load(path)))
    store.flush()
    store.stop()
    assert seen == [{"n": 0}, {"n": 1}]


def test_a_broken_state_file_is_named_with_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert Store.load(path) is None
    for wrong in ("{", "[]"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="--reset"):
            Store.load(path)
