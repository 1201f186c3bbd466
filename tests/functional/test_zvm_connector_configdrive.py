"""The config drive that a guest was punched, as real cloud-init's ConfigDrive datasource reads it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.functional.zvm_base import create, deploy, left_as_found, served_api, served_system  # noqa: F401 - fixtures
from tests.support import cloud_init, zvm

from bigiron.sim.zvm.guest.files import CONFIG_DRIVE, Files
from bigiron.sim.zvm.server import Simulator

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

UUID = "0f2dc1a8-6c7a-4f0e-9d3c-0a5c5a0f4c11"
MAC = "02:00:00:12:34:56"
USER_DATA = b"#cloud-config\nhostname: web\n"
NETWORK = {
    "links": [{"id": "tap1", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1500}],
    "networks": [
        {
            "id": "network0", "type": "ipv4", "link": "tap1", "ip_address": "10.0.0.5", "netmask": "255.255.255.0",
            "network_id": "n1", "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
        }
    ],
    "services": [],
}  # fmt: skip


def test_cloud_init_takes_all_of_it(api: zvm.Api, simulator: Simulator, tmp_path: Path) -> None:
    create(api, "CLOUDY")
    meta_data = {"uuid": UUID, "hostname": "web.example", "public_keys": {"mine": zvm.KEY}, "meta": {"role": "web"}}
    deploy(api, "CLOUDY", user_data=USER_DATA, network_data=NETWORK, **meta_data)
    api.act("CLOUDY", "start", timeout=60)
    with simulator.system.lock:
        drive = Files.of(simulator.system, "CLOUDY").read(CONFIG_DRIVE)
    assert drive is not None
    found = cloud_init.read(cloud_init.packages(), cloud_init.extract(io.BytesIO(drive), tmp_path), {MAC: "enc1000"})
    assert found["metadata"]["instance-id"] == UUID and found["metadata"]["meta"] == {"role": "web"}
    assert list(found["metadata"]["public_keys"].values()) == [zvm.KEY]
    assert found["userdata"].encode() == USER_DATA
    [device] = [each for each in found["network"]["config"] if each.get("mac_address") == MAC]
    assert device["name"] == "enc1000" and [each["address"] for each in device["subnets"]] == ["10.0.0.5"]
    assert json.loads(json.dumps(found["metadata"]))["local-hostname"] == "web.example"
    api.call("DELETE", "/guests/CLOUDY")
