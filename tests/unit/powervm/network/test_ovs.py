"""Ports on Open vSwitch on a simulated system, over HTTP."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, nic, serve
from tests.support.steps import around, run

from bigiron import naming
from bigiron.errors import Conflict, NoCapacity, PlatformError, Unsupported
from bigiron.model import NicSpec
from bigiron.powervm.network import hotplug, ovs_port
from bigiron.powervm.network.ovs import OvsAdapters
from bigiron.powervm.partition import Lpar
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model import adapters, taps
from bigiron.sim.powervm.model.adapters import AdapterSpec

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
ADAPTERS = f"{LPAR}/ClientNetworkAdapter"
ADAPTER = f"{ADAPTERS}/{{uuid}}"
NETWORKS = "/rest/api/uom/ManagedSystem/{uuid}/VirtualNetwork"
SWITCHES = "/rest/api/uom/ManagedSystem/{uuid}/VirtualSwitch"
NOVALINK = {
    "name": "novalink", "management": True, "memory_mb": 4096, "proc_units": 0.5, "vcpus": 2, "max_virtual_slots": 200,
    "nics": [{"switch": "MGMTSWITCH", "vlan": 4094}],
}  # fmt: skip


def document(**fields: Any) -> dict[str, Any]:
    switches = [*DOCUMENT["switches"], {"name": taps.PRIVATE_SWITCH}]
    return {**copy.deepcopy(DOCUMENT), "switches": switches, "partitions": [NOVALINK], **fields}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path, document()) as found:
        yield in_partition(found)


@pytest.fixture
def platform(host: Host) -> Iterator[PowerVM]:
    with host.platform() as found:
        yield found


@pytest.fixture
def makes(platform: PowerVM) -> OvsAdapters:
    return platform._started.ovs


@pytest.fixture
def lpar(platform: PowerVM) -> Lpar:
    return platform._started.guests.create(guest_spec())


def in_partition(host: Host) -> Host:
    """The host as seen by a process in its management partition."""
    return replace(host, options=replace(host.options, management_root=host.simulator.management_root))


def on_ovs(**fields: Any) -> NicSpec:
    details = {"bridge_name": "br-int", "ovs_hybrid_plug": "False", **fields.pop("details", {})}
    return nic(**{"vif_type": "ovs", "vlan": None, "mtu": 1450, "details": details, **fields})


def ports(host: Host) -> list[taps.Port]:
    """What Open vSwitch on the management partition has."""
    with host.world.lock:
        return taps.ports(host.world)


def trunks(host: Host) -> list[Any]:
    return [one for one in host.world.management.adapters if one.trunk_priority is not None]


def clients(host: Host, lpar: Lpar) -> list[Any]:
    return list(host.lpar(lpar.uuid).adapters)


def restart(host: Host) -> None:
    """The management partition restarts."""
    with host.world.lock:
        taps.detach_all(host.world)


def other_trunk(host: Host, vlan: int) -> Any:
    """Somebody else's trunk adapter on a VLAN of the private switch."""
    with host.world.lock:
        switch = next(one.id for one in host.world.state.switches if one.name == taps.PRIVATE_SWITCH)
        extras: dict[str, str | int | bool] = {"device": f"other{vlan}"}
        spec = AdapterSpec(switch_id=switch, pvid=vlan, trunk_priority=1, extras=extras)
        return adapters.create(host.world, host.world.management, spec)


