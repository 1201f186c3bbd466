"""Client network adapters on a simulated system, over HTTP."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from pathlib import Path

import pytest
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, nic, serve, until

from bigiron.errors import InvalidSpec, PlatformError, Unsupported
from bigiron.hypervisor import Values
from bigiron.model import GuestSpec
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, RestEvent
from bigiron.powervm.keys import LPAR
from bigiron.powervm.network import hotplug, rmc, vif_events
from bigiron.powervm.network.nic import ClientAdapters
from bigiron.powervm.network.steps import network_steps, unplug
from bigiron.powervm.network.vswitch import VirtualSwitches
from bigiron.powervm.partition import Lpar
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model.network import VirtualNetwork
from bigiron.sim.powervm.server import Settings
from bigiron.sim.powervm.session import Flavour

ADAPTERS = "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter"
NETWORKS = "/rest/api/uom/ManagedSystem/{uuid}/VirtualNetwork"
EVENT = "PUT /rest/api/uom/Event"


@pytest.fixture
def adapters(platform: PowerVM) -> ClientAdapters:
    return platform._started.adapters


@pytest.fixture
def guest() -> GuestSpec:
    return guest_spec(nics=(nic(vlan=100), nic(vlan=200)))


@pytest.fixture
def lpar(platform: PowerVM, guest: GuestSpec) -> Lpar:
    return platform._started.guests.create(guest)


def plain(mac: str) -> str:
    return mac.replace(":", "").upper()


def plugged(host: Host, lpar: Lpar) -> list[tuple[str, int]]:
    """(MAC, VLAN) of the partition's adapters in the order of their slots."""
    return [(one.mac, one.pvid) for one in sorted(host.lpar(lpar.uuid).adapters, key=lambda one: one.slot)]


def test_an_adapter_takes_one_request(host: Host, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec) -> None:
    port = guest.nics[0]
    calls = host.calls(lambda: adapters.create(lpar.uuid, port))
    assert calls == {f"PUT {ADAPTERS}": 1}
    (made,) = host.lpar(lpar.uuid).adapters
    assert (made.mac, made.pvid, made.tagged) == (plain(port.mac), 100, [])
    switch = next(one for one in host.world.state.switches if one.name == "ETHERNET0")
    assert made.switch_id == switch.id


def test_the_steps_keep_the_ports_order_and_end_with_rmc(
    host: Host, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec
) -> None:
    values = Values({LPAR.name: lpar})
    steps = network_steps(adapters, guest)
    calls = host.calls(lambda: [step.execute(values) for step in steps])
    assert calls == {f"PUT {ADAPTERS}": 3, EVENT: 2}
    first, second = guest.nics
    assert plugged(host, lpar) == [
        (plain(first.mac), 100), (plain(second.mac), 200), (plain(rmc.mac(guest.uuid)), rmc.VLAN)
    ]  # fmt: skip
    for step in reversed(steps):
        step.revert(values)
    assert plugged(host, lpar) == []


def test_each_port_waits_for_the_one_before(adapters: ClientAdapters, guest: GuestSpec) -> None:
    steps = network_steps(adapters, guest)
    for before, after in itertools.pairwise(steps):
        assert before.provides in after.needs


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize("path", [ADAPTERS, "/rest/api/uom/Event"])
def test_a_plug_that_fails_is_undone(
    host: Host, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec, path: str, action: Action
) -> None:
    values = Values({LPAR.name: lpar})
    step = network_steps(adapters, guest)[0]
    host.fault("PUT", path, action)
    with pytest.raises(PlatformError):
        step.execute(values)
    step.revert(values)
    assert host.faults_fired()
    assert plugged(host, lpar) == []
    network_steps(adapters, guest)[0].execute(values)
    assert len(plugged(host, lpar)) == 1


def test_the_agent_is_told_with_what_it_needs(platform: PowerVM, lpar: Lpar, guest: GuestSpec) -> None:
    heard: list[RestEvent] = []
    platform.connection.events.subscribe(heard.append)
    adapters, port = platform._started.adapters, guest.nics[0]
    hotplug.plug(platform.connection, adapters, lpar, port)
    unplug(adapters, lpar.uuid, port)
    told: list[tuple[vif_events.VifEvent, str]] = []

    def both() -> bool:
        told[:] = [(event, one.data) for one in heard if (event := vif_events.parse(one)) is not None]
        return len(told) == 2

    until(both)
    assert [event.action for event, _ in told] == ["plug", "unplug"]
    for event, href in told:
        assert (event.mac, event.vif_type, event.port) == (port.mac, "pvm_sea", port.id)
        assert f"/LogicalPartition/{lpar.uuid}/ClientNetworkAdapter/".lower() in href.lower()


