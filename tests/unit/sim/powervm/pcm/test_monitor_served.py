"""The long-term monitor over HTTP, read by pypowervm's own code and by bigiron's platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypowervm.tests
import pytest
import requests
from pypowervm.exceptions import HttpNotFound
from pypowervm.tasks.monitor import util
from pypowervm.wrappers.monitor import LTMMetrics
from tests.support.powervm_host import DOCUMENT, Host, serve
from tests.support.simulator import ControlClient

from bigiron.errors import Unsupported
from bigiron.powervm.platform import PowerVM
from bigiron.sim.powervm.model import power

CAPTURES = Path(pypowervm.tests.__file__).parent / "data"
GUESTS = [
    {
        "name": name, "memory_mb": 2048, "proc_units": 0.5, "vcpus": 2,
        "nics": [{"switch": "ETHERNET0", "vlan": 1}], "disks": [{"cluster": "cluster1", "size_gb": 10}],
    }
    for name in ("web", "db")
]  # fmt: skip


def capture(name: str) -> dict[str, Any]:
    """The body of an answer that was captured from a real system."""
    body = (CAPTURES / name).read_text().split("BODY{", 1)[1].rsplit("END OF SECTION", 1)[0]
    return dict(json.loads(body))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serve(tmp_path, {**DOCUMENT, "partitions": GUESTS}) as host:
        host.simulator.clock.set_scale(0)  # time passes only when a test says so
        yield host


class Monitored:
    """The monitor as a client sees it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.control = ControlClient(host.simulator.control_url)
        connection = host.connect()
        self.adapter, self.system = connection.adapter, connection.system_uuid
        util.ensure_ltm_monitors(self.adapter, self.system)

    def feed(self) -> list[LTMMetrics]:
        return list(util.query_ltm_feed(self.adapter, self.system))

    def pass_time(self, seconds: float) -> None:
        self.control.clock(advance=seconds)

    def read(self, category: str) -> dict[str, Any]:
        """The newest document of a category."""
        newest = max((m for m in self.feed() if m.category == category), key=lambda m: str(m.updated))
        return dict(json.loads(self.adapter.read_by_href(newest.link, xag=[]).body))

    def hypervisor(self) -> dict[str, Any]:
        return dict(self.read("phyp")["systemUtil"]["utilSample"])

    def lpar(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.hypervisor()["lparsUtil"] if one["name"] == name]
        return dict(found)

    def cycles(self, name: str) -> int:
        processor = self.lpar(name)["processor"]
        return int(processor["utilizedCappedProcCycles"] + processor["utilizedUnCappedProcCycles"])

    def load(self, name: str, profile: str) -> None:
        self.control.ask("POST", "/load", {"partition": name, "profile": profile})

    def partition(self, name: str) -> Any:
        return next(lpar for lpar in self.host.world.lpars if lpar.name == name)


@pytest.fixture
def monitored(host: Host) -> Monitored:
    return Monitored(host)


def test_there_is_nothing_until_it_is_switched_on(host: Host) -> None:
    connection = host.connect()
    host.simulator.clock.advance(300)
    assert util.query_ltm_feed(connection.adapter, connection.system_uuid) == []
    util.ensure_ltm_monitors(connection.adapter, connection.system_uuid)
    assert util.query_ltm_feed(connection.adapter, connection.system_uuid) == []
    host.simulator.clock.advance(30)
    assert util.query_ltm_feed(connection.adapter, connection.system_uuid)


def test_samples_come_every_30_seconds_and_a_bounded_number_is_kept(monitored: Monitored) -> None:
    monitored.pass_time(3600)
    feed = monitored.feed()
    times = {c: sorted(m.updated_datetime for m in feed if m.category == c) for c in {m.category for m in feed}}
    assert set(times) == {"phyp", "vios_1", "vios_2", "lpar"}
    assert len(times["phyp"]) == 20
    assert {(b - a).seconds for a, b in zip(times["phyp"], times["phyp"][1:], strict=False)} == {30}
    assert {(b - a).seconds for a, b in zip(times["lpar"], times["lpar"][1:], strict=False)} == {120}
    assert times["vios_1"] == times["phyp"]


