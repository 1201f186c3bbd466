"""Jobs, events and uploads."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from pypowervm import adapter, exceptions
from pypowervm.tasks import storage
from pypowervm.wrappers import event, job, logical_partition, vios_file
from tests.unit.sim.powervm.tiny_world import TinySimulator

from bigiron.sim.powervm import files as sim_files

LPAR = logical_partition.LPAR
ROOT = "/rest/api/uom/LogicalPartition"
ONE = f"{ROOT}/{{uuid}}"


def until(true: Callable[[], bool], seconds: float = 60) -> None:
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


@pytest.mark.parametrize("undo, state", [("yes", "not activated"), ("", "running")])
def test_a_cancelled_job_has_no_effect_if_it_can_be_undone(
    sim: TinySimulator, client: Any, undo: str, state: str
) -> None:
    thing = sim.add("web")
    wrapper = job.Job.wrap(client.read("LogicalPartition", thing.uuid, suffix_type="do", suffix_parm="PowerOn"))
    parameters = [job.Job.create_job_parameter(*each) for each in (("seconds", "3600"), ("undo", undo))]
    with pytest.raises(exceptions.JobRequestTimedOut):
        wrapper.run_job(thing.uuid, job_parms=parameters, timeout=1)
    until(lambda: any(entry.path.endswith("/cancel") for entry in sim.journal.entries()))
    sim.clock.advance(7200)
    until(lambda: any(entry.method == "DELETE" and "/jobs/" in entry.path for entry in sim.journal.entries()))
    assert thing.state == state


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


def test_numbers_count_from_the_start_on_and_say_nothing_of_the_time(sim: TinySimulator, client: Any) -> None:
    [first] = event.Event.get(client, "a")
    job_ids = [int(power_on(client, sim.add("web").uuid).job_id)]
    sim.clock.advance(3600)
    job_ids.append(int(power_on(client, sim.add("db").uuid).job_id))
    later = [int(each.eid) for each in event.Event.get(client, "a")]
    assert later == list(range(int(first.eid) + 1, int(first.eid) + 5)), "two were made and two were started"
    assert job_ids[1] == job_ids[0] + 1


def test_a_waiting_client_is_answered_when_something_happens(sim: TinySimulator, client: Any) -> None:
    event.Event.get(client, "a")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(event.Event.get, client, "a")
        until(lambda: len(sim.journal.entries()) >= 2)
        assert not waiting.done()
        sim.add("web")
        assert [each.etype for each in waiting.result(60)] == ["ADD_URI"]


def test_nothing_new_is_no_content(sim: TinySimulator) -> None:
    assert [each.type for each in sim.events.take("a")] == ["NEW_CLIENT"]
    began = time.monotonic()
    assert sim.events.take("a", wait=0.2) == []
    assert 0.2 <= time.monotonic() - began < 60


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
