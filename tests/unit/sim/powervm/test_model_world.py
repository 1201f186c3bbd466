"""The world as a whole: its state on disk, its events and its versions."""

from __future__ import annotations

import json

import pytest

from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.errors import NotFound
from bigiron.sim.powervm.model import entity, lpars
from bigiron.sim.powervm.model.storage import Tier
from bigiron.sim.powervm.model.world import World

from .rich_world import StillClock, plain_world, rich_world, spec


def test_the_state_survives_json() -> None:
    world = rich_world()
    again = World.from_state(json.loads(json.dumps(world.to_state())), StillClock())
    assert again.to_state() == world.to_state()
    assert audit(again) == audit(world)


def test_a_state_of_another_version_is_refused() -> None:
    state = plain_world().to_state()
    state["system"]["colour"] = "blue"
    with pytest.raises(ValueError, match="ManagedSystem has no colour"):
        World.from_state(state, StillClock())


def test_nested_values_load_as_their_types() -> None:
    tier = entity.load(Tier, {"uuid": "u", "name": "n", "udid": "25", "capacity": 1.0,
                              "units": [{"uuid": "x", "udid": "27", "name": "u", "capacity": 1.0,
                                         "content": {"file": "f", "size": 1, "sha256": ""}}]})  # fmt: skip
    assert tier.units[0].content is not None
    assert tier.units[0].content.file == "f"


def test_a_state_put_in_place_counts_as_a_change_of_everything() -> None:
    world = plain_world()
    saved = world.to_state()
    lpars.create(world, spec("a"))
    seen: list[str] = []
    world.subscribe(lambda kind, _path, _detail: seen.append(kind))
    revision = world.revision
    world.replace_state(saved)
    assert seen == ["CACHE_CLEARED"]
    assert world.revision > revision
    assert [p.name for p in world.lpars] == ["novalink"]
    assert all(p.version == world.revision for p in world.partitions)


def test_every_change_has_its_event() -> None:
    world = plain_world()
    seen: list[tuple[str, str]] = []
    world.subscribe(lambda kind, path, _detail: seen.append((kind, path)))
    made = lpars.create(world, spec("a"))
    path = f"LogicalPartition/{made.uuid}"
    lpars.update(world, made, lpars.PartitionSpec(name="b"))
    lpars.delete(world, made)
    assert [event for event in seen if event[1] == path] == [
        ("ADD_URI", path), ("MODIFY_URI", path), ("DELETE_URI", path)
    ]  # fmt: skip


def test_versions_grow_and_never_repeat() -> None:
    world = plain_world()
    made = lpars.create(world, spec("a"))
    versions = [made.version]
    for name in ("b", "c"):
        lpars.update(world, made, lpars.PartitionSpec(name=name))
        versions.append(made.version)
    assert versions == sorted(set(versions))


def test_new_names_differ() -> None:
    world = plain_world()
    assert len({world.new_uuid("x") for _ in range(50)}) == 50
    assert len({world.new_hex(40) for _ in range(50)}) == 50


def test_lookups() -> None:
    world = plain_world()
    vios = world.vioses[0]
    assert world.partition(vios.uuid.lower()) is vios
    assert world.partition_by_id(vios.id) is vios
    with pytest.raises(NotFound):
        world.vios("nobody")