def test_a_client_that_wants_processors_only_gets_no_more(host: Host) -> None:
    connection = host.connect()
    util.ensure_ltm_monitors(connection.adapter, connection.system_uuid, compute_ltm=True)
    host.simulator.clock.advance(30)
    feed = util.query_ltm_feed(connection.adapter, connection.system_uuid)
    assert not [m for m in feed if m.category.startswith("vios")]
    (newest,) = [m for m in feed if m.category == "phyp"]
    sample = json.loads(connection.adapter.read_by_href(newest.link, xag=[]).body)["systemUtil"]["utilSample"]
    assert all("network" not in one and "storage" not in one for one in sample["lparsUtil"])


def test_an_old_document_is_gone(monitored: Monitored) -> None:
    monitored.pass_time(30)
    first = monitored.feed()[0]
    monitored.pass_time(3600)
    with pytest.raises(HttpNotFound):
        monitored.adapter.read_by_href(first.link, xag=[])


def keys(value: Any, path: str = "") -> set[str]:
    """The paths of all keys; elements of a list count as one."""
    if isinstance(value, dict):
        return {f"{path}/{k}" for k in value} | {p for k, v in value.items() for p in keys(v, f"{path}/{k}")}
    return {p for one in value for p in keys(one, path)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("category", "name", "missing"),
    [
        ("phyp", "phyp_pcm_data3.txt", set()),
        ("vios_1", "vios_pcm_data.txt", {"/fiberChannelAdapters/"}),
        ("lpar", "lpar_pcm_data.txt", {"/errorInfo/"}),
    ],
)
def test_documents_have_the_keys_of_captures(monitored: Monitored, category: str, name: str, missing: set[str]) -> None:
    """`missing`: sections of things that this host has none of."""
    monitored.pass_time(240)
    lacking = keys(capture(name)) - keys(monitored.read(category))
    assert {k for k in lacking if not any(f"{m}" in f"{k}/" for m in missing)} == set()


def test_pypowervms_cache_gives_each_partition_its_figures(monitored: Monitored) -> None:
    monitored.load("db", "steady")
    monitored.pass_time(240)
    cache = util.LparMetricCache(monitored.adapter, monitored.system, refresh_delta=-1)
    web, db = (monitored.partition(name).uuid for name in ("web", "db"))
    assert cache.get_latest_metric(db)[1].processor.util_cap_proc_cycles > 0
    monitored.pass_time(60)
    _, metric = cache.get_latest_metric(db)
    _, before = cache.get_previous_metric(db)
    grown = metric.processor.util_cap_proc_cycles - before.processor.util_cap_proc_cycles
    assert grown == pytest.approx(0.6 * 0.5 * 60 * 512_000_000, rel=0.01)
    assert metric.memory.pct_real_mem_avbl == 50
    assert len(metric.storage.virt_adpts) == 2, "its disk is served by both VIOSes"
    assert metric.storage.virt_adpts[0].num_reads > before.storage.virt_adpts[0].num_reads
    assert metric.network.cnas[0].received_bytes > before.network.cnas[0].received_bytes
    assert cache.get_latest_metric(web)[1].processor.util_cap_proc_cycles < metric.processor.util_cap_proc_cycles


def test_counters_grow_while_a_partition_runs_and_begin_anew_after_a_start(monitored: Monitored) -> None:
    world, web = monitored.host.world, monitored.partition("web")
    monitored.pass_time(600)
    monitored.load("web", "steady")
    first = monitored.cycles("web")
    monitored.pass_time(60)
    second = monitored.cycles("web")
    monitored.load("web", "idle")
    monitored.pass_time(60)
    third = monitored.cycles("web")
    assert 0 < first < second < third
    pool = monitored.hypervisor()["sharedProcessorPool"][0]["utilizedPoolCycles"]
    with world.lock:
        power.begin_off(world, web, "shutdown", restart=False)
        power.finish_off(world, web, restart=False)
    monitored.pass_time(30)
    off = monitored.lpar("web")
    assert off["state"] == "Not Activated" and off["processor"]["entitledProcCycles"] == 0 and "network" not in off
    with world.lock:
        power.begin_on(world, web, "norm", None)
        power.finish_on(world, web)
    monitored.pass_time(60)
    assert 0 < monitored.cycles("web") < first
    assert monitored.hypervisor()["sharedProcessorPool"][0]["utilizedPoolCycles"] > pool


