"""vNICs and the physical ports of SR-IOV adapters that back them."""

from __future__ import annotations

import pytest

from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.documents import DocumentError
from bigiron.sim.powervm.errors import BadRequest, Busy
from bigiron.sim.powervm.guests.inventory import Inventory
from bigiron.sim.powervm.model import adapters, lpars, slots, vnics
from bigiron.sim.powervm.model.partition import OFF, RUNNING, Lpar
from bigiron.sim.powervm.model.sriov import PhysicalPort
from bigiron.sim.powervm.model.vnics import BackingSpec, VnicSpec
from bigiron.sim.powervm.model.world import World

from .rich_world import SRIOV, plain_world, spec


@pytest.fixture
def world() -> World:
    return plain_world(sriov_adapters=SRIOV)


@pytest.fixture
def lpar(world: World) -> Lpar:
    return lpars.create(world, spec("a"))


def backing(world: World, vios: int = 0, adapter: int = 1, port: int = 0, **more: object) -> BackingSpec:
    return BackingSpec(world.vioses[vios].uuid, adapter, port, **more)  # type: ignore[arg-type]


def make(world: World, lpar: Lpar, *ways: BackingSpec, **more: object) -> vnics.VirtualNic:
    return vnics.create(world, lpar, VnicSpec(ways or (backing(world),), **more))  # type: ignore[arg-type]


def port(world: World, adapter: int = 1, number: int = 0) -> PhysicalPort:
    found = vnics.find_port(world, adapter, number)
    assert found is not None
    return found


def test_the_document_numbers_adapters_and_ports(world: World) -> None:
    shared, other, dedicated = world.state.sriov
    assert [shared.id, other.id, dedicated.id] == [1, 2, None]
    assert [(p.id, p.label, p.link, p.location) for p in shared.ports] == [
        (0, "physnet1", True, "U78D2.001-P2-C1-T1"),
        (1, "physnet2", False, "U78D2.001-P2-C1-T2"),
    ]
    assert dedicated.ports == []
    with pytest.raises(DocumentError, match="sriov_adapters"):
        plain_world(sriov_adapters=[{"ports": []}])


def test_a_vnic_takes_a_slot_a_mac_and_a_logical_port_on_each_way(world: World, lpar: Lpar) -> None:
    adapters.create(world, lpar, adapters.AdapterSpec(switch_id=0, pvid=1))
    made = make(world, lpar, backing(world), backing(world, vios=1, adapter=2, capacity=10.0), pvid=100)
    assert made.slot == 3
    assert slots.used(world, lpar) == {0, 1, 2, 3}
    assert [(p.capacity, p.pvid, p.mac) for p in (*port(world).logical, *port(world, 2).logical)] == [
        (2.0, 100, made.mac),
        (10.0, 100, made.mac),
    ]
    assert port(world, 2).logical[0].vios == world.vioses[1].uuid
    assert audit(world) == []
    vnics.delete(world, lpar, made)
    assert lpar.vnics == []
    assert list(vnics.logical_ports(world)) == []


def test_it_goes_with_its_partition(world: World, lpar: Lpar) -> None:
    make(world, lpar)
    lpars.delete(world, lpar)
    assert list(vnics.logical_ports(world)) == []


def test_a_mac_is_taken_once_among_adapters_of_all_kinds(world: World, lpar: Lpar) -> None:
    make(world, lpar, mac="fa:16:3e:00:00:01")
    with pytest.raises(BadRequest, match="already in use by partition a"):
        make(world, lpar, mac="fa:16:3e:00:00:01")
    with pytest.raises(BadRequest, match="already in use by partition a"):
        adapters.create(world, lpar, adapters.AdapterSpec(switch_id=0, pvid=1, mac="FA163E000001"))


