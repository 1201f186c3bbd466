"""Meters of z/VM guests from Ceilometer's own agent, held against what the simulated z/VM says it did."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from ceilometer import sample
from tests.functional.telemetry import meters, volume, volumes
from tests.functional.telemetry_zvm import Telemetry, telemetry
from tests.support.telemetry_conf import instance_uuid

from bigiron.plugins.ceilometer.zvm import ZvmPollster
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.zvm.smapi.vswitches import traffic

OF_NOVA = {"disk.root.size", "disk.ephemeral.size"}
OF_CP = {"cpu", "vcpus", "memory", "memory.usage", "zvm.cpu.in_use", "zvm.cpu.delay"}
OF_THE_SWITCH = {
    f"network.{way}.{what}"
    for way in ("incoming", "outgoing")
    for what in ("bytes", "packets", "packets.drop", "packets.error")
}
OF_THE_DIRECTORY = {"disk.device.capacity", "disk.device.allocation"}
ALL = OF_NOVA | OF_THE_DIRECTORY | {"power.state"} | OF_CP | OF_THE_SWITCH
CYLINDER = 737280
"""Bytes of a cylinder that Linux has formatted."""
BYTE_STATS = "Virtual_Network_Vswitch_Query_Byte_Stats"
PERFORMANCE = "System_Image_Performance_Query"


@pytest.fixture(scope="module", name="watched")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    """A connector that keeps nothing, and two servers: one with an adapter, and one with two processors."""
    with telemetry(tmp_path_factory.mktemp("zvm"), ["web", "db"], cache_interval=0) as found:
        found.load("web", "steady")
        found.load("db", "burst")
        yield found


def of_type(samples: list[dict[str, Any]], kind: str) -> set[str]:
    return {one["counter_name"] for one in samples if one["counter_type"] == kind}


def test_every_meter_has_the_name_unit_and_type_of_libvirts(watched: Telemetry) -> None:
    named = {point.name: point.load() for point in entry_points(group="ceilometer.poll.zvm")}
    stock = {point.name: point.load() for point in entry_points(group="ceilometer.poll.compute")}
    assert {name: kind.sample_name for name, kind in named.items()} == {name: name for name in named}
    assert {name for name in named if name not in stock} == {"zvm.cpu.in_use", "zvm.cpu.delay"}
    for name in set(named) & set(stock):
        assert (named[name].sample_unit, named[name].sample_type) == (
            stock[name].sample_unit, stock[name].sample_type,
        ), name  # fmt: skip
    watched.pass_time(60)
    samples = watched.poll()
    assert meters(samples, "web") == set(named) == ALL
    assert meters(samples, "db") == ALL - OF_THE_SWITCH
    for one in samples:
        kind = named[one["counter_name"]]
        assert (one["counter_unit"], one["counter_type"]) == (kind.sample_unit, kind.sample_type)
        assert (one["user_id"], one["project_id"]) == ("user1", "project1")


def test_samples_are_what_the_model_did(watched: Telemetry) -> None:
    before = 0.0
    for _ in range(4):
        watched.pass_time(97)
        samples = watched.poll()
        for name, cpus in (("web", 1), ("db", 2)):
            check_model(watched, samples, name, cpus)
        assert volume(samples, "cpu", "web") - before >= 97 * 0.6 * 1e9 * 0.99
        before = volume(samples, "cpu", "web")


def check_model(watched: Telemetry, samples: list[dict[str, Any]], name: str, cpus: int) -> None:
    totals, system = watched.totals(name), watched.world.simulator.system
    assert totals.used > 1
    assert volume(samples, "cpu", name) == int(totals.used * 1e6) * 1000
    assert volume(samples, "zvm.cpu.in_use", name) == int(totals.used / 2)
    assert volume(samples, "zvm.cpu.delay", name) == int(totals.waited / 2)
    assert volume(samples, "vcpus", name) == cpus
    assert volume(samples, "power.state", name) == 1
    assert volume(samples, "memory", name) == 1024
    part = watched.meter(name).phase(system.clock.now()).memory
    assert volume(samples, "memory.usage", name) == pytest.approx(1024 * part, abs=0.01)
    (root,) = watched.world.guests()[watched.userid(name)]["disks"]
    assert volumes(samples, "disk.device.capacity", name) == {
        f"{instance_uuid(name)}-{root['vdev'].lower().zfill(4)}": root["size"] * CYLINDER
    }
    assert volume(samples, "disk.device.allocation", name) == root["size"] * CYLINDER
    machine = watched.machine(name)
    counted = [traffic(system, machine, adapter) for adapter in machine.adapters.values()]
    macs = {
        ":".join(adapter.mac.lower()[at : at + 2] for at in range(0, 12, 2)) for adapter in machine.adapters.values()
    }
    resources = volumes(samples, "network.incoming.bytes", name)
    assert set(resources) == {f"instance-{name}-{instance_uuid(name)}-{mac}" for mac in macs}
    for place, meter in enumerate(
        ("incoming.packets", "incoming.packets.drop", "incoming.packets.error", "outgoing.packets",
         "outgoing.packets.drop", "outgoing.packets.error", "incoming.bytes", "outgoing.bytes")
    ):  # fmt: skip
        assert list(volumes(samples, f"network.{meter}", name).values()) == [one[place] for one in counted], meter


def test_a_load_that_is_changed_shows(watched: Telemetry) -> None:
    watched.pass_time(60)
    first = volume(watched.poll(), "cpu", "web")
    watched.load("web", "idle")
    watched.pass_time(60)
    calm = volume(watched.poll(), "cpu", "web")
    watched.load("web", "steady")
    watched.pass_time(60)
    busy = volume(watched.poll(), "cpu", "web")
    assert calm - first == pytest.approx(60 * 0.02 * 1e9, rel=1e-3)
    assert busy - calm == pytest.approx(60 * 0.6 * 1e9, rel=1e-3)


def test_a_counter_that_was_not_measured_again_is_not_told_again(watched: Telemetry) -> None:
    watched.pass_time(60)
    first, again = watched.poll(), watched.poll()
    assert of_type(first, sample.TYPE_CUMULATIVE) >= {"cpu", "network.outgoing.bytes", "zvm.cpu.delay"}
    assert of_type(again, sample.TYPE_CUMULATIVE) == set()
    assert of_type(again, sample.TYPE_GAUGE) == of_type(first, sample.TYPE_GAUGE)


def test_the_steady_state_costs_three_requests(watched: Telemetry) -> None:
    watched.poll()
    for _ in range(2):
        watched.pass_time(60)
        watched.poll()
        assert watched.asked == ["/guests", "/guests/stats", "/guests/interfacestats"]


def test_a_stopped_guest_has_its_state(watched: Telemetry) -> None:
    watched.poll()
    watched.world.simulator.clock.set_scale(10)
    watched.platform.power_off(watched.specs["web"].uuid)
    samples = watched.poll()
    assert meters(samples, "web") == OF_NOVA | OF_THE_DIRECTORY | {"power.state"}
    assert volume(samples, "power.state", "web") == 5
    watched.platform.power_on(watched.specs["web"].uuid)
    watched.world.wait_until_up(watched.specs["web"])
    watched.world.simulator.clock.set_scale(0)
    watched.pass_time(30)
    samples = watched.poll()
    assert meters(samples, "web") == ALL
    assert volume(samples, "cpu", "web") == int(watched.totals("web").used * 1e6) * 1000
    on = watched.world.simulator.clock.now() - watched.machine("web").since
    assert 0.6 * 30 <= volume(samples, "cpu", "web") / 1e9 <= on, "it counts anew"


@pytest.mark.parametrize(
    ("function", "left_out"), [(BYTE_STATS, OF_THE_SWITCH), (PERFORMANCE, OF_CP | {"power.state"})]
)
def test_what_cannot_be_read_takes_nothing_else_with_it(
    watched: Telemetry, caplog: pytest.LogCaptureFixture, function: str, left_out: set[str]
) -> None:
    watched.poll()
    caplog.clear()
    watched.world.simulator.faults.add(
        Fault(method="SMAPI", path=function, action=Action.ERROR, times=0, reason="24/813")
    )
    for _ in range(3):
        watched.pass_time(60)
        assert meters(watched.poll(), "web") == ALL - left_out
    (told,) = warnings(caplog)
    assert "left out until they can be read again" in told
    watched.world.simulator.faults.clear()
    watched.pass_time(60)
    assert meters(watched.poll(), "web") == ALL


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we and the agent warned of."""
    ours = ("bigiron.zvm", "bigiron.complaints", "bigiron.plugins", "ceilometer")
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(ours)
    ]


