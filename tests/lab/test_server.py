"""A server through the whole cloud: created, seen, stopped, started, rebooted and deleted, with nothing left behind."""

from __future__ import annotations

import time

import pytest
from openstack.compute.v2.server import Server
from openstack.connection import Connection
from tests.support.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_WAIT = 120


def given_back(cloud: Connection, server_id: str) -> None:
    """Wait until placement has nothing of a server that is gone: Nova gives it back last."""
    deadline = time.monotonic() + _WAIT
    while allocations := cloud.placement.get(f"/allocations/{server_id}").json()["allocations"]:
        assert time.monotonic() < deadline, allocations
        time.sleep(0.5)


def without_task(cloud: Connection, server_id: str) -> Server:
    """The server once Nova is done with it: the API gives it a task before it answers, and may be done at once."""
    deadline = time.monotonic() + _WAIT
    while True:
        server = cloud.compute.get_server(server_id)
        if server.task_state is None:
            return server
        assert time.monotonic() < deadline, server.task_state
        time.sleep(1)


def test_a_server_lives_and_leaves_nothing(lab: Lab, cloud: Connection, parts: dict[str, str]) -> None:
    compute = cloud.compute
    platform = lab.platform()
    before = platform.inventory() if platform else None
    server = compute.create_server(
        name=parts["name"], image_id=parts["image_id"], flavor_id=parts["flavor_id"], config_drive=True,
        networks=[{"uuid": parts["network_id"]}],
    )  # fmt: skip
    server = compute.wait_for_server(server, wait=_WAIT, interval=1)
    assert server.status == "ACTIVE"
    (port,) = cloud.network.ports(device_id=server.id)
    assert port.status == "ACTIVE"
    address = port.fixed_ips[0]["ip_address"]
    assert address in str(server.addresses)
    if platform:
        partition = platform.await_boot(server.id, parts["name"], _WAIT)
        assert port.mac_address in {adapter["mac"] for adapter in partition["adapters"]}
        assert address in platform.console(partition)

    compute.stop_server(server)
    assert compute.wait_for_server(server, status="SHUTOFF", wait=_WAIT, interval=1).power_state == 4
    compute.start_server(server)
    assert compute.wait_for_server(server, wait=_WAIT, interval=1).power_state == 1
    for kind in ("SOFT", "HARD"):
        began = platform.boots(platform.guest_of(server.id)) if platform else 0.0
        compute.reboot_server(server, kind)
        server = without_task(cloud, server.id)
        assert server.status == "ACTIVE"
        if platform:
            assert platform.boots(platform.guest_of(server.id)) > began
    compute.delete_server(server)
    compute.wait_for_delete(server, interval=1, wait=_WAIT)
    assert list(cloud.network.ports(device_id=server.id)) == []
    given_back(cloud, server.id)
    if platform and before:
        assert platform.inventory().left_from(before) == []
        assert platform.ask("/audit") == []


def test_a_server_larger_than_the_host_is_refused_with_a_fault(cloud: Connection, parts: dict[str, str]) -> None:
    giant = cloud.compute.create_flavor(name=parts["name"] + "-giant", ram=512, vcpus=1, disk=1 << 20)
    server = cloud.compute.create_server(
        name=parts["name"], image_id=parts["image_id"], flavor_id=giant.id, networks=[{"uuid": parts["network_id"]}]
    )
    try:
        server = cloud.compute.wait_for_status(server, "ERROR", [], 1, _WAIT)
        assert "No valid host" in cloud.compute.get_server(server.id).fault["message"]
    finally:
        cloud.compute.delete_server(server.id)
        cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
        cloud.compute.delete_flavor(giant.id)