def test_a_port_takes_two_requests_and_its_place_on_open_vswitch(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    makes.create(lpar.uuid, on_ovs())
    port = on_ovs()
    calls = host.calls(lambda: makes.create(lpar.uuid, port))
    assert calls == {f"PUT {ADAPTERS}": 2}
    client = clients(host, lpar)[1]
    trunk = trunks(host)[1]
    assert (client.mac, client.pvid) == (port.mac.replace(":", "").upper(), trunk.pvid)
    assert client.switch_id == trunk.switch_id
    ids = {"iface-id": port.id, "iface-status": "active", "attached-mac": port.mac, "vm-uuid": lpar.instance}
    assert ports(host)[1] == taps.Port("br-int", naming.tap_device(port.id), ids, 1450)
    # The lowest free slots of a partition that lives for ever.
    assert [one.slot for one in trunks(host)] == [3, 4]
    assert platform.connection.ledger.making()
    assert host.audit() == []
    calls = host.calls(lambda: makes.delete(lpar.uuid, port.mac))
    assert calls == {f"GET {ADAPTERS}": 1, f"DELETE {ADAPTER}": 2}
    assert len(ports(host)) == 1
    assert makes.find(lpar.uuid, port) is None


def test_the_first_port_of_a_process_reads_what_there_is(host: Host, makes: OvsAdapters, lpar: Lpar) -> None:
    calls = host.calls(lambda: makes.create(lpar.uuid, on_ovs()))
    assert calls == {f"GET {ADAPTERS}": 1, f"GET {NETWORKS}": 1, f"PUT {ADAPTERS}": 2}


def test_what_cannot_be_is_refused_with_the_option_to_change(host: Host, makes: OvsAdapters) -> None:
    def refused(**details: str) -> str:
        with pytest.raises(Unsupported) as error:
            makes.check(on_ovs(details=details))
        return error.value.message

    calls = host.calls(lambda: makes.check(on_ovs()))
    assert not calls
    assert "Set firewall_driver = openvswitch, or noop, in [securitygroup]" in refused(ovs_hybrid_plug="True")
    assert "vnic_type direct, and Open vSwitch on PowerVM offloads to no hardware" in refused(vnic_type="direct")
    assert "is of a trunk, and Open vSwitch on PowerVM has no bridge tbr-1234" in refused(bridge_name="tbr-1234")


def test_it_is_refused_outside_the_management_partition(host: Host, tmp_path: Path) -> None:
    with host.platform(management_root=tmp_path) as platform:
        spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False)
        with pytest.raises(
            Unsupported, match=r"A port on Open vSwitch needs nova-compute to run in the management par"
        ):
            platform.check(spec)


def test_it_is_refused_where_there_is_no_management_partition(tmp_path: Path) -> None:
    with serve(tmp_path, document(partitions=[])) as host, host.platform() as platform:
        with pytest.raises(Unsupported, match="an HMC manages it"):
            platform._started.ovs.check(on_ovs())
        # Nothing is read for ports that cannot be there.
        spec = guest_spec(nics=(nic(),), disks=(), config_drive=False, power_on=False)
        run(around(platform.spawn_steps(spec), spec, tmp_path))
        calls = host.calls(lambda: platform.destroy(spec.uuid))
        assert f"GET {ADAPTERS}" not in calls


def test_a_vios_may_be_the_management_partition(tmp_path: Path) -> None:
    system = document(partitions=[])
    system["vioses"][0]["management"] = True
    with serve(tmp_path, system) as found, in_partition(found).platform() as platform:
        lpar = platform._started.guests.create(guest_spec())
        port = on_ovs()
        platform._started.ovs.create(lpar.uuid, port)
        assert [one.device for one in found.vios("vios1").adapters] == [naming.tap_device(port.id)]
        assert found.audit() == []
        platform._started.ovs.delete(lpar.uuid, port.mac)
        assert found.vios("vios1").adapters == []


def test_the_switch_is_made_where_it_is_missing(tmp_path: Path) -> None:
    with serve(tmp_path, {**document(), "switches": DOCUMENT["switches"]}) as found:
        host = in_partition(found)
        with host.platform() as platform:
            lpar = platform._started.guests.create(guest_spec())
            port = on_ovs()
            calls = host.calls(lambda: platform._started.ovs.create(lpar.uuid, port))
            assert calls[f"PUT {SWITCHES}"] == 1
            assert [one.name for one in host.world.state.switches][-1] == taps.PRIVATE_SWITCH
            assert platform._started.ovs.find(lpar.uuid, port)
            assert host.audit() == []


def test_another_process_that_makes_the_switch_first_is_no_trouble(tmp_path: Path) -> None:
    with serve(tmp_path, {**document(), "switches": DOCUMENT["switches"]}) as found:
        host = in_partition(found)
        with host.platform() as one, host.platform() as other:
            lpars = [each._started.guests.create(guest_spec()) for each in (one, other)]
            for each, lpar in zip((one, other), lpars, strict=True):
                each._started.ovs.create(lpar.uuid, on_ovs())
            assert len(host.world.state.switches) == 3
            assert host.audit() == []


