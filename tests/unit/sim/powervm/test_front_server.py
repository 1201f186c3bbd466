"""A whole simulator: as a command, its state on disk, its control address, and the soundness of what it caches."""

from __future__ import annotations

import itertools
import json
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from lxml import etree
from pypowervm import adapter
from pypowervm.tasks import power, scsi_mapper
from pypowervm.utils import lpar_builder
from pypowervm.wrappers import event, logical_partition, managed_system, network, virtual_io_server
from tests.support.simulator import SYSTEMS, ControlClient, SimulatorProcess, document, in_process

from bigiron.sim.kernel.statedir import StateError
from bigiron.sim.powervm.errors import JobFailed
from bigiron.sim.powervm.files import FileRecord
from bigiron.sim.powervm.model import pool, uploads
from bigiron.sim.powervm.model.partition import OFF, RUNNING, SHUTTING_DOWN, STARTING
from bigiron.sim.powervm.model.storage import LogicalUnit
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resources import RESOURCES
from bigiron.sim.powervm.rest import atom
from bigiron.sim.powervm.rest.renderings import Renderings
from bigiron.sim.powervm.server import Settings, Simulator

LPAR = logical_partition.LPAR


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def connect(url: str, **how: str) -> adapter.Adapter:
    return adapter.Adapter(adapter.Session(host="127.0.0.1", protocol="http", port=int(url.rsplit(":", 1)[1]), **how))


def create_lpar(client: adapter.Adapter, name: str) -> Any:
    [system] = managed_system.System.get(client)
    attributes = {"name": name, "memory": 2048, "vcpu": 1, "env": "AIX/Linux"}
    return (
        lpar_builder.LPARBuilder(client, attributes, lpar_builder.DefaultStandardize(system))
        .build()
        .create(parent=system)
    )


def names(client: adapter.Adapter) -> list[str]:
    return sorted(lpar.name for lpar in LPAR.get(client))


