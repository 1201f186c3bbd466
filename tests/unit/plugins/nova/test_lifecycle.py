"""Events for Nova: confirmed with the platform, once each, and none for what Nova itself does."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest
from nova.virt import event as virtevent
from tests.support.memory import MemoryHypervisor
from tests.support.powervm_host import until

from bigiron import errors
from bigiron.model import GuestState, PowerState
from bigiron.plugins.nova.lifecycle import LifecycleReporter

UUID = "8bb3e8a4-7a5b-4a0e-a8d3-0f0a5f3a1c11"


class World:
    """A host with one running guest, and what Nova is told of it."""

    def __init__(self) -> None:
        self.host = MemoryHypervisor()
        self.host.guests_by_uuid[UUID] = GuestState(UUID, "web", PowerState.RUNNING)
        self.told: queue.Queue[virtevent.LifecycleEvent] = queue.Queue()
        self.reporter = LifecycleReporter(self.host, self.told.put, confirm_after_s=0.05)
        self.reporter.start()

    def next(self) -> int:
        return int(self.told.get(timeout=60).get_transition())

    def settle(self) -> None:
        """Return once every event given so far is dealt with: a second guest's is confirmed after them."""
        self.host.guests_by_uuid["other"] = GuestState("other", "other", PowerState.STOPPED)
        self.host.set_power("other", PowerState.RUNNING)
        assert self.told.get(timeout=60).get_instance_uuid() == "other"
        self.reporter.forget("other")


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.reporter.stop()


def test_a_guest_that_stops_and_starts_by_itself_is_told_of(world: World) -> None:
    world.host.set_power(UUID, PowerState.STOPPED)
    assert world.next() == virtevent.EVENT_LIFECYCLE_STOPPED
    world.host.set_power(UUID, PowerState.RUNNING)
    assert world.next() == virtevent.EVENT_LIFECYCLE_STARTED


def test_the_platform_is_asked_again_before_nova_is_told(world: World) -> None:
    world.host.set_power(UUID, PowerState.STOPPED)
    world.next()
    assert ("guest", UUID, True) in world.host.calls


def test_a_guest_that_restarts_is_not_told_of_as_stopped(world: World) -> None:
    with world.reporter.operation(UUID, PowerState.RUNNING):
        pass
    world.host.set_power(UUID, PowerState.STOPPED)
    world.host.set_power(UUID, PowerState.RUNNING)
    world.settle()
    assert world.told.empty()


def test_what_nova_does_itself_is_not_told(world: World) -> None:
    with world.reporter.operation(UUID, PowerState.STOPPED):
        world.host.set_power(UUID, PowerState.STOPPED)
    world.settle()
    # The platform's event may also come after the operation's end.
    world.host.set_power(UUID, PowerState.STOPPED)
    world.settle()
    assert world.told.empty()


def test_after_an_operation_the_guests_own_changes_are_told_again(world: World) -> None:
    with world.reporter.operation(UUID, PowerState.RUNNING):
        world.host.set_power(UUID, PowerState.RUNNING)
    world.host.set_power(UUID, PowerState.STOPPED)
    assert world.next() == virtevent.EVENT_LIFECYCLE_STOPPED


def test_a_guest_that_is_gone_when_asked_is_passed_over(world: World) -> None:
    world.host.set_power(UUID, PowerState.STOPPED)
    del world.host.guests_by_uuid[UUID]
    world.settle()
    assert world.told.empty()


def test_a_platform_that_does_not_answer_is_asked_again(world: World) -> None:
    world.host.fail["guest"] = errors.Unavailable("no answer")
    world.host.set_power(UUID, PowerState.STOPPED)
    until(lambda: ("guest", UUID, True) in world.host.calls)
    del world.host.fail["guest"]
    assert world.next() == virtevent.EVENT_LIFECYCLE_STOPPED


def test_an_error_while_asking_does_not_end_the_reports(world: World) -> None:
    world.host.fail["guest"] = RuntimeError("the platform's answer cannot be read")
    world.host.set_power(UUID, PowerState.STOPPED)
    until(lambda: ("guest", UUID, True) in world.host.calls)
    del world.host.fail["guest"]
    world.settle()
    assert world.told.empty()
