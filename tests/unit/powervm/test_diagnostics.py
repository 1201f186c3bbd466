"""What the platform tells of a guest, on a simulated host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.images import BytesImage
from tests.support.powervm_host import Host, guest_spec

from bigiron.errors import NotFound, PlatformError
from bigiron.model import GuestSpec, PowerState
from bigiron.powervm.network import rmc
from bigiron.powervm.platform import PowerVM

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
READS = {f"GET {LPAR}": 1, f"GET {LPAR}/ClientNetworkAdapter": 1}


@pytest.fixture
def platform(host: Host) -> Iterator[PowerVM]:
    with host.platform() as platform:
        yield platform


@pytest.fixture
def spec(platform: PowerVM, tmp_path: Path) -> GuestSpec:
    made = guest_spec(BytesImage(b"a bootable system" * 1000))
    platform.check(made)
    steps.run(steps.around(platform.spawn_steps(made), made, tmp_path))
    return made


def test_a_guest_is_told_of_in_two_reads(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    host.simulator.clock.advance(7200)
    found = platform.report(spec.uuid)
    assert found.power is PowerState.RUNNING
    assert found.uptime_s is not None and found.uptime_s >= 7200
    assert (found.memory_mb, found.vcpus, found.dedicated) == (spec.memory_mb, spec.vcpus, False)
    assert found.processors == pytest.approx(0.1 * spec.vcpus)
    assert set(found.macs) == {spec.nics[0].mac, rmc.mac(spec.uuid)}
    assert [disk.size_gb for disk in found.disks] == [float(spec.disks[0].size_gb)], "two VIOSes present the one disk"
    assert found.config_drive is spec.config_drive
    assert host.calls(lambda: platform.report(spec.uuid)) == READS


def test_a_guest_that_is_gone_and_a_read_that_fails(host: Host, platform: PowerVM, spec: GuestSpec) -> None:
    host.fault("GET", f"{LPAR}/ClientNetworkAdapter")
    with pytest.raises(PlatformError, match="network adapters"):
        platform.report(spec.uuid)
    assert host.faults_fired()
    assert platform.report(spec.uuid).vcpus == spec.vcpus
    platform.destroy(spec.uuid)
    with pytest.raises(NotFound):
        platform.report(spec.uuid)


def test_a_dedicated_guest(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(BytesImage(b"system" * 1000), vcpus=2, options={"powervm:dedicated_proc": "true"})
    steps.run(steps.around(platform.spawn_steps(spec), spec, tmp_path))
    found = platform.report(spec.uuid)
    assert (found.vcpus, found.processors, found.dedicated) == (2, 2.0, True)
