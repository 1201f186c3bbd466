"""Other shapes: live where a guest only grows, cold else, undone where a part fails; adapters come and go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.zvm_host import World

from bigiron.errors import InvalidSpec, PlatformError, Unsupported
from bigiron.model import DiskRole, DiskSpec, PowerState
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm.platform import Zvm


def _resize(world: World, platform: Zvm, spec, **fields):  # type: ignore[no-untyped-def]
    wanted = replace(spec, disks=spec.disks[1:], **fields)
    steps = platform.resize_steps(wanted)
    world.run_plain(steps)
    return [step.name for step in steps]


def test_growing_is_live(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec())
    world.wait_until_up(spec)
    names = _resize(world, platform, spec, memory_mb=2048, vcpus=3)
    assert names == ["change memory", "change processors"]
    guest = world.guest(spec)
    assert (guest["state"], guest["memory_mb"], len(guest["cpus"])) == ("on", 2048, 3)
    state = platform.guest(spec.uuid)
    assert (state.memory_mb, state.vcpus) == (2048, 3)

    # What was added goes again, with a stop.
    names = _resize(world, platform, spec)
    assert names == ["stop guest", "change memory", "change processors", "start guest"]
    guest = world.wait_until_up(spec)
    assert (guest["memory_mb"], len(guest["cpus"])) == (1024, 1)
    assert _resize(world, platform, spec) == []
    platform.destroy(spec.uuid)


def test_a_stopped_guest_stays_stopped(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    assert _resize(world, platform, spec, memory_mb=2048, power_on=False) == ["change memory"]
    guest = world.guest(spec)
    assert (guest["state"], guest["memory_mb"]) == ("off", 2048)
    platform.destroy(spec.uuid)


def test_a_guest_that_does_not_answer_is_stopped_for_it(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec())
    world.wait_until_up(spec)
    world.simulator.faults.add(Fault("IUCV", "lscpu", Action.DROP_BEFORE, times=0))
    assert "stop guest" in _resize(world, platform, spec, memory_mb=2048)
    world.simulator.faults.clear()
    assert world.guest(spec)["memory_mb"] == 2048
    platform.destroy(spec.uuid)


def test_disks_come_and_go(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec())
    extra = (DiskSpec(DiskRole.EPHEMERAL, 1, format="ext4"), DiskSpec(DiskRole.SWAP, 0.5))
    steps = platform.resize_steps(replace(spec, disks=extra))
    world.run_plain(steps)
    guest = world.wait_until_up(spec)
    assert [(disk["vdev"], disk["filesystem"]) for disk in guest["disks"]][1:] == [("0101", "ext4"), ("0102", "swap")]
    with pytest.raises(Unsupported, match="cannot grow"):
        platform.resize_steps(replace(spec, disks=(DiskSpec(DiskRole.EPHEMERAL, 2), extra[1])))
    with pytest.raises(Unsupported, match="cannot grow"):
        platform.resize_steps(replace(spec, disks=(DiskSpec(DiskRole.ROOT, 2), *extra)))
    world.run_plain(platform.resize_steps(replace(spec, disks=())))
    assert [disk["vdev"] for disk in world.guest(spec)["disks"]] == ["0100"]
    platform.destroy(spec.uuid)


def test_a_lock_that_the_second_disk_meets_leaves_no_third(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    world.simulator.faults.add(Fault("SMAPI", "Image_Disk_Create_DM", Action.BUSY, nth=2))
    extra = (DiskSpec(DiskRole.EPHEMERAL, 1), DiskSpec(DiskRole.SWAP, 0.5))
    world.run_plain(platform.resize_steps(replace(spec, disks=extra)))
    (planned,) = world.simulator.faults.faults()
    assert planned.fired == 1
    world.simulator.faults.clear()
    assert [disk["vdev"] for disk in world.guest(spec)["disks"]] == ["0100", "0101", "0102"]
    platform.destroy(spec.uuid)


def test_what_fails_is_undone(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec())
    world.wait_until_up(spec)
    before = world.guest(spec)
    extra = (DiskSpec(DiskRole.EPHEMERAL, 1),)
    for function in ("Image_Replace_DM", "Image_Definition_Update_DM", "Image_Disk_Create_DM", "Image_Activate"):
        world.simulator.faults.add(Fault("SMAPI", function, Action.ERROR, status=596, reason="596/3661"))
        steps = platform.resize_steps(replace(spec, disks=extra, memory_mb=2048, vcpus=2))
        with pytest.raises(PlatformError):
            world.run_plain(steps)
        (fault,) = world.simulator.faults.faults()
        assert fault.fired == 1, function
        world.simulator.faults.clear()
        after = world.wait_until_up(spec)
        for name in ("state", "memory_mb", "disks"):
            assert after[name] == before[name], (function, name)
        assert len(after["cpus"]) == len(before["cpus"]), function
    platform.destroy(spec.uuid)


def test_refusals_before_anything_is_changed(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(vcpus=2))
    world.calls.clear()
    with pytest.raises(InvalidSpec, match="65536 MB"):
        platform.resize_steps(replace(spec, disks=(), memory_mb=66000))
    if not platform.parts.api.takes_made_cpus:
        with pytest.raises(Unsupported, match="was made with 2 processors"):
            platform.resize_steps(replace(spec, disks=(), vcpus=1))
    assert all(call.method == "GET" for call in world.calls)
    platform.destroy(spec.uuid)


def _add_disk_by_hand(platform: Zvm, userid: str) -> str:
    """What an operator gives a guest beside us; returns its number."""
    (made,) = platform.parts.api.add_disks(userid, [{"size": "1g", "format": "ext3"}], "An operator's disk")
    return str(made["vdev"])


def test_a_disk_that_is_not_ours_outlives_a_resize_that_fails(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    foreign = _add_disk_by_hand(platform, world.userid(spec))
    before = world.guest(spec)["disks"]
    assert [disk["vdev"] for disk in before] == ["0100", foreign]
    world.simulator.faults.add(Fault("SMAPI", "Image_Activate", Action.ERROR, status=596, reason="596/3661"))
    extra = (DiskSpec(DiskRole.EPHEMERAL, 1), DiskSpec(DiskRole.SWAP, 0.5))
    with pytest.raises(PlatformError):
        world.run_plain(platform.resize_steps(replace(spec, disks=extra, power_on=True)))
    world.simulator.faults.clear()
    platform.power_off(spec.uuid)
    assert world.guest(spec)["disks"] == before
    platform.destroy(spec.uuid)


def test_a_swap_disk_whose_removal_is_not_answered_is_made_again(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(disks=(*world.spec().disks, DiskSpec(DiskRole.SWAP, 0.5)), power_on=False))
    world.simulator.faults.add(Fault("SMAPI", "Image_Disk_Delete_DM", Action.DROP_AFTER))
    with pytest.raises(PlatformError):
        world.run_plain(platform.resize_steps(replace(spec, disks=(), power_on=False)))
    (planned,) = world.simulator.faults.faults()
    assert planned.fired == 1
    world.simulator.faults.clear()
    disks = world.guest(spec)["disks"]
    assert [disk["filesystem"] for disk in disks][1:] == ["swap"]
    held = platform.parts.ledger.find(spec.uuid)
    assert held is not None
    assert [disk.vdev for disk in held.disks] == [disk["vdev"] for disk in disks]
    platform.destroy(spec.uuid)


def test_disks_that_were_only_found_are_never_deleted(world: World) -> None:
    with world.started() as platform:
        spec = world.spawn(
            platform, world.spec(disks=(*world.spec().disks, DiskSpec(DiskRole.SWAP, 0.5)), power_on=False)
        )
    for record in (world.options.state_path / "zvm-guests").glob("*.json"):
        record.unlink()
    with world.started() as platform:
        before = world.guest(spec)["disks"]
        extra = (DiskSpec(DiskRole.ROOT, 0), DiskSpec(DiskRole.EPHEMERAL, 1), DiskSpec(DiskRole.SWAP, 0.5))
        world.simulator.faults.add(Fault("SMAPI", "Image_Disk_Create_DM", Action.ERROR, status=596, reason="596/3661"))
        with pytest.raises(PlatformError):
            world.run_plain(platform.resize_steps(replace(spec, disks=extra, power_on=False)))
        world.simulator.faults.clear()
        assert world.guest(spec)["disks"] == before
        platform.destroy(spec.uuid)


def test_disks_of_an_adopted_guest_are_known_by_their_size_and_stay(world: World, platform: Zvm) -> None:
    disks = [{"size": "1g", "is_boot_disk": True}, {"size": "2g", "format": "ext3"}]
    platform.parts.api.create("INST0001", {"vcpus": 1, "memory": 1024, "disk_list": disks}, "Making it")
    spec = world.spec(power_on=False)
    platform.adopt([(spec.uuid, "inst0001")])
    same = (DiskSpec(DiskRole.ROOT, 1), DiskSpec(DiskRole.EPHEMERAL, 2))
    assert platform.resize_steps(replace(spec, disks=same)) == []
    with pytest.raises(Unsupported, match="disk 0101 of 2 GB that the flavor does not name"):
        platform.resize_steps(replace(spec, disks=same[:1]))
    platform.destroy(spec.uuid)


def test_memory_that_could_not_be_given_back_is_not_changed(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(memory_mb=10000, power_on=False))
    with pytest.raises(InvalidSpec, match="10000 MB"):
        platform.resize_steps(replace(spec, disks=(), memory_mb=12288, power_on=False))
    platform.destroy(spec.uuid)


# Network adapters


def test_adapters_come_and_go(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(nics=(world.nic(1),)))
    world.wait_until_up(spec)
    second = world.nic(2)
    platform.attach(spec.uuid, second)
    guest = world.guest(spec)
    assert [nic["vdev"] for nic in guest["nics"]] == ["1000", "1003"]
    platform.plug(spec.uuid, second)
    platform.detach(spec.uuid, second)
    platform.detach(spec.uuid, second)
    assert [nic["vdev"] for nic in world.guest(spec)["nics"]] == ["1000"]

    platform.power_off(spec.uuid)
    platform.plug(spec.uuid, second)
    assert len(world.guest(spec)["nics"]) == 2
    platform.unplug(spec.uuid, second)
    platform.unplug(spec.uuid, second)
    assert platform.guest(spec.uuid, fresh=True).power is PowerState.STOPPED
    report = platform.report(spec.uuid)
    assert (report.vcpus, report.operating_system, report.macs) == (1, "rhel9.4", ())
    platform.destroy(spec.uuid)


def test_a_start_asks_once_for_all_adapters(world: World) -> None:
    nics = world.nic(1), world.nic(2)
    with world.started() as platform:
        spec = world.spawn(platform, world.spec(nics=nics))
        assert not platform.was_plugged(spec.uuid, nics), "it was not there when they were read"
    world.calls.clear()
    with world.started() as platform:
        assert world.kinds()["GET /guests/nics"] == 1
        assert platform.was_plugged(spec.uuid, nics)
        assert not platform.was_plugged(spec.uuid, (*nics, world.nic(3)))
        assert world.kinds()["GET /guests/nics"] == 1
        platform.destroy(spec.uuid)


def test_an_adapter_that_the_guest_cannot_configure_goes_again(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec())
    world.wait_until_up(spec)
    for command in ("systemctl", "zvmguestconfigure"):
        world.simulator.faults.add(Fault("IUCV", command, Action.DROP_BEFORE, times=0))
    with pytest.raises(PlatformError):
        platform.attach(spec.uuid, world.nic(5))
    world.simulator.faults.clear()
    assert world.guest(spec)["nics"] == []
    platform.destroy(spec.uuid)
