"""A server's port on Open vSwitch: the real Neutron and its own agent, a real Open vSwitch, a simulated system."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from tests.support.lab import SYSTEM, Lab, parts_of

from bigiron.lab import openvswitch
from bigiron.lab.paths import LabPaths, cache_root

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(900)]

_WAIT = 180


@dataclass(frozen=True, slots=True)
class Switch:
    """The lab's Open vSwitch, asked with its own tools."""

    binaries: openvswitch.Binaries
    folder: Path

    def ask(self, *words: str) -> Any:
        """What ovs-vsctl says, as JSON."""
        result = subprocess.run(
            [self.binaries.program("ovs-vsctl"), "--format=json", "--timeout=10", *words], capture_output=True,
            text=True, check=False, env={**os.environ, **self.binaries.environment(self.folder)},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def ports(self) -> dict[str, dict[str, Any]]:
        """The interfaces that Neutron knows by an id: their external ids, MTU, tag and OpenFlow number, by name."""
        tags = dict(self.ask("--columns=name,tag", "list", "Port")["data"])
        columns = "name,external_ids,mtu,ofport"
        return {
            name: {"ids": dict(ids), "mtu": mtu, "ofport": ofport, "tag": tags[name]}
            for name, (_, ids), mtu, ofport in self.ask(f"--columns={columns}", "list", "Interface")["data"]
            if "iface-id" in dict(ids)
        }


@pytest.fixture
def switched() -> Iterator[tuple[Lab, Switch]]:
    binaries = openvswitch.obtain(cache_root())
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Lab(LabPaths(Path(folder)))
        try:
            made.json("up", "--open-vswitch", "--system", str(SYSTEM))
            yield made, Switch(binaries, made.paths.switch("ovs-vswitchd"))
        finally:
            made.command("destroy")
            made.paths.root.mkdir(exist_ok=True)


def test_a_servers_port_is_on_open_vswitch(switched: tuple[Lab, Switch]) -> None:
    lab, switch = switched
    cloud, platform = lab.cloud(), lab.platform()
    assert platform is not None
    before = platform.inventory()
    assert switch.ports() == {}
    with parts_of(cloud, "ovs") as parts:
        server = cloud.compute.create_server(
            name=parts["name"], image_id=parts["image_id"], flavor_id=parts["flavor_id"],
            networks=[{"uuid": parts["network_id"]}],
        )  # fmt: skip
        server = cloud.compute.wait_for_server(server, wait=_WAIT, interval=1)
        _check(cloud, switch, server.id, parts["network_id"])
        lab.command("down")
        lab.json("up")
        assert cloud.compute.get_server(server).status == "ACTIVE"
        _check(cloud, switch, server.id, parts["network_id"])
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=1, wait=_WAIT)
        _until(lambda: switch.ports() == {}, "the port is off Open vSwitch")
    assert platform.inventory().left_from(before) == []
    assert platform.ask("/audit") == []


def _check(cloud: Connection, switch: Switch, server: str, network: str) -> None:
    """Bound by Neutron's own driver, up, wired by its agent, and on the bridge as the simulated platform says."""
    (port,) = cloud.network.ports(device_id=server)
    assert (port.binding_vif_type, port.status) == ("ovs", "ACTIVE")
    assert port.binding_vif_details["bound_drivers"] == {"0": "openvswitch"}
    _until(lambda: [each["tag"] for each in switch.ports().values()] not in ([], [["set", []]]), "the agent's tag")
    ((name, found),) = switch.ports().items()
    assert name == f"tap{port.id[:11]}"
    ids = {"iface-id": port.id, "iface-status": "active", "attached-mac": port.mac_address, "vm-uuid": server}
    assert found["ids"] == ids
    assert found["mtu"] == cloud.network.get_network(network).mtu
    assert found["ofport"] > 0
    assert 1 <= found["tag"] <= 4094


def _until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT
    while not reached():
        assert time.monotonic() < deadline, f"not within {_WAIT} s: {what}"
        time.sleep(0.5)
