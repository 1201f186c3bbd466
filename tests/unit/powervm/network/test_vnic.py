"""vNICs of guests on a simulated system, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, nic, serve, until
from tests.support.steps import around, run

from bigiron.errors import Conflict, InvalidSpec, NoCapacity, PlatformError, Unavailable
from bigiron.model import NicSpec
from bigiron.powervm.network import hotplug
from bigiron.powervm.network.vnic import VirtualNics
from bigiron.powervm.partition import Lpar
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.model.partition import OFF, RMC_INACTIVE, RUNNING

SYSTEM = "/rest/api/uom/ManagedSystem/{uuid}"
LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
VNICS = f"{LPAR}/VirtualNICDedicated"
VNIC = f"{VNICS}/{{uuid}}"
EVENT = "/rest/api/uom/Event"
ADAPTERS = [
    {"ports": [{"label": "prod"}, {"label": "prod", "link": "down"}, {"label": "dmz"}]},
    {"ports": [{"label": "prod"}]},
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path, {**DOCUMENT, "sriov_adapters": ADAPTERS}) as found:
        yield found


@pytest.fixture
def platform(host: Host) -> Iterator[PowerVM]:
    with host.platform() as found:
        yield found


@pytest.fixture
def makes(platform: PowerVM) -> VirtualNics:
    return platform._started.vnics


@pytest.fixture
def lpar(platform: PowerVM) -> Lpar:
    return platform._started.guests.create(guest_spec())


def direct(**fields: Any) -> NicSpec:
    details = {key: str(value) for key, value in fields.pop("details", {}).items()}
    return nic(vif_type="pvm_sriov", physical_network="prod", details=details, **fields)


def ways(host: Host, lpar: Lpar) -> list[tuple[str, int, int, int]]:
    """(VIOS, adapter, physical port, priority) of the partition's only vNIC."""
    (vnic,) = host.lpar(lpar.uuid).vnics
    return [(host.world.vios(one.vios).name, one.adapter, one.port, one.priority) for one in vnic.backing]


