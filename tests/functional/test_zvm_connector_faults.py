"""What fails on the simulated z/VM reaches a client of the real Cloud Connector as it would on a real one."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import requests
from tests.functional.zvm_base import (  # noqa: F401 - fixtures
    create,
    deploy,
    left_as_found,
    running,
    served_api,
    served_system,
)
from tests.support import zvm

from bigiron.sim.kernel.faults import Fault
from bigiron.sim.zvm.server import Simulator


def plan(simulator: Simulator, method: str, path: str, action: str, **values: Any) -> None:
    simulator.faults.add(Fault.from_json({"method": method, "path": path, "action": action, **values}))


def fired(simulator: Simulator) -> list[int]:
    return [fault.fired for fault in simulator.faults.faults()]


@pytest.mark.parametrize(
    ("function", "values", "codes"),
    [
        ("Image_Create_DM", {"reason": "596/3543"}, (8, 596, 3543)),
        ("Image_Disk_Create_DM", {"reason": "596/3545"}, (8, 596, 3545)),
        ("Image_Create_DM", {"status": 500, "reason": "8"}, (8, 500, 8)),
    ],
)
def test_codes_of_smapi_come_through(
    function: str, values: dict[str, Any], codes: tuple[int, int, int], api: zvm.Api, simulator: Simulator
) -> None:
    plan(simulator, "SMAPI", function, "error", **values)
    with pytest.raises(zvm.Refused) as refused:
        create(api, "CODES")
    assert refused.value.codes == codes and fired(simulator) == [1]
    api.call("DELETE", "/guests/CODES")


@pytest.mark.parametrize(("action", "exists"), [("drop_before", False), ("drop_after", True)])
def test_smapi_that_does_not_answer_is_an_internal_error(
    action: str, exists: bool, api: zvm.Api, simulator: Simulator
) -> None:
    plan(simulator, "SMAPI", "Image_Create_DM", action)
    with pytest.raises(zvm.Refused) as refused:
        create(api, "SILENT")
    assert refused.value.body["overallRC"] in (25, 500) and "-110" in refused.value.body["errmsg"]
    assert ("SILENT" in simulator.system.state.entries) is exists
    if exists:  # the server knows nothing of it: only who reads the directory can tell
        assert api.call("GET", "/guests") == [] and "SILENT" in api.call("GET", "/host/guests")
        assert [each["kind"] for each in simulator.findings()] == ["unregistered-userid"]
        with simulator.system.lock:
            simulator.system.remove_entry("SILENT")


def test_a_locked_entry_is_tried_again(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "LOCKED")
    plan(simulator, "SMAPI", "Virtual_Network_Adapter_Create_Extended_DM", "busy", times=2)
    api.call("POST", "/guests/LOCKED/nic", {"nic": {"vdev": "1000"}})
    assert fired(simulator) == [2]
    api.call("DELETE", "/guests/LOCKED")


def test_an_entry_that_stays_locked_is_a_conflict(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "STUCK")
    plan(simulator, "SMAPI", "Virtual_Network_Adapter_Create_Extended_DM", "busy", times=0)
    with pytest.raises(zvm.Refused) as refused:
        api.call("POST", "/guests/STUCK/nic", {"nic": {"vdev": "1000"}})
    assert refused.value.status == 409 and "locked" in refused.value.body["errmsg"]
    simulator.faults.clear()
    api.call("DELETE", "/guests/STUCK")


def test_a_busy_punch_is_tried_again(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "PUNCHED")
    plan(simulator, "VMUR", "punch", "busy", times=3)
    deploy(api, "PUNCHED")
    assert fired(simulator) == [3]
    api.call("DELETE", "/guests/PUNCHED")


def test_a_copy_that_fails_is_told(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "COPIED")
    plan(simulator, "TOOL", "unpackdiskimage", "error", message="no space left on device")
    with pytest.raises(zvm.Refused, match="no space left on device"):
        deploy(api, "COPIED")
    deploy(api, "COPIED")
    api.call("DELETE", "/guests/COPIED")


def test_a_guest_that_never_answers_does_not_start(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "MUTE")
    deploy(api, "MUTE")
    plan(simulator, "IUCV", "echo", "drop_before", times=0)
    with pytest.raises(zvm.Refused):
        api.act("MUTE", "start", timeout=3)
    simulator.faults.clear()
    assert api.call("GET", "/guests/MUTE/power_state") == "on"
    api.call("DELETE", "/guests/MUTE")


@pytest.mark.parametrize(("action", "on"), [("drop_before", False), ("drop_after", True)])
def test_a_rest_connection_breaks_before_or_after_the_effect(
    action: str, on: bool, api: zvm.Api, simulator: Simulator
) -> None:
    create(api, "BROKEN")
    plan(simulator, "POST", "/guests/{name}/action", action)
    with pytest.raises(requests.ConnectionError):
        api.act("BROKEN", "start")
    assert ("BROKEN" in simulator.system.state.running) is on
    api.call("DELETE", "/guests/BROKEN")


def test_rest_requests_are_in_the_journal(api: zvm.Api, simulator: Simulator) -> None:
    simulator.journal.clear()
    api.call("GET", "/guests")
    with pytest.raises(zvm.Refused):
        api.call("GET", "/guests/NOBODY/info")
    seen = [(e.method, e.template, e.status) for e in simulator.journal.entries() if e.method == "GET"]
    assert seen == [("GET", "/guests", 200), ("GET", "/guests/{name}/info", 404)]


def test_a_wrong_token_is_refused(simulator: Simulator) -> None:
    for headers in ({}, {"X-Auth-Token": "nonsense"}):
        assert requests.get(f"{simulator.url}/guests", headers=headers, timeout=30).status_code == 401
    answer = requests.post(f"{simulator.url}/token", headers={"X-Admin-Token": "wrong"}, timeout=30)
    assert answer.status_code == 401


def test_the_server_can_be_down_for_a_while(api: zvm.Api, simulator: Simulator) -> None:
    running(api, "STAYS")
    control = f"{simulator.control_url}/connector"
    assert requests.post(control, json={"action": "stop"}, timeout=60).json()["processes"] == {}
    with pytest.raises(requests.ConnectionError):
        api.call("GET", "/guests")
    started = requests.post(control, json={"action": "start"}, timeout=60).json()["processes"]
    assert set(started) == {"sdkserver", "wsgi"}
    assert api.call("GET", "/guests/STAYS/power_state") == "on"
    api.call("DELETE", "/guests/STAYS")


def test_a_process_of_the_server_that_dies_is_started_again(api: zvm.Api, simulator: Simulator) -> None:
    control = f"{simulator.control_url}/connector"
    before = requests.get(control, timeout=30).json()["processes"]
    os.kill(before["sdkserver"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = requests.get(control, timeout=30).json()["processes"]
        if now.get("sdkserver", before["sdkserver"]) != before["sdkserver"] and _answers(api):
            break
        time.sleep(0.2)
    assert now["wsgi"] == before["wsgi"] and api.call("GET", "/guests") == []


def _answers(api: zvm.Api) -> bool:
    try:
        api.call("GET", "/guests")
    except zvm.Refused:
        return False
    return True
