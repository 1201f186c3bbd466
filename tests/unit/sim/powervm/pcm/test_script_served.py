"""Gaps, late and missing documents, counters that wrap and answers that are no JSON, as a script asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.powervm_host import DOCUMENT, serve
from tests.unit.sim.powervm.pcm.test_monitor_served import GUESTS, Monitored, capture, keys

from bigiron.sim.kernel.load import PROFILES
from bigiron.sim.powervm.model import power, vnics
from bigiron.sim.powervm.pcm.script import COUNTERS, Script

CARDS = [{"location": f"U78D2.001.WZS00D6-P1-C{n}", "ports": [{}, {}]} for n in (4, 7)]


@pytest.fixture
def monitored(tmp_path: Path) -> Iterator[Monitored]:
    with serve(tmp_path, {**DOCUMENT, "partitions": [GUESTS[0], {**GUESTS[1], "load": "steady"}]}) as host:
        host.simulator.clock.set_scale(0)
        host.simulator.clock.advance(120 - host.simulator.clock.now() % 120)
        yield Monitored(host)


def script(monitored: Monitored, **wish: Any) -> None:
    monitored.control.ask("POST", "/pcm", wish)


def times(monitored: Monitored, category: str) -> list[int]:
    """The times of a category's documents, in seconds of the newest."""
    found = sorted(m.updated_datetime for m in monitored.feed() if m.category == category)
    return [int((one - found[0]).total_seconds()) for one in found]


def test_the_document_gives_partitions_their_loads(monitored: Monitored) -> None:
    loads = monitored.control.ask("GET", "/load")["loads"]
    assert (loads["web"], loads["db"], loads["vios1"]) == ("idle", "steady", "idle")
    monitored.pass_time(120)
    assert monitored.cycles("db") == pytest.approx(30 * monitored.cycles("web"), rel=0.01)


def test_an_administrator_switches_the_monitor_on_and_off(monitored: Monitored) -> None:
    control = monitored.control
    control.ask("POST", "/monitor", {"long_term": False})
    assert control.ask("GET", "/monitor") == {"long_term": False}
    monitored.pass_time(60)
    assert times(monitored, "phyp") == []
    control.ask("POST", "/monitor", {"long_term": True})
    monitored.pass_time(60)
    assert times(monitored, "phyp") == [0, 30]
    with pytest.raises(requests.HTTPError, match="400"):
        control.ask("POST", "/monitor", {"long_term": "yes"})


def test_no_samples_are_taken_in_a_gap(monitored: Monitored) -> None:
    monitored.pass_time(60)
    script(monitored, gap=True)
    monitored.pass_time(90)
    assert times(monitored, "phyp") == [0, 30]
    monitored.control.ask("DELETE", "/pcm")
    monitored.pass_time(30)
    assert times(monitored, "phyp") == [0, 30, 150]


def test_a_vios_that_says_nothing_has_no_documents_meanwhile(monitored: Monitored) -> None:
    monitored.pass_time(30)
    script(monitored, missing=["vios1"])
    monitored.pass_time(60)
    assert (times(monitored, "vios_1"), times(monitored, "vios_2")) == ([0], [0, 30, 60])
    script(monitored)
    monitored.pass_time(30)
    assert times(monitored, "vios_1") == [0, 90]


def test_late_documents_come_when_they_are_due(monitored: Monitored) -> None:
    script(monitored, late={"vios2": 45})
    monitored.pass_time(60)
    assert (times(monitored, "vios_1"), times(monitored, "vios_2")) == ([0, 30], [])
    monitored.pass_time(15)
    assert times(monitored, "vios_2") == [0]


def received(monitored: Monitored, name: str) -> int:
    (adapter,) = monitored.lpar(name)["network"]["virtualEthernetAdapters"]
    return int(adapter["receivedBytes"])


def test_the_counters_of_adapters_wrap(monitored: Monitored) -> None:
    monitored.pass_time(3600)
    whole = received(monitored, "db")
    assert whole > 2**24
    script(monitored, wrap_bits=24)
    monitored.pass_time(30)
    assert received(monitored, "db") < 2**24
    assert monitored.cycles("db") > 2**32, "the hypervisor's own do not"
    monitored.control.ask("DELETE", "/pcm")
    monitored.pass_time(30)
    assert received(monitored, "db") > whole


