"""nova-compute is killed in the middle of each operation and started again: Nova and the platform agree afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from openstack.connection import Connection
from tests.support.lab import Lab

from bigiron.lab.demo_platform import Platform

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1200)]

_WAIT = 180
_HELD_S = 3.0
"""How long the service holds the request that the killed process made; then it takes effect, as on a real system."""
_LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
_VIOS = "/rest/api/uom/VirtualIOServer/{uuid}"
_OFF, _ON = ("PUT", f"{_LPAR}/do/PowerOff"), ("PUT", f"{_LPAR}/do/PowerOn")
_RUNNING, _STOPPED = "running", "not activated"


class Killer:
    """Kills nova-compute while it waits for the answer to a certain request."""

    def __init__(self, lab: Lab, cloud: Connection, platform: Platform) -> None:
        self.lab, self.cloud, self.platform = lab, cloud, platform

    def until(self, holds: Callable[[], Any], what: str, pause: float = 0.1) -> Any:
        deadline = time.monotonic() + _WAIT
        while not (answer := holds()):
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(pause)
        return answer

    def compute_pid(self, other_than: int = 0) -> int:
        """The working nova-compute's process."""

        def working() -> int:
            answer = self.lab.command("status", "--json", check=False)
            row = next(row for row in json.loads(answer.stdout)["programs"] if row["name"] == "nova-compute")
            return int(row["pid"]) if row["state"] == "working" and row["pid"] != other_than else 0

        return int(self.until(working, "nova-compute works", 1.0))

    def during(self, request: tuple[str, str], begin: Callable[[], Any]) -> Any:
        """Begin an operation, kill the service at that request, and return once it is back."""
        pid = self.compute_pid()
        method, template = request
        fault = {"method": method, "path": template, "action": "hang", "seconds": _HELD_S}
        requests.post(self.platform.url + "/faults", json=fault, timeout=10).raise_for_status()
        answer = begin()
        self.until(lambda: any(each["fired"] for each in self.platform.ask("/faults")), f"{method} {template}")
        os.kill(pid, signal.SIGKILL)
        requests.delete(self.platform.url + "/faults", timeout=10).raise_for_status()
        self.compute_pid(other_than=pid)
        return answer

    def status(self, server: Any) -> str:
        return str(self.cloud.compute.get_server(server.id).status)

    def settled(self, server: Any, status: str, partition: str) -> None:
        """Nova has the server in that status and at rest, and the platform has its partition so."""

        def seen() -> tuple[str, Any, str]:
            current = self.cloud.compute.get_server(server.id)
            return current.status, current.task_state, str(self.platform.guest_of(server.id)["state"])

        self.until(lambda: seen() == (status, None, partition), f"{status}, {partition}", 1.0)

    def gone(self, server: Any) -> None:
        self.until(lambda: self.cloud.compute.find_server(server.id) is None, "the server is gone", 1.0)


@pytest.fixture
def killer(lab: Lab, cloud: Connection) -> Killer:
    platform = lab.platform()
    assert platform is not None
    return Killer(lab, cloud, platform)


def _create(cloud: Connection, parts: dict[str, str]) -> Any:
    return cloud.compute.create_server(
        name=parts["name"], image_id=parts["image_id"], flavor_id=parts["flavor_id"], config_drive=True,
        networks=[{"uuid": parts["network_id"]}],
    )  # fmt: skip


def test_a_spawn(killer: Killer, cloud: Connection, parts: dict[str, str]) -> None:
    before = killer.platform.inventory()
    server = killer.during(("POST", _VIOS), lambda: _create(cloud, parts))
    killer.until(lambda: killer.status(server) == "ERROR", "the server is in ERROR", 1.0)
    killer.until(lambda: killer.platform.inventory().left_from(before) == [], "nothing is left of it", 1.0)
    cloud.compute.delete_server(server.id)
    killer.gone(server)
    assert killer.platform.ask("/audit") == []


def test_a_server_through_all_of_its_life(killer: Killer, cloud: Connection, parts: dict[str, str]) -> None:
    compute = cloud.compute
    before = killer.platform.inventory()
    server = compute.wait_for_server(_create(cloud, parts), wait=_WAIT, interval=1)

    killer.during(_OFF, lambda: compute.stop_server(server))
    killer.settled(server, "SHUTOFF", _STOPPED)
    killer.during(_ON, lambda: compute.start_server(server))
    killer.settled(server, "ACTIVE", _RUNNING)
    for kind in ("SOFT", "HARD"):
        killer.during(_OFF, lambda kind=kind: compute.reboot_server(server, kind))  # type: ignore[misc]
        killer.settled(server, "ACTIVE", _RUNNING)

    images = {image.id for image in cloud.image.images()}
    killer.during(("POST", _VIOS), lambda: compute.create_server_image(server, "half"))
    killer.settled(server, "ACTIVE", _RUNNING)
    for image in cloud.image.images():
        if image.id not in images:
            cloud.image.delete_image(image.id)

    larger = compute.create_flavor(name=parts["name"] + "-larger", ram=1024, vcpus=1, disk=1)
    killer.during(("POST", _LPAR), lambda: compute.resize_server(server, larger.id))
    killer.settled(server, "ACTIVE", _RUNNING)
    assert killer.platform.guest_of(server.id)["memory_mb"] == 512
    compute.delete_flavor(larger.id)

    # Nova does nothing about a rescue or a shelving that was cut off; an administrator resets it.
    for begin in (lambda: compute.rescue_server(server), lambda: compute.shelve_server(server)):
        killer.during(_OFF, begin)
        compute.reset_server_state(server, "active")
        compute.reboot_server(server, "HARD")
        killer.settled(server, "ACTIVE", _RUNNING)

    killer.during(_OFF, lambda: compute.delete_server(server.id))
    killer.gone(server)
    assert killer.platform.inventory().left_from(before) == []
    assert killer.platform.ask("/audit") == []
