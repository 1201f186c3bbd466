"""Virtual Fibre Channel mappings: what a list of them is given, and what it is refused for."""

from __future__ import annotations

import pytest

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import fibre, lpars
from bigiron.sim.powervm.model.fibre import Wanted
from bigiron.sim.powervm.model.mapping import FibreMapping
from bigiron.sim.powervm.model.partition import RUNNING, Lpar, Vios
from bigiron.sim.powervm.model.world import World

from .rich_world import plain_world, spec

PAIR = ("c050760000000001", "c050760000000002")


@pytest.fixture
def world() -> World:
    return plain_world()


@pytest.fixture
def vios(world: World) -> Vios:
    return world.vioses[0]


@pytest.fixture
def lpar(world: World) -> Lpar:
    return lpars.create(world, spec("a"))


def new(lpar: Lpar, port: str = "fcs0", wwpns: tuple[str, ...] = ()) -> Wanted:
    return Wanted(lpar.uuid, None, None, port, wwpns)


def kept(mapping: FibreMapping, port: str | None = None) -> Wanted:
    return Wanted(mapping.client, mapping.slot, mapping.client_slot, port)


def test_pairs_of_one_list_have_slots_names_and_wwpns_of_their_own(world: World, vios: Vios, lpar: Lpar) -> None:
    fibre.replace(world, vios, [new(lpar), new(lpar, "fcs1")])
    assert len({f.client_slot for f in vios.fibre}) == 2
    assert len({f.slot for f in vios.fibre}) == 2
    assert [f.name for f in vios.fibre] == ["vfchost0", "vfchost1"]
    assert len({w for f in vios.fibre for w in f.wwpns}) == 4


def test_a_port_carries_no_more_than_it_can(world: World, vios: Vios, lpar: Lpar) -> None:
    fibre.ports(vios)[0].npiv_total = 2
    fibre.replace(world, vios, [new(lpar), new(lpar, "fcs1")])
    there = [kept(f) for f in vios.fibre]
    with pytest.raises(BadRequest, match="All 2 virtual ports of fcs0 on vios1 are in use"):
        fibre.replace(world, vios, [*there, new(lpar), new(lpar)])
    assert len(vios.fibre) == 2
    fibre.replace(world, vios, [there[0], kept(vios.fibre[1], "fcs0")])
    assert [f.port for f in vios.fibre] == ["fcs0", "fcs0"]
    with pytest.raises(BadRequest, match="fcs0"):
        fibre.replace(world, vios, [*there, new(lpar)])
    fibre.replace(world, vios, [there[0], new(lpar)])
    assert len(vios.fibre) == 2


@pytest.mark.parametrize("same", [(PAIR[1], "c050760000000009"), (PAIR[0].upper(), "c050760000000009")])
def test_a_wwpn_is_one_adapters_alone(world: World, vios: Vios, lpar: Lpar, same: tuple[str, str]) -> None:
    other = world.vioses[1]
    fibre.replace(world, other, [new(lpar, wwpns=PAIR)])
    with pytest.raises(BadRequest, match="is in use by another"):
        fibre.replace(world, vios, [new(lpar, wwpns=same)])
    with pytest.raises(BadRequest, match="needs two WWPNs"):
        fibre.replace(world, vios, [new(lpar, wwpns=(same[1], same[1]))])
    assert vios.fibre == []
    # Given up and taken anew in one list, as when a mapping is moved to another port.
    fibre.replace(world, other, [new(lpar, "fcs1", PAIR)])
    assert [f.wwpns for f in other.fibre] == [list(PAIR)]


def test_slots_run_out_with_a_word(world: World, vios: Vios, lpar: Lpar) -> None:
    lpar.max_slots = 3
    fibre.replace(world, vios, [new(lpar)])
    with pytest.raises(BadRequest, match="All 3 virtual slots of partition a are in use"):
        fibre.replace(world, vios, [kept(vios.fibre[0]), new(lpar)])
    vios.max_slots = max(f.slot for f in vios.fibre) + 1
    lpar.max_slots = 10
    with pytest.raises(BadRequest, match="virtual slots of partition vios1 are in use"):
        fibre.replace(world, vios, [kept(vios.fibre[0]), new(lpar)])


def test_a_running_client_without_rmc_keeps_its_adapters(world: World, vios: Vios, lpar: Lpar) -> None:
    fibre.replace(world, vios, [new(lpar)])
    lpar.state = RUNNING
    with pytest.raises(BadRequest, match="HSCL294D Cannot remove"):
        fibre.replace(world, vios, [])
    assert len(vios.fibre) == 1


def test_an_adapter_is_named_once(world: World, vios: Vios, lpar: Lpar) -> None:
    fibre.replace(world, vios, [new(lpar)])
    with pytest.raises(BadRequest, match="twice"):
        fibre.replace(world, vios, [kept(vios.fibre[0]), kept(vios.fibre[0])])


def test_a_refused_list_changes_nothing(world: World, vios: Vios, lpar: Lpar) -> None:
    fibre.replace(world, vios, [new(lpar)])
    before = world.to_state()
    with pytest.raises(BadRequest, match="no physical Fibre Channel port fcs9"):
        fibre.replace(world, vios, [kept(vios.fibre[0], "fcs1"), new(lpar), new(lpar, "fcs9")])
    assert world.to_state() == before
