"""Meters of PowerVM guests from Ceilometer's own agent, held against what the simulated system says it did."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from ceilometer import sample
from tests.functional.telemetry import (
    FEED,
    PCM,
    Telemetry,
    guest,
    meters,
    telemetry,
    volume,
    volumes,
)
from tests.support.powervm_host import until
from tests.support.telemetry_conf import instance_uuid

from bigiron.plugins.ceilometer.powervm import PowerVMPollster
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.model import power
from bigiron.sim.powervm.pcm.documents import traffic, usage
from bigiron.sim.powervm.pcm.vios_document import _transfers

NS = 1_000_000_000
GUESTS = [
    guest("web", "steady"),
    guest("db", "burst"),
    {key: value for key, value in guest("own", "steady").items() if key != "proc_units"},
]
STILL = {"power.state", "vcpus", "memory", "disk.device.capacity", "disk.root.size", "disk.ephemeral.size"}
"""What comes of a guest of which the monitor tells nothing."""
OF_THE_HYPERVISOR = {
    "cpu", "memory.resident", "network.incoming.bytes", "network.incoming.packets", "network.incoming.packets.drop",
    "network.incoming.packets.error", "network.outgoing.bytes", "network.outgoing.packets",
    "network.outgoing.packets.drop", "network.outgoing.packets.error", "powervm.cpu.entitled", "powervm.cpu.capped",
    "powervm.cpu.uncapped", "powervm.cpu.donated", "powervm.cpu.idle", "powervm.cpu.wait", "powervm.processor.units",
    "powervm.processor.pool",
}  # fmt: skip
OF_VIOSES = {f"disk.device.{way}.{what}" for way in ("read", "write") for what in ("bytes", "requests")}
OF_RMC = {"memory.usage", "memory.available", "memory.swap.in", "memory.swap.out"}
ALL = STILL | OF_THE_HYPERVISOR | OF_VIOSES | OF_RMC


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Telemetry]:
    with telemetry(tmp_path, GUESTS) as found:
        found.poll()  # connects and switches the monitor on
        found.pass_time(600)
        yield found


def test_every_meter_has_the_name_unit_and_type_of_libvirts(watched: Telemetry) -> None:
    named = {point.name: point.load() for point in entry_points(group="ceilometer.poll.powervm")}
    assert {name: kind.sample_name for name, kind in named.items()} == {name: name for name in named}
    stock = {point.name: point.load() for point in entry_points(group="ceilometer.poll.compute")}
    for name in set(named) & set(stock):
        assert named[name].sample_unit == stock[name].sample_unit, name
        assert named[name].sample_type == stock[name].sample_type, name
    assert {name for name in named if name not in stock} == {name for name in named if name.startswith("powervm.")}
    samples = watched.poll()
    assert meters(samples, "web") == set(named) - {"disk.device.allocation"} == ALL
    for one in samples:
        kind = named[one["counter_name"]]
        assert (one["counter_unit"], one["counter_type"]) == (kind.sample_unit, kind.sample_type)
        assert (one["user_id"], one["project_id"]) == ("user1", "project1")


def test_samples_are_what_the_model_did(watched: Telemetry) -> None:
    for _ in range(3):
        samples = watched.poll()
        for name in ("web", "db", "own"):
            check_model(watched, samples, name)
        watched.pass_time(60)


def test_what_is_donated_and_what_waited_is_told(watched: Telemetry) -> None:
    """Of one that gives away its own idle processors, and of one that is capped."""
    with watched.host.world.lock:
        for name, sharing in (("own", "sre idle procs active"), ("db", "capped")):
            watched.partition(name).processors.sharing = sharing
            watched.host.world.touch(watched.partition(name))
    watched.pass_time(30)
    before = watched.poll()
    watched.pass_time(300)
    samples = watched.poll()
    for name in ("own", "db"):
        check_model(watched, samples, name)
    donated = [volume(one, "powervm.cpu.donated", "own") for one in (before, samples)]
    assert donated[1] - donated[0] == pytest.approx(300 * 0.4 * 2 * NS, rel=0.01)
    waited = [volume(one, "powervm.cpu.wait", "db") for one in (before, samples)]
    assert waited[1] - waited[0] == pytest.approx(60 * 0.5 * NS, rel=0.01)


def check_model(watched: Telemetry, samples: list[dict[str, Any]], name: str) -> None:
    facts, busy = watched.facts(name), watched.busy(name)
    assert busy > 0
    assert volume(samples, "cpu", name) == pytest.approx(busy * NS, abs=20)
    assert volume(samples, "vcpus", name) == 2
    assert volume(samples, "power.state", name) == 1
    assert volume(samples, "memory", name) == volume(samples, "memory.resident", name) == 2048
    assert volume(samples, "powervm.processor.units", name) == (2.0 if name == "own" else 0.5)
    model = usage(facts, watched.newest().time)
    for part, seconds in (
        ("entitled", model.entitled), ("capped", model.capped), ("uncapped", model.uncapped), ("idle", model.idle),
        ("donated", model.donated), ("wait", model.waiting),
    ):  # fmt: skip
        assert volume(samples, f"powervm.cpu.{part}", name) == pytest.approx(seconds * NS, abs=20), part
    pools = volumes(samples, "powervm.processor.pool", name)
    assert list(pools.values()) == ([] if name == "own" else [0])
    # One port; the adapter for management is the platform's.
    (adapter,) = facts.ethernets
    moved = traffic(busy * adapter.weight)
    mac = ":".join(watched.partition(name).adapters[0].mac.lower()[i : i + 2] for i in range(0, 12, 2))
    (resource,) = volumes(samples, "network.incoming.bytes", name)
    assert resource == f"instance-{name}-{instance_uuid(name)}-{mac}"
    for meter, key in (
        ("incoming.bytes", "receivedBytes"),
        ("incoming.packets", "receivedPackets"),
        ("incoming.packets.drop", "droppedPackets"),
        ("outgoing.bytes", "sentBytes"),
        ("outgoing.packets", "sentPackets"),
    ):
        assert volume(samples, f"network.{meter}", name) == moved[key], meter
    for meter in ("incoming.packets.error", "outgoing.packets.error", "outgoing.packets.drop"):
        assert volume(samples, f"network.{meter}", name) == 0
    # Its disk comes through both VIOSes.
    servers = {
        f"{instance_uuid(name)}-{vios.partition.name}-{server.name}": server
        for vios in watched.newest().system.vioses
        for server in vios.servers
        if server.client == facts.uuid
    }
    assert len(servers) == 2
    for meter, key in (
        ("read.bytes", "readBytes"),
        ("read.requests", "numOfReads"),
        ("write.bytes", "writeBytes"),
        ("write.requests", "numOfWrites"),
    ):
        expected = {resource: _transfers(busy * server.weight)[key] for resource, server in servers.items()}
        assert volumes(samples, f"disk.device.{meter}", name) == expected, meter
    assert volumes(samples, "disk.device.capacity", name) == dict.fromkeys(servers, 10 * 2**30)


def test_memory_is_what_the_guests_own_system_says(watched: Telemetry) -> None:
    samples = watched.poll()
    assert volume(samples, "memory.available", "web") == 2048
    assert volume(samples, "memory.usage", "web") == 1024, "steady: half of it"
    assert volume(samples, "memory.swap.out", "web") == 0


def test_metadata_is_as_of_the_libvirt_pollsters(watched: Telemetry) -> None:
    samples = watched.poll()
    (cpu,) = [one for one in samples if one["counter_name"] == "cpu" and "web" in one["resource_metadata"]["name"]]
    assert cpu["resource_id"] == instance_uuid("web")
    told = cpu["resource_metadata"]
    assert (told["cpu_number"], told["vcpus"], told["instance_type"], told["instance_host"]) == (
        2, 2, "m1.tiny", "power1",
    )  # fmt: skip
    nic = next(one for one in samples if one["counter_name"] == "network.incoming.bytes")["resource_metadata"]
    assert nic["vnic_name"] == nic["name"] == nic["mac"] and nic["parameters"]["location"].startswith("U9009.22A")
    disk = next(one for one in samples if one["counter_name"] == "disk.device.read.bytes")
    assert disk["resource_id"].endswith(disk["resource_metadata"]["disk_name"])


def test_a_counter_that_was_not_measured_again_is_not_told_again(watched: Telemetry) -> None:
    first, again = watched.poll(), watched.poll()
    assert {one["counter_name"] for one in again if one["counter_type"] == sample.TYPE_CUMULATIVE} == set()
    gauges = {one["counter_name"] for one in first if one["counter_type"] == sample.TYPE_GAUGE}
    assert {one["counter_name"] for one in again} == gauges
    watched.pass_time(30)
    after = meters(watched.poll(), "web")
    assert after == ALL - {"memory.swap.in", "memory.swap.out"}, "the guests are asked every two minutes"


def test_the_steady_state_costs_few_calls(watched: Telemetry) -> None:
    watched.poll()
    watched.pass_time(120)
    calls = watched.calls()
    documents = [f"GET {FEED}/LTM_{category}.json" for category in ("phyp", "lpar", "vios_1", "vios_2")]
    assert calls == dict.fromkeys([f"GET {FEED}", *documents], 1), calls
    watched.pass_time(30)
    assert sum(watched.calls().values()) == 4, "nothing new of the guests' memory"
    assert sum(watched.calls().values()) == 1, "nothing new at all"


def test_a_stopped_guest_has_what_needs_no_processor(watched: Telemetry) -> None:
    watched.poll()
    world, web = watched.host.world, watched.partition("web")
    with world.lock:
        power.begin_off(world, web, "shutdown", restart=False)
        power.finish_off(world, web, restart=False)
    until_state(watched, "web", 5)
    watched.pass_time(120)
    samples = watched.poll()
    assert meters(samples, "web") == STILL
    assert meters(samples, "db") == ALL
    with world.lock:
        power.begin_on(world, web, "norm", None)
        power.finish_on(world, web)
    until_state(watched, "web", 1)
    watched.pass_time(60)
    assert 0 < volume(watched.poll(), "cpu", "web") < 40 * NS, "it counts anew"


def until_state(watched: Telemetry, name: str, state: int) -> None:
    """The agent has heard of it by the platform's events."""
    until(lambda: volume(watched.poll(), "power.state", name) == state)


