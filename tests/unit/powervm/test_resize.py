"""Guests resized on a simulated host: what it costs, when they go on running, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import steps
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec, until, until_read_up

from bigiron import naming
from bigiron.errors import InvalidSpec, NoCapacity, PlatformError
from bigiron.model import DiskRole, DiskSpec, GuestSpec, PowerState
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
JOB = "/rest/api/uom/jobs/{id}"
ROOM = {
    "powervm:min_mem": "1024", "powervm:max_mem": "4096", "powervm:min_vcpu": "1", "powervm:max_vcpu": "4",
    "powervm:min_proc_units": "0.05", "powervm:max_proc_units": "2",
}  # fmt: skip


@pytest.fixture(params=["ssp", "localdisk"])
def platform(host: Host, request: pytest.FixtureRequest) -> Iterator[PowerVM]:
    more = {"volume_group_name": "datavg"} if request.param == "localdisk" else {}
    with host.platform(disk_driver=request.param, **more) as platform:
        yield platform


@pytest.fixture
def spec(platform: PowerVM, tmp_path: Path) -> GuestSpec:
    """A running guest of 2048 MB and one processor, with a root disk of 2 GB."""
    spec = guest_spec(BytesImage(b"a bootable system" * 1000), options=ROOM)
    platform.check(spec)
    steps.run(steps.around(platform.spawn_steps(spec), spec, tmp_path))
    return spec


def becoming(spec: GuestSpec, **fields: Any) -> GuestSpec:
    """The same guest with other figures."""
    plain = {
        "uuid": spec.uuid, "name": spec.name, "memory_mb": spec.memory_mb, "vcpus": spec.vcpus,
        "options": spec.options,
    }  # fmt: skip
    return GuestSpec(**{**plain, **fields})


def resize(platform: PowerVM, spec: GuestSpec) -> None:
    steps.run(platform.resize_steps(spec))


def lpar(host: Host, spec: GuestSpec) -> Any:
    return host.lpar(naming.lpar_uuid(spec.uuid))


def root_gb(host: Host, spec: GuestSpec) -> float:
    disks = [disk for vios in host.world.vioses for group in vios.groups for disk in group.disks if disk.base]
    clones = [unit for unit in host.units.values() if unit.cloned_from]
    (disk,) = disks + clones
    return float(disk.capacity)


def test_a_running_guest_is_stopped_where_its_limits_change(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    started = lpar(host, spec).started
    resize(platform, becoming(spec, memory_mb=4096, vcpus=2, options={}))
    after = lpar(host, spec)
    assert (after.memory.minimum, after.memory.desired, after.memory.maximum) == (4096, 4096, 4096)
    assert (after.processors.vcpus, after.processors.max_vcpus) == (2, 2)
    assert after.state == "running" and after.started > started
    assert after.description == naming.mark(spec.uuid)
    guest = platform.guest(spec.uuid)
    assert (guest.memory_mb, guest.vcpus, guest.power) == (4096, 2, PowerState.RUNNING)
    assert not host.audit()


def test_within_its_limits_a_running_guest_goes_on_running(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    until(lambda: lpar(host, spec).rmc == "active")
    started = lpar(host, spec).started
    bigger = becoming(spec, memory_mb=4096, vcpus=2, options=ROOM)
    calls = host.calls(lambda: resize(platform, bigger))
    after = lpar(host, spec)
    assert (after.memory.desired, after.processors.vcpus, after.started) == (4096, 2, started)
    assert {name: n for name, n in calls.items() if "quick" not in name} == {f"GET {LPAR}": 1, f"POST {LPAR}": 1}


def test_what_it_costs_to_stop_a_guest_for_it(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    bigger = becoming(spec, memory_mb=4096, options={})
    calls = host.calls(lambda: steps.run(platform.resize_steps(bigger, timeout_s=20)))
    assert {name: n for name, n in calls.items() if name != f"GET {JOB}" and "quick" not in name} == {
        f"GET {LPAR}": 2, f"POST {LPAR}": 1, f"DELETE {JOB}": 2, f"PUT {LPAR}/do/PowerOff": 1,
        f"PUT {LPAR}/do/PowerOn": 1,
    }  # fmt: skip


def test_a_guest_that_is_so_already_is_left_alone(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    assert platform.resize_steps(becoming(spec)) == []


def test_a_stopped_guest_stays_stopped(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    platform.power_off(spec.uuid)
    until_read_up(host.simulator)
    calls = host.calls(lambda: resize(platform, becoming(spec, vcpus=2, power_on=False)))
    assert calls == {f"GET {LPAR}": 1, f"POST {LPAR}": 1}
    assert lpar(host, spec).state == "not activated"
    assert lpar(host, spec).processors.vcpus == 2


def test_the_root_disk_grows_and_only_grows(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    resize(platform, becoming(spec, disks=(DiskSpec(DiskRole.ROOT, 5),)))
    assert root_gb(host, spec) == 5
    assert platform.resize_steps(becoming(spec, disks=(DiskSpec(DiskRole.ROOT, 4),))) == []
    assert lpar(host, spec).state == "running"
    platform.destroy(spec.uuid)
    assert not host.audit()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"memory_mb": 1 << 20}, NoCapacity, "asks for 1048576 MB of memory"),
        ({"memory_mb": 1000}, InvalidSpec, "multiple of 256 MB"),
        ({"vcpus": 17, "options": {"powervm:dedicated_proc": "true"}}, NoCapacity, "asks for 17.00 processors"),
        ({"options": {"powervm:no_such": "1"}}, InvalidSpec, "powervm:no_such is not known"),
        ({"disks": (DiskSpec(DiskRole.ROOT, 9000),)}, NoCapacity, "disk of 9000 GB"),
    ],
)
def test_refused_before_anything_is_read_or_changed(
    host: Host, platform: PowerVM, spec: GuestSpec, fields: dict[str, Any], error: type[PlatformError], words: str
) -> None:
    def refused() -> None:
        with pytest.raises(error, match=words):
            platform.resize_steps(becoming(spec, **{"options": {}, **fields}))

    assert not host.calls(refused)


def test_a_guest_keeps_what_it_has_on_a_host_that_is_more_than_full(
    host: Host, platform: PowerVM, spec: GuestSpec
) -> None:
    other = platform._started.guests.create(guest_spec(disks=(), nics=(), config_drive=False))
    with host.world.lock:
        # As an administrator may, who knows that not both will run.
        host.lpar(other.uuid).memory.desired = host.lpar(other.uuid).memory.maximum = platform.facts().memory_mb
        host.world.touch(host.lpar(other.uuid))
    platform.connection.mirror.load()
    assert platform.resize_steps(becoming(spec)) == []
    resize(platform, becoming(spec, vcpus=2))
    assert lpar(host, spec).processors.vcpus == 2
    with pytest.raises(NoCapacity, match="asks for 2304 MB of memory; 2048 MB are free"):
        platform.resize_steps(becoming(spec, memory_mb=2304))


def test_what_a_guest_has_is_free_for_it(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    facts = platform.facts()
    most = facts.memory_mb - facts.memory_reserved_mb - facts.memory_used_mb + spec.memory_mb
    resize(platform, becoming(spec, memory_mb=most // 256 * 256, options={}))
    assert lpar(host, spec).memory.desired == most // 256 * 256


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
def test_a_failed_write_leaves_the_old_shape_running(
    host: Host, platform: PowerVM, spec: GuestSpec, action: Action
) -> None:
    host.fault("POST", LPAR, action)
    with pytest.raises(PlatformError):
        resize(platform, becoming(spec, memory_mb=4096, options={}))
    assert host.faults_fired()
    after = lpar(host, spec)
    assert (after.memory.desired, after.memory.maximum, after.state) == (2048, 4096, "running")
    assert platform.guest(spec.uuid).memory_mb == 2048
    resize(platform, becoming(spec, memory_mb=4096, options={}))
    assert lpar(host, spec).memory.desired == 4096


def test_a_partition_changed_by_others_meanwhile_is_read_again(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    host.fault("POST", LPAR, Action.STALE)
    resize(platform, becoming(spec, memory_mb=4096, options={}))
    assert lpar(host, spec).memory.desired == 4096


def test_a_start_that_fails_undoes_the_change(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    host.fault("PUT", LPAR + "/do/PowerOn")
    with pytest.raises(PlatformError, match="PowerOn"):
        resize(platform, becoming(spec, memory_mb=4096, options={}, disks=(DiskSpec(DiskRole.ROOT, 5),)))
    after = lpar(host, spec)
    assert (after.memory.desired, after.state) == (2048, "running")
    assert root_gb(host, spec) == 5
