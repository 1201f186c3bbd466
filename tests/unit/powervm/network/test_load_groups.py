"""The same plans on a system that an HMC manages: load groups of virtual networks, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.support.powervm_host import Host, guest_spec, nic, serve

from bigiron.errors import PlatformError, Unavailable
from bigiron.plugins.neutron.plan import Wanted, plan
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import Stale
from bigiron.powervm.network.bridges import BridgeDocuments
from bigiron.powervm.network.load_groups import LoadGroupDocuments, batches, bridge_documents
from bigiron.powervm.network.trunks import AddTrunk, AddVlan, Bridge, Op, RemoveTrunk, RemoveVlan, Renumber, apply
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.server import Settings
from bigiron.sim.powervm.session import Flavour

BRIDGE = "/rest/api/uom/ManagedSystem/{uuid}/NetworkBridge/{uuid}"
NETWORKS = "/rest/api/uom/ManagedSystem/{uuid}/VirtualNetwork"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path, settings=Settings(flavour=Flavour.HMC)) as running:
        yield running


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    made = host.connect()
    yield made
    made.close()


@pytest.fixture
def documents(connection: Connection) -> BridgeDocuments:
    return bridge_documents(connection.adapter, connection.system_uuid)


def trunks(host: Host) -> list[list[tuple[int, list[int]]]]:
    """PVID and VLANs of each SEA's additional trunks, as the world has them."""
    with host.world.lock:
        (bridge,) = host.world.state.bridges
        return [sorted((trunk.pvid, sorted(trunk.tagged)) for trunk in sea.trunks[1:]) for sea in bridge.seas]


def both(*wanted: tuple[int, list[int]]) -> list[list[tuple[int, list[int]]]]:
    return [sorted(wanted), sorted(wanted)]


def networks(host: Host) -> dict[int, bool]:
    """The virtual networks of ETHERNET0 by VLAN, and whether they are tagged."""
    with host.world.lock:
        return {network.vlan: network.tagged for network in host.world.state.networks if network.switch_id == 0}


def wanted(bridge: Bridge, *vlans: int) -> Wanted:
    return Wanted({bridge.uuid: frozenset(vlans)})


def test_an_hmcs_bridges_are_changed_by_load_groups(documents: BridgeDocuments) -> None:
    assert isinstance(documents, LoadGroupDocuments)


def test_vlans_come_and_go(host: Host, documents: BridgeDocuments) -> None:
    before = networks(host)
    (bridge,) = documents.read()
    assert documents.apply(plan([bridge], wanted(bridge, *range(100, 125))).ops) == 1
    first, second = (4094, list(range(100, 120))), (4093, list(range(120, 125)))
    assert trunks(host) == both(first, second)
    assert {vlan: tagged for vlan, tagged in networks(host).items() if vlan not in before} == {
        4094: False, 4093: False, **dict.fromkeys(range(100, 125), True),
    }  # fmt: skip
    (bridge,) = documents.read()
    assert plan([bridge], wanted(bridge, *range(100, 125))).ops == ()

    ops: list[Op] = [RemoveVlan(bridge.uuid, 101), *(RemoveVlan(bridge.uuid, v) for v in range(120, 125))]
    assert documents.apply([*ops, RemoveTrunk(bridge.uuid, 4093)]) == 1
    assert trunks(host) == both((4094, [100, *range(102, 120)]))
    assert 4093 not in networks(host), "nobody needs it, and it would keep the number"
    assert host.audit() == []


def test_a_vlan_more_costs_one_reading_of_the_networks_one_network_and_one_update(
    host: Host, documents: BridgeDocuments
) -> None:
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100)).ops)
    (bridge,) = documents.read()
    calls = host.calls(lambda: documents.apply(plan([bridge], wanted(bridge, 100, 101)).ops))
    assert calls == {f"GET {NETWORKS}": 1, f"PUT {NETWORKS}": 1, f"POST {BRIDGE}": 1}


def test_a_pvid_that_is_wanted_as_a_vlan_is_given_up(host: Host, documents: BridgeDocuments) -> None:
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100, 101)).ops)
    (bridge,) = documents.read()
    ops = plan([bridge], wanted(bridge, 100, 101, 4094)).ops
    assert ops[0] == Renumber(bridge.uuid, 4094, 4093)
    documents.apply(ops)
    assert trunks(host) == both((4093, [100, 101, 4094]))
    found = networks(host)
    assert (found[4094], found[4093]) == (True, False)
    assert host.audit() == []


