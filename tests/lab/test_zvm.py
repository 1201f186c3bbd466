"""A lab of z/VM, then of both platforms: servers under the real Cloud Connector, each image on its own platform."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from openstack.compute.v2.server import Server
from openstack.connection import Connection
from tests.lab.test_server import given_back, without_task
from tests.support import dasd
from tests.support.lab import SYSTEM, Lab, parts_of

from bigiron.lab.demo_platform import Platform
from bigiron.lab.paths import LabPaths, program

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_WAIT = 120
_ZVM_SYSTEM = SYSTEM.with_name("zvm.yaml")


@pytest.fixture(scope="module")
def zvm_lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Lab(LabPaths(Path(folder)))
        try:
            made.json("up", "--platform", "zvm", "--system", str(_ZVM_SYSTEM))
            yield made
            family = made.processes()
            made.command("destroy")
            _, alive = psutil.wait_procs(family, timeout=60)
            assert alive == []
        finally:
            made.command("destroy", check=False)
            made.paths.root.mkdir(exist_ok=True)


@pytest.fixture(scope="module")
def zvm_parts(zvm_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An image made of a small disk by the command for that, and what else a server needs."""
    disk, image = (tmp_path_factory.mktemp("zvm") / name for name in ("disk", "disk.img"))
    disk.write_bytes(dasd.blocks())
    command = [program("bigiron"), "image", "zvm", str(disk), str(image), "--os-distro", "rhel9.4"]
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(zvm_lab.paths.clouds_yaml), "OS_CLOUD": "bigiron"}
    subprocess.run([*command, "--upload", "made-of-a-disk"], env=environment, check=True, timeout=_WAIT)
    cloud = zvm_lab.cloud()
    made = cloud.image.find_image("made-of-a-disk")
    with parts_of(cloud, "zvm-test") as parts:
        yield {**parts, "image_id": made.id}
    cloud.image.delete_image(made.id)


def _boot(cloud: Connection, parts: dict[str, str], *image_ids: str) -> list[Server]:
    servers = [
        cloud.compute.create_server(
            name=parts["name"], image_id=image_id, flavor_id=parts["flavor_id"], config_drive=True,
            networks=[{"uuid": parts["network_id"]}],
        )
        for image_id in image_ids
    ]  # fmt: skip
    return [cloud.compute.wait_for_server(server, wait=_WAIT, interval=1) for server in servers]


def _delete(cloud: Connection, *servers: Server) -> None:
    for server in servers:
        cloud.compute.delete_server(server.id)
    for server in servers:
        cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
        given_back(cloud, server.id)
        assert list(cloud.network.ports(device_id=server.id)) == []


def _platform(lab: Lab, host: int = 1) -> Platform:
    platform = lab.platform(host)
    assert platform is not None
    return platform


def test_a_server_on_zvm_lives_and_leaves_nothing(zvm_lab: Lab, zvm_parts: dict[str, str]) -> None:
    cloud, platform = zvm_lab.cloud(), _platform(zvm_lab)
    before = platform.inventory()
    (server,) = _boot(cloud, zvm_parts, zvm_parts["image_id"])
    (port,) = cloud.network.ports(device_id=server.id)
    guest = platform.await_boot(server.id, zvm_parts["name"], _WAIT)
    vlan = cloud.network.get_network(zvm_parts["network_id"]).provider_segmentation_id
    assert [(nic["mac"], nic["coupled"], nic["vlans"]) for nic in guest["nics"]] == [
        (port.mac_address, "VSWVLAN", [vlan])
    ]  # fmt: skip
    assert (port.status, port.binding_vif_type) == ("ACTIVE", "zvm")
    assert [disk["os"] for disk in guest["disks"]] == ["rhel9.4"]
    assert guest["reader"] == []
    text = cloud.compute.get_server_console_output(server.id)["output"]
    assert f"{zvm_parts['name']} login:" in text

    for kind in ("SOFT", "HARD"):
        began = platform.boots(platform.await_boot(server.id, zvm_parts["name"], _WAIT))
        cloud.compute.reboot_server(server, kind)
        assert without_task(cloud, server.id).status == "ACTIVE"
        assert platform.boots(platform.await_boot(server.id, zvm_parts["name"], _WAIT)) > began
    _delete(cloud, server)
    assert platform.inventory().left_from(before) == []
    assert platform.ask("/audit") == []


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_wide_slice_of_tempest_passes(zvm_lab: Lab) -> None:
    before = _platform(zvm_lab).inventory()
    counts = zvm_lab.tempest("wide", 3500, 4, "--platform", "zvm")
    assert counts["passed"] >= 500
    assert counts["failed"] == 0
    assert _platform(zvm_lab).inventory().left_from(before) == []
    assert _platform(zvm_lab).ask("/audit") == []


@pytest.mark.full
def test_each_image_boots_on_its_own_platform(zvm_lab: Lab, zvm_parts: dict[str, str]) -> None:
    """The same lab, stopped and started again with a PowerVM host beside the one that it had."""
    (kept,) = _boot(zvm_lab.cloud(), zvm_parts, zvm_parts["image_id"])
    userid = _platform(zvm_lab).guest_of(kept.id)["userid"]
    zvm_lab.command("down")
    zvm_lab.json("up", "--platform", "both", "--system", str(_ZVM_SYSTEM), "--system", str(SYSTEM))
    cloud, zvm, powervm = zvm_lab.cloud(), _platform(zvm_lab), _platform(zvm_lab, 2)
    assert zvm.guest_of(kept.id)["userid"] == userid
    before = powervm.inventory()
    with parts_of(cloud, "power", hw_architecture="ppc64le") as power, parts_of(cloud, "untold") as untold:
        servers = _boot(cloud, power, *(each["image_id"] for each in (power, zvm_parts, untold)))
        hosts = [cloud.compute.get_server(server.id).compute_host for server in servers]
        assert hosts == ["lab-compute-2", "lab-compute", "lab-compute-2"]
        assert powervm.guest_of(servers[0].id)["state"] == "running"
        assert zvm.guest_of(servers[1].id)["state"] == "on"
        _delete(cloud, *servers, kept)
    assert powervm.inventory().left_from(before) == []
    assert [*powervm.ask("/audit"), *zvm.ask("/audit")] == []