@pytest.mark.parametrize(
    ("way", "more", "message"),
    [
        ({"adapter": 9}, {}, "no SR-IOV adapter with id 9 in shared mode"),
        ({"port": 7}, {}, "SR-IOV adapter 1 has no physical port 7"),
        ({"capacity": 3.0}, {}, r"3% is not a multiple of 2%"),
        ({"capacity": 102.0}, {}, r"102% is not a multiple of 2%"),
        ({"capacity": 4.0, "max_capacity": 2.0}, {}, r"MaxCapacityPercentage 2% is outside 4%\.\.100%"),
        ({"adapter": 2, "max_capacity": 50.0}, {}, "adapter 2 cannot limit the capacity"),
        ({"priority": 101}, {}, r"FailOverPriority must be within 1\.\.100"),
        ({}, {"pvid": 1}, r"PortVLANID 1 is outside 2\.\.4094"),
        ({}, {"slot": 64}, r"outside 2\.\.63"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    world: World, lpar: Lpar, way: dict[str, object], more: dict[str, object], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        make(world, lpar, backing(world, **way), **more)  # type: ignore[arg-type]
    assert lpar.vnics == []
    assert list(vnics.logical_ports(world)) == []


def test_the_number_of_ways_and_their_vios_are_checked(world: World, lpar: Lpar) -> None:
    with pytest.raises(BadRequest, match="1 to 6 backing devices, not 7"):
        make(world, lpar, *[backing(world)] * 7)
    with pytest.raises(BadRequest, match="must link to a Virtual I/O Server"):
        make(world, lpar, BackingSpec(lpar.uuid, 1, 0))
    world.vioses[0].state = OFF
    with pytest.raises(Busy, match="vios1 cannot be reached"):
        make(world, lpar)


def test_a_ports_capacity_and_number_of_logical_ports_are_limits(world: World, lpar: Lpar) -> None:
    make(world, lpar, backing(world, capacity=60.0))
    with pytest.raises(BadRequest, match=r"insufficient capacity: 42% was asked for and 40% is available"):
        make(world, lpar, backing(world, capacity=42.0))
    with pytest.raises(BadRequest, match="insufficient capacity"):
        make(world, lpar, backing(world, capacity=20.0), backing(world, vios=1, capacity=22.0))
    make(world, lpar, backing(world, capacity=40.0))
    port(world, 2).max_ports = 1
    make(world, lpar, backing(world, adapter=2))
    with pytest.raises(BadRequest, match="all 1 are configured"):
        make(world, lpar, backing(world, adapter=2))
    assert audit(world) == []


def test_a_running_partition_needs_rmc(world: World, lpar: Lpar) -> None:
    made = make(world, lpar)
    lpar.state = RUNNING
    with pytest.raises(BadRequest, match="HSCL294D"):
        make(world, lpar)
    with pytest.raises(BadRequest, match="HSCL294D"):
        vnics.delete(world, lpar, made)


def test_frames_take_the_first_way_that_is_open(world: World, lpar: Lpar) -> None:
    made = make(world, lpar, backing(world, priority=1), backing(world, vios=1, adapter=2, priority=2))
    first, second = made.backing
    assert vnics.active(world, made) is first
    events: list[tuple[str, str, str]] = []
    world.subscribe(lambda *event: events.append(event))
    vnics.set_port(world, port(world), link=False)
    assert events == [("MODIFY_URI", f"ManagedSystem/{world.system.uuid}", "SRIOVPhysicalPort.ConfigChange")]
    assert vnics.status(world, first) == "LINK_DOWN"
    assert vnics.active(world, made) is second
    world.vioses[1].state = OFF
    assert vnics.status(world, second) == "POWERED_OFF"
    assert vnics.active(world, made) is first


def test_the_guest_sees_it_among_its_adapters(world: World, lpar: Lpar) -> None:
    made = make(world, lpar, pvid=100)
    adapters.create(world, lpar, adapters.AdapterSpec(switch_id=0, pvid=1))
    first, second = Inventory(world).hardware(lpar).adapters
    assert (first.mac, first.vlan, first.switch, first.vnic) == (made.mac, 100, "physnet1", True)
    assert (second.switch, second.vnic) == ("ETHERNET0", False)


def test_the_audit_finds_what_does_not_fit(world: World, lpar: Lpar) -> None:
    made, other = make(world, lpar), make(world, lpar)
    lpar.vnics.remove(made)
    port(world).logical[1].capacity = 99.0
    port(world).logical[1].id += 1
    other.slot = 0
    adapters.create(world, lpar, adapters.AdapterSpec(switch_id=0, pvid=1, slot=5))
    other.slot = 5
    kinds = [finding["kind"] for finding in audit(world)]
    assert kinds == [
        "orphan-logical-port", "vnic-without-logical-port", "overcommitted-physical-port", "slot-conflict",
    ]  # fmt: skip


def test_a_saved_world_has_them_again(world: World, lpar: Lpar) -> None:
    made = make(world, lpar, pvid=7)
    again = World.from_state(world.to_state(), world.clock)
    (vnic,) = again.lpars[-1].vnics
    assert (vnic.uuid, vnic.pvid) == (made.uuid, 7)
    assert vnics.logical_port(again, vnic.backing[0]) is not None
