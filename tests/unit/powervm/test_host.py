"""What a host says of itself: traits from captured systems, and a capacity that is read again."""

from __future__ import annotations

from typing import Any

import pytest
from pypowervm.tests.test_utils.pvmhttp import load_pvm_resp
from pypowervm.wrappers.managed_system import System
from tests.support.powervm_host import Host

from bigiron.powervm import host as facts
from bigiron.powervm import platform as platform_module
from bigiron.sim.kernel.faults import Action

SYSTEM = "/rest/api/uom/ManagedSystem/{uuid}"
POOL = "/rest/api/uom/SharedStoragePool/{uuid}"


def captured(name: str) -> Any:
    """A managed system as a real service described it."""
    found = System.wrap(load_pvm_resp(name).get_response())
    return found[0] if isinstance(found, list) else found


def test_adapters_in_sriov_mode_are_told_of() -> None:
    assert facts.SRIOV_TRAIT in facts.traits(captured("sys_with_sriov.txt"), "ssp")
    assert facts.SRIOV_TRAIT not in facts.traits(captured("managedsystem.txt"), "ssp")


def test_the_processor_modes_and_the_capabilities_of_a_real_system() -> None:
    found = facts.traits(captured("managedsystem.txt"), "localdisk")
    assert {"CUSTOM_POWERVM_MODE_POWER7", "CUSTOM_POWERVM_MODE_POWER6_PLUS_ENHANCED"} <= found
    assert {"CUSTOM_POWERVM_DISK_LOCALDISK", "CUSTOM_POWERVM_DEDICATED_PROCESSORS"} <= found
    assert "CUSTOM_POWERVM_MODE_DEFAULT" not in found


def test_an_audit_reads_the_pool_and_the_system_and_no_more(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.platform() as platform:
        before = platform.facts()
        assert not host.calls(platform.facts), "not so soon again"
        monkeypatch.setattr(platform_module, "_CAPACITY_AGE_S", 0.0)
        assert host.calls(platform.facts) == {f"GET {SYSTEM}": 1, f"GET {POOL}": 1}
        with host.world.lock:
            host.world.system.firmware_memory += 512
            host.world.system.processors += 4
            host.world.changed(host.world.system)
        after = platform.facts()
        assert after.memory_reserved_mb == before.memory_reserved_mb + 512
        assert after.processors == before.processors + 4
        assert after.disk_pool == host.world.state.pools[0].uuid.lower()


def test_a_capacity_that_cannot_be_read_stays_as_it_was(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.platform() as platform:
        before = platform.facts()
        monkeypatch.setattr(platform_module, "_CAPACITY_AGE_S", 0.0)
        for path in (SYSTEM, POOL):
            host.fault("GET", path, Action.ERROR)
        assert platform.facts() == before
        assert host.faults_fired()


def test_the_uptime_of_a_remote_host_is_that_of_its_vioses_now(host: Host) -> None:
    with host.platform() as platform:
        host.simulator.clock.advance(3 * 86400 + 3600)
        assert " up 3 days,  1:00" in platform.uptime()
        host.simulator.clock.advance(86400)
        assert " up 4 days,  1:00" in platform.uptime()


def test_a_volume_group_is_the_hosts_own(host: Host) -> None:
    with host.platform(disk_driver="localdisk", volume_group_name="datavg") as platform:
        assert platform.facts().disk_pool is None