def test_ports_made_at_the_same_time_have_a_vlan_each(host: Host, platform: PowerVM) -> None:
    """By two processes that each know only what they read at the beginning, with a choice that makes them meet."""
    guests = [platform._started.guests.create(guest_spec(memory_mb=512)) for _ in range(6)]
    with host.platform() as other, pytest.MonkeyPatch.context() as patch:
        # Everybody wants the same VLAN first.
        start = ovs_port._start
        patch.setattr(ovs_port, "_start", lambda port, attempt: start(port, attempt) if attempt else 0)
        makers = [platform._started.ovs, other._started.ovs]
        for maker in makers:
            maker._taps.all()
            maker._taps._vlans = set()
        with ThreadPoolExecutor(6) as pool:
            list(
                pool.map(
                    lambda n: makers[n % 2].create(guests[n % 6].uuid, on_ovs(mac=f"fa:16:3e:00:00:{n:02x}")), range(24)
                )
            )
    assert len({one.pvid for one in trunks(host)}) == 24
    assert host.audit() == []


def test_a_vlan_that_another_has_taken_is_left_to_it(host: Host, makes: OvsAdapters, lpar: Lpar) -> None:
    makes.create(lpar.uuid, on_ovs())
    port = on_ovs()
    wanted = ovs_port.free_vlan(port, {trunks(host)[0].pvid}, "")
    other_trunk(host, wanted)
    calls = host.calls(lambda: makes.create(lpar.uuid, port))
    assert calls == {f"PUT {ADAPTERS}": 3, f"GET {NETWORKS}": 1, f"GET {ADAPTERS}": 1}
    assert clients(host, lpar)[1].pvid == ovs_port.free_vlan(port, {trunks(host)[0].pvid, wanted}, "", attempt=1)
    assert [finding["kind"] for finding in host.audit()] == ["orphan-trunk"]


def test_a_vlan_with_an_adapter_on_it_and_no_trunk_is_not_free(host: Host, makes: OvsAdapters, lpar: Lpar) -> None:
    port = on_ovs()
    wanted = ovs_port.free_vlan(port, (), "")
    with host.world.lock:
        switch = next(one.id for one in host.world.state.switches if one.name == taps.PRIVATE_SWITCH)
        adapters.create(host.world, host.lpar(lpar.uuid), AdapterSpec(switch_id=switch, pvid=wanted))
    makes.create(lpar.uuid, port)
    assert clients(host, lpar)[1].pvid != wanted


def test_a_refusal_for_another_reason_is_raised(host: Host, makes: OvsAdapters, lpar: Lpar) -> None:
    with host.world.lock:
        host.world.management.max_slots = 3
    with pytest.raises(Conflict, match="slots of partition novalink are in use"):
        makes.create(lpar.uuid, on_ovs())
    assert ports(host) == []
    assert host.audit() == []


def test_a_switch_without_a_free_vlan_is_named() -> None:
    with pytest.raises(NoCapacity, match=r"a VLAN of its own on virtual switch private, and all 4094 are in use"):
        ovs_port.free_vlan(on_ovs(), set(ovs_port.VLANS), "private")


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_create_is_done_or_nothing_of_it_is_there(
    host: Host, makes: OvsAdapters, lpar: Lpar, nth: int, action: Action
) -> None:
    port = on_ovs()
    host.fault("PUT", ADAPTERS, action, nth=nth)
    try:
        makes.create(lpar.uuid, port)
        done = True
    except PlatformError:
        done = False
    assert host.faults_fired()
    assert done is (action is Action.DROP_AFTER)
    assert len(ports(host)) == len(clients(host, lpar)) == done
    assert host.audit() == []
    if not done:
        makes.create(lpar.uuid, port)
    makes.delete(lpar.uuid, port.mac)
    assert trunks(host) == clients(host, lpar) == []


