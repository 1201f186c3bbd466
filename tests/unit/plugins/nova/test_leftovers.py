"""What failed builds left is removed once the platform allows, and nothing else is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.powervm_host import until

from bigiron import errors
from bigiron.plugins.nova.leftovers import Leftovers


class Platform:
    """Refuses to remove until it is reachable; notes what it removed."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.removed: list[str] = []
        self.half_made: set[str] = set()
        self.changed = threading.Condition()

    def destroy(self, uuid: str) -> None:
        with self.changed:
            if self.failures:
                raise self.failures.pop(0)
            self.removed.append(uuid)
            self.changed.notify_all()

    def is_half_made(self, uuid: str) -> bool:
        return uuid in self.half_made

    def wait_for(self, *uuids: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.removed == list(uuids), timeout=60), self.removed


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def leftovers(platform: Platform) -> Iterator[Leftovers]:
    made = Leftovers(platform, first_pause_s=0.02)  # type: ignore[arg-type]
    made.start()
    yield made
    made.stop()


def fail_build(leftovers: Leftovers, uuid: str) -> None:
    with pytest.raises(errors.Unavailable), leftovers.building(uuid):
        raise errors.Unavailable("down")


def test_it_is_tried_until_it_works(platform: Platform, leftovers: Leftovers) -> None:
    platform.failures = [errors.Unavailable("down"), RuntimeError("broken"), errors.Busy("busy")]
    fail_build(leftovers, "one")
    leftovers.not_removed("one")
    platform.wait_for("one")


def test_a_server_whose_build_was_good_is_never_removed(platform: Platform, leftovers: Leftovers) -> None:
    with leftovers.building("good"):
        pass
    leftovers.not_removed("good")
    fail_build(leftovers, "bad")
    leftovers.not_removed("bad")
    platform.wait_for("bad")


def test_what_a_build_could_not_undo_is_removed_though_nova_does_not_ask(
    platform: Platform, leftovers: Leftovers
) -> None:
    platform.half_made.add("unshelved")
    fail_build(leftovers, "undone")
    fail_build(leftovers, "unshelved")
    platform.wait_for("unshelved")


def test_a_build_waits_for_a_removal_that_is_under_way(platform: Platform, leftovers: Leftovers) -> None:
    fail_build(leftovers, "again")
    with platform.changed:
        leftovers.not_removed("again")
        until(lambda: leftovers._removing == "again")
        rebuilt = threading.Thread(target=build, args=(leftovers, "again"))
        rebuilt.start()
        rebuilt.join(0.2)
        assert rebuilt.is_alive()
    rebuilt.join(60)
    assert platform.removed == ["again"]


def build(leftovers: Leftovers, uuid: str) -> None:
    with leftovers.building(uuid):
        pass


def test_what_is_gone_already_is_left_alone(platform: Platform, leftovers: Leftovers) -> None:
    fail_build(leftovers, "gone")
    leftovers.removed("gone")
    leftovers.not_removed("gone")
    fail_build(leftovers, "bad")
    leftovers.not_removed("bad")
    platform.wait_for("bad")


def test_what_is_built_anew_in_the_meantime_is_left_alone(platform: Platform) -> None:
    leftovers = Leftovers(platform, first_pause_s=0.02)  # type: ignore[arg-type]
    for uuid in ("again", "bad"):
        fail_build(leftovers, uuid)
        leftovers.not_removed(uuid)
    with leftovers.building("again"):
        assert leftovers._remove("again")
    assert leftovers._remove("bad")
    assert platform.removed == ["bad"]


class Contended(threading.Condition):
    """Its lock is taken by somebody else as soon as it is free and no removal is under way, once."""

    def __init__(self, leftovers: Leftovers, other: Callable[[], object]) -> None:
        super().__init__()
        self._leftovers = leftovers
        self._other: Callable[[], object] | None = other

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if not self._leftovers._removing and self._other is not None:
            other, self._other = self._other, None
            other()


def test_a_build_that_has_begun_is_not_taken_for_what_the_last_one_left(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers = Leftovers(platform)  # type: ignore[arg-type]
    fail_build(leftovers, "again")
    leftovers.not_removed("again")
    monkeypatch.setattr(leftovers, "_changed", Contended(leftovers, lambda: leftovers._remove("again")))
    build(leftovers, "again")
    assert platform.removed == []


def test_what_a_new_build_leaves_as_a_removal_ends_is_removed_too(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers = Leftovers(platform)  # type: ignore[arg-type]
    fail_build(leftovers, "again")
    leftovers.not_removed("again")
    platform.half_made.add("again")
    monkeypatch.setattr(leftovers, "_changed", Contended(leftovers, lambda: fail_build(leftovers, "again")))
    assert leftovers._remove("again")
    assert leftovers._remove("again")
    assert platform.removed == ["again", "again"]
