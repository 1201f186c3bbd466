"""Named devices of the management partition and their ports on Open vSwitch: written, shown, lost and restored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.simulator import ControlClient, document, in_process

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import adapters, taps
from bigiron.sim.powervm.model.adapters import AdapterSpec
from bigiron.sim.powervm.model.network import VirtualEthernet
from bigiron.sim.powervm.server import Simulator

SPEC = AdapterSpec(
    switch_id=0,
    pvid=7,
    trunk_priority=1,
    extras={
        "device": "tap1234",
        "ovs_bridge": "br-int",
        "ovs_external_ids": "iface-id=1234,iface-status=active",
        "configured_mtu": 1450,
    },
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Simulator, ControlClient]]:
    with in_process(tmp_path / "sim", document()) as found:
        yield found


def make(simulator: Simulator, spec: AdapterSpec = SPEC, **extras: Any) -> VirtualEthernet:
    with simulator.world.lock:
        management = simulator.world.management
        assert management is not None
        return adapters.create(simulator.world, management, replace(spec, extras=spec.extras | extras))


def test_a_named_trunk_adapter_is_a_device_and_a_port(served: tuple[Simulator, ControlClient]) -> None:
    simulator, control = served
    folder = simulator.management_root / "sys/class/net"
    made = make(simulator)
    assert [path.name for path in folder.iterdir()] == ["tap1234"]
    assert (folder / "tap1234/mtu").read_text() == "1450\n"
    assert (folder / "tap1234/address").read_text().strip().replace(":", "").upper() == made.mac
    ids = {"iface-id": "1234", "iface-status": "active"}
    port = {"bridge": "br-int", "device": "tap1234", "external_ids": ids, "mtu": 1450}
    assert control.ask("GET", "/ovs") == [port]
    with simulator.world.lock:
        adapters.delete(simulator.world, simulator.world.management, made)  # type: ignore[arg-type]
    assert control.ask("GET", "/ovs") == list(folder.iterdir()) == []


def test_a_restart_of_the_partition_loses_devices_until_they_are_written(
    served: tuple[Simulator, ControlClient],
) -> None:
    simulator, control = served
    folder = simulator.management_root / "sys/class/net"
    made = make(simulator)
    before = control.ask("GET", "/ovs")
    control.ask("DELETE", "/ovs")
    assert control.ask("GET", "/ovs") == list(folder.iterdir()) == []
    with simulator.world.lock:
        management = simulator.world.management
        adapters.update(simulator.world, management, made, replace(SPEC, extras={}))  # type: ignore[arg-type]
    assert control.ask("GET", "/ovs") == before
    assert [path.name for path in folder.iterdir()] == ["tap1234"]


def test_a_restart_of_the_service_loses_nothing(tmp_path: Path) -> None:
    with in_process(tmp_path / "sim", document()) as (simulator, control):
        make(simulator)
        before = control.ask("GET", "/ovs")
    with in_process(tmp_path / "sim", document()) as (simulator, control):
        assert control.ask("GET", "/ovs") == before
        assert [path.name for path in (simulator.management_root / "sys/class/net").iterdir()] == ["tap1234"]


@pytest.mark.parametrize(
    ("extras", "says"),
    [
        ({"device": "tap4567890123456"}, "15 characters at most"),
        ({"device": "tap 1"}, "not the name of a network device"),
        ({"device": "tap1234", "pvid": 8}, "has a network device tap1234 already, in slot 3"),
        ({"device": "tap9", "ovs_bridge": ""}, "an adapter with an OvsBridge"),
    ],
)
def test_what_linux_would_not_take_is_refused(
    served: tuple[Simulator, ControlClient], extras: dict[str, Any], says: str
) -> None:
    simulator, control = served
    make(simulator)
    before = control.state()
    with pytest.raises(BadRequest, match=says):
        make(simulator, replace(SPEC, pvid=extras.pop("pvid", 9)), **extras)
    after = control.state()
    assert after["lpars"] == before["lpars"]


def test_other_partitions_have_no_names_for_devices(served: tuple[Simulator, ControlClient]) -> None:
    simulator, _control = served
    with simulator.world.lock:
        vios = simulator.world.vioses[0]
        adapters.create(simulator.world, vios, SPEC)
        assert taps.ports(simulator.world) == []