def test_an_adapter_that_an_earlier_try_left_is_taken_over(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    port = on_ovs()
    makes.create(lpar.uuid, port)
    with host.world.lock:
        adapters.delete(host.world, host.world.management, trunks(host)[0])
    hotplug.attach(platform.connection, makes, lpar, port)
    assert len(ports(host)) == len(clients(host, lpar)) == 1
    # The same again, with nothing missing.
    hotplug.attach(platform.connection, makes, lpar, port)
    assert len(ports(host)) == len(clients(host, lpar)) == 1
    assert host.audit() == []


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_delete_is_done_or_nothing_of_it(
    host: Host, makes: OvsAdapters, lpar: Lpar, nth: int, action: Action
) -> None:
    port = on_ovs()
    makes.create(lpar.uuid, port)
    host.fault("DELETE", ADAPTER, action, nth=nth)
    try:
        makes.delete(lpar.uuid, port.mac)
        done = True
    except PlatformError:
        done = False
    assert host.faults_fired()
    # The guest's adapter is the first to go, and may be there still; what follows is tried again.
    assert done is (nth == 2 or action is Action.DROP_AFTER)
    assert len(ports(host)) == len(clients(host, lpar)) == (not done)
    assert host.audit() == []
    makes.delete(lpar.uuid, port.mac)
    assert trunks(host) == []


def test_what_a_delete_could_not_take_away_goes_later(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    port, other = on_ovs(), on_ovs()
    makes.create(lpar.uuid, port)
    makes.create(lpar.uuid, other)
    for nth in (2, 3):
        host.fault("DELETE", ADAPTER, Action.ERROR, nth=nth)
    hotplug.detach(platform.connection, makes, lpar, port)
    assert host.faults_fired()
    assert len(clients(host, lpar)) == 1
    assert len(trunks(host)) == 2
    # With the next look at the host, and as well when another process starts.
    platform._started.read_capacity()
    assert len(trunks(host)) == 1
    assert host.audit() == []
    assert host.calls(makes.sweep) == {}


def test_an_attach_that_a_crash_interrupted_is_taken_away_at_the_next_start(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    port = on_ovs()
    makes.create(lpar.uuid, on_ovs())
    makes._marks.set(port.mac.replace(":", ""))
    makes._taps.create(port, str(lpar.instance))
    assert [finding["kind"] for finding in host.audit()] == ["orphan-trunk"]
    with host.platform() as again:
        again.reconcile([str(lpar.instance)])
    assert len(trunks(host)) == 1
    assert host.audit() == []


def test_ports_of_guests_that_are_gone_go_at_the_next_start(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    makes.create(lpar.uuid, on_ovs())
    foreign = other_trunk(host, 77)
    platform._started.guests.delete(lpar)
    with host.platform() as again:
        again.reconcile([])
    assert trunks(host) == [foreign]


def test_a_guest_is_destroyed_with_its_ports(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(), nic(), on_ovs()), disks=(), config_drive=False, power_on=False)
    calls = host.calls(lambda: run(around(platform.spawn_steps(spec), spec, tmp_path)))
    # Only the port on a Shared Ethernet Adapter has an agent that must be told.
    assert calls["PUT /rest/api/uom/Event"] == 1
    assert len(ports(host)) == 2
    host.fault("DELETE", ADAPTER, Action.ERROR, nth=1)
    host.fault("DELETE", ADAPTER, Action.ERROR, nth=2)
    with pytest.raises(PlatformError):
        platform.destroy(spec.uuid)
    # The partition is gone, and the instance's uuid finds the rest.
    assert len(ports(host)) == 1
    host.simulator.faults.clear()
    platform.destroy(spec.uuid)
    assert trunks(host) == []
    assert host.audit() == []


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_spawn_is_done_or_nothing_of_it_is_there(
    host: Host, platform: PowerVM, tmp_path: Path, nth: int, action: Action
) -> None:
    spec = guest_spec(nics=(on_ovs(), on_ovs()), disks=(), config_drive=False, power_on=False)
    steps = around(platform.spawn_steps(spec), spec, tmp_path)
    host.fault("PUT", ADAPTERS, action, nth=nth)
    if action is Action.DROP_AFTER:
        run(steps)
        platform.destroy(spec.uuid)
    else:
        with pytest.raises(PlatformError):
            run(steps)
    assert host.faults_fired()
    assert host.lpar(naming.lpar_uuid(spec.uuid)) is None
    assert trunks(host) == []
    assert host.audit() == []
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    assert len(ports(host)) == 2


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER, Action.STALE])
@pytest.mark.parametrize(("method", "path"), [("GET", ADAPTERS), ("POST", ADAPTER)])
def test_a_start_brings_devices_back_whatever_request_fails(
    host: Host, platform: PowerVM, tmp_path: Path, method: str, path: str, action: Action
) -> None:
    if method == "GET" and action is Action.STALE:
        action = Action.BUSY
    spec = guest_spec(nics=(on_ovs(), on_ovs()), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before = ports(host)
    restart(host)
    host.fault(method, path, action)
    with host.platform() as again:
        again.reconcile([spec.uuid])
        if not again.was_plugged(spec.uuid, spec.nics):
            for port in spec.nics:
                again.plug(spec.uuid, port)
        assert host.faults_fired()
        assert again.was_plugged(spec.uuid, spec.nics)
    assert ports(host) == before
    assert host.audit() == []


def test_a_guest_that_is_gone_leaves_no_port_when_it_is_unplugged(
    host: Host, platform: PowerVM, makes: OvsAdapters, lpar: Lpar
) -> None:
    port = on_ovs()
    makes.create(lpar.uuid, port)
    platform._started.guests.delete(lpar)
    platform.unplug(str(lpar.instance), port)
    assert trunks(host) == []


def test_a_restart_of_the_host_is_mended_at_once(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(), on_ovs()), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before = ports(host)
    restart(host)
    assert ports(host) == []
    with host.platform() as again:
        assert not again.was_plugged(spec.uuid, spec.nics)
    with host.platform() as again:
        calls = host.calls(again._started.reconcile)
        del calls["GET /rest/api/uom/Tier/{uuid}/LogicalUnit"]
        assert calls == {f"GET {ADAPTERS}": 1, f"POST {ADAPTER}": 2}
        assert ports(host) == before
        assert host.calls(lambda: again.was_plugged(spec.uuid, spec.nics)) == {}
        assert again.was_plugged(spec.uuid, spec.nics)
    assert host.audit() == []


def test_a_device_that_is_not_back_is_plugged_once_more(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before = ports(host)
    restart(host)
    host.fault("POST", ADAPTER, Action.ERROR)
    with host.platform() as again:
        again.reconcile([spec.uuid])
        assert ports(host) == []
        assert not again.was_plugged(spec.uuid, spec.nics)
        calls = host.calls(lambda: again.plug(spec.uuid, spec.nics[0]))
        assert calls == {f"GET {ADAPTERS}": 1, f"POST {ADAPTER}": 1}
    assert ports(host) == before


def test_a_port_that_lost_its_attributes_is_known_by_its_vlan(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before = ports(host)
    with host.world.lock:
        (trunk,) = trunks(host)
        trunk.device = trunk.ovs_bridge = trunk.ovs_external_ids = trunk.configured_mtu = None
        trunk.attached = False
        host.world.changed(trunk, "Other", host.world.management)
    with host.platform() as again:
        again.reconcile([spec.uuid])
        assert not again.was_plugged(spec.uuid, spec.nics)
        again.plug(spec.uuid, spec.nics[0])
        assert ports(host) == before
        again.unplug(spec.uuid, spec.nics[0])
    assert trunks(host) == []
    assert host.audit() == []


def test_a_trunk_adapter_changed_by_others_is_read_again(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before = ports(host)
    with host.world.lock:
        trunks(host)[0].required = True
        host.world.touch(trunks(host)[0])
    restart(host)
    calls = host.calls(lambda: platform.plug(spec.uuid, spec.nics[0]))
    assert calls == {f"GET {ADAPTERS}": 1, f"POST {ADAPTER}": 2, f"GET {ADAPTER}": 1}
    assert ports(host) == before
    assert trunks(host)[0].required


def test_a_trunk_adapter_that_somebody_removed_is_made_anew(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before, vlan = ports(host), trunks(host)[0].pvid
    with host.world.lock:
        adapters.delete(host.world, host.world.management, trunks(host)[0])
    platform.plug(spec.uuid, spec.nics[0])
    assert ports(host) == before
    assert trunks(host)[0].pvid == vlan
    assert host.audit() == []


def test_a_guest_moves_to_another_vlan_when_its_own_is_taken(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(),), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    before, vlan = ports(host), trunks(host)[0].pvid
    with host.world.lock:
        adapters.delete(host.world, host.world.management, trunks(host)[0])
    other = other_trunk(host, vlan)
    platform.plug(spec.uuid, spec.nics[0])
    with host.world.lock:
        adapters.delete(host.world, host.world.management, other)
    assert ports(host) == before
    assert trunks(host)[0].pvid != vlan
    assert host.audit() == []


def test_a_start_of_nova_asks_for_nothing_but_the_trunk_adapters(host: Host, platform: PowerVM, tmp_path: Path) -> None:
    spec = guest_spec(nics=(on_ovs(), on_ovs()), disks=(), config_drive=False, power_on=False)
    run(around(platform.spawn_steps(spec), spec, tmp_path))
    with host.platform() as again:
        calls = host.calls(lambda: (again.reconcile([spec.uuid]), again.was_plugged(spec.uuid, spec.nics)))
        del calls["GET /rest/api/uom/Tier/{uuid}/LogicalUnit"]
        assert calls == {f"GET {ADAPTERS}": 1}
        assert again.was_plugged(spec.uuid, spec.nics)
        again.unplug(spec.uuid, spec.nics[0])
        assert not again.was_plugged(spec.uuid, spec.nics[1:])
