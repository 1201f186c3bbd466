"""The storage of whole guests on a simulated host: made by the steps, undone by their reverts, removed in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import steps as runner
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec, until

from bigiron import naming
from bigiron.errors import PlatformError, Unavailable
from bigiron.model import DiskRole, DiskSpec
from bigiron.powervm.mapping import AddMappings, Backing, BackingKind
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action

DATA = b"ppc64le boot image" * 4000
VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"
UNITS = "/rest/api/uom/Tier/{uuid}/LogicalUnit"
GROUP = VIOS + "/VolumeGroup/{uuid}"


def test_all_storage_of_a_guest_is_mapped_with_one_write_per_vios(
    host: Host, platform: PowerVM, tmp_path: Path
) -> None:
    image = BytesImage(DATA)
    platform._started.disks.ensure_image(image)
    platform._started.media._repositories()
    guest = guest_spec(image, disks=(DiskSpec(DiskRole.ROOT, 2, image), DiskSpec(DiskRole.SWAP, 1)), power_on=False)
    steps = runner.around(platform.spawn_steps(guest), guest, tmp_path)
    calls = host.calls(lambda: runner.run(steps))
    assert calls[f"POST {VIOS}"] == 2
    assert calls[f"PUT {UNITS}"] == 2
    assert not [call for call in calls if call.startswith("GET")]
    lpar = naming.lpar_uuid(guest.uuid)
    assert sorted(kind for kind, _ in host.mapped("vios1", lpar)) == [
        "LogicalUnit", "LogicalUnit", "VirtualOpticalMedia"
    ]  # fmt: skip
    assert [kind for kind, _ in host.mapped("vios2", lpar)] == ["LogicalUnit", "LogicalUnit"]
    calls = host.calls(lambda: platform.destroy(guest.uuid))
    assert calls[f"POST {VIOS}"] == 2
    assert (calls[f"DELETE {UNITS}/{{uuid}}"], calls[f"GET {UNITS}"]) == (2, 0)
    assert (calls[f"GET {GROUP}"], calls[f"POST {GROUP}"]) == (1, 1)
    assert host.lpar(lpar) is None
    assert host.mapped("vios1", lpar) == host.mapped("vios2", lpar) == host.media("vios1") == []
    assert list(host.units) == [naming.image_unit(image.name, image.id)]


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_mapping_that_fails_leaves_nothing_behind(
    host: Host, platform: PowerVM, tmp_path: Path, nth: int, action: Action
) -> None:
    guest = guest_spec(power_on=False)
    host.fault("POST", VIOS, action, nth=nth)
    with pytest.raises(PlatformError):
        runner.run(runner.around(platform.spawn_steps(guest), guest, tmp_path))
    assert host.faults_fired()
    lpar = naming.lpar_uuid(guest.uuid)
    assert host.mapped("vios1", lpar) == host.mapped("vios2", lpar) == []
    assert not host.units
    assert host.media("vios1") == []
    assert host.lpar(lpar) is None
    assert host.audit() == []


def test_a_storage_of_an_interrupted_spawn_is_found_by_name(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    guest = guest_spec(power_on=False)
    for step in platform.spawn_steps(guest):
        if step.name.startswith("create disk"):
            step.execute(None)  # type: ignore[arg-type]
    iso = tmp_path / "drive.iso"
    iso.write_bytes(b"CD001" * 100)
    platform._started.media.upload(naming.config_drive(guest.uuid), iso)
    assert host.units
    platform.destroy(guest.uuid)
    assert not host.units
    assert host.media("vios1") == []


def test_a_guest_that_keeps_its_disks_loses_mappings_and_config_drive(
    host: Host, platform: PowerVM, tmp_path: Path
) -> None:
    guest = guest_spec(power_on=False)
    runner.run(runner.around(platform.spawn_steps(guest), guest, tmp_path))
    platform.destroy(guest.uuid, keep_disks=True)
    assert list(host.units) == [naming.logical_unit("boot", guest.name, guest.uuid)]
    assert host.mapped("vios1", naming.lpar_uuid(guest.uuid)) == host.media("vios1") == []


def test_other_guests_keep_what_is_theirs(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    kept, gone = guest_spec(power_on=False), guest_spec(power_on=False)
    for guest in (kept, gone):
        runner.run(runner.around(platform.spawn_steps(guest), guest, tmp_path))
    lpar = naming.lpar_uuid(kept.uuid)
    before = {vios: host.mapped(vios, lpar) for vios in ("vios1", "vios2")}
    platform.destroy(gone.uuid)
    assert {vios: host.mapped(vios, lpar) for vios in before} == before
    assert list(host.units) == [naming.logical_unit("boot", kept.name, kept.uuid)]
    assert host.media("vios1") == [naming.config_drive(kept.uuid)]


def test_one_bad_mapping_in_a_batch_fails_only_its_owner(host: Host, platform: PowerVM) -> None:
    parts = platform._started
    guests = [guest_spec() for _ in range(8)]
    lpars = [parts.guests.create(guest) for guest in guests]
    disks = [parts.disks.create(guest, 0) for guest in guests]
    (vios, *_) = disks[0].vios_uuids
    missing = Backing(BackingKind.LOGICAL_UNIT, "boot_gone", "27" + "0" * 64)
    host.fault("POST", VIOS, Action.HANG, seconds=0.3)
    writer = platform.connection.vioses._writer_of(vios)
    entries = [
        writer.enqueue(AddMappings(guest.uuid, lpar.uuid, (missing if index == 5 else disk.backing,)))
        for index, (guest, lpar, disk) in enumerate(zip(guests, lpars, disks, strict=True))
    ]
    outcomes = []
    for entry in entries:
        try:
            writer.wait(entry, 30)
        except PlatformError:
            outcomes.append(False)
        else:
            outcomes.append(True)
    assert outcomes == [index != 5 for index in range(8)]
    assert [len(host.mapped("vios1", lpar.uuid)) for lpar in lpars] == [int(good) for good in outcomes]
    for guest in guests:
        platform.destroy(guest.uuid)
    assert not host.units


def take_down(host: Host, *names: str) -> None:
    with host.world.lock:
        for name in names:
            vios = host.vios(name)
            vios.state, vios.rmc = "not activated", "inactive"
            host.world.changed(vios, "PartitionState")


def bring_up(host: Host, name: str) -> None:
    with host.world.lock:
        vios = host.vios(name)
        vios.state, vios.rmc = "running", "active"
        host.world.changed(vios, "PartitionState")


def test_with_one_vios_down_a_guest_gets_its_storage_through_the_other(host: Host, tmp_path: Path) -> None:
    take_down(host, "vios1")
    guest = guest_spec(power_on=False)
    lpar = naming.lpar_uuid(guest.uuid)
    with host.platform() as platform:
        runner.run(runner.around(platform.spawn_steps(guest), guest, tmp_path))
        assert sorted(kind for kind, _ in host.mapped("vios2", lpar)) == ["LogicalUnit", "VirtualOpticalMedia"]
        assert host.mapped("vios1", lpar) == []
        platform.destroy(guest.uuid)
    assert not host.units
    assert host.audit() == []


def test_a_guest_whose_vios_went_down_is_destroyed_once_that_is_back(host: Host, tmp_path: Path) -> None:
    guest = guest_spec(power_on=False)
    with host.platform() as platform:
        runner.run(runner.around(platform.spawn_steps(guest), guest, tmp_path))
        take_down(host, "vios2")
        until(lambda: len(platform.connection.vioses.active()) == 1)
        with pytest.raises(Unavailable, match="mapped by VIOS vios2, which is down"):
            platform.destroy(guest.uuid)
        bring_up(host, "vios2")
        until(lambda: len(platform.connection.vioses.active()) == 2)
        platform.destroy(guest.uuid)
    assert not host.units
    assert host.audit() == []


def test_with_every_vios_down_storage_is_refused_by_name(host: Host, platform: PowerVM) -> None:
    take_down(host, "vios1", "vios2")
    platform.connection.vioses.load()
    with pytest.raises(Unavailable, match="vios1, vios2"):
        platform._started.disks.create(guest_spec(), 0)
    assert not host.units
