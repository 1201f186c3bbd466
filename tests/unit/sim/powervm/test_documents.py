"""System documents: what is accepted, and how faults are told."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.documents import DocumentError
from bigiron.sim.powervm.model.world import World

from .rich_world import SYSTEMS, StillClock


def build(document: dict[str, Any]) -> World:
    return World.from_document(document, StillClock())


@pytest.mark.parametrize("name", ["one-host.yaml", "large.yaml"])
def test_the_examples_make_clean_systems(name: str) -> None:
    assert audit(build(documents.read(SYSTEMS / name))) == []


def test_one_host_is_what_it_says(document: dict[str, Any]) -> None:
    world = build(document)
    assert [v.name for v in world.vioses] == ["vios1", "vios2"]
    assert [g.name for g in world.vioses[0].groups] == ["rootvg", "datavg"]
    assert world.management is not None and world.management.name == "novalink"
    assert [s.name for s in world.state.switches] == ["ETHERNET0", "MGMTSWITCH"]
    assert [len(b.seas) for b in world.state.bridges] == [2]
    assert world.state.clusters[0].nodes == [v.uuid for v in world.vioses]
    assert world.state.users == {"padmin": "padmin"}


def test_large_has_500_running_guests_with_disks_on_both_vioses() -> None:
    world = build(documents.read(SYSTEMS / "large.yaml"))
    guests = [p for p in world.lpars if not p.management]
    assert len(guests) == 500
    assert {p.state for p in guests} == {"running"}
    assert [len(v.servers) for v in world.vioses] == [500, 500]


def test_the_same_document_makes_the_same_world(document: dict[str, Any]) -> None:
    assert build(document).to_state() == build(document).to_state()


def test_both_vioses_see_the_same_shared_disk(document: dict[str, Any]) -> None:
    first, second = ({v.udid for v in vios.volumes if v.fibre_channel} for vios in build(document).vioses)
    assert first == second != set()


def test_every_fault_is_listed_with_its_place(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    broken["system"]["region_size_mb"] = 100
    broken["vioses"][1]["volumes"][0]["size_gb"] = -1
    broken["surprise"] = True
    with pytest.raises(DocumentError) as caught:
        documents.validate(broken, "mine.yaml")
    message = str(caught.value)
    assert "mine.yaml has 3 fault(s)" in message
    for place in ("system.region_size_mb", "vioses.1.volumes.0.size_gb", "surprise"):
        assert place in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        documents.read(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(DocumentError, match="is not YAML"):
        documents.read(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("bridges", 0, "switch"), "NOWHERE", "no switch NOWHERE"),
        (("bridges", 0, "adapters", 0, "vios"), "vios9", "no VIOS vios9"),
        (("bridges", 0, "adapters", 0, "backing"), "ent7", "no Ethernet port ent7"),
        (("clusters", 0, "nodes"), ["vios9"], "no VIOS vios9"),
        (("vioses", 0, "volume_groups", 0, "volumes"), ["hdisk9"], "hdisk9 is missing"),
        (("partitions", 0, "memory_mb"), 1_000_192, "MB are available"),
        (("partitions", 0, "memory_mb"), 1000, "not a multiple"),
        (("partitions", 0, "name"), "vios1", "already exists"),
    ],
)
def test_what_does_not_fit_together_is_told(
    document: dict[str, Any], path: tuple[Any, ...], value: Any, message: str
) -> None:
    broken: Any = copy.deepcopy(document)
    place = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(DocumentError, match=message):
        build(broken)


def test_generated_partitions_count_from_one(document: dict[str, Any]) -> None:
    like = yaml.safe_load("{name: 'web{n}', memory_mb: 512, vcpus: 1, proc_units: 0.1, state: not activated}")
    world = build({**document, "generate": {"partitions": {"count": 2, "like": like}}})
    assert [(p.name, p.state) for p in world.lpars[1:]] == [("web001", "not activated"), ("web002", "not activated")]
