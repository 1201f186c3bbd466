"""The disks of guests that are resized on a simulated host: made, grown, taken away, and all of it undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import steps
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec

from bigiron import naming
from bigiron.errors import InvalidSpec, NoCapacity, PlatformError
from bigiron.model import DiskRole, DiskSpec, GuestSpec
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action

VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"
ROOT = DiskSpec(DiskRole.ROOT, 2)
POWER_ON = "/rest/api/uom/LogicalPartition/{uuid}/do/PowerOn"


def ephemeral(gigabytes: float) -> DiskSpec:
    return DiskSpec(DiskRole.EPHEMERAL, gigabytes)


def swap(gigabytes: float) -> DiskSpec:
    return DiskSpec(DiskRole.SWAP, gigabytes)


@pytest.fixture(params=["ssp", "localdisk"])
def platform(host: Host, request: pytest.FixtureRequest) -> Iterator[PowerVM]:
    more = {"volume_group_name": "datavg"} if request.param == "localdisk" else {}
    with host.platform(disk_driver=request.param, **more) as platform:
        yield platform


def spawn(platform: PowerVM, folder: Path, *empty: DiskSpec) -> GuestSpec:
    """A running guest with a root disk of 2 GB and these disks after it."""
    spec = guest_spec(disks=(DiskSpec(DiskRole.ROOT, 2, BytesImage(b"bootable" * 1000)), *empty))
    platform.check(spec)
    steps.run(steps.around(platform.spawn_steps(spec), spec, folder))
    return spec


def resize(platform: PowerVM, spec: GuestSpec, *disks: DiskSpec) -> None:
    shape = GuestSpec(uuid=spec.uuid, name=spec.name, memory_mb=spec.memory_mb, vcpus=spec.vcpus, disks=disks)
    steps.run(platform.resize_steps(shape))


def disks(host: Host, spec: GuestSpec) -> list[tuple[str, float]]:
    """(first letter of the name, GB) of what the first VIOS that presents disks presents, in its order."""
    stored: dict[str, tuple[str, float]] = {
        unit.udid: (unit.name, unit.capacity) for unit in host.units.values() if not unit.is_image
    }
    for vios in host.world.vioses:
        stored |= {disk.udid: (disk.name, disk.capacity) for group in vios.groups for disk in group.disks}
    uuid = naming.lpar_uuid(spec.uuid)
    for vios in host.world.vioses:
        found = [stored[key] for kind, key in host.mapped(vios.name, uuid) if kind in ("LogicalUnit", "VirtualDisk")]
        if found:
            return [(name[0], size) for name, size in found]
    return []


def lpar(host: Host, spec: GuestSpec) -> Any:
    return host.lpar(naming.lpar_uuid(spec.uuid))


def test_root_first_then_ephemeral_disks_then_swap(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path, ephemeral(2), ephemeral(1), swap(0.25))
    sizes = [2, 2, 1, 0.25]
    assert [size for _letter, size in disks(host, spec)] == sizes
    assert [letter for letter, _size in disks(host, spec)] in (["b", "e", "e", "s"], ["b", "e", "f", "s"])
    platform.destroy(spec.uuid)
    assert not host.audit()


def test_disks_that_grow_do_not_stop_the_guest(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path, ephemeral(1), swap(0.5))
    started = lpar(host, spec).started
    resize(platform, spec, DiskSpec(DiskRole.ROOT, 3), ephemeral(2), swap(1))
    assert disks(host, spec) == [("b", 3), ("e", 2), ("s", 1)]
    assert lpar(host, spec).started == started
    resize(platform, spec, ROOT, ephemeral(1), swap(0.5))
    assert disks(host, spec) == [("b", 3), ("e", 2), ("s", 1)]
    platform.destroy(spec.uuid)
    assert not host.audit()


def test_disks_come_and_go_while_the_guest_is_stopped(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path)
    started = lpar(host, spec).started
    resize(platform, spec, ROOT, ephemeral(1), swap(0.5))
    assert disks(host, spec) == [("b", 2), ("e", 1), ("s", 0.5)]
    assert lpar(host, spec).started > started
    resize(platform, spec, ephemeral(1))
    assert disks(host, spec) == [("b", 2), ("e", 1)]
    assert lpar(host, spec).state == "running"
    resize(platform, spec)
    assert disks(host, spec) == [("b", 2)]
    assert not host.audit()
    platform.destroy(spec.uuid)
    assert not host.audit()


@pytest.mark.parametrize(("method", "path"), [("POST", VIOS), ("PUT", POWER_ON)])
@pytest.mark.parametrize("coming", [True, False])
def test_what_fails_is_undone_and_the_next_try_works(
    host: Host, platform: PowerVM, tmp_path: Path, method: str, path: str, coming: bool
) -> None:
    with_swap, without = (ROOT, ephemeral(1), swap(0.5)), (ROOT, ephemeral(1))
    before, after = (without, with_swap) if coming else (with_swap, without)
    spec = spawn(platform, tmp_path, *before[1:])
    was = disks(host, spec)
    host.fault(method, path, Action.ERROR)
    with pytest.raises(PlatformError):
        resize(platform, spec, *after)
    assert host.faults_fired()
    assert disks(host, spec) == was
    assert lpar(host, spec).state == "running"
    assert not host.audit()
    resize(platform, spec, *after)
    assert len(disks(host, spec)) == len(after)
    platform.destroy(spec.uuid)
    assert not host.audit()


def test_a_delete_that_is_answered_with_an_error_is_tried_again(
    host: Host, platform: PowerVM, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spec = spawn(platform, tmp_path, swap(0.5))
    shared = "ssp" in request.node.callspec.id
    method, path = (
        ("DELETE", "/rest/api/uom/Tier/{uuid}/LogicalUnit/{uuid}")
        if shared
        else ("POST", "/rest/api/uom/VirtualIOServer/{uuid}/VolumeGroup/{uuid}")
    )
    host.fault(method, path, Action.DROP_AFTER)
    resize(platform, spec, ROOT)
    assert host.faults_fired()
    assert disks(host, spec) == [("b", 2)]
    assert not host.audit()
    platform.destroy(spec.uuid)


@pytest.mark.parametrize(
    ("wanted", "error"), [((ephemeral(9000),), NoCapacity), ((DiskSpec(DiskRole.EPHEMERAL, 0),), InvalidSpec)]
)
def test_refused_before_anything_is_changed(
    host: Host, platform: PowerVM, tmp_path: Path, wanted: tuple[DiskSpec, ...], error: type
) -> None:
    spec = spawn(platform, tmp_path)

    def refused() -> None:
        with pytest.raises(error):
            resize(platform, spec, ROOT, *wanted)

    calls = host.calls(refused)
    assert not [call for call in calls if not call.startswith("GET")]
    platform.destroy(spec.uuid)


def test_a_guest_that_is_replaced_may_be_as_large_as_all_that_is_free(
    host: Host, platform: PowerVM, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    free = 90.0 if "ssp" in request.node.callspec.id else 20.0
    spec = spawn(platform, tmp_path, ephemeral(free))
    with pytest.raises(PlatformError):
        platform.check(spec)
    platform.check(spec, replacing=True)
    platform.destroy(spec.uuid)
    platform.check(spec, replacing=True)