def test_the_command_serves_stops_and_resumes(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim") as running:
        client = connect(running.url)
        before = names(client)
        made = create_lpar(client, "kept")
        client.session._logoff()
        assert running.terminate() == 0
        assert not (tmp_path / "sim" / "endpoints.json").exists()
    assert stat.S_IMODE((tmp_path / "sim" / "state.json").stat().st_mode) == 0o600
    with SimulatorProcess(tmp_path / "sim") as running:
        client = connect(running.url, username="padmin", password="padmin")
        assert names(client) == sorted([*before, "kept"])
        assert LPAR.get(client, uuid=made.uuid).id == made.id
        client.session._logoff()
        assert running.terminate() == 0
    with SimulatorProcess(tmp_path / "sim", "--reset") as running:
        client = connect(running.url)
        assert names(client) == before
        client.session._logoff()


def test_a_killed_simulator_resumes_what_was_saved(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path) as running:
        client = connect(running.url)
        create_lpar(client, "kept")
        client.session._logoff()
        until(lambda: "kept" in (tmp_path / "state.json").read_text())
        running.kill()
    with SimulatorProcess(tmp_path) as running:
        client = connect(running.url)
        assert "kept" in names(client)
        client.session._logoff()


def test_each_life_numbers_events_and_jobs_from_its_start_on_and_none_like_one_before(tmp_path: Path) -> None:
    numbers = []
    for life in range(3):
        with in_process(tmp_path, settings=Settings(clock_scale=0)) as (simulator, _control):
            started = simulator.clock.milliseconds()
            events = [simulator.events.publish("CUSTOM_CLIENT_EVENT").id for _ in range(3)]
            refused = JobFailed("no")
            jobs = [int(simulator.jobs.submit("PowerOn", "X", "x", "/", {}, refused).id) for _ in range(3)]
            assert events == list(range(events[0], events[0] + 3))
            assert jobs == list(range(jobs[0], jobs[0] + 3))
            if life == 0:
                assert (events[0], jobs[0]) == (started, started)
                # From then on the time is ahead of the machine's and stands still, so that every life has the same.
                simulator.clock.advance(3600)
        numbers.append((events, jobs))
    for one, later in itertools.pairwise(numbers):
        assert max(map(max, one)) < min(map(min, later))


@pytest.mark.parametrize(
    ("text", "said"), [("{", "not YAML"), ("nonsense: 1", "fault"), ("[]", "fault")], ids=["yaml", "schema", "list"]
)
def test_an_unusable_document_is_refused_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    system = tmp_path / "wrong.yaml"
    system.write_text(text)
    with pytest.raises(RuntimeError, match=f"wrong.yaml.*{said}"):
        SimulatorProcess(tmp_path / "sim", system=system)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "nowhere"], "HOST:PORT"),
        (["--latency", "fast"], "realistic"),
        (["--tls-cert", str(SYSTEMS / "one-host.yaml")], "go together"),
    ],
)
def test_wrong_options_are_explained(tmp_path: Path, options: list[str], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        SimulatorProcess(tmp_path, *options)


def test_a_state_directory_serves_one_simulator_of_one_document(tmp_path: Path) -> None:
    with in_process(tmp_path), pytest.raises(StateError, match="running simulator"):
        Simulator(document(), tmp_path)
    other = yaml.safe_load((SYSTEMS / "large.yaml").read_text())
    with pytest.raises(StateError, match="--reset"):
        Simulator(other, tmp_path)
    with in_process(tmp_path, other, Settings(reset=True)) as (simulator, control):
        assert len(simulator.world.lpars) >= 500
        assert control.audit() == []


def test_a_taken_address_frees_the_directory_again(tmp_path: Path) -> None:
    with in_process(tmp_path / "one") as (first, _control):
        port = int(first.url.rsplit(":", 1)[1])
        second = Simulator(document(), tmp_path / "two", Settings(listen=("127.0.0.1", port)))
        with pytest.raises(OSError, match="in use"):
            second.start()
    with in_process(tmp_path / "two") as (_, control):
        assert control.audit() == []


def test_a_start_that_fails_ends_everything(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (tmp_path / "file").touch()
    failing = Simulator(document(), tmp_path / "sim", Settings(management=tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        failing.start()
    assert set(threading.enumerate()) <= before
    with in_process(tmp_path / "sim") as (_, control):
        assert control.audit() == []


def test_an_end_that_fails_saves_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = Simulator(document(), tmp_path)
    ending.start()

    disconnect, close = ending.management.disconnect, ending.events.close

    def fail() -> None:
        disconnect()
        with ending.world.lock:
            ending.world.state.users["late"] = "changed"
        raise TimeoutError("a viewer stays")

    def fail_behind_it() -> None:
        close()
        raise OSError("behind it")

    monkeypatch.setattr(ending.management, "disconnect", fail)
    monkeypatch.setattr(ending.events, "close", fail_behind_it)
    with pytest.raises(TimeoutError, match="a viewer stays"):
        ending.stop()
    assert not ending._ticker.is_alive() and not ending._store._thread.is_alive()
    assert json.loads((tmp_path / "state.json").read_text())["world"]["users"]["late"] == "changed"
    with in_process(tmp_path) as (again, _control):
        assert "late" in again.world.state.users


def test_the_command_ends_when_it_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"/proc/nope.*--management"):
        SimulatorProcess(tmp_path / "sim", "--management", "/proc/nope")


def _filled_unit(world: World, path: Path) -> LogicalUnit:
    unit = pool.create(world, world.state.pools[0].tiers[0], pool.UnitSpec("image", 1, type=pool.IMAGE))
    _fill(world, unit, path)
    return unit


def _fill(world: World, unit: LogicalUnit, path: Path) -> None:
    path.write_bytes(b"data")
    record = FileRecord("", "image", uploads.IMAGE, world.vioses[0].uuid, unit.udid, 4, None, "", 0)
    world.file_uploaded(record, path)


def _as_killed(simulator: Simulator, copy: Path) -> None:
    """What is on disk now; the caller holds the world's lock, so that the store cannot write."""
    shutil.copytree(simulator.state_dir, copy, ignore=shutil.ignore_patterns("management"))


def test_a_state_never_names_contents_that_are_gone(tmp_path: Path) -> None:
    with in_process(tmp_path / "sim") as (simulator, _):
        with simulator.services.locked() as world:
            unit = _filled_unit(world, tmp_path / "incoming")
            assert unit.content is not None
            file = unit.content.file
        until(lambda: file in (simulator.state_dir / "state.json").read_text())
        with simulator.services.locked() as world:
            pool.delete(world, world.state.pools[0].tiers[0], unit)
            _as_killed(simulator, tmp_path / "killed")
        until(lambda: not (world.media_dir / file).exists())
        assert file not in (simulator.state_dir / "state.json").read_text()
    with in_process(tmp_path / "killed") as (simulator, _), simulator.services.locked() as world:
        [again] = world.state.pools[0].units
        assert again.content is not None
        assert (world.media_dir / again.content.file).read_bytes() == b"data"


def test_contents_that_no_state_names_are_swept(tmp_path: Path) -> None:
    with in_process(tmp_path / "sim") as (simulator, _), simulator.services.locked() as world:
        _filled_unit(world, tmp_path / "incoming")
        _as_killed(simulator, tmp_path / "killed")
    assert list((tmp_path / "killed" / "media").iterdir())
    with in_process(tmp_path / "killed") as (simulator, _), simulator.services.locked() as world:
        assert world.state.pools[0].units == []
        assert list(world.media_dir.iterdir()) == []
    with in_process(tmp_path / "sim") as (simulator, _), simulator.services.locked() as world:
        assert len(list(world.media_dir.iterdir())) == 1


@pytest.mark.parametrize("part", ["world", "files"])
def test_a_state_of_another_version_is_refused_with_the_fix(tmp_path: Path, part: str) -> None:
    with in_process(tmp_path):
        pass
    state = json.loads((tmp_path / "state.json").read_text())
    if part == "world":
        state["world"]["system"]["colour"] = "blue"
    else:
        state["files"] = [{"colour": "blue"}]
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(StateError, match=r"another version.*colour.*--reset"):
        Simulator(document(), tmp_path)
    with in_process(tmp_path, settings=Settings(reset=True)) as (_, control):
        assert control.audit() == []


def test_time_does_not_run_backwards_after_a_restart(tmp_path: Path) -> None:
    with in_process(tmp_path) as (simulator, control):
        control.clock(advance=7200)
        before = simulator.clock.now()
    with in_process(tmp_path) as (simulator, _):
        assert simulator.clock.now() >= before


def test_a_state_put_back_leaves_nothing_under_way(tmp_path: Path) -> None:
    with in_process(tmp_path) as (_, control):
        state = control.state()
        state["lpars"][0]["state"] = STARTING
        state["vioses"][0]["state"] = SHUTTING_DOWN
        control.put_state(state)
        settled = control.state()
        assert settled["lpars"][0]["state"] == RUNNING
        assert settled["vioses"][0]["state"] == OFF


def test_the_same_address_serves_again_at_once(tmp_path: Path) -> None:
    with in_process(tmp_path) as (first, _):
        port = int(first.url.rsplit(":", 1)[1])
        connect(first.url).session._logoff()
    with in_process(tmp_path, settings=Settings(listen=("127.0.0.1", port))) as (again, _):
        connect(again.url).session._logoff()


def test_state_can_be_put_back_and_clients_are_told(tmp_path: Path) -> None:
    with in_process(tmp_path) as (simulator, control):
        client = connect(simulator.url)
        before, found = control.state(), names(client)
        create_lpar(client, "extra")
        event.Event.get(client, "a")
        control.put_state(before)
        assert names(client) == found
        assert [each.etype for each in event.Event.get(client, "a")] == ["CACHE_CLEARED"]
        assert {**control.state(), "revision": 0}.keys() == before.keys()
        with pytest.raises(requests.HTTPError, match="400"):
            control.put_state({"nonsense": 1})
        assert names(client) == found
        client.session._logoff()


def test_control_ends_sessions_and_shows_latency(tmp_path: Path) -> None:
    with in_process(tmp_path) as (simulator, control):
        client = connect(simulator.url)
        assert control.ask("DELETE", "/sessions") == {"ended": 1}
        control.latency("none", power_job=7)
        assert simulator.world.power_seconds == 7
        names(client)
        assert [entry["status"] for entry in control.journal()][1] == 401
        client.session._logoff()


def exercise(simulator: Simulator, control: ControlClient, client: adapter.Adapter) -> None:
    """One of each kind of change, the feeds read between them so that everything is cached."""

    def read_all() -> None:
        for kind in ("LogicalPartition", "VirtualIOServer", "ManagedSystem", "SharedStoragePool", "Cluster", "Tier"):
            for group in ("None", "All"):
                client.read_by_path(f"/rest/api/uom/{kind}?group={group}")

    read_all()
    lpar = create_lpar(client, "web")
    read_all()
    network.CNA.bld(client, 100, simulator_switch(client)).create(parent=lpar)
    vios = virtual_io_server.VIOS.get(client, xag=["ViosSCSIMapping", "ViosStorage"])[0]
    disk = next(volume for volume in vios.phys_vols if volume.name == "hdisk2")
    scsi_mapper.add_vscsi_mapping(client.sys_uuid, vios, lpar.uuid, disk)
    read_all()
    power.power_on(lpar.refresh(), None)
    read_all()
    power.PowerOp.stop(lpar.refresh(), opts=None)
    scsi_mapper.remove_maps(virtual_io_server.VIOS.get(client, xag=["ViosSCSIMapping"])[0], lpar.id)
    read_all()
    LPAR.get(client, uuid=lpar.uuid).delete()
    read_all()
    assert control.journal()


def simulator_switch(client: adapter.Adapter) -> str:
    [system] = managed_system.System.get(client)
    return str(network.VSwitch.get(client, parent=system)[0].related_href)


def test_what_is_cached_is_what_would_be_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale: list[str] = []
    cached = Renderings.get

    def checked(self: Renderings, world: Any, resource: Any, obj: Any, groups: frozenset[str]) -> atom.Rendered:
        got = cached(self, world, resource, obj, groups)
        known = resource.groups if "All" in groups else groups & resource.groups
        fresh = atom.rendered(resource.render(world, obj, known), got.uuid, resource.service)
        if fresh.xml != got.xml:
            stale.append(f"{resource.type} {got.uuid}: {_difference(got.xml, fresh.xml)}")
        return got

    monkeypatch.setattr(Renderings, "get", checked)
    with in_process(tmp_path) as (simulator, control):
        client = connect(simulator.url)
        exercise(simulator, control, client)
        client.session._logoff()
    assert not stale, "\n".join(sorted(set(stale)))


def _difference(old: str, new: str) -> str:
    left, right = ([f"{e.tag.split('}')[1]}={e.text}" for e in etree.fromstring(x).iter()] for x in (old, new))
    return str([pair for pair in zip(left, right, strict=False) if pair[0] != pair[1]][:3])


def test_every_resource_type_answers_at_each_of_its_places(tmp_path: Path) -> None:
    with in_process(tmp_path) as (simulator, control):
        client = connect(simulator.url)
        headers = {"X-API-Session": client.session._sessToken}
        for resource in RESOURCES.values():
            for parent in sorted(resource.parents):
                above = ""
                if parent:
                    with simulator.services.locked() as world:
                        some = RESOURCES[parent].instances(world, None)
                    if not some:
                        continue
                    above = f"{parent}/{RESOURCES[parent].uuid(some[0])}/"
                url = f"{simulator.url}/rest/api/{resource.service}/{above}{resource.type}"
                answer = requests.get(url, headers=headers, timeout=20)
                assert answer.status_code in (200, 204), (url, answer.text[-500:])
                if answer.status_code == 200:
                    entry = etree.fromstring(answer.text).find(f"{{{atom.ATOM}}}entry/{{{atom.ATOM}}}link")
                    if resource.service == "uom":
                        assert requests.get(entry.get("href"), headers=headers, timeout=20).status_code == 200
        assert control.audit() == []
        client.session._logoff()
