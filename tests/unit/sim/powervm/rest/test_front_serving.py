"""Planned faults, latency, many clients at once, and the control address."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest
import requests
from pypowervm import adapter, exceptions
from pypowervm.wrappers import event, http_error, logical_partition
from tests.unit.sim.powervm.tiny_world import TinySimulator

LPAR = logical_partition.LPAR
ROOT = "/rest/api/uom/LogicalPartition"
ONE = f"{ROOT}/{{uuid}}"


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
        assert LPAR.get(client) == []
        assert not any(each.done() for each in waiting)
        sim.add("web")  # may come before some of them wait: they find it in their queues
        assert [each.name for each in LPAR.get(client)] == ["web"]
        assert [len(each.result(60)) for each in waiting] == [1] * 64


def test_latency_is_spent_without_holding_the_world(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    wanted = {"profile": "realistic", "overrides": {"feed": 2.0}}
    answer = requests.post(f"{sim.control.url}/latency", json=wanted, timeout=10)
    assert answer.json()["seconds"]["feed"] == 2.0
    locked: list[bool] = []

    def look() -> None:
        for _ in range(150):
            got = sim.world.lock.acquire(timeout=1)
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
    assert all(locked) and spent >= 2
    began = time.monotonic()
    client.read("LogicalPartition", root_id=thing.uuid, suffix_type="quick", suffix_parm="PartitionState")
    assert time.monotonic() - began >= 0.03


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
        (
            "POST",
            "/faults",
            '[{"method": "GET", "path": "/", "action": "hang"}, {"method": "GET", "path": "/", "action": "late"}]',
            400,
        ),
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
    assert requests.get(f"{sim.control.url}/faults", timeout=10).json() == [], "all faults of a request or none"
