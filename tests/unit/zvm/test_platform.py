"""The verbs on a simulated z/VM through the real Cloud Connector 1.6.3, judged by what z/VM then has."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.images import BytesImage
from tests.support.zvm_host import CONTENT, World, disk_image

from bigiron import naming
from bigiron.errors import (
    AuthError,
    Conflict,
    Foreign,
    InvalidSpec,
    NoCapacity,
    NotFound,
    PlatformError,
    Unavailable,
    Unsupported,
)
from bigiron.model import DiskRole, DiskSpec, PowerState
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.zvm.ledger import LedgerEntry
from bigiron.zvm.platform import Zvm


def test_the_whole_life_of_a_guest(world: World, platform: Zvm) -> None:
    nics = (world.nic(1), world.nic(2))
    disks = (
        DiskSpec(DiskRole.ROOT, 1, world.image),
        DiskSpec(DiskRole.EPHEMERAL, 1),
        DiskSpec(DiskRole.SWAP, 0.5),
    )
    spec = world.spawn(platform, world.spec(nics=nics, disks=disks, config_drive=True, vcpus=2, memory_mb=2048))

    guest = world.wait_until_up(spec)
    assert guest["userid"].startswith("NV") and len(guest["userid"]) == 8
    assert (guest["state"], guest["memory_mb"], len(guest["cpus"])) == ("on", 2048, 2)
    assert [(disk["vdev"], disk["filesystem"]) for disk in guest["disks"]][1:] == [("0101", "ext3"), ("0102", "swap")]
    assert [nic["mac"] for nic in guest["nics"]] == ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    # The config drive came under the name that the guest's activation engine looks for.
    assert guest["config_drive"]["meta_data"]["uuid"] == spec.uuid
    assert guest["hostname"] == spec.name
    assert "/dev/disk/by-path/ccw-0.0.0101-part1 /mnt/ephemeral0101 ext3" in guest["files"]["/etc/fstab"]
    assert any("10.0.0.5" in text for text in guest["files"].values())
    assert guest["reader"] == []

    state = platform.guest(spec.uuid)
    assert (state.uuid, state.name, state.power) == (spec.uuid, spec.name, PowerState.RUNNING)
    assert [each.uuid for each in platform.guests()] == [spec.uuid]
    assert platform.is_made(spec.uuid) and not platform.is_half_made(spec.uuid)

    platform.power_off(spec.uuid)
    assert world.guest(spec)["state"] == "off"
    assert platform.guest(spec.uuid, fresh=True).power is PowerState.STOPPED
    platform.power_on(spec.uuid)
    platform.reboot(spec.uuid, hard=True)
    world.wait_until_up(spec)
    platform.pause(spec.uuid)
    assert world.guest(spec)["state"] == "paused"
    assert platform.guest(spec.uuid, fresh=True).power is PowerState.PAUSED
    platform.unpause(spec.uuid)
    assert world.guest(spec)["state"] == "on"

    text = platform.console_output(spec.uuid, 100_000).decode()
    assert "login:" in text
    # Nothing new was written since, and the connector fails for that.
    assert "login:" in platform.console_output(spec.uuid, 100_000).decode()

    platform.destroy(spec.uuid)
    with pytest.raises(NotFound):
        platform.guest(spec.uuid)
    platform.destroy(spec.uuid)


def test_what_a_spawn_asks_for(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(nics=(world.nic(),), config_drive=True))
    world.calls.clear()
    platform.destroy(spec.uuid)
    world.calls.clear()
    again = world.spawn(platform, world.spec(nics=(world.nic(),), config_drive=True))
    assert dict(world.kinds()) == {
        "POST /guests": 1,
        "PUT /files": 1,
        "POST /images": 1,
        "PUT /images/*": 2,
        "POST /guests/*/action": 2,
        "DELETE /images/*": 1,
        "POST /guests/*/interface": 1,
    }
    platform.destroy(again.uuid)


def _check_files_both_ways(world: World, platform: Zvm) -> None:
    """An image and a config drive to the connector's host, and a root disk back."""
    spec = world.spawn(platform, world.spec(config_drive=True))
    assert world.wait_until_up(spec)["config_drive"] is not None
    platform.power_off(spec.uuid)
    with platform.root_disk(spec.uuid) as disk:
        assert len(disk.stream.read()) == disk.size_bytes
    platform.destroy(spec.uuid)