def test_the_agents_answer_names_the_ports_that_are_wired(platform: PowerVM) -> None:
    wired: list[str] = []
    platform.subscribe_wired(wired.append)
    connection = platform.connection
    vif_events.post_wired(connection.adapter, connection.system_uuid, {"port-2", "port-1"})
    until(lambda: len(wired) == 2)
    assert wired == ["port-1", "port-2"]


@pytest.mark.parametrize(
    "event",
    [
        RestEvent(CUSTOM_CLIENT_EVENT, "x", '{"provider": "NOVA_PVM_VIF", "wired": ["port-1"]}'),
        RestEvent(CUSTOM_CLIENT_EVENT, "x", '{"provider": "NEUTRON_PVM_VIF", "wired": "port-1"}'),
        RestEvent(CUSTOM_CLIENT_EVENT, "x", "port-1"),
        RestEvent("MODIFY_URI", "x", '{"provider": "NEUTRON_PVM_VIF", "wired": ["port-1"]}'),
    ],
)
def test_what_is_no_answer_wires_no_port(event: RestEvent) -> None:
    assert vif_events.parse_wired(event) == ()


def test_plugging_again_makes_no_second_adapter_and_announces(
    host: Host, platform: PowerVM, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec
) -> None:
    port = guest.nics[0]
    hotplug.plug(platform.connection, adapters, lpar, port)
    calls = host.calls(lambda: hotplug.plug(platform.connection, adapters, lpar, port))
    assert calls == {f"GET {ADAPTERS}": 1, EVENT: 1}
    assert len(plugged(host, lpar)) == 1


def test_unplugging_takes_the_ports_adapter_only_and_twice_is_no_error(
    host: Host, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec
) -> None:
    for port in guest.nics:
        adapters.create(lpar.uuid, port)
    unplug(adapters, lpar.uuid, guest.nics[0])
    unplug(adapters, lpar.uuid, guest.nics[0])
    assert plugged(host, lpar) == [(plain(guest.nics[1].mac), 200)]
    unplug(adapters, str(uuid.uuid4()).upper(), guest.nics[1])


@pytest.mark.parametrize(
    ("fields", "error", "reason"),
    [
        ({"vif_type": "tap"}, Unsupported, "interface type tap"),
        ({"vif_type": "pvm_sriov"}, Unsupported, "interface type pvm_sriov"),
        ({"vlan": None}, InvalidSpec, "VLAN None"),
        ({"vlan": 4095}, InvalidSpec, "VLAN 4095"),
    ],
)
def test_what_cannot_be_plugged_is_refused_without_a_request(
    host: Host, adapters: ClientAdapters, lpar: Lpar, fields: dict[str, object], error: type[Exception], reason: str
) -> None:
    port = nic(**fields)

    def attempt() -> None:
        with pytest.raises(error, match=f"{port.id}.*{reason}"):
            adapters.create(lpar.uuid, port)

    assert not host.calls(attempt)


def test_rmc_is_left_out_where_it_is_not_wanted_or_cannot_be(host: Host, tmp_path: Path, guest: GuestSpec) -> None:
    with host.platform(use_rmc_mgmt_vif=False) as platform:
        assert platform._started.adapters.create_rmc("any", rmc.mac(guest.uuid)) is None
    (tmp_path / "other").mkdir()
    with serve(tmp_path / "other", {**DOCUMENT, "switches": [{"name": "ETHERNET0"}]}) as other:
        connection = other.connect()
        adapters = ClientAdapters(connection, VirtualSwitches(connection))
        assert adapters.create_rmc("any", rmc.mac(guest.uuid)) is None
        connection.close()


def test_a_switch_that_came_later_is_found_and_one_that_never_does_is_asked_for_once_a_minute(host: Host) -> None:
    connection = host.connect()
    now = [0.0]
    switches = VirtualSwitches(connection, clock=lambda: now[0])
    assert switches.find("LATER") is None
    assert not host.calls(lambda: switches.find("LATER"))
    with host.world.lock:
        switch = host.world.state.switches[1]
        switch.name = "LATER"
        host.world.touch(switch)
    now[0] = 61.0
    assert switches.find("LATER") is not None
    with pytest.raises(InvalidSpec, match=r"NEVER is not on this system, which has: ETHERNET0, LATER"):
        switches.get("NEVER")
    connection.close()


