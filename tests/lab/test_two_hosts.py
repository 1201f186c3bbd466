"""A lab of two compute hosts: servers of one network on both, and the picture of it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from openstack.compute.v2.server import Server
from openstack.connection import Connection
from tests.support.lab import SYSTEM, Lab, parts_of

from bigiron.lab.demo_platform import Platform
from bigiron.lab.paths import LabPaths, program
from bigiron.lab.spec import Host

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(900)]

_WAIT = 180
_HOSTS = ("lab-compute", "lab-compute-2")


@pytest.fixture
def two_hosts() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Lab(LabPaths(Path(folder)))
        try:
            made.json("up", "--system", str(SYSTEM), "--system", str(SYSTEM.with_name("another-host.yaml")))
            yield made
        finally:
            made.command("destroy")
            made.paths.root.mkdir(exist_ok=True)


def test_servers_of_both_hosts_are_on_one_vlan(two_hosts: Lab, tmp_path: Path) -> None:
    cloud = two_hosts.cloud()
    platforms = [two_hosts.platform(number) for number in (1, 2)]
    before = [platform.inventory() for platform in platforms if platform]
    with parts_of(cloud, "two") as parts:
        _use(two_hosts, cloud, platforms, parts, tmp_path)
    for platform, old in zip(platforms, before, strict=True):
        assert platform is not None
        assert platform.inventory().left_from(old) == []
        assert platform.ask("/audit") == []


def _use(
    lab: Lab, cloud: Connection, platforms: Sequence[Platform | None], parts: dict[str, str], folder: Path
) -> None:
    """A server on each host, both on one network, looked at and deleted."""
    vlan = cloud.network.get_network(parts["network_id"]).provider_segmentation_id
    servers = [
        cloud.compute.create_server(
            name=f"{parts['name']}-{number}", image_id=parts["image_id"], flavor_id=parts["flavor_id"],
            networks=[{"uuid": parts["network_id"]}], availability_zone=f"nova:{host}",
        )
        for number, host in enumerate(_HOSTS, 1)
    ]  # fmt: skip
    servers = [cloud.compute.wait_for_server(server, wait=_WAIT, interval=1) for server in servers]
    names = []
    for server, host, platform in zip(servers, _HOSTS, platforms, strict=True):
        (port,) = cloud.network.ports(device_id=server.id)
        assert (port.binding_host_id, port.status) == (host, "ACTIVE")
        assert platform is not None
        partition = platform.guest_of(server.id)
        names.append(partition["name"])
        assert vlan in {adapter["vlan"] for adapter in partition["adapters"]}
        assert all(
            vlan in sea["vlans"]
            for bridge in platform.ask("/networks") for sea in bridge["seas"]
        )  # fmt: skip
    texts = _picture(lab, folder / "networks.svg")
    assert texts.count(f"ETHERNET0 {vlan}") == 1
    # Long names are shown in part.
    assert all(any(one.startswith(text.removesuffix("…")) for text in texts if text) for one in names), (names, texts)
    _end(cloud, servers)


def _picture(lab: Lab, file: Path) -> list[str]:
    """The texts of the picture that the command draws of both systems."""
    folders = [lab.paths.data / Host(number).named("sim") for number in (1, 2)]
    states = [word for folder in folders for word in ("--state", str(folder))]
    subprocess.run([program("bigiron"), "sim", "topology", *states, str(file)], check=True, timeout=60)
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def _end(cloud: Connection, servers: list[Server]) -> None:
    for server in servers:
        cloud.compute.delete_server(server.id)
    for server in servers:
        cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