def test_a_guest_that_has_gone_has_no_samples(watched: Telemetry) -> None:
    watched.poll()
    world, web = watched.host.world, watched.partition("web")
    with world.lock:
        world.forget(web)
        world.removed(web)
    until(lambda: meters(watched.poll(), "web") == {"disk.root.size", "disk.ephemeral.size"})
    watched.pass_time(120)
    assert meters(watched.poll(), "db") == ALL


@pytest.mark.parametrize(
    ("spoil", "left_out", "said"),
    [
        ({"broken": {"phyp": "truncated"}}, OF_THE_HYPERVISOR, "phyp"),
        ({"broken": {"phyp": "text"}}, OF_THE_HYPERVISOR, "phyp"),
        ({"broken": {"lpar": "empty"}}, OF_RMC, "lpar"),
        ({"missing": ["phyp"]}, OF_THE_HYPERVISOR, ""),
        ({"broken": {"vios1": "truncated", "vios2": "truncated"}}, OF_VIOSES, "vios_1"),
    ],
)
def test_what_cannot_be_read_takes_nothing_else_with_it(
    watched: Telemetry, caplog: pytest.LogCaptureFixture, spoil: dict[str, Any], left_out: set[str], said: str
) -> None:
    watched.poll()
    watched.script(**spoil)
    told: list[str] = []
    counted: dict[tuple[str, str], float] = {}
    for _ in range(3):
        watched.pass_time(120)
        caplog.clear()
        samples = watched.poll()
        assert meters(samples, "web") >= ALL - left_out
        # What has not been measured anew, as against what cannot be read, still holds where it is no counter.
        repeated = (
            set() if "broken" in spoil else {"memory.resident", "powervm.processor.units", "powervm.processor.pool"}
        )
        assert meters(samples, "web") & left_out == repeated
        no_duplicates(samples, counted)
        told += warnings(caplog)
    assert len(told) == len(spoil.get("broken", {})), told
    assert all(said in line or "vios_2" in line for line in told)
    watched.script()
    watched.pass_time(120)
    assert meters(watched.poll(), "web") == ALL