def test_a_vnic_takes_one_reading_of_the_system_and_one_request(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    port = direct()
    calls = host.calls(lambda: makes.create(lpar.uuid, port))
    assert calls == {f"GET {SYSTEM}": 1, f"PUT {VNICS}": 1}
    (made,) = host.lpar(lpar.uuid).vnics
    assert (made.mac, made.pvid) == (port.mac.replace(":", "").upper(), 100)
    assert (made.allowed_vlans, made.allowed_macs) == ("NONE", "NONE")
    # The next one begins with what is known.
    assert host.calls(lambda: makes.create(lpar.uuid, direct())) == {f"PUT {VNICS}": 1}
    assert [len(one.logical) for adapter in host.world.state.sriov for one in adapter.ports] == [1, 0, 0, 1]
    assert host.audit() == []


def test_redundancy_spreads_over_adapters_and_vioses(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    port = direct(mac="fa:16:3e:00:00:02", details={"redundancy": 2, "capacity": 0.1, "maxcapacity": 0.5})
    makes.create(lpar.uuid, port)
    assert ways(host, lpar) == [("vios1", 1, 0, 1), ("vios2", 2, 0, 2)]
    (made,) = host.lpar(lpar.uuid).vnics
    assert made.auto_failback
    logical = [vnics.logical_port(host.world, way) for way in made.backing]
    assert [(one.capacity, one.max_capacity) for one in logical if one] == [(10.0, 50.0), (10.0, 50.0)]


def test_the_first_vios_takes_turns(host: Host, makes: VirtualNics, platform: PowerVM) -> None:
    for last, vios in (("02", "vios1"), ("03", "vios2")):
        guest = platform._started.guests.create(guest_spec())
        makes.create(guest.uuid, direct(mac=f"fa:16:3e:00:00:{last}", details={"redundancy": 2}))
        assert ways(host, guest)[0][0] == vios


def test_frames_of_a_flat_network_are_untagged(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    port = direct(vlan=None)
    href = makes.create(lpar.uuid, port)
    assert host.lpar(lpar.uuid).vnics[0].pvid == 0
    assert makes.find(lpar.uuid, port) == href
    assert makes.find(lpar.uuid, replace(port, vlan=7)) is None


def test_room_that_others_have_taken_is_looked_for_again(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    makes.check(direct())
    with host.world.lock:
        adapter, other = host.world.state.sriov
        adapter.ports[0].max_ports = 0
        host.world.touch(host.world.system)
    calls = host.calls(lambda: makes.create(lpar.uuid, direct()))
    assert calls == {f"PUT {VNICS}": 2, f"GET {SYSTEM}": 1}
    assert len(other.ports[0].logical) == 1


def test_room_that_has_become_free_a_moment_ago_is_found(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    with host.world.lock:
        for adapter in host.world.state.sriov:
            adapter.ports[0].max_ports = 1
        host.world.touch(host.world.system)
    port = direct(details={"redundancy": 2})
    makes.create(lpar.uuid, port)
    assert makes.delete(lpar.uuid, port.mac)
    calls = host.calls(lambda: makes.create(lpar.uuid, port))
    assert calls == {f"GET {SYSTEM}": 1, f"PUT {VNICS}": 1}


def test_a_refusal_for_another_reason_is_raised_after_one_look(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    port = direct()
    makes.create(lpar.uuid, port)
    with pytest.raises(Conflict, match="already in use by partition"):
        makes.create(lpar.uuid, replace(port, id="another"))
    assert len(host.lpar(lpar.uuid).vnics) == 1


def test_links_that_are_down_are_avoided_and_named(host: Host, makes: VirtualNics) -> None:
    with pytest.raises(NoCapacity, match=r"needs 3 SR-IOV ports .*, and 2 have both\. .*C1-T2: its link is down"):
        makes.check(direct(details={"redundancy": 3}))
    with pytest.raises(InvalidSpec, match=r"on physical network lab, .* \(there are: dmz, prod\)"):
        makes.check(replace(direct(), physical_network="lab"))
    with pytest.raises(InvalidSpec, match=r"has the VLAN 1; an SR-IOV port tags frames with one of 2\.\.4094"):
        makes.check(direct(vlan=1))


def test_a_vios_that_is_down_serves_none(host: Host, makes: VirtualNics, lpar: Lpar) -> None:
    with host.world.lock:
        host.vios("vios1").state = OFF
        host.world.changed(host.vios("vios1"), "PartitionState")
    until(lambda: [vios.name for vios in makes._connection.vioses.active()] == ["vios2"])
    makes.create(lpar.uuid, direct(details={"redundancy": 2}))
    assert {way[0] for way in ways(host, lpar)} == {"vios2"}
    with host.world.lock:
        host.vios("vios2").state = OFF
        host.world.changed(host.vios("vios2"), "PartitionState")

    def refused() -> bool:
        try:
            makes.check(direct())
        except Unavailable as error:
            return "No VIOS can serve" in str(error)
        return False

    until(refused)


def test_it_is_announced_hot_plugged_and_taken_back(host: Host, platform: PowerVM, lpar: Lpar) -> None:
    port = direct()
    makes = platform._started.maker(port)
    host.simulator.services.events.take("an agent", 0)
    hotplug.attach(platform.connection, makes, lpar, port)
    hotplug.plug(platform.connection, makes, lpar, port)
    assert len(host.lpar(lpar.uuid).vnics) == 1
    calls = host.calls(lambda: hotplug.detach(platform.connection, makes, lpar, port))
    assert calls == {f"GET {LPAR}": 1, f"GET {VNICS}": 1, f"DELETE {VNIC}": 1, f"PUT {EVENT}": 1}
    assert host.lpar(lpar.uuid).vnics == []
    told = [json.loads(e.detail) for e in host.simulator.services.events.take("an agent", 0) if "NOVA_PVM" in e.detail]
    assert [(one["action"], one["type"], one["mac"]) for one in told] == [
        ("plug", "pvm_sriov", port.mac), ("plug", "pvm_sriov", port.mac), ("unplug", "pvm_sriov", port.mac),
    ]  # fmt: skip


def test_a_running_guest_without_rmc_is_refused(host: Host, platform: PowerVM, lpar: Lpar) -> None:
    with host.world.lock:
        host.lpar(lpar.uuid).state, host.lpar(lpar.uuid).rmc = RUNNING, RMC_INACTIVE
        host.world.changed(host.lpar(lpar.uuid), "RMCState")
    with pytest.raises(Conflict, match="RMC state is inactive"):
        hotplug.attach(platform.connection, platform._started.vnics, lpar, direct())
    assert host.lpar(lpar.uuid).vnics == []


@pytest.mark.parametrize("action", [Action.DROP_AFTER, Action.DROP_BEFORE, Action.ERROR])
def test_a_lost_answer_leaves_one_vnic_or_none(host: Host, platform: PowerVM, lpar: Lpar, action: Action) -> None:
    port = direct()
    host.fault("PUT", VNICS, action)
    try:
        hotplug.attach(platform.connection, platform._started.vnics, lpar, port)
        made = 1
    except PlatformError:
        made = 0
    assert made == (action is Action.DROP_AFTER)
    assert host.faults_fired()
    assert len(host.lpar(lpar.uuid).vnics) == made
    assert host.audit() == []


def test_a_guest_is_known_to_have_its_vnic_and_its_destroy_takes_it(
    host: Host, platform: PowerVM, tmp_path: Path
) -> None:
    spec = guest_spec(nics=(direct(), nic()), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    lpar = host.lpar(platform._started.guests.find(spec.uuid).uuid)
    assert (len(lpar.vnics), len(lpar.adapters)) == (1, 2)
    assert {one.mac for one in spec.nics} < set(platform.report(spec.uuid).macs)
    with host.platform() as again:
        assert again.was_plugged(spec.uuid, spec.nics)
    platform.destroy(spec.uuid)
    assert list(vnics.logical_ports(host.world)) == []
    assert host.audit() == []


def test_a_guest_that_is_replaced_gives_its_room_back_before(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    with host.world.lock:
        for adapter in host.world.state.sriov:
            adapter.ports[0].max_ports = 1
        host.world.touch(host.world.system)
    port = direct(details={"redundancy": 2})
    spec = guest_spec(nics=(port,), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    platform.check(spec, replacing=True)
    with pytest.raises(NoCapacity):
        platform.check(guest_spec(nics=(port,), disks=(), config_drive=False))
    with pytest.raises(InvalidSpec, match="asks for 7 logical ports"):
        platform.check(replace(spec, nics=(replace(port, details={"redundancy": "7"}),)), replacing=True)


def test_what_the_host_shares_out(platform: PowerVM) -> None:
    found = platform.facts().direct_ports
    assert [(one.adapter, one.port, one.functions) for one in found] == [(1, 0, 20), (1, 1, 20), (1, 2, 20), (2, 0, 20)]
    assert {(one.vendor, one.product) for one in found} == {("15b3", "1014")}