def test_files_through_a_shared_directory(world: World) -> None:
    folder = world.folder / "shared"
    folder.mkdir(exist_ok=True)
    with world.started(shared_path=str(folder)) as platform:
        _check_files_both_ways(world, platform)
        world.calls.clear()
        again = world.spawn(platform, world.spec(config_drive=True))
        assert dict(world.kinds()) == {"POST /guests": 1, "POST /guests/*/action": 2}
        platform.destroy(again.uuid)
    assert list(folder.iterdir()) == []


def test_files_by_scp(world: World) -> None:
    with world.started(scp_host="nova@127.0.0.1") as platform:
        _check_files_both_ways(world, platform)
        world.calls.clear()
        world.simulator.journal.clear()
        again = world.spawn(platform, world.spec(config_drive=True))
        assert dict(world.kinds()) == {"POST /guests": 1, "POST /guests/*/action": 2}
        (copied,) = [one.query for one in world.simulator.journal.entries() if one.template == "scp"]
        assert "nova@127.0.0.1:" in copied and copied.endswith("/cfgdrive.iso")
        platform.destroy(again.uuid)
        assert list((platform.parts.options.state_path / "zvm-transfer").iterdir()) == []


def test_scp_that_does_not_work_is_told_at_the_start(world: World) -> None:
    world.simulator.faults.add(Fault("TOOL", "scp", Action.ERROR, message="Permission denied (publickey)"))
    with pytest.raises(InvalidSpec, match="scp_host = nova@127"), world.started(scp_host="nova@127.0.0.1"):
        pass


# Images


@pytest.mark.parametrize("running", [False, True])
def test_a_snapshot_is_binary_and_boots(world: World, platform: Zvm, running: bool) -> None:
    spec = world.spawn(platform, world.spec(power_on=running))
    if running:
        world.wait_until_up(spec)
    with platform.root_disk(spec.uuid) as disk:
        captured = disk.stream.read()
    assert len(captured) == disk.size_bytes
    assert captured.startswith(b"xCAT CKD Disk Image:")
    assert world.guest(spec)["state"] == ("on" if running else "off")
    platform.destroy(spec.uuid)

    image = BytesImage(captured, distro="rhel9.4")
    copy = world.spawn(platform, world.spec(disks=(DiskSpec(DiskRole.ROOT, 1, image),), power_on=False))
    with world.simulator.system.lock:
        kept = world.simulator.system.disk(world.userid(copy), "0100")
        path = world.simulator.system.disks.path(kept)
    with path.open("rb") as stream:
        assert stream.read(len(CONTENT)) == CONTENT
    platform.destroy(copy.uuid)
    assert platform.trim_images({world.image.id}, 0.0) == [image.id]


