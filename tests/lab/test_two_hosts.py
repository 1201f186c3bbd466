"""A lab of two compute hosts: servers of one network on both, and the picture of it."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from openstack.compute.v2.server import Server
from openstack.connection import Connection
from tests.support.lab import SYSTEM, Lab

from bigiron.lab.paths import LabPaths, program

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
    name = f"two-{secrets.token_hex(4)}"
    image = cloud.image.create_image(
        name, data=secrets.token_bytes(1 << 20), disk_format="raw", container_format="bare", wait=True
    )
    flavor = cloud.compute.create_flavor(name=name, ram=512, vcpus=1, disk=1)
    network = cloud.network.create_network(name=name)
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.78.0.0/24", enable_dhcp=False)
    servers = [
        cloud.compute.create_server(
            name=f"{name}-{number}", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}],
            availability_zone=f"nova:{host}",
        )
        for number, host in enumerate(_HOSTS, 1)
    ]  # fmt: skip
    servers = [cloud.compute.wait_for_server(server, wait=_WAIT, interval=1) for server in servers]
    names = []
    for server, host, platform in zip(servers, _HOSTS, platforms, strict=True):
        (port,) = cloud.network.ports(device_id=server.id)
        assert (port.binding_host_id, port.status) == (host, "ACTIVE")
        assert platform is not None
        partition = platform.partition_of(server.id)
        names.append(partition["name"])
        assert network.provider_segmentation_id in {adapter["vlan"] for adapter in partition["adapters"]}
        assert all(
            network.provider_segmentation_id in sea["vlans"]
            for bridge in platform.ask("/networks") for sea in bridge["seas"]
        )  # fmt: skip
    texts = _picture(two_hosts, tmp_path / "networks.svg")
    assert texts.count(f"ETHERNET0 {network.provider_segmentation_id}") == 1
    # Long names are shown in part.
    assert all(any(one.startswith(text.removesuffix("…")) for text in texts if text) for one in names), (names, texts)
    _end(cloud, servers)
    cloud.network.delete_network(network.id)
    for platform, old in zip(platforms, before, strict=True):
        assert platform is not None
        assert platform.inventory().left_from(old) == []
        assert platform.ask("/audit") == []


def _picture(lab: Lab, file: Path) -> list[str]:
    """The texts of the picture that the command draws of both systems."""
    states = [word for number in ("", "-2") for word in ("--state", str(lab.paths.data / f"sim{number}"))]
    subprocess.run([program("bigiron"), "sim", "topology", *states, str(file)], check=True, timeout=60)
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def _end(cloud: Connection, servers: list[Server]) -> None:
    for server in servers:
        cloud.compute.delete_server(server.id)
    for server in servers:
        cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
