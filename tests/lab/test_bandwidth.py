"""A server with guaranteed bandwidth: the real Neutron, Placement and Nova, the real agent, a simulated system."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from tests.support.lab import SYSTEM, Lab, parts_of

from bigiron.lab.paths import LabPaths

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(900)]

_WAIT = 180
_GBPS = 1_000_000
ADAPTERS = """
sriov_adapters:
  - ports: [{label: fast}]
  - ports: [{label: fast}]
"""
EGRESS, INGRESS = "NET_BW_EGR_KILOBIT_PER_SEC", "NET_BW_IGR_KILOBIT_PER_SEC"


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Lab]:
    document = tmp_path / "direct.yaml"
    document.write_text(SYSTEM.read_text(encoding="utf-8") + ADAPTERS, encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Lab(LabPaths(Path(folder)))
        try:
            made.json("up", "--system", str(document), "--set", "neutron-sriov-agent:AGENT.vnic_required_vfs=1")
            yield made
        finally:
            made.command("destroy")
            made.paths.root.mkdir(exist_ok=True)


def test_a_port_with_a_minimum_bandwidth(direct: Lab) -> None:
    cloud, platform = direct.cloud(), direct.platform()
    assert platform is not None
    before = platform.inventory()
    rates = _Rates(cloud)
    rates.until({(10 * _GBPS, 10 * _GBPS)})
    with parts_of(cloud, "direct") as parts:
        _use(cloud, rates, parts)
    assert platform.inventory().left_from(before) == []
    assert platform.ask("/audit") == []


class _Rates:
    """What Placement has of the physical ports."""

    def __init__(self, cloud: Connection) -> None:
        self._cloud = cloud

    def providers(self) -> dict[str, str]:
        found = self._cloud.placement.get("/resource_providers").json()["resource_providers"]
        return {each["name"]: each["uuid"] for each in found if each["name"].count(":") == 2}

    def totals(self) -> set[tuple[int, int]]:
        paths = [f"/resource_providers/{uuid}/inventories" for uuid in self.providers().values()]
        found = [self._cloud.placement.get(path).json()["inventories"] for path in paths]
        return {(each[EGRESS]["total"], each[INGRESS]["total"]) for each in found if EGRESS in each}

    def until(self, wanted: set[tuple[int, int]]) -> None:
        """Neutron passes on what the agent reports."""
        deadline = time.monotonic() + _WAIT
        while self.totals() != wanted:
            assert time.monotonic() < deadline, self.totals()
            time.sleep(1)


def _use(cloud: Connection, rates: _Rates, parts: dict[str, str]) -> None:
    network = cloud.network.create_network(
        name="fast", provider_network_type="vlan", provider_physical_network="fast", provider_segmentation_id=200
    )
    cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.78.0.0/24", enable_dhcp=False)
    policy = cloud.network.create_qos_policy(name="gold")
    for direction, kbps in (("egress", 1_100_000), ("ingress", 300_000)):
        cloud.network.create_qos_minimum_bandwidth_rule(policy, direction=direction, min_kbps=kbps)
    port = cloud.network.create_port(network_id=network.id, binding_vnic_type="direct", qos_policy_id=policy.id)
    server = cloud.compute.create_server(
        name=parts["name"], image_id=parts["image_id"], flavor_id=parts["flavor_id"], networks=[{"port": port.id}]
    )
    server = cloud.compute.wait_for_server(server, wait=_WAIT, interval=1)
    _check(cloud, rates, server, port)
    rates.until({(10 * _GBPS, 10 * _GBPS), (9_900_000, 9_100_000)})
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
    cloud.network.delete_port(port)
    rates.until({(10 * _GBPS, 10 * _GBPS)})
    cloud.network.delete_qos_policy(policy)
    cloud.network.delete_network(network)


def _check(cloud: Connection, rates: _Rates, server: Any, port: Any) -> None:
    """Placement has given the bandwidth of one port, and the port is bound to that one."""
    allocated = cloud.placement.get(f"/allocations/{server.id}").json()["allocations"]
    ((provider, given),) = (
        (uuid, each["resources"]) for uuid, each in allocated.items() if EGRESS in each["resources"]
    )
    assert given == {EGRESS: 1_100_000, INGRESS: 300_000}
    (name,) = (name for name, uuid in rates.providers().items() if uuid == provider)
    bound = cloud.network.get_port(port)
    assert list(bound.binding_profile["allocation"].values()) == [provider]
    assert bound.binding_vif_details["allocated_port"] == name.split(":")[2]
    assert bound.binding_vif_details["capacity"] == 0.12
    assert bound.status == "ACTIVE"
