"""Every request and every command of an operation fails in turn: afterwards z/VM is as before or the operation done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.zvm_faults import CHANGES, REST, Moment, failures, loses_upload, moments
from tests.support.zvm_host import World

from bigiron.errors import PlatformError
from bigiron.model import DiskRole, DiskSpec, GuestSpec
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm import guests, rest
from bigiron.zvm.platform import Zvm


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried at once, as nobody else is at work."""
    monkeypatch.setattr(rest, "_PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr(guests, "_GONE_S", 2.0)


def sweep(world: World, found: list[Moment], actions: tuple[Action, ...], attempt: Callable[[], None]) -> None:
    """Make the attempt once for each moment and action, and see that each fault was met."""
    for moment, action in failures(found, actions):
        world.simulator.faults.add(moment.fault(action))
        if loses_upload(moment, action):
            world.lost_uploads += 1
        attempt()
        (planned,) = world.simulator.faults.faults()
        world.simulator.faults.clear()
        assert planned.fired >= 1, moment.label(action)


def _spec(world: World) -> GuestSpec:
    disks = (DiskSpec(DiskRole.ROOT, 1, world.image), DiskSpec(DiskRole.SWAP, 0.5))
    return world.spec(disks=disks, nics=(world.nic(),), config_drive=True)


def _spawned(world: World, platform: Zvm) -> GuestSpec:
    spec = world.spawn(platform, _spec(world))
    world.wait_until_up(spec)
    return spec


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("methods", "actions"),
    [(REST, (Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER)), (CHANGES, (Action.ERROR, Action.DROP_AFTER))],
    ids=["requests", "commands"],
)
def test_spawn(world: World, platform: Zvm, methods: tuple[str, ...], actions: tuple[Action, ...]) -> None:
    platform.destroy(_spawned(world, platform).uuid)
    world.simulator.journal.clear()
    first = world.spawn(platform, _spec(world))
    found = moments(world, methods)
    platform.destroy(first.uuid)

    def attempt() -> None:
        spec = _spec(world)
        try:
            world.spawn(platform, spec)
        except PlatformError:
            assert not platform.is_half_made(spec.uuid) and not platform.is_made(spec.uuid)
        else:
            platform.destroy(spec.uuid)
        world.check_clean()

    sweep(world, found, actions, attempt)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("methods", [REST, CHANGES], ids=["requests", "commands"])
def test_destroy(world: World, platform: Zvm, methods: tuple[str, ...]) -> None:
    spec = _spawned(world, platform)
    world.simulator.journal.clear()
    platform.destroy(spec.uuid)
    found = moments(world, methods)
    made: list[GuestSpec] = []

    def attempt() -> None:
        # Made with the faults of the destroy in wait, which strike from the n-th of their kind on.
        faults = world.simulator.faults.faults()
        world.simulator.faults.clear()
        made.append(_spawned(world, platform))
        for fault in faults:
            world.simulator.faults.add(fault)
        try:
            platform.destroy(made[-1].uuid)
        except PlatformError:
            # The next try ends it.
            platform.destroy(made[-1].uuid)
        world.check_clean()

    sweep(world, found, (Action.ERROR, Action.DROP_AFTER), attempt)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("methods", [REST, CHANGES], ids=["requests", "commands"])
def test_snapshot(world: World, platform: Zvm, methods: tuple[str, ...]) -> None:
    spec = _spawned(world, platform)

    def snapshot() -> None:
        with platform.root_disk(spec.uuid) as disk:
            assert len(disk.stream.read()) == disk.size_bytes

    world.simulator.journal.clear()
    snapshot()
    # The connector leaves the file of a capture whose size it cannot read, and knows no image of that name to delete.
    found = [moment for moment in moments(world, methods) if moment.template != "hexdump"]

    def attempt() -> None:
        world.wait_until_up(spec)
        with contextlib.suppress(PlatformError):
            snapshot()
        assert world.guest(spec)["state"] == "on"

    sweep(world, found, (Action.ERROR, Action.DROP_AFTER), attempt)
    for name in world.images_left():
        if name.startswith("bigiron-snap-"):
            # Its deletion was what failed, which the log says.
            platform.parts.api.delete_image(name)
    platform.destroy(spec.uuid)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("methods", [REST, CHANGES], ids=["requests", "commands"])
def test_resize(world: World, platform: Zvm, methods: tuple[str, ...]) -> None:
    spec = _spawned(world, platform)
    larger = replace(spec, disks=spec.disks[1:], memory_mb=2048, vcpus=2)
    smaller = replace(spec, disks=spec.disks[1:])

    def back() -> None:
        world.run_plain(platform.resize_steps(smaller))
        world.wait_until_up(spec)

    world.simulator.journal.clear()
    world.run_plain(platform.resize_steps(larger))
    found = [moment for moment in moments(world, methods) if moment.method != "GET"]
    back()

    def attempt() -> None:
        try:
            world.run_plain(platform.resize_steps(larger))
            done = (2048, 2)
        except PlatformError:
            done = (1024, 1)
        except AssertionError:
            # An undoing met the same trouble; what is left is put right by the next resize.
            done = None
        entry = platform.parts.api.entry(world.userid(spec))
        assert done is None or (entry.memory_mb, entry.vcpus) == done
        back()

    sweep(world, found, (Action.ERROR, Action.DROP_AFTER), attempt)
    platform.destroy(spec.uuid)


def test_a_disk_that_the_connector_keeps_linked_is_named(world: World, platform: Zvm) -> None:
    spec = _spec(world)
    world.simulator.faults.add(Fault("TOOL", "offlinediskanddetach", Action.ERROR))
    with pytest.raises(AssertionError, match="vmcp query virtual dasd"):
        world.spawn(platform, spec)
    # Nothing is forgotten: what removes half-made guests tries again.
    assert platform.is_half_made(spec.uuid)
    with world.simulator.system.lock:
        world.simulator.system.state.links.clear()
    platform.destroy(spec.uuid)
    assert not platform.is_half_made(spec.uuid)
