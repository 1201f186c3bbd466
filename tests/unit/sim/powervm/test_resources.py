"""The types as the front sees them: groups, quick properties, searches, and what a client's document changes."""

from __future__ import annotations

import pytest
from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import fibre, lpars, mappings, pool, slots
from bigiron.sim.powervm.model.partition import Lpar, Vios
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Update
from bigiron.sim.powervm.resources import RESOURCES, markup

from .rich_world import instances, rich_world, spec

NS = f'xmlns="{markup.UOM}"'


@pytest.fixture
def world() -> World:
    return rich_world()


def element(text: str) -> etree._Element:
    return etree.fromstring(text.replace(">", f" {NS}>", 1).replace(f"/ {NS}>", f" {NS}/>"))


def guest(world: World) -> Lpar:
    return next(p for p in world.lpars if p.name == "linux1")


def names(found: etree._Element) -> list[str]:
    return [markup.kind_of(e) for e in found]


@pytest.mark.parametrize("kind", sorted(RESOURCES))
def test_every_object_renders_and_is_found_by_its_uuid(world: World, kind: str) -> None:
    resource = RESOURCES[kind]
    for parent, obj in instances(world, kind):
        rendered = resource.render(world, obj, resource.groups)
        assert markup.text(rendered, "Metadata", "Atom", "AtomID") == resource.uuid(obj)
        found = resource.find(world, parent, resource.uuid(obj).lower())
        assert found is not None
        assert resource.uuid(found) == resource.uuid(obj)


@pytest.mark.parametrize(
    ("group", "section"),
    [
        ("ViosStorage", "PhysicalVolumes"),
        ("ViosStorage", "StoragePools"),
        ("ViosSCSIMapping", "VirtualSCSIMappings"),
        ("ViosFCMapping", "VirtualFibreChannelMappings"),
        ("ViosNetwork", "SharedEthernetAdapters"),
        ("ViosNetwork", "TrunkAdapters"),
    ],
)
def test_sections_come_with_their_group_alone(world: World, group: str, section: str) -> None:
    resource, vios = RESOURCES["VirtualIOServer"], world.vioses[0]
    assert section not in names(resource.render(world, vios, frozenset()))
    found = resource.render(world, vios, frozenset({group}))
    assert section in names(found)
    shown = markup.child(found, section)
    assert shown is not None
    assert shown.get("group") == group
    others = resource.groups - {group}
    assert section not in names(resource.render(world, vios, others))


def test_nvram_is_shown_only_when_asked_for(world: World) -> None:
    resource = RESOURCES["LogicalPartition"]
    assert markup.text(resource.render(world, guest(world), frozenset({"NVRAM"})), "PartitionNVRAM") == "QUJD"
    assert markup.text(resource.render(world, guest(world), frozenset()), "PartitionNVRAM") is None


def test_quick_properties(world: World) -> None:
    found = RESOURCES["LogicalPartition"].quick(world, guest(world))
    assert found["PartitionState"] == "running"
    assert found["PartitionID"] == guest(world).id
    assert (found["PartitionName"], found["PartitionType"], found["RMCState"]) == ("linux1", "AIX/Linux", "active")


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("LogicalPartition", "PartitionName", "linux1"),
        ("VirtualIOServer", "PartitionID", "2"),
        ("Cluster", "ClusterName", "cluster1"),
        ("SharedStoragePool", "StoragePoolName", "pool1"),
    ],
)
def test_search_keys(world: World, kind: str, key: str, value: str) -> None:
    value_of = RESOURCES[kind].searches[key]
    assert [value_of(obj) for _, obj in instances(world, kind) if value_of(obj) == value] == [value]


def test_the_description_is_kept(world: World) -> None:
    resource = RESOURCES["LogicalPartition"]
    assert markup.text(resource.render(world, guest(world), frozenset()), "Description") == "openstack:1"
    resource.update(
        world, None, guest(world), Update(element("<LogicalPartition><Description>m</Description></LogicalPartition>"))
    )
    assert guest(world).description == "m"
    assert guest(world).name == "linux1"


def test_a_document_with_seeded_empty_lists_removes_nothing_of_other_groups(world: World) -> None:
    vios = world.vioses[0]
    before = len(vios.servers)
    body = element("<VirtualIOServer><VirtualSCSIMappings/><VirtualFibreChannelMappings/></VirtualIOServer>")
    RESOURCES["VirtualIOServer"].update(world, None, vios, Update(body, frozenset({"ViosFCMapping"})))
    assert len(vios.servers) == before
    assert vios.fibre == []


def test_one_bad_section_of_a_document_refuses_the_others(world: World) -> None:
    vios, resource = world.vioses[0], RESOURCES["VirtualIOServer"]
    both = frozenset({"ViosSCSIMapping", "ViosFCMapping"})
    before = _without_counters(world)
    channel = "<VirtualFibreChannelMapping><Port><PortName>fcs9</PortName></Port></VirtualFibreChannelMapping>"
    body = element(
        "<VirtualIOServer><VirtualSCSIMappings/>"
        f"<VirtualFibreChannelMappings>{channel}</VirtualFibreChannelMappings></VirtualIOServer>"
    )
    with pytest.raises(BadRequest, match="fcs9"):
        resource.update(world, None, vios, Update(body, both))
    assert _without_counters(world) == before


def test_both_sections_of_a_document_share_the_slots(world: World) -> None:
    vios = world.vioses[0]
    made = lpars.create(world, spec("b"))
    unit = pool.create(world, world.state.pools[0].tiers[0], pool.UnitSpec("u", 1))
    reserve = slots.Reserve(world)
    volume = mappings.Wanted(made.uuid, None, None, "LogicalUnit", unit.udid)
    commits = [
        mappings.plan(world, vios, [*_listed(vios), volume], reserve),
        fibre.plan(world, vios, [fibre.Wanted(made.uuid, None, None, "fcs0")], reserve),
    ]
    for commit in commits:
        commit()
    assert len(slots.used(world, made) - slots.RESERVED) == 2
    assert not {s.slot for s in vios.servers} & {f.slot for f in vios.fibre}


def _listed(vios: Vios) -> list[mappings.Wanted]:
    return [mappings.Wanted(s.client, s.slot, s.client_slot, t.kind, t.key) for s in vios.servers for t in s.targets]


def test_a_rendered_document_posted_back_changes_nothing(world: World) -> None:
    groups = {"VirtualIOServer": frozenset({"ViosSCSIMapping", "ViosFCMapping"})}
    for kind in ("VirtualIOServer", "LogicalPartition", "NetworkBridge", "VolumeGroup", "ClientNetworkAdapter"):
        resource = RESOURCES[kind]
        for parent, obj in instances(world, kind):
            before = _without_counters(world)
            rendered = resource.render(world, obj, resource.groups)
            resource.update(world, parent, obj, Update(rendered, groups.get(kind, frozenset())))
            assert _without_counters(world) == before, (kind, resource.uuid(obj))


def _without_counters(world: World) -> object:
    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in ("version", "revision", "serial")}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return strip(world.to_state())


def test_numbers_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="DesiredMemory must be a number, not 'lots'"):
        markup.number(element("<A><DesiredMemory>lots</DesiredMemory></A>"), "DesiredMemory")


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (0.5, "0.5"), (10.0, "10"), (0.1 + 0.2, "0.3"), (7, "7"), ("x", "x")]
)
def test_scalars(value: object, text: str) -> None:
    assert markup.text_of(value) == text
