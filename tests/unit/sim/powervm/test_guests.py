"""Scripted guests on a small world: boots, config drives, RMC, shutdowns, input and deleted partitions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.guest_world import (
    INSTANCE,
    KEY,
    LPAR_UUID,
    META_DATA,
    NETWORK_DATA,
    guest_world,
    power_off,
    power_on,
    write_config_drive,
)

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.configdrive import NoConfigDrive, fingerprint, read
from bigiron.sim.powervm.guests.bootlog import network_lines
from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.guests.fleet import Guests, NoPartition
from bigiron.sim.powervm.guests.hardware import Adapter, Hardware, Storage
from bigiron.sim.powervm.guests.scripted import Phase, ScriptedGuest
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RMC_INACTIVE
from bigiron.sim.powervm.model.world import World

BOOT_SECONDS = 10.0
DRIVE = {"meta_data.json": META_DATA, "network_data.json": NETWORK_DATA, "user_data": b"#cloud-config\n"}


@pytest.fixture
def clock() -> Clock:
    return Clock(scale=0)


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> World:
    world = guest_world(tmp_path / "media", clock, DRIVE)
    world.rmc_seconds = BOOT_SECONDS
    return world


@pytest.fixture
def guests(world: World) -> Iterator[Guests]:
    guests = Guests(world)
    yield guests
    guests.close()


def test_a_boot_goes_to_the_login_prompt_and_tells_the_drive(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    assert "SMS Menu" in guests.console("5").read().text
    assert "GRUB" not in guests.console("5").read().text
    clock.advance(BOOT_SECONDS / 2)
    text = guests.console("5").read().text
    assert "Boot device: /vdevice/v-scsi@30000004/disk@8100000000000000" in text
    assert "MAC fa:aa:bb:cc:dd:20" in text
    assert "login:" not in text
    clock.advance(BOOT_SECONDS / 2)
    text = guests.console("5").read().text
    assert f"instance-id: {INSTANCE}" in text
    assert "eth0: up, fa:aa:bb:cc:dd:20, 10.20.0.14/255.255.255.0, gateway 10.20.0.1" in text
    assert "dns: 10.20.0.2" in text
    assert f"authorized key: {fingerprint(KEY)}" in text
    assert "user-data: 14 bytes, #cloud-config" in text
    assert text.endswith("\nweb1 login: ")


def test_rmc_becomes_active_when_the_operating_system_is_up(guests: Guests, world: World, clock: Clock) -> None:
    lpar = power_on(world)
    clock.advance(BOOT_SECONDS - 1)
    world.settle()
    assert lpar.rmc == RMC_INACTIVE
    clock.advance(1)
    world.settle()
    assert lpar.rmc == RMC_ACTIVE
    assert guests.seat("5").guest.phase(clock.now()) is Phase.UP


def test_without_a_management_adapter_there_is_no_rmc(guests: Guests, world: World, clock: Clock) -> None:
    with world.lock:
        world.partition(LPAR_UUID).adapters.pop()
    lpar = power_on(world)
    clock.advance(BOOT_SECONDS * 2)
    world.settle()
    assert lpar.rmc == RMC_INACTIVE


def test_without_a_boot_disk_firmware_complains_and_rmc_stays_off(guests: Guests, world: World, clock: Clock) -> None:
    with world.lock:
        world.vioses[0].servers[0].targets.pop(0)
    lpar = power_on(world)
    clock.advance(BOOT_SECONDS * 2)
    world.settle()
    text = guests.console("5").read().text
    assert "AA060011" in text
    assert "login:" not in text
    assert lpar.rmc == RMC_INACTIVE
    assert guests.seat("5").guest.phase(clock.now()) is Phase.NO_BOOT_DEVICE


def test_the_drive_is_read_when_the_power_comes_on(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    guests.seat("5").guest._readers.submit(lambda: None).result(10)  # the reader has one thread: it is done before
    (world.media_dir / "medium").unlink()
    clock.advance(BOOT_SECONDS)
    assert guests.console("5").read().text.endswith("web1 login: ")


def test_a_vanished_or_damaged_medium_is_told(guests: Guests, world: World, clock: Clock) -> None:
    (world.media_dir / "medium").write_bytes(b"no ISO" * 1000)
    power_on(world)
    clock.advance(BOOT_SECONDS)
    text = guests.console("5").read().text
    assert "no config drive: medium" in text
    assert text.endswith("localhost login: ")


def test_malformed_documents_do_not_stop_the_guest(guests: Guests, world: World, clock: Clock) -> None:
    write_config_drive(world.media_dir / "medium", {"meta_data.json": META_DATA, "network_data.json": {"links": 5}})
    power_on(world)
    clock.advance(BOOT_SECONDS)
    assert "malformed" in guests.console("5").read().text


def test_an_orderly_shutdown_is_told_and_a_power_cut_is_not(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    clock.advance(BOOT_SECONDS)
    world.settle()
    power_off(world, "osshutdown")
    text = guests.console("5").read().text
    assert "request of the platform (RMC) to shut down web1" in text
    assert "--- power off" in text
    end = guests.console("5").end
    clock.advance(60)
    power_on(world)
    clock.advance(BOOT_SECONDS)
    power_off(world)
    later = guests.console("5").read(end).text
    assert "--- power on" in later
    assert "web1 login:" in later
    assert "shut down" not in later


def test_nothing_more_is_printed_after_the_power_went_in_a_boot(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    clock.advance(BOOT_SECONDS / 2)
    power_off(world)
    clock.advance(BOOT_SECONDS)
    assert "login:" not in guests.console("5").read().text
    assert guests.console("5").read().text.rstrip().endswith("UTC ---")


def test_a_login_is_refused_and_passwords_are_not_echoed(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    guests.type_text("5", "too early")
    clock.advance(BOOT_SECONDS)
    end = guests.console("5").end
    guests.type_text("5", "rooz\x7ft\rsecret\r")
    answer = guests.console("5").read(end).text
    assert answer == "rooz\b \bt\nPassword: \n\nLogin incorrect\nweb1 login: "
    assert "too early" not in guests.console("5").read().text


def test_partitions_that_run_already_are_up_and_cost_nothing_before(guests: Guests, world: World) -> None:
    assert guests._guests == {}
    assert guests.console("2").read().text.endswith("localhost login: ")
    assert guests.console("vios1").read().text.endswith("localhost login: ")
    assert len(guests._guests) == 2


def test_partitions_are_found_by_id_uuid_and_name(guests: Guests) -> None:
    found = {guests.seat(reference).lpar_id for reference in ("5", LPAR_UUID, LPAR_UUID.lower(), "web1-c5d2f1b4")}
    assert found == {5}
    with pytest.raises(NoPartition, match="nosuch"):
        guests.seat("nosuch")


def test_a_deleted_partition_takes_its_guest_along(guests: Guests, world: World) -> None:
    gone = []
    guests.on_gone(gone.append)
    lpar = power_on(world)
    with world.lock:
        world.forget(lpar)
        world.removed(lpar)
    assert gone == [LPAR_UUID]
    assert guests._guests == {}


def test_the_overview_shows_storage_networks_and_state(guests: Guests, world: World, clock: Clock) -> None:
    power_on(world)
    clock.advance(BOOT_SECONDS)
    entry = next(one for one in guests.overview() if one["id"] == 5)
    assert entry["state"] == "running"
    assert entry["hostname"] == "web1"
    assert [(a["mac"], a["vlan"], a["switch"]) for a in entry["adapters"]] == [
        ("fa:aa:bb:cc:dd:20", 100, "ETHERNET0"),
        ("fa:aa:bb:cc:dd:21", 4094, "MGMTSWITCH"),
    ]
    assert [(d["name"], d["vios"], d["gigabytes"]) for d in entry["disks"]] == [("boot_web1", "vios1", 1.0)]
    assert [(d["name"], d["kind"]) for d in entry["optical"]] == [("cfg.iso", "VirtualOpticalMedia")]


def test_a_replaced_state_switches_guests_that_run_no_more(guests: Guests, world: World, clock: Clock) -> None:
    before = world.to_state()
    power_on(world)
    clock.advance(BOOT_SECONDS)
    world.replace_state(before)
    assert "--- power off" in guests.console("5").read().text


def test_an_ibm_i_partition_shows_its_ipl() -> None:
    disk = Storage(slot=4, lua="0x8100000000000000", name="boot_ibmi", gigabytes=40.0)
    hardware = Hardware(
        lpar_id=7, uuid="u", name="ibmi", memory_mb=1024, processors=1, ibm_i=True, load_source=4, storage=(disk,)
    )
    with ThreadPoolExecutor(1) as readers:
        guest, lost = ScriptedGuest(Console(), readers), ScriptedGuest(Console(), readers)
        guest.power_on(hardware, 0.0, 5.0)
        assert guest.phase(5.0) is Phase.UP
        lost.power_on(replace(hardware, load_source=3), 0.0, 5.0)
        assert lost.phase(5.0) is Phase.NO_BOOT_DEVICE
    assert "Sign On" in guest.console.read().text
    assert "B2003110" in lost.console.read().text


def test_a_link_without_adapter_is_told() -> None:
    lines = network_lines(NETWORK_DATA, [Adapter("FA0000000001", 32, 1, "ETHERNET0")])
    assert lines[0] == "network network0: no device has MAC fa:aa:bb:cc:dd:20, not configured"


def test_a_medium_that_is_no_config_drive_is_refused(tmp_path: Path) -> None:
    write_config_drive(tmp_path / "iso", {"vendor_data.json": {}})
    with pytest.raises(NoConfigDrive, match=r"meta_data\.json"):
        read(tmp_path / "iso")


def test_an_empty_drive_is_told() -> None:
    hardware = Hardware(
        lpar_id=7,
        uuid="u",
        name="n",
        memory_mb=1024,
        processors=1,
        storage=(Storage(2, "0x81", "disk"), Storage(2, "0x82", "vtopt0", optical=True)),
    )
    with ThreadPoolExecutor(1) as readers:
        guest = ScriptedGuest(Console(), readers)
        guest.power_on(hardware, 0.0, 5.0)
        guest.advance(5.0)
    assert "the optical device vtopt0 is empty" in guest.console.read().text


def test_a_partition_started_to_its_firmware_waits_there(guests: Guests, world: World, clock: Clock) -> None:
    lpar = power_on(world, "sms")
    clock.advance(BOOT_SECONDS * 2)
    world.settle()
    text = guests.console("5").read().text
    assert "System Management Services" in text
    assert "login:" not in text
    assert lpar.rmc == RMC_INACTIVE


def test_a_boot_string_holds_for_one_start(guests: Guests, world: World, clock: Clock) -> None:
    with world.lock:
        server = world.vioses[0].servers[0]
        server.targets.append(replace(server.targets[0], name="vtscsi9", lua="0x8900000000000000"))
    path = "/vdevice/v-scsi@30000004/disk@8900000000000000"
    power_on(world, boot_string=f"/vdevice/v-scsi@30000005/disk@8100000000000000 {path}")
    assert booted(guests, clock) == path
    power_off(world)
    power_on(world)
    assert booted(guests, clock) == "/vdevice/v-scsi@30000004/disk@8100000000000000"


def test_a_boot_string_that_names_no_disk_boots_none(guests: Guests, world: World, clock: Clock) -> None:
    lpar = power_on(world, boot_string="/vdevice/v-scsi@30000004/disk@8900000000000000")
    clock.advance(BOOT_SECONDS * 2)
    world.settle()
    assert "1 disk(s), none at /vdevice/v-scsi@30000004/disk@8900000000000000" in guests.console("5").read().text
    assert lpar.rmc == RMC_INACTIVE


def booted(guests: Guests, clock: Clock) -> str:
    """The path of the disk that the last boot began from."""
    clock.advance(BOOT_SECONDS)
    (line,) = [line for line in guests.console("5").read().text.splitlines() if line.startswith("Boot device: ")][-1:]
    return line.removeprefix("Boot device: ")