def test_a_pvid_gives_way_to_a_client_that_is_there_already(host: Host, connection: Connection) -> None:
    """The compute service makes the adapter first, on the VLAN that a trunk still has as its own."""
    documents = bridge_documents(connection.adapter, connection.system_uuid)
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100)).ops)
    assert networks(host)[4094] is False
    with host.platform() as platform:
        guest = guest_spec(nics=(nic(vlan=4094),))
        lpar = platform._started.guests.create(guest)
        platform._started.adapters.create(lpar.uuid, guest.nics[0])
        (bridge,) = documents.read()
        documents.apply(plan([bridge], wanted(bridge, 100, 4094)).ops)
        assert trunks(host) == both((4093, [100, 4094]))
        assert networks(host)[4094] is True
        # What the compute service knows of networks does not mislead it later.
        again = guest_spec(nics=(nic(vlan=4094),))
        platform._started.adapters.create(lpar.uuid, again.nics[0])
        assert [adapter.pvid for adapter in host.lpar(lpar.uuid).adapters] == [4094, 4094]


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER, Action.STALE])
@pytest.mark.parametrize("which", [1, 2])
def test_no_vlan_stays_away_when_an_update_of_a_renumbering_fails(
    host: Host, documents: BridgeDocuments, action: Action, which: int
) -> None:
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100, 101)).ops)
    (bridge,) = documents.read()
    host.fault("POST", BRIDGE, action, nth=which)
    try:
        documents.apply([Renumber(bridge.uuid, 4094, 4000)])
    except PlatformError:
        assert which == 1 and action is not Action.DROP_AFTER
        assert trunks(host) == both((4094, [100, 101])), "as it was"
    else:
        assert trunks(host) == both((4000, [100, 101]))
    assert host.faults_fired()


def test_a_bridge_that_takes_nothing_more_is_left_to_the_next_comparison(
    host: Host, documents: BridgeDocuments
) -> None:
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100)).ops)
    (bridge,) = documents.read()
    host.fault("POST", BRIDGE, Action.ERROR, nth=2, times=3)
    with pytest.raises(Unavailable, match="lost VLANs 100 while the PVID 4094 of their trunk was freed"):
        documents.apply([Renumber(bridge.uuid, 4094, 4000)])
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100)).ops)
    assert trunks(host) == both((4094, [100]))


def test_a_bridge_changed_by_somebody_else_is_stale(
    host: Host, connection: Connection, documents: BridgeDocuments
) -> None:
    (bridge,) = documents.read()
    other = bridge_documents(connection.adapter, connection.system_uuid)
    other.read()
    other.apply(plan([bridge], wanted(bridge, 100)).ops)
    with pytest.raises(Stale):
        documents.apply(plan([bridge], wanted(bridge, 200)).ops)
    (bridge,) = documents.read()
    documents.apply(plan([bridge], wanted(bridge, 100, 200)).ops)
    assert trunks(host) == both((4094, [100, 200]))


def test_random_wishes_end_as_planned(host: Host, documents: BridgeDocuments) -> None:
    rng = Random(5)
    pool = [*range(100, 130), *range(4086, 4095)]
    for step in range(12):
        wish = frozenset(rng.sample(pool, rng.randint(0, 30)))
        bridges = documents.read()
        unused = {b.uuid: b.added_vlans() - wish for b in bridges}
        ops = plan(bridges, Wanted({bridges[0].uuid: wish}), unused).ops
        documents.apply(ops)
        (planned,) = apply(bridges, ops)
        expected = sorted((trunk.pvid, sorted(trunk.vlans)) for trunk in planned.additional())
        assert trunks(host) == [expected, expected], f"step {step}"
        assert host.audit() == []


def test_nothing_is_added_in_the_update_that_removes() -> None:
    ops: list[Op] = [
        Renumber("b1", 4094, 4093),
        Renumber("b1", 4092, 4091),
        RemoveVlan("b2", 5),
        RemoveTrunk("b2", 4000),
        AddTrunk("b1", 4001),
        AddVlan("b1", 4001, 5),
        RemoveVlan("b1", 6),
        AddVlan("b1", 4001, 6),
    ]
    assert batches(ops) == [ops[:1], ops[1:2], ops[2:4], ops[4:7], ops[7:]]