def test_an_hmc_gets_the_virtual_network_that_an_adapter_needs_once(tmp_path: Path) -> None:
    with serve(tmp_path, settings=Settings(flavour=Flavour.HMC)) as host, host.platform() as platform:
        guest = guest_spec(nics=(nic(vlan=300), nic(vlan=300)))
        lpar = platform._started.guests.create(guest)
        adapters = platform._started.adapters
        adapters.create(lpar.uuid, guest.nics[0])
        calls = host.calls(lambda: adapters.create(lpar.uuid, guest.nics[1]))
        assert calls == {f"PUT {ADAPTERS}": 1}
        assert len(plugged(host, lpar)) == 2
        assert [net.vlan for net in host.world.state.networks].count(300) == 1


def test_a_virtual_network_that_an_operator_deleted_is_missed_after_one_refusal(tmp_path: Path) -> None:
    with serve(tmp_path, settings=Settings(flavour=Flavour.HMC)) as host, host.platform() as platform:
        guest = guest_spec(nics=(nic(vlan=300), nic(vlan=300)))
        lpar = platform._started.guests.create(guest)
        adapters = platform._started.adapters
        adapters.create(lpar.uuid, guest.nics[0])
        adapters.delete(lpar.uuid, guest.nics[0].mac)
        with host.world.lock:
            host.world.state.networks[:] = [one for one in host.world.state.networks if one.vlan != 300]
        host.fault("PUT", ADAPTERS, Action.ERROR, status=400)
        with pytest.raises(PlatformError):
            adapters.create(lpar.uuid, guest.nics[1])
        calls = host.calls(lambda: adapters.create(lpar.uuid, guest.nics[1]))
        assert calls == {f"GET {NETWORKS}": 1, f"PUT {NETWORKS}": 1, f"PUT {ADAPTERS}": 1}


def test_the_adapter_of_a_trunk_takes_tags_from_the_start(host: Host, adapters: ClientAdapters, lpar: Lpar) -> None:
    many, none_yet = nic(vlan=100, tagged_vlans=(101, 102)), nic(vlan=200, tagged_vlans=())
    for port in (many, none_yet):
        adapters.create(lpar.uuid, port)
    made = sorted(host.lpar(lpar.uuid).adapters, key=lambda one: one.slot)
    assert {(one.pvid, one.tagged_supported, tuple(one.tagged)) for one in made} == {
        (100, True, (101, 102)),
        (200, True, ()),
    }


def test_a_trunk_with_more_subports_than_an_adapter_carries_is_refused(adapters: ClientAdapters) -> None:
    with pytest.raises(InvalidSpec, match="a trunk with 21 subports; an adapter carries 20"):
        adapters.check(nic(vlan=100, tagged_vlans=tuple(range(200, 221))))


def test_a_virtual_network_that_somebody_else_made_meanwhile_serves_too(tmp_path: Path) -> None:
    with serve(tmp_path, settings=Settings(flavour=Flavour.HMC)) as host, host.platform() as platform:
        guest = guest_spec(nics=(nic(vlan=300), nic(vlan=301)))
        lpar = platform._started.guests.create(guest)
        adapters = platform._started.adapters
        adapters.create(lpar.uuid, guest.nics[0])
        switch = next(one for one in host.world.state.switches if one.name == "ETHERNET0")
        with host.world.lock:
            uuid_ = host.world.new_uuid("VirtualNetwork")
            made = VirtualNetwork(uuid=uuid_, name="theirs", vlan=301, switch_id=switch.id, explicit=True)
            host.world.state.networks.append(made)
        adapters.create(lpar.uuid, guest.nics[1])
        assert len(plugged(host, lpar)) == 2
        assert [net.name for net in host.world.state.networks if net.vlan == 301] == ["theirs"]


@pytest.mark.parametrize(
    ("details", "made"),
    [({}, "ALL"), ({"allowed_macs": "NONE"}, "NONE"), ({"allowed_macs": "fa:16:3e:00:00:07"}, "FA163E000007")],
)
def test_an_adapter_lets_through_what_its_ports_binding_says(
    host: Host, adapters: ClientAdapters, lpar: Lpar, guest: GuestSpec, details: dict[str, str], made: str
) -> None:
    port = dataclasses.replace(guest.nics[0], details=details)
    adapters.create(lpar.uuid, port)
    (adapter,) = host.lpar(lpar.uuid).adapters
    assert adapter.allowed_macs == made