def test_more_processors_in_the_middle_do_not_change_the_past(monitored: Monitored) -> None:
    monitored.pass_time(600)
    before = monitored.lpar("web")["processor"]["entitledProcCycles"]
    web = monitored.partition("web")
    with monitored.host.world.lock:
        web.processors.units = 0.1
        monitored.host.world.changed(web)
    monitored.pass_time(60)
    after = monitored.lpar("web")["processor"]["entitledProcCycles"]
    assert before < after < before + 0.5 * 91 * 512_000_000


def test_totals_outlive_the_simulators_process(tmp_path: Path) -> None:
    document = {**DOCUMENT, "partitions": GUESTS}
    with serve(tmp_path, document) as host:
        monitored = Monitored(host)
        monitored.pass_time(300)
        monitored.load("db", "steady")
        monitored.pass_time(600)
        before, stamps = monitored.cycles("db"), monitored.hypervisor()["timeBasedCycles"]
        ahead = host.simulator.clock.now()
    with serve(tmp_path, document) as host:
        host.simulator.clock.advance(max(0.0, ahead - host.simulator.clock.now()))
        monitored = Monitored(host)
        assert monitored.control.ask("GET", "/load")["loads"]["db"] == "steady"
        monitored.pass_time(60)
        assert monitored.cycles("db") > before
        assert monitored.hypervisor()["timeBasedCycles"] > stamps


def test_a_deleted_partitions_load_is_forgotten(monitored: Monitored) -> None:
    world, web = monitored.host.world, monitored.partition("web")
    monitored.load("web", "burst")
    with world.lock:
        world.forget(web)
        world.removed(web)
    assert "web" not in monitored.control.ask("GET", "/load")["loads"]
    assert monitored.host.simulator.monitor.to_state()["profiles"] == {}


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"partition": "web", "profile": "wild"}, "idle, steady, burst"),
        ({"partition": "nobody", "profile": "idle"}, "no partition nobody"),
        ({"partition": "web"}, "profile"),
    ],
)
def test_a_wrong_load_is_explained(monitored: Monitored, wish: dict[str, str], said: str) -> None:
    answer = requests.post(f"{monitored.control.url}/load", json=wish, timeout=10)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_the_platforms_processor_time_grows_with_the_load(host: Host) -> None:
    with host.platform() as platform:
        with pytest.raises(Unsupported):
            platform.cpu_stats()
        idle = _grown(host, platform)
        ControlClient(host.simulator.control_url).ask("POST", "/load", {"partition": "db", "profile": "steady"})
        busy = _grown(host, platform)
    assert idle["user"] > 0 and idle["idle"] > idle["user"] and idle["kernel"] > 0
    assert busy["user"] - idle["user"] == pytest.approx(0.58 * 0.5 * 60e9, rel=0.01)
    assert busy["kernel"] == pytest.approx(idle["kernel"], rel=0.01)
    assert sum(busy.values()) == pytest.approx(16 * 60e9, rel=0.001), "16 processors for a minute"


def _grown(host: Host, platform: PowerVM) -> dict[str, int]:
    """By how much the host's processor times grow in a minute."""
    host.simulator.clock.advance(60)
    first = platform.cpu_stats()
    host.simulator.clock.advance(60)
    last = platform.cpu_stats()
    return {
        "user": last.user_ns - first.user_ns,
        "kernel": last.kernel_ns - first.kernel_ns,
        "idle": last.idle_ns - first.idle_ns,
    }
