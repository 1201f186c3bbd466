"""IBM i guests on a simulated host: what they load from, how they start and stop, and where they cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import steps
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec, until

from bigiron import naming
from bigiron.errors import PlatformError, Unsupported
from bigiron.model import DiskRole, DiskSpec, GuestOs, GuestSpec
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
POWER_OFF = "PUT /rest/api/uom/LogicalPartition/{uuid}/do/PowerOff"


@pytest.fixture(params=["ssp", "localdisk"])
def platform(host: Host, request: pytest.FixtureRequest) -> Iterator[PowerVM]:
    more = {"volume_group_name": "datavg"} if request.param == "localdisk" else {}
    with host.platform(disk_driver=request.param, **more) as platform:
        yield platform


def spawn(platform: PowerVM, folder: Path, **fields: Any) -> GuestSpec:
    spec = guest_spec(BytesImage(b"a load source" * 1000), os=GuestOs.IBMI, **fields)
    platform.check(spec)
    steps.run(steps.around(platform.spawn_steps(spec), spec, folder))
    return spec


def lpar(host: Host, spec: GuestSpec) -> Any:
    return host.lpar(naming.lpar_uuid(spec.uuid))


def disk_slots(host: Host, spec: GuestSpec) -> list[int]:
    """The guest's slots with disks, lowest first."""
    uuid = naming.lpar_uuid(spec.uuid)
    servers = [server for vios in host.world.vioses for server in vios.servers if server.client == uuid]
    return sorted(
        server.client_slot
        for server in servers
        if any(target.kind in ("LogicalUnit", "VirtualDisk") for target in server.targets)
    )


def console(host: Host, spec: GuestSpec) -> str:
    return str(host.simulator.management.guests.console(lpar(host, spec).name).read().text)


def test_it_loads_from_its_root_disk(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path)
    made = lpar(host, spec)
    assert (made.type, made.restricted_io, made.state) == ("OS400", True, "running")
    slots = disk_slots(host, spec)
    tagged = made.tagged_io
    assert (tagged.load_source, tagged.alternate_load_source) == (str(slots[0]), str(slots[-1]))
    assert (tagged.console, made.source, made.keylock) == ("HMC", "b", "normal")
    until(lambda: f"in slot {slots[0]}" in console(host, spec))
    platform.destroy(spec.uuid)
    assert not host.audit()


def test_its_operating_system_is_asked_without_rmc(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path)
    lpar(host, spec).rmc = "inactive"
    calls = host.calls(lambda: platform.power_off(spec.uuid, timeout_s=30))
    assert calls[POWER_OFF] == 1
    (entry,) = [entry for entry in host.simulator.journal.entries() if entry.path.endswith("PowerOff")]
    assert lpar(host, spec).state == "not activated", entry
    platform.power_on(spec.uuid)
    platform.reboot(spec.uuid, hard=True)
    assert (lpar(host, spec).state, lpar(host, spec).source) == ("running", "b")
    platform.destroy(spec.uuid)


def test_a_partition_that_changed_meanwhile_is_read_again(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    host.fault("POST", LPAR, Action.STALE)
    spec = spawn(platform, tmp_path)
    assert host.faults_fired()
    assert lpar(host, spec).tagged_io.load_source == str(disk_slots(host, spec)[0])
    platform.destroy(spec.uuid)


def test_a_guest_that_cannot_be_told_leaves_nothing(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    host.fault("POST", LPAR, Action.ERROR)
    before = len(host.world.lpars)
    with pytest.raises(PlatformError):
        spawn(platform, tmp_path)
    assert len(host.world.lpars) == before
    assert not host.audit()


def test_its_load_source_stays_when_it_is_resized(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path)
    tagged = lpar(host, spec).tagged_io
    larger = replace(spec, memory_mb=4096, disks=(DiskSpec(DiskRole.ROOT, 3),), nics=(), config_drive=False)
    steps.run(platform.resize_steps(larger))
    after = lpar(host, spec)
    assert (after.memory.desired, after.tagged_io, after.type) == (4096, tagged, "OS400")
    assert (after.restricted_io, after.state) == (True, "running")
    platform.destroy(spec.uuid)
    assert not host.audit()


def test_it_cannot_be_rescued(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = spawn(platform, tmp_path)
    rescue = replace(spec, disks=(DiskSpec(DiskRole.RESCUE, 0, BytesImage(b"rescue" * 1000)),), config_drive=False)
    with pytest.raises(Unsupported, match="cannot be rescued"):
        platform.rescue_steps(rescue)
    assert lpar(host, spec).state == "running"
    platform.destroy(spec.uuid)


@pytest.mark.parametrize("missing", ["IBMiCapable", "IBMiRestrictedIOModeCapable"])
def test_a_system_that_cannot_run_it_refuses(host: Host, missing: str) -> None:
    host.world.system.capabilities[missing] = False
    with host.platform() as platform, pytest.raises(Unsupported, match="IBM i image"):
        platform.check(guest_spec(BytesImage(b"x" * 1000), os=GuestOs.IBMI))


def test_secure_boot_is_refused(host: Host) -> None:
    spec = guest_spec(BytesImage(b"x" * 1000), os=GuestOs.IBMI, options={"powervm:secure_boot": "2"})
    with host.platform() as platform, pytest.raises(PlatformError, match=r"(?i)secure boot"):
        platform.check(spec)