def test_a_connector_that_is_down_is_told_of_once(watched: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    watched.poll()
    caplog.clear()
    watched.control.ask("POST", "/connector", {"action": "stop"})
    for _ in range(3):
        watched.pass_time(60)
        assert meters(watched.poll(), "web") == OF_NOVA
    (told,) = warnings(caplog)
    assert "no figures of z/VM guests until this is over" in told and "cloud_connector_url" in told
    watched.control.ask("POST", "/connector", {"action": "start"})
    assert meters(watched.poll(), "web") == ALL


def test_a_guest_that_has_gone_has_no_samples(watched: Telemetry) -> None:
    watched.poll()
    watched.world.simulator.clock.set_scale(10)
    watched.platform.destroy(watched.specs["db"].uuid)
    watched.pass_time(60)
    samples = watched.poll()
    assert meters(samples, "db") == OF_NOVA and meters(samples, "web") == ALL
    spec = watched.specs["db"]
    watched.world.spawn(watched.platform, spec)
    watched.world.wait_until_up(spec)
    watched.world.simulator.clock.set_scale(0)
    watched.pass_time(60)
    assert meters(watched.poll(), "db") == ALL - OF_THE_SWITCH


def test_all_pollsters_share_one_source(watched: Telemetry) -> None:
    ours = [one.obj for one in watched.agent.extensions if isinstance(one.obj, ZvmPollster)]
    assert len(ours) == len(ALL - OF_NOVA) and len({id(one.source) for one in ours}) == 1


def test_figures_that_the_connector_has_kept_are_not_told_as_new(tmp_path: Path) -> None:
    """With the connector's own cache, of 300 s."""
    with telemetry(tmp_path, ["web"], cache_interval=300) as found:
        found.load("web", "steady")
        found.pass_time(60)
        began = datetime.now(UTC)
        first = found.poll()
        ended = datetime.now(UTC)
        assert meters(first, "web") == ALL
        for one in first:
            if one["counter_name"] not in OF_NOVA | OF_THE_DIRECTORY:
                assert began <= datetime.fromisoformat(one["timestamp"]).replace(tzinfo=UTC) <= ended
        for _ in range(2):
            found.pass_time(60)
            kept = found.poll()
            assert of_type(kept, sample.TYPE_CUMULATIVE) == set()
            assert stamps(kept) == {key: at for key, at in stamps(first).items() if key in stamps(kept)}
            assert volume(kept, "power.state", "web") == 1
        found.control.ask("POST", "/connector", {"action": "restart"})  # which forgets what it has kept
        again = found.poll()
        assert meters(again, "web") == ALL
        assert volume(again, "cpu", "web") == int(found.totals("web").used * 1e6) * 1000
        assert volume(again, "cpu", "web") - volume(first, "cpu", "web") == pytest.approx(120 * 0.6e9, rel=1e-3)
        assert min(stamps(again).values()) > max(stamps(first).values())


def stamps(samples: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """The times of what is measured, by meter and resource."""
    return {
        (one["counter_name"], one["resource_id"]): one["timestamp"]
        for one in samples
        if one["counter_name"] not in OF_NOVA | OF_THE_DIRECTORY
    }
