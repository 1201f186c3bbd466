"""Adapters that come and go while their guest exists, on a simulated system, over HTTP."""

from __future__ import annotations

import logging

import pytest
from tests.support.powervm_host import Host, guest_spec, nic

from bigiron.errors import Conflict, PlatformError
from bigiron.model import NicSpec
from bigiron.powervm.network import hotplug
from bigiron.powervm.partition import Lpar
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RUNNING

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
ADAPTERS = f"{LPAR}/ClientNetworkAdapter"
ADAPTER = f"{ADAPTERS}/{{uuid}}"
EVENT = "/rest/api/uom/Event"


@pytest.fixture
def lpar(platform: PowerVM) -> Lpar:
    return platform._started.guests.create(guest_spec())


@pytest.fixture
def port() -> NicSpec:
    return nic()


def attach(platform: PowerVM, lpar: Lpar, port: NicSpec) -> None:
    hotplug.attach(platform.connection, platform._started.adapters, lpar, port)


def macs(host: Host, lpar: Lpar) -> list[str]:
    return [adapter.mac for adapter in host.lpar(lpar.uuid).adapters]


def plain(port: NicSpec) -> str:
    return port.mac.replace(":", "").upper()


def test_an_adapter_whose_answer_was_lost_is_taken_for_made(
    host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec
) -> None:
    host.fault("PUT", ADAPTERS, Action.DROP_AFTER)
    calls = host.calls(lambda: attach(platform, lpar, port))
    assert host.faults_fired()
    assert calls == {f"GET {LPAR}": 1, f"PUT {ADAPTERS}": 1, f"GET {ADAPTERS}": 1, f"PUT {EVENT}": 1}
    assert macs(host, lpar) == [plain(port)]


def test_one_that_an_earlier_attempt_left_is_taken_over(
    host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec
) -> None:
    platform._started.adapters.create(lpar.uuid, port)
    attach(platform, lpar, port)
    assert macs(host, lpar) == [plain(port)]


def test_a_mac_that_is_in_use_is_refused_and_its_adapter_stays(
    host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec
) -> None:
    other = platform._started.guests.create(guest_spec())
    platform._started.adapters.create(other.uuid, port)
    platform._started.adapters.create(lpar.uuid, elsewhere := nic(vlan=200))
    for taken in (port, nic(mac=elsewhere.mac, vlan=100)):
        with pytest.raises(Conflict, match="already in use"):
            attach(platform, lpar, taken)
    assert macs(host, lpar) == [plain(elsewhere)]
    assert macs(host, other) == [plain(port)]


def test_where_nobody_can_tell_what_there_is_it_is_removed(
    host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec
) -> None:
    host.fault("PUT", ADAPTERS, Action.DROP_AFTER)
    host.fault("GET", ADAPTERS, Action.ERROR)
    with pytest.raises(PlatformError, match="cannot be reached"):
        attach(platform, lpar, port)
    assert host.faults_fired()
    assert macs(host, lpar) == []


def test_the_first_error_counts_when_the_undoing_fails_too(
    host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec, caplog: pytest.LogCaptureFixture
) -> None:
    host.fault("PUT", EVENT, Action.ERROR, message="no events today")
    host.fault("DELETE", ADAPTER, Action.ERROR)
    with caplog.at_level(logging.ERROR), pytest.raises(PlatformError, match="no events today"):
        attach(platform, lpar, port)
    assert host.faults_fired()
    assert f"Adapter {port.mac} of LPAR {lpar.name} is left without a port, remove it by hand" in caplog.text


def test_a_running_guest_needs_rmc(host: Host, platform: PowerVM, lpar: Lpar, port: NicSpec) -> None:
    adapters = platform._started.adapters
    adapters.create(lpar.uuid, kept := nic())
    with host.world.lock:
        host.lpar(lpar.uuid).state = RUNNING
    reason = (
        rf"LPAR {lpar.name} is running and its RMC state is inactive\. Stop the server, or wait until RMC is active"
    )
    for work in (
        lambda: attach(platform, lpar, port),
        lambda: hotplug.detach(platform.connection, adapters, lpar, kept),
        lambda: hotplug.plug(platform.connection, adapters, lpar, port),
    ):
        with pytest.raises(Conflict, match=reason):
            work()
    # One that is gone needs no RMC to be so.
    hotplug.detach(platform.connection, adapters, lpar, port)
    hotplug.plug(platform.connection, adapters, lpar, kept)
    assert macs(host, lpar) == [plain(kept)]
    with host.world.lock:
        host.lpar(lpar.uuid).rmc = RMC_ACTIVE
        host.world.touch(host.lpar(lpar.uuid))
    attach(platform, lpar, port)
    hotplug.detach(platform.connection, adapters, lpar, kept)
    assert macs(host, lpar) == [plain(port)]
