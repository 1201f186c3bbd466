"""Rescue on a simulated host: what a start boots from, what is left at any moment, and what removes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import steps as runner
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec

from bigiron import naming
from bigiron.errors import InvalidSpec, NoCapacity, Unavailable
from bigiron.model import DiskRole, DiskSpec, GuestSpec, ImageSource
from bigiron.powervm.platform import PowerVM

VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"
IMAGE = BytesImage(b"rescue" * 4000, name="rescue")


@pytest.fixture
def guest(platform: PowerVM, tmp_path: Path) -> GuestSpec:
    """A running guest with a config drive."""
    image = BytesImage(b"boot" * 4000)
    spec = guest_spec(image, nics=())
    runner.run(runner.around(platform.spawn_steps(spec), spec, tmp_path))
    return spec


def rescue_spec(guest: GuestSpec, image: ImageSource | None = IMAGE) -> GuestSpec:
    disk = DiskSpec(DiskRole.RESCUE, 0, image)
    return GuestSpec(guest.uuid, guest.name, guest.memory_mb, guest.vcpus, disks=(disk,), config_drive=True)


def rescue(platform: PowerVM, guest: GuestSpec, folder: Path) -> None:
    spec = rescue_spec(guest)
    runner.run([*platform.rescue_steps(spec), runner.BuildDrive(folder, spec)])


def names(guest: GuestSpec) -> tuple[str, str]:
    """The names of the guest's own disk and its rescue disk."""
    return (
        naming.logical_unit("boot", guest.name, guest.uuid),
        naming.logical_unit("rescue", guest.name, guest.uuid),
    )


def paths(host: Host, guest: GuestSpec, unit: str) -> set[str]:
    """The paths by which the guest reaches the unit, by the simulator's own account."""
    uuid = naming.lpar_uuid(guest.uuid)
    return {
        f"/vdevice/v-scsi@{0x30000000 | server.client_slot:x}/disk@{target.lua[2:]}"
        for vios in host.world.vioses
        for server in vios.servers
        if (server.client or "").upper() == uuid
        for target in server.targets
        if target.key == host.units[unit].udid
    }


def test_each_start_is_told_every_path_of_its_disk(
    host: Host, platform: PowerVM, guest: GuestSpec, tmp_path: Path
) -> None:
    own, other = names(guest)
    lpar = host.lpar(naming.lpar_uuid(guest.uuid))
    assert lpar.boot_string == ""
    rescue(platform, guest, tmp_path)
    assert len(paths(host, guest, other)) == 2
    assert set(lpar.boot_string.split()) == paths(host, guest, other)
    assert platform.is_rescued(guest.uuid)
    calls = host.calls(lambda: runner.run(platform.unrescue_steps(guest.uuid)))
    assert calls[f"POST {VIOS}"] == 2
    assert set(lpar.boot_string.split()) == paths(host, guest, own)
    assert not platform.is_rescued(guest.uuid)
    assert other not in host.units
    assert host.media("vios1") == [naming.config_drive(guest.uuid)]


@pytest.mark.parametrize("done", [3, 4, 5])
def test_what_an_interrupted_rescue_left_goes_with_its_guest(
    host: Host, platform: PowerVM, guest: GuestSpec, tmp_path: Path, done: int
) -> None:
    spec = rescue_spec(guest)
    steps = list(platform.rescue_steps(spec))
    steps.insert(0, runner.BuildDrive(tmp_path, spec))
    runner.run(steps[: done + 1], parallel=1)
    assert names(guest)[1] in host.units
    platform.destroy(guest.uuid)
    assert set(host.units) & set(names(guest)) == set()
    assert host.media("vios1") == host.media("vios2") == []
    assert host.audit() == []


def test_an_interrupted_rescue_can_be_begun_again(
    host: Host, platform: PowerVM, guest: GuestSpec, tmp_path: Path
) -> None:
    spec = rescue_spec(guest)
    runner.run([runner.BuildDrive(tmp_path, spec), *list(platform.rescue_steps(spec))[:4]], parallel=1)
    (tmp_path / "again").mkdir()
    rescue(platform, guest, tmp_path / "again")
    assert platform.is_rescued(guest.uuid)
    runner.run(platform.unrescue_steps(guest.uuid))
    assert host.audit() == []


def test_what_cannot_be_is_refused_before_anything_is_changed(
    host: Host, platform: PowerVM, guest: GuestSpec, tmp_path: Path
) -> None:
    large = BytesImage(b"x", name="large", announced=500 << 30)
    for image, error, reason in ((None, InvalidSpec, "name one"), (large, NoCapacity, "rescue disk of 500 GB")):
        with pytest.raises(error, match=reason):
            platform.rescue_steps(rescue_spec(guest, image))
    rescue(platform, guest, tmp_path)
    with pytest.raises(InvalidSpec, match="unrescue it first"):
        platform.rescue_steps(rescue_spec(guest))
    vios = host.vios("vios2")
    with host.world.lock:
        vios.state = "not activated"
        host.world.changed(vios, "PartitionState")
    platform.connection.vioses._writers[vios.uuid.upper()].invalidate()
    with pytest.raises(Unavailable, match="mapped by VIOS vios2, which is down"):
        platform.unrescue_steps(guest.uuid)
    assert names(guest)[1] in host.units
