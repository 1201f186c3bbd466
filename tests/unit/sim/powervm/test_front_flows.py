"""Jobs, events, uploads, planned faults and many clients at once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from pypowervm import adapter, exceptions
from pypowervm.tasks import storage
from pypowervm.wrappers import event, http_error, job, logical_partition, vios_file
from tests.unit.sim.powervm.tiny_world import TinySimulator

from bigiron.sim.powervm import files as sim_files

LPAR = logical_partition.LPAR
ROOT = "/rest/api/uom/LogicalPartition"
ONE = f"{ROOT}/{{uuid}}"


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[TinySimulator]:
    with TinySimulator(tmp_path) as running:
        yield running


@pytest.fixture
def client(sim: TinySimulator) -> Iterator[adapter.Adapter]:
    session = adapter.Session(host="127.0.0.1", protocol="http", port=sim.rest.port)
    yield adapter.Adapter(session)
    session._logoff()


@pytest.fixture
def http(sim: TinySimulator) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["X-API-Session"] = sim.sessions.log_on("padmin", "pad<min>").token
        yield session


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# -- jobs ---------------------------------------------------------------------------------------------------------


def power_on(client: Any, uuid: str, **parameters: str) -> job.Job:
    wrapper = job.Job.wrap(client.read("LogicalPartition", uuid, suffix_type="do", suffix_parm="PowerOn"))
    wrapper.run_job(uuid, job_parms=[job.Job.create_job_parameter(*each) for each in parameters.items()])
    return wrapper


def test_a_job_runs_over_time_and_gives_its_results(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    done = power_on(client, thing.uuid, seconds="0.5", bootmode="sms")
    assert done.job_status == "COMPLETED_OK"
    assert done.get_job_results_as_dict() == {"bootmode": "sms"}
    assert thing.state == "running"
    with pytest.raises(exceptions.HttpNotFound):
        client.read_job(done.job_id)


def test_job_states_follow_simulated_time(sim: TinySimulator, client: Any, http: requests.Session) -> None:
    thing = sim.add("web")
    wrapper = job.Job.wrap(client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="PowerOn"))
    wrapper.add_job_parameters_to_existing(job.Job.create_job_parameter("seconds", "600"))
    sim.clock.set_scale(0)
    started = job.Job.wrap(client.create_job(wrapper.entry.element, "LogicalPartition", thing.uuid))
    assert started.job_status == "NOT_STARTED"
    sim.clock.advance(1)
    assert job.Job.wrap(client.read_job(started.job_id)).job_status == "RUNNING"
    assert http.delete(f"{sim.url}/rest/api/uom/jobs/{started.job_id}", timeout=10).status_code == 400
    assert thing.state == "not activated"
    sim.clock.advance(600)
    until(lambda: thing.state == "running")
    until(lambda: job.Job.wrap(client.read_job(started.job_id)).job_status == "COMPLETED_OK")
    listed = http.get(f"{sim.url}{ROOT}/{thing.uuid}/jobs", timeout=10)
    assert f'<JobID kb="ROR" kxe="false">{started.job_id}</JobID>' in listed.text


def test_a_refused_job_completes_with_error(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    thing.state = "running"
    with pytest.raises(exceptions.JobRequestFailed, match="HSCL3681"):
        power_on(client, thing.uuid)


def test_a_job_that_breaks_fails_with_an_exception(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    wrapper = job.Job.wrap(client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="Break"))
    with pytest.raises(exceptions.JobRequestFailed, match="ZeroDivisionError"):
        wrapper.run_job(thing.uuid)


def test_a_cancelled_job_has_no_effect(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    wrapper = job.Job.wrap(client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="PowerOn"))
    parameters = [job.Job.create_job_parameter("seconds", "3600")]
    with pytest.raises(exceptions.JobRequestTimedOut):
        wrapper.run_job(thing.uuid, job_parms=parameters, timeout=1)
    until(lambda: any(e.method == "DELETE" and "/jobs/" in e.path for e in sim.journal.entries()))
    sim.clock.advance(7200)
    time.sleep(0.2)
    assert thing.state == "not activated"


def test_accepted_jobs_take_effect_when_the_simulator_stops(tmp_path: Path) -> None:
    with TinySimulator(tmp_path) as sim:
        thing = sim.add("web")
        session = adapter.Session(host="127.0.0.1", protocol="http", port=sim.rest.port)
        client = adapter.Adapter(session)
        wrapper = job.Job.wrap(client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="PowerOn"))
        wrapper.add_job_parameters_to_existing(job.Job.create_job_parameter("seconds", "3600"))
        client.create_job(wrapper.entry.element, "LogicalPartition", thing.uuid)
        session._logoff()
        assert thing.state == "not activated"
    assert thing.state == "running"


def test_an_unknown_operation_is_not_found(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    with pytest.raises(exceptions.HttpNotFound):
        client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="Dance")


# -- events -------------------------------------------------------------------------------------------------------


def test_each_application_sees_every_event_once(sim: TinySimulator, client: Any) -> None:
    for application in ("a", "b"):
        assert [each.etype for each in event.Event.get(client, application)] == ["NEW_CLIENT"]
    thing = sim.add("web")
    sim.world.changed("MODIFY_URI", thing, "PartitionState")
    for application in ("a", "b"):
        got = event.Event.get(client, application)
        assert [(each.etype, each.detail) for each in got] == [("ADD_URI", None), ("MODIFY_URI", "PartitionState")]
        assert all(each.data == f"{sim.url}{ROOT}/{thing.uuid}" for each in got)
        assert int(got[0].eid) < int(got[1].eid)


def test_a_waiting_client_is_answered_when_something_happens(sim: TinySimulator, client: Any) -> None:
    event.Event.get(client, "a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(event.Event.get, client, "a")
        until(lambda: len(sim.journal.entries()) >= 2)
        assert not waiting.done()
        sim.add("web")
        assert [each.etype for each in waiting.result(5)] == ["ADD_URI"]


def test_nothing_new_is_no_content(sim: TinySimulator) -> None:
    assert [each.type for each in sim.events.take("a")] == ["NEW_CLIENT"]
    began = time.monotonic()
    assert sim.events.take("a", wait=0.2) == []
    assert 0.2 <= time.monotonic() - began < 5


def test_an_overflowed_queue_tells_that_events_are_missing(sim: TinySimulator, client: Any) -> None:
    event.Event.get(client, "slow")
    thing = sim.add("web")
    for _ in range(105):
        sim.world.changed("MODIFY_URI", thing)
    got = [each.etype for each in event.Event.get(client, "slow")]
    assert got[0] == "MISSING_EVENTS" and set(got[1:]) == {"MODIFY_URI"} and len(got) < 100


def test_a_custom_event_reaches_all_applications(sim: TinySimulator, client: Any) -> None:
    for application in ("a", "b"):
        event.Event.get(client, application)
    event.Event.bld(client, "port", "up").create()
    for application in ("a", "b"):
        [got] = event.Event.get(client, application)
        assert (got.etype, got.data, got.detail) == ("CUSTOM_CLIENT_EVENT", "port", "up")


def test_pypowervm_listener_subscribes(sim: TinySimulator, client: Any) -> None:
    listener = client.session.get_event_listener()
    thing = sim.add("web")
    assert listener.getevents() == {f"{sim.url}{ROOT}/{thing.uuid}": "add"}


# -- files --------------------------------------------------------------------------------------------------------


def upload(client: Any, data: bytes, **about: Any) -> Any:
    file = vios_file.File.bld(client, "disk", "BROKERED_DISK_IMAGE", "V", f_size=len(data), tdev_udid="u", **about)
    return storage._upload_stream(file.create(), io.BytesIO(data), storage.UploadType.IO_STREAM)


def test_an_upload_is_streamed_checked_delivered_and_deleted(sim: TinySimulator, client: Any, tmp_path: Path) -> None:
    data = bytes(range(256)) * 2048
    assert upload(client, data, sha_chksum=hashlib.sha256(data).hexdigest()) is None
    [(record, content)] = sim.world.uploads
    assert content == data
    assert (record.filename, record.vios_uuid, record.target_udid, record.size) == ("disk", "V", "u", len(data))
    assert sim.files.records() == [] and list((tmp_path / "u").iterdir()) == []
    put = next(each for each in sim.journal.entries() if each.template.endswith("contents/{uuid}"))
    assert put.request_bytes == len(data)


@pytest.mark.parametrize("about", [{"sha_chksum": "0" * 64}])
def test_a_content_that_is_not_what_was_announced_is_refused(
    sim: TinySimulator, client: Any, tmp_path: Path, about: dict[str, str]
) -> None:
    with pytest.raises(exceptions.HttpError, match="SHA256"):
        upload(client, b"wrong", **about)
    assert sim.world.uploads == [] and list((tmp_path / "u").iterdir()) == []


def test_a_short_content_is_refused_and_the_connection_still_works(sim: TinySimulator, http: requests.Session) -> None:
    record = sim.files.create(sim_files.FileRecord("", "x", "BROKERED_MEDIA_ISO", "V", None, 100, None, "a/b", 1))
    url = f"{sim.url}/rest/api/web/File/contents/{record.uuid}"
    for body in (b"short", iter([b"chunk", b"ed"])):
        assert http.put(url, data=body, timeout=10).status_code == 400
    missing = url[:-4] + "0000"
    assert http.put(missing, data=iter([b"x" * 70000]), timeout=10).status_code == 404
    assert http.get(f"{sim.url}{ROOT}", timeout=10).status_code == 204
    assert sim.world.uploads == []


def test_a_content_can_be_read_back_until_its_record_is_deleted(sim: TinySimulator, client: Any) -> None:
    file = vios_file.File.bld(client, "cd.iso", "BROKERED_MEDIA_ISO", "V", f_size=5).create()
    client.upload_file(file.element, io.BytesIO(b"hello"))
    back = io.BytesIO()
    client.download_file(file.element, back)
    assert back.getvalue() == b"hello"
    [listed] = vios_file.File.wrap(client.read("File", service="web"))
    assert (listed.file_uuid, listed.current_file_size, listed.enum_type) == (file.uuid, 5, "BROKERED_MEDIA_ISO")
    file.delete()
    with pytest.raises(exceptions.HttpNotFound):
        client.read("File", file.uuid, service="web")


def test_there_are_never_more_than_a_hundred_files(sim: TinySimulator, client: Any) -> None:
    for _ in range(100):
        vios_file.File.bld(client, "x", "BROKERED_MEDIA_ISO", "V").create()
    with pytest.raises(exceptions.HttpError, match="100 Files already"):
        vios_file.File.bld(client, "x", "BROKERED_MEDIA_ISO", "V").create()


# -- faults -------------------------------------------------------------------------------------------------------


def plan(sim: TinySimulator, **fault: Any) -> None:
    requests.post(f"{sim.control.url}/faults", json=fault, timeout=10).raise_for_status()


def fired(sim: TinySimulator) -> list[int]:
    return [each["fired"] for each in requests.get(f"{sim.control.url}/faults", timeout=10).json()]


@pytest.mark.parametrize("action, effect", [("drop_before", ["web"]), ("drop_after", ["new"])])
def test_a_dropped_connection_with_and_without_effect(
    sim: TinySimulator, client: Any, action: str, effect: list[str]
) -> None:
    sim.add("web")
    lpar = LPAR.get(client)[0]
    lpar.name = "new"
    plan(sim, method="POST", path=ONE, action=action)
    with pytest.raises(exceptions.ConnectionError):
        lpar.update()
    assert [thing.name for thing in sim.world.things] == effect
    assert fired(sim) == [1]
    last = sim.journal.entries()[-1]
    assert (last.status, last.fault) == (0, action)
    assert [each.name for each in LPAR.get(client)] == effect


@pytest.mark.parametrize(
    "fault, status", [({"action": "error", "status": 507, "message": "Out of it."}, 507), ({"action": "stale"}, 412)]
)
def test_an_injected_error_has_no_effect(sim: TinySimulator, client: Any, fault: dict[str, Any], status: int) -> None:
    sim.add("web")
    lpar = LPAR.get(client)[0]
    lpar.name = "new"
    plan(sim, method="POST", path=ONE, **fault)
    with pytest.raises(exceptions.HttpError) as refused:
        lpar.update()
    assert refused.value.response.status == status
    assert [thing.name for thing in sim.world.things] == ["web"]
    assert lpar.update().name == "new"


def test_a_busy_vios_is_known_as_busy_by_pypowervm(sim: TinySimulator, client: Any) -> None:
    sim.add("web")
    plan(sim, method="GET", path=ROOT, action="busy")
    with pytest.raises(exceptions.HttpError) as refused:
        LPAR.get(client)
    assert http_error.HttpError.wrap(refused.value.response.entry).status == 503
    assert "too busy" in str(refused.value)
    assert fired(sim) == [1]


def test_a_hanging_request_is_answered_late(sim: TinySimulator, client: Any) -> None:
    sim.add("web")
    plan(sim, method="GET", path=ROOT, action="hang", seconds=0.4, nth=2)
    LPAR.get(client)
    began = time.monotonic()
    LPAR.get(client)
    assert time.monotonic() - began >= 0.4
    plan(sim, method="GET", path=ROOT, action="hang", seconds=60)
    session = adapter.Session(host="127.0.0.1", protocol="http", port=sim.rest.port, timeout=0.3)
    with pytest.raises(exceptions.TimeoutError):
        LPAR.get(adapter.Adapter(session))
    assert fired(sim) == [1, 1]
    sim.clock.advance(60)
    session._logoff()


# -- serving ------------------------------------------------------------------------------------------------------


def test_one_connection_serves_many_requests(sim: TinySimulator) -> None:
    thing, token = sim.add("web"), sim.sessions.log_on("padmin", "pad<min>").token
    with contextlib.closing(HTTPConnection("127.0.0.1", sim.rest.port, timeout=10)) as connection:
        connection.connect()
        ports = set()
        for path, status in [(ROOT, 200), (f"{ROOT}/{thing.uuid}", 200), (f"{ROOT}/nothing", 404), ("/x", 404)] * 10:
            connection.request("GET", path, headers={"X-API-Session": token})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
            ports.add(connection.sock.getsockname()[1])
        assert len(ports) == 1


def test_long_polls_do_not_hold_up_others(sim: TinySimulator, client: Any) -> None:
    for number in range(64):
        sim.events.take(str(number))
    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(event.Event.get, client, str(number)) for number in range(64)]
        began = time.monotonic()
        sim.add("web")  # may come before some of them wait: they find it in their queues
        assert [each.name for each in LPAR.get(client)] == ["web"]
        assert time.monotonic() - began < 5
        assert [len(each.result(10)) for each in waiting] == [1] * 64


def test_latency_is_spent_without_holding_the_world(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    answer = requests.post(f"{sim.control.url}/latency", json={"profile": "realistic"}, timeout=10)
    assert answer.json()["seconds"]["feed"] == 0.2
    locked: list[bool] = []

    def look() -> None:
        for _ in range(10):
            got = sim.world.lock.acquire(timeout=0.05)
            locked.append(got)
            if got:
                sim.world.lock.release()
            time.sleep(0.01)

    watcher = threading.Thread(target=look)
    began = time.monotonic()
    watcher.start()
    LPAR.get(client)
    spent = time.monotonic() - began
    watcher.join()
    assert all(locked) and 0.2 <= spent < 2
    began = time.monotonic()
    client.read("LogicalPartition", root_id=thing.uuid, suffix_type="quick", suffix_parm="PartitionState")
    assert 0.03 <= time.monotonic() - began < 0.5


def test_garbage_on_the_socket_ends_only_its_connection(sim: TinySimulator, client: Any) -> None:
    with socket.create_connection(("127.0.0.1", sim.rest.port), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert raw.recv(4096)
    assert LPAR.get(client) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/faults", "{", 400),
        ("POST", "/faults", '{"method": "GET"}', 400),
        ("POST", "/latency", '{"profile": "fast"}', 400),
        ("POST", "/clock", '{"advance": -1}', 400),
        ("PUT", "/journal", "", 405),
        ("GET", "/nothing", None, 404),
        ("GET", "/", None, 200),
        ("POST", "/clock", '{"scale": 2}', 200),
        ("DELETE", "/journal", None, 204),
    ],
)
def test_control_requests(sim: TinySimulator, method: str, path: str, body: str | None, status: int) -> None:
    answer = requests.request(method, sim.control.url + path, data=body, timeout=10)
    assert answer.status_code == status
    assert status < 400 or answer.json()["error"]