def test_a_snapshot_that_was_ended_is_cleared_at_the_next_start(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    name = f"bigiron-snap-{world.userid(spec).lower()}-0123456789ab"
    platform.parts.api.action(world.userid(spec), "capture", what="Capturing", image=name)
    assert name in world.images_left()
    with world.started():
        assert name not in world.images_left()
    platform.destroy(spec.uuid)


def test_an_image_that_was_removed_is_fetched_again(world: World, platform: Zvm) -> None:
    image = BytesImage(disk_image(), distro="rhel9.4")
    assert platform.cache_image(image)
    assert not platform.cache_image(image)
    platform.parts.api.delete_image(image.id)
    spec = world.spawn(platform, world.spec(disks=(DiskSpec(DiskRole.ROOT, 1, image),)))
    assert image.opened == 2
    platform.destroy(spec.uuid)
    # Unused since now, and not long enough.
    assert platform.trim_images((), 1000.0) == []
    assert platform.trim_images({world.image.id}, 0.0) == [image.id]


def test_an_image_of_another_name_is_anothers(world: World, platform: Zvm) -> None:
    name = "golden-rhel94-image-of-teamx00000000"
    assert (len(name), name.count("-")) == (36, 4), "as long as an id of Glance's"
    with platform.parts.transfer.placed(io.BytesIO(disk_image()), len(disk_image()), "Their image") as path:
        platform.parts.api.import_image(name, path, "rhel9.4", "Their image")
    assert platform.trim_images({world.image.id}, 0.0) == []
    assert name in world.images_left()
    platform.parts.api.delete_image(name)


def test_bad_images_leave_nothing(world: World, platform: Zvm) -> None:
    def refused(image: BytesImage, words: str, size_gb: float = 1) -> None:
        spec = world.spec(disks=(DiskSpec(DiskRole.ROOT, size_gb, image),))
        with pytest.raises(InvalidSpec, match=words):
            world.spawn(platform, spec)
        assert not platform.is_half_made(spec.uuid)

    refused(BytesImage(disk_image()), "os_distro")
    refused(BytesImage(disk_image(), distro="plan9"), "does not know")
    refused(BytesImage(b"\x7fELF" + bytes(4096), distro="rhel9.4"), "no z/VM disk image")
    large = BytesImage(disk_image(cylinders=5000), distro="rhel9.4")
    refused(large, "larger disk")
    assert platform.trim_images({world.image.id}, 0.0) == [large.id]


# Userids, marks, and what is not ours


def test_a_taken_userid_is_passed_over(world: World, platform: Zvm) -> None:
    spec = world.spec()
    first, second = list(naming.userids(spec.uuid, "NV"))[:2]
    other = platform.parts.api
    other.create(first, {"vcpus": 1, "memory": 512, "disk_list": []}, "Making another's guest")
    world.spawn(platform, spec)
    assert world.guest(spec)["userid"] == second
    platform.destroy(spec.uuid)
    assert first in world.guests()

    # Whatever the ledger says, what has no mark is not touched.
    record = LedgerEntry(spec.uuid, first, spec.name, making=False)
    platform.parts.ledger.put(record)
    platform.parts.guests.load()
    with pytest.raises(Foreign, match=first):
        platform.destroy(spec.uuid)
    platform.parts.guests.forget(spec.uuid)
    other.delete(first)


def test_a_lost_ledger_is_made_again_from_the_marks(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(vcpus=2))
    with world.started(state_path=world.folder / "elsewhere") as fresh:
        (found,) = fresh.guests()
        assert (found.uuid, found.memory_mb, found.vcpus) == (spec.uuid, 1024, 2)
        fresh.destroy(spec.uuid)
    platform.destroy(spec.uuid)


def test_a_half_made_guest_is_removed(world: World, platform: Zvm) -> None:
    spec = world.spec()
    step = next(step for step in platform.spawn_steps(spec) if step.name == "make directory entry")
    image = platform.parts.images.ensure(world.image)[0]
    from bigiron.hypervisor import Values

    step.execute(Values({"zvm image": image}))
    with world.started() as restarted:
        assert restarted.is_half_made(spec.uuid) and not restarted.is_made(spec.uuid)
        assert restarted.reconcile([spec.uuid]) == []
        assert restarted.reconcile([]) == [spec.uuid]
        assert not restarted.is_half_made(spec.uuid)


def test_a_guest_that_only_the_directory_knows_is_removed(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    # As after a crash of the connector between the directory and its own list.
    platform.parts.api.action(world.userid(spec), "deregister_vm", what="Forgetting it")
    platform.destroy(spec.uuid)


def test_adoption_of_an_in_tree_guest(world: World, platform: Zvm) -> None:
    api = platform.parts.api
    api.create(
        "INST0001", {"vcpus": 2, "memory": 512, "disk_list": [{"size": "1g", "is_boot_disk": True}]}, "Making it"
    )
    instance = "5d4b5c2e-1111-4222-8333-444455556666"
    assert platform.adopt([(instance, "inst0001"), (world.spec().uuid, "inst0002")]) == [instance]
    (state,) = platform.guests()
    assert (state.uuid, state.name, state.vcpus) == (instance, "inst0001", 2)
    platform.power_on(instance)
    platform.destroy(instance)


# Refusals and failures


def test_refusals_before_anything_is_changed(world: World, platform: Zvm) -> None:
    world.calls.clear()
    for fields, words in (
        ({"vcpus": 65}, "max_cpu"),
        ({"options": {"zvm:what": "1"}}, "zvm:what"),
    ):
        with pytest.raises(InvalidSpec, match=words):
            platform.check(world.spec(**fields))
    assert world.calls == []


def test_a_full_pool_says_so_and_leaves_nothing(world: World, platform: Zvm) -> None:
    spec = world.spec(disks=(DiskSpec(DiskRole.ROOT, 1, world.image), DiskSpec(DiskRole.EPHEMERAL, 500)))
    with pytest.raises(NoCapacity, match="501 GB"):
        world.spawn(platform, spec)
    assert not platform.is_half_made(spec.uuid)


def test_wrong_options_are_named_at_the_start(world: World) -> None:
    with (
        pytest.raises(InvalidSpec, match="connector_image_repository"),
        world.started(connector_image_repository="/nowhere"),
    ):
        pass
    with pytest.raises(InvalidSpec, match="shared_path"), world.started(shared_path="/nowhere"):
        pass


def test_a_wrong_token_and_a_connector_that_is_down(world: World, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("guessed")
    with pytest.raises(AuthError, match="token_path"), world.started(token_path=str(wrong)):
        pass
    with pytest.raises(AuthError, match="token_path"), world.started(token_path=None):
        pass
    processes = world.simulator._processes
    assert processes is not None
    processes.halt()
    try:
        with pytest.raises(Unavailable, match="cloud_connector_url"), world.started():
            pass
    finally:
        processes.resume()
    with world.started() as platform:
        assert platform.guests() == []


def test_a_lock_that_is_met_half_way_leaves_nothing_twice(world: World, platform: Zvm) -> None:
    """A create makes the entry and then its disks, adapters come one by one: the lock may be met by the second."""
    disks = (DiskSpec(DiskRole.ROOT, 1, world.image), DiskSpec(DiskRole.SWAP, 0.5))
    for function, times in (("Image_Disk_Create_DM", 1), ("Virtual_Network_Adapter_Create_Extended_DM", 6)):
        world.simulator.faults.add(Fault("SMAPI", function, Action.BUSY, nth=2, times=times))
        spec = world.spawn(platform, world.spec(disks=disks, nics=(world.nic(1), world.nic(2))))
        (planned,) = world.simulator.faults.faults()
        assert planned.fired == times, function
        world.simulator.faults.clear()
        guest = world.guest(spec)
        assert [disk["vdev"] for disk in guest["disks"]] == ["0100", "0101"], function
        assert [nic["mac"] for nic in guest["nics"]] == ["02:00:00:00:00:01", "02:00:00:00:00:02"], function
        platform.destroy(spec.uuid)


def test_many_at_once(world: World, platform: Zvm) -> None:
    specs = [world.spec(nics=(world.nic(number + 1),), config_drive=True) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda spec: world.spawn(platform, spec), specs))
    assert len({world.userid(spec) for spec in specs}) == 6
    for spec in specs:
        assert world.wait_until_up(spec)["config_drive"]["meta_data"]["uuid"] == spec.uuid
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda spec: platform.destroy(spec.uuid), specs))


def test_states_that_forbid(world: World, platform: Zvm) -> None:
    spec = world.spawn(platform, world.spec(power_on=False))
    with pytest.raises(Conflict, match="Start it"):
        platform.pause(spec.uuid)
    with pytest.raises(Conflict):
        platform.unpause(spec.uuid)
    with pytest.raises(Conflict, match="already"):
        platform.check(spec)
    platform.check(spec, replacing=True)
    with pytest.raises(Unsupported):
        platform.destroy(spec.uuid, keep_disks=True)
    with pytest.raises(Unsupported):
        platform.rescue_steps(spec)
    platform.destroy(spec.uuid)


def test_the_host(world: World, platform: Zvm) -> None:
    facts = platform.facts()
    assert (facts.hypervisor, facts.hostname, facts.architecture) == ("zvm", "ZVMSIM1", "s390x")
    assert facts.processors == 8 and facts.memory_mb == 262144 and facts.disk_gb > 70
    assert "IPL" in platform.uptime() or platform.uptime()
    with pytest.raises(PlatformError):
        platform.cpu_stats()