@pytest.mark.parametrize("how", ["truncated", "text", "empty"])
def test_a_broken_document_is_no_json(monitored: Monitored, how: str) -> None:
    monitored.pass_time(30)
    script(monitored, broken={"phyp": how})
    with pytest.raises(json.JSONDecodeError):
        monitored.read("phyp")
    assert monitored.read("vios_1"), "the others are whole"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"missing": ["vios9"]}, "no category vios9"),
        ({"broken": {"phyp": "odd"}}, "cannot be odd"),
        ({"wrap_bits": 4}, "from 8 to 64"),
        ({"wild": 1}, "no wild"),
        ([], "documentation"),
    ],
)
def test_a_wrong_script_is_explained(monitored: Monitored, wish: Any, said: str) -> None:
    answer = requests.post(f"{monitored.control.url}/pcm", json=wish, timeout=10)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text


def test_the_script_is_shown(monitored: Monitored) -> None:
    script(monitored, late={"vios1": 30}, missing=["lpar"])
    shown = monitored.control.ask("GET", "/pcm")
    assert shown == {**Script().to_json(), "late": {"vios_1": 30.0}, "missing": ["lpar"]}


def reads(monitored: Monitored, vios: int) -> int:
    (found,) = monitored.read(f"vios_{vios}")["systemUtil"]["utilSample"]["viosUtil"]
    return sum(int(one["numOfReads"]) for one in found["storage"]["genericVirtualAdapters"])


def test_a_vios_counts_anew_after_its_start(monitored: Monitored) -> None:
    world = monitored.host.world
    vios = monitored.host.vios("vios1")
    monitored.pass_time(600)
    first = reads(monitored, 1)
    with world.lock:
        power.begin_off(world, vios, "shutdown", restart=False)
        power.finish_off(world, vios, restart=False)
        power.begin_on(world, vios, "norm", None)
        power.finish_on(world, vios)
        vios.rmc = "active"
    monitored.pass_time(60)
    after, other = reads(monitored, 1), reads(monitored, 2)
    assert 0 < after < first / 2 and other > first
    monitored.pass_time(60)
    assert reads(monitored, 1) == pytest.approx(2 * after, rel=0.05)


def test_the_adapters_of_a_partition_do_not_count_alike(tmp_path: Path) -> None:
    nics = [{"switch": "ETHERNET0", "vlan": vlan} for vlan in (1, 2)]
    with serve(tmp_path, {**DOCUMENT, "partitions": [{**GUESTS[0], "load": "steady", "nics": nics}]}) as host:
        monitored = Monitored(host)
        monitored.pass_time(600)
        first, second = monitored.lpar("web")["network"]["virtualEthernetAdapters"]
        assert 0 < second["receivedBytes"] != first["receivedBytes"] > 0
        assert first["droppedPackets"] > 0


def test_the_logical_ports_of_a_vnic_are_its_vioses(tmp_path: Path) -> None:
    with serve(
        tmp_path, {**DOCUMENT, "partitions": [{**GUESTS[0], "load": "steady"}], "sriov_adapters": CARDS}
    ) as host:
        monitored = Monitored(host)
        world, web = host.world, monitored.partition("web")
        ways = tuple(
            vnics.BackingSpec(host.vios(name).uuid, adapter=number, port=0, priority=number)
            for number, name in ((1, "vios1"), (2, "vios2"))
        )
        with world.lock:
            vnics.create(world, web, vnics.VnicSpec(ways))
        monitored.pass_time(600)
        ports = {one["name"]: one["network"]["sriovLogicalPorts"] for one in monitored.hypervisor()["viosUtil"]}
        (first,), (second,) = ports["vios1"], ports["vios2"]
        assert first["clientPartitionUUID"] == second["clientPartitionUUID"] == web.uuid
        assert first["receivedBytes"] > 50 * second["receivedBytes"] > 0, "one waits for the other to fail"
        assert first["physicalLocation"] == "U78D2.001.WZS00D6-P1-C4-T1-S1"


def test_the_loads_of_the_schema_are_the_profiles() -> None:
    from bigiron.sim.powervm.documents import SCHEMA

    assert SCHEMA.validator.schema["$defs"]["load"]["enum"] == list(PROFILES)


def test_every_counter_of_adapters_in_the_captures_can_wrap() -> None:
    found = {path for name in ("phyp_pcm_data3.txt", "vios_pcm_data.txt") for path in keys(capture(name))}
    counters = {path.rsplit("/", 1)[1] for path in found if "dapters" in path}
    growing = {name for name in counters if name.endswith(("Packets", "Bytes")) or name.startswith("numOf")}
    assert {name for name in growing if "Physical" not in name} <= COUNTERS