def no_duplicates(samples: list[dict[str, Any]], counted: dict[tuple[str, str], float]) -> None:
    """Each resource has one sample of a meter in a poll, and none that was told before."""
    keys = [(one["counter_name"], one["resource_id"]) for one in samples]
    assert len(keys) == len(set(keys))
    for one in samples:
        if one["counter_name"] in OF_VIOSES or one["counter_name"] == "cpu":
            key = (one["counter_name"], one["resource_id"])
            assert one["counter_volume"] > counted.get(key, -1.0)
            counted[key] = one["counter_volume"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we warned of."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
        and record.name.startswith(("bigiron.powervm", "bigiron.complaints", "bigiron.plugins", "ceilometer"))
    ]


def test_a_vios_without_samples_is_left_out_and_named(watched: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    watched.poll()
    watched.script(missing=["vios1"])
    caplog.clear()
    for _ in range(4):
        watched.pass_time(60)
        samples = watched.poll()
        names = {resource.split("-")[-2] for resource in volumes(samples, "disk.device.read.bytes", "web")}
        assert names == {"vios2"}
    (told,) = warnings(caplog)
    assert "VIOS vios1 has given the monitor no sample" in told


def test_late_samples_of_a_vios_are_told_when_they_come(watched: Telemetry) -> None:
    watched.poll()
    watched.script(late={"vios1": 45})
    counts = []
    for _ in range(4):
        watched.pass_time(60)
        counts.append(len(volumes(watched.poll(), "disk.device.read.bytes", "web")))
    assert counts == [1, 2, 2, 2]


@pytest.mark.parametrize("fault", [{"action": Action.ERROR}, {"action": Action.ERROR, "status": 403},
                                   {"action": Action.DROP_BEFORE}])  # fmt: skip
def test_a_service_that_fails_is_told_of_once(
    watched: Telemetry, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    watched.poll()
    caplog.clear()
    watched.host.fault("GET", FEED, times=0, **fault)
    for _ in range(3):
        watched.pass_time(60)
        came = meters(watched.poll(), "web")
        unreachable = fault["action"] is Action.DROP_BEFORE
        assert came == ({"disk.root.size", "disk.ephemeral.size"} if unreachable else STILL)
    assert len(warnings(caplog)) == 1
    assert watched.host.faults_fired()
    watched.host.simulator.faults.clear()
    watched.pass_time(60)
    assert meters(watched.poll(), "web") >= ALL - OF_RMC


def test_a_monitor_that_somebody_switched_off_is_switched_on_again(watched: Telemetry) -> None:
    watched.poll()
    world = watched.host.world
    with world.lock:
        world.state.pcm.long_term = False
        world.touch(world.state.pcm)
    watched.pass_time(60)
    assert meters(watched.poll(), "web") == STILL
    ours = next(one.obj for one in watched.agent.extensions if one.name == "cpu")
    ours.source._link.usages._monitor._looked_at -= 61
    watched.poll()
    assert world.state.pcm.long_term
    watched.pass_time(120)
    assert meters(watched.poll(), "web") == ALL


def test_a_monitor_that_may_not_be_switched_on_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def forbid(host: Any) -> None:
        host.fault("POST", f"{PCM}/preferences", times=0, status=403, message="Not authorised")

    with telemetry(tmp_path, GUESTS[:1], forbid) as found:
        for _ in range(3):
            assert meters(found.poll(), "web") == STILL
            found.pass_time(60)
        told = [line for line in warnings(caplog) if "cannot be switched on" in line]
        assert len(told) == 1 and "Not authorised" in told[0] and "have an administrator" in told[0]
        world = found.host.world
        with world.lock:  # an administrator does
            world.state.pcm.long_term, world.state.pcm.compute_ltm = True, False
            world.touch(world.state.pcm)
        assert meters(found.poll(), "web") == STILL, "the first sample is still to come"
        found.pass_time(120)
        assert meters(found.poll(), "web") == ALL


@pytest.mark.parametrize("before", [(False, True), (True, True), (True, False)])
def test_the_monitors_preferences_are_put_back_as_they_were(tmp_path: Path, before: tuple[bool, bool]) -> None:
    def prepare(host: Any) -> None:
        with host.world.lock:
            host.world.state.pcm.long_term, host.world.state.pcm.compute_ltm = before
            host.world.state.pcm.aggregation = True
            host.world.touch(host.world.state.pcm)

    with telemetry(tmp_path, GUESTS[:1], prepare) as found:
        found.poll()
        pcm = found.host.world.state.pcm
        assert (pcm.long_term, pcm.compute_ltm, pcm.aggregation) == (True, False, True)
        found.agent.terminate()
        assert (pcm.long_term, pcm.compute_ltm, pcm.aggregation) == (*before, True)


def test_narrow_counters_that_wrap_go_on(watched: Telemetry) -> None:
    first = volume(watched.poll(), "network.incoming.bytes", "web")
    watched.pass_time(600)
    second = volume(watched.poll(), "network.incoming.bytes", "web")
    watched.pass_time((0.98 * 2**32 - second) / (second - first) * 600)
    before = volume(watched.poll(), "network.incoming.bytes", "web")
    assert before < 2**32
    watched.script(wrap_bits=32)
    for number in range(1, 5):
        watched.pass_time(600)
        after = volume(watched.poll(), "network.incoming.bytes", "web")
        assert after - before == pytest.approx(number * (second - first), rel=0.05)
    assert after > 2**32


def test_all_pollsters_share_one_source(watched: Telemetry) -> None:
    ours = [one.obj for one in watched.agent.extensions if isinstance(one.obj, PowerVMPollster)]
    assert len(ours) > 30 and len({id(one.source) for one in ours}) == 1
