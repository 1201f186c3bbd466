"""The agent as it runs, on a real message bus in memory: what it asks and tells the server, and what it hears."""

# ruff: noqa: E402 - Neutron can be imported only once `prepare` has run

from __future__ import annotations

import copy
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.neutron_imports import prepare

prepare()

import oslo_messaging
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_conf
from neutron.plugins.ml2.rpc import AgentNotifierApi
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib import rpc as neutron_rpc
from neutron_lib.agent import topics
from oslo_config import cfg, fixture
from oslo_messaging import conffixture
from tests.unit.plugins.neutron.zvm_system import FakeSystem

from bigiron import naming
from bigiron.plugins.neutron import agent, conf, zvm_agent, zvm_conf
from bigiron.plugins.neutron.reconcile import Network
from bigiron.plugins.neutron.zvm_networks import Networks
from bigiron.powervm.events import CUSTOM_CLIENT_EVENT, RestEvent
from bigiron.powervm.network.clients import ClientAdapter
from bigiron.powervm.network.trunks import Bridge, SharedAdapter, Trunk, apply
from bigiron.powervm.network.vif_events import VifEvent
from bigiron.zvm.directory import Coupling
from bigiron.zvm.portline import AGENT, COMPUTE, PortLine

HOST = "power1"
GUEST = "9f3c2a10-0000-4000-8000-000000000001"
PORT = "5f1d7a52-9c1e-4b8e-8a55-1f2f3f4f5f6f"
MAC = "fa:16:3e:00:00:01"


class Server:
    """Neutron's server for one port."""

    target = oslo_messaging.Target(version="1.9")

    def __init__(self) -> None:
        self.status = "DOWN"
        self.asked: list[str] = []
        self.vif_type, self.network = "pvm_sea", "physnet1"
        self.deleted = False

    def get_ports_by_vnic_type_and_host(self, context: Any, vnic_type: str, host: str) -> Any:
        self.asked.append("ports")
        if self.deleted:
            return []
        return [
            {
                "id": PORT,
                "mac_address": MAC,
                "binding:vif_type": self.vif_type,
                "binding:host_id": host,
                "binding:vif_details": {"vlan": 100, "physical_network": self.network},
                "admin_state_up": True,
                "status": self.status,
                "device_id": GUEST,
            }
        ]

    def get_devices_details_list_and_failed_devices(self, context: Any, devices: Any, **_: Any) -> Any:
        self.asked.append("details")
        entry = {
            "device": PORT,
            "port_id": PORT,
            "mac_address": MAC,
            "network_type": "vlan",
            "physical_network": "physnet1",
            "segmentation_id": 100,
            "admin_state_up": True,
        }
        return {
            "devices": [entry if device == PORT else {"device": device} for device in devices],
            "failed_devices": [],
        }

    def update_device_list(self, context: Any, devices_up: Any, devices_down: Any, **_: Any) -> Any:
        self.status = "ACTIVE" if PORT in devices_up else "DOWN" if PORT in devices_down else self.status
        return {"devices_up": devices_up, "devices_down": [], "failed_devices_up": [], "failed_devices_down": []}


class Reports:
    """Where agents report their state."""

    target = oslo_messaging.Target(version="1.4", namespace=constants.RPC_NAMESPACE_STATE)

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def report_state(self, context: Any, agent_state: dict[str, Any], **_: Any) -> str:
        self.states.append(copy.deepcopy(agent_state["agent_state"]))
        return "new" if len(self.states) == 1 else "alive"


class System:
    """A platform in memory: one bridge, the guest's adapter, and an event stream."""

    system_name = "server1"

    def __init__(self) -> None:
        self.bridges = (Bridge("b1", 0, False, (SharedAdapter("ent5", "vios1", Trunk(1)),)),)
        self.listeners: list[Any] = []
        self.plugged = False
        self.closed = False
        self.events = self
        self.wired: list[str] = []

    def subscribe(self, listener: Any) -> None:
        self.listeners.append(listener)

    def close(self) -> None:
        self.closed = True

    def announce_wired(self, ports: Any) -> None:
        self.wired += ports

    def announce(self, action: Any) -> None:
        self.plugged = action == "plug"
        detail = VifEvent(action, MAC, "pvm_sea", PORT).detail()
        for listener in self.listeners:
            listener(RestEvent(CUSTOM_CLIENT_EVENT, "x", detail))

    def read(self) -> tuple[Bridge, ...]:
        return self.bridges

    known = read

    def read_orphans(self) -> dict[int, dict[int, str]]:
        return {}

    def vlans_in_use(self) -> dict[int, frozenset[int]]:
        return {}

    def apply(self, ops: Any) -> int:
        self.bridges = apply(self.bridges, ops)
        return 1

    def all(self) -> list[ClientAdapter]:
        return [ClientAdapter(naming.lpar_uuid(GUEST), MAC, 0, frozenset([100]))] if self.plugged else []

    def of(self, _partitions: Any) -> list[ClientAdapter]:
        return self.all()


@pytest.fixture
def bus() -> Iterator[tuple[Server, Reports]]:
    """A message bus with Neutron's server on it."""
    options = fixture.Config(cfg.CONF)
    options.setUp()
    neutron_config.register_common_config_options()
    agent_conf.register_agent_state_opts_helper(cfg.CONF)
    conf.register(cfg.CONF)
    cfg.CONF([], project="neutron", default_config_files=[])
    messaging = conffixture.ConfFixture(cfg.CONF)
    messaging.setUp()
    messaging.transport_url = "fake:/"
    options.config(host=HOST)
    options.config(group="AGENT", report_interval=0.1)
    neutron_rpc.init(cfg.CONF)
    server, reports = Server(), Reports()
    connection = neutron_rpc.Connection()
    connection.create_consumer(topics.PLUGIN, [server], fanout=False)
    connection.create_consumer(topics.REPORTS, [reports], fanout=False)
    connection.consume_in_threads()
    yield server, reports
    connection.close()
    neutron_rpc.cleanup()
    messaging.cleanUp()
    options.cleanUp()


def until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_the_agent_serves_until_it_is_stopped(bus: tuple[Server, Reports]) -> None:
    server, reports = bus
    system: Any = System()
    host = agent.Host(system, system, system, {"physnet1": Network("b1", 0, "ETHERNET0", "ent5 of VIOS vios1")})
    stopping = threading.Event()
    thread = threading.Thread(target=agent.run, args=(cfg.CONF, host, stopping))
    thread.start()
    try:
        until("two reports of its state", lambda: len(reports.states) >= 2)
        first, second = reports.states[:2]
        assert first["start_flag"] is True and "start_flag" not in second
        assert (first["host"], first["agent_type"]) == (HOST, "PowerVM Shared Ethernet agent")
        assert first["configurations"]["bridge_mappings"] == {"physnet1": "b1"}
        until("the first comparison", lambda: server.asked == ["ports"])
        assert server.status == "DOWN"

        system.announce("plug")
        until("the port is up", lambda: server.status == "ACTIVE")
        assert system.bridges[0].carries(100)
        assert system.wired == [PORT]

        server.status = "DOWN"
        notifier = AgentNotifierApi(topics.AGENT)
        notifier.binding_activate(neutron_context.get_admin_context(), PORT, HOST)
        until("an activated binding leads to a comparison", lambda: server.status == "ACTIVE")

        system.announce("unplug")
        until("the port is down", lambda: server.status == "DOWN")
    finally:
        stopping.set()
        thread.join(60)
    assert not thread.is_alive()
    assert system.closed


def test_the_zvm_agent_serves_until_it_is_stopped(bus: tuple[Server, Reports], tmp_path: Path) -> None:
    server, reports = bus
    server.vif_type, server.network = "zvm", "VSW1"
    zvm_conf.register(cfg.CONF)
    cfg.CONF.set_override("polling_interval", 0.1, "AGENT")
    system, connector = FakeSystem(), System()
    system.define("VSW1")
    networks = Networks(system, {}, {})
    networks.refresh()
    line, nova = PortLine(str(tmp_path), AGENT, COMPUTE), PortLine(str(tmp_path), COMPUTE, AGENT)
    told: queue.Queue[Sequence[str]] = queue.Queue()
    nova.start(told.put)
    made: Any = (connector, system, networks, "ZVM1", line)
    stopping = threading.Event()
    thread = threading.Thread(target=zvm_agent.run, args=(cfg.CONF, zvm_agent.Host(*made), stopping))
    thread.start()
    try:
        until("a report of its state", lambda: len(reports.states) >= 1)
        first = reports.states[0]
        assert (first["host"], first["agent_type"]) == (HOST, "z/VM agent")
        assert first["configurations"]["vswitch_mappings"] == {"VSW1": "VSW1"}
        until("the first comparison", lambda: server.asked == ["ports"])
        assert server.status == "DOWN"

        system.add("NV000001", "1000", PORT)
        until("the port is up", lambda: server.status == "ACTIVE")
        assert system.directory == {("NV000001", "1000"): Coupling("VSW1", 100)}
        assert told.get(timeout=60) == [PORT]

        server.deleted = True
        AgentNotifierApi(topics.AGENT).port_delete(neutron_context.get_admin_context(), PORT)
        until("its adapter is cut off", lambda: system.directory == {})
    finally:
        nova.close()
        stopping.set()
        thread.join(60)
    assert not thread.is_alive()
    assert connector.closed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "[zvm] cloud_connector_url is not set"),
        ("[zvm]\ncloud_connector_url = http://127.0.0.1:9/\n", "cannot be reached"),
        ("[AGENT]\nvswitch_mappings = physnet1\n", "'physnet1' is not of the form"),
    ],
)
def test_a_zvm_agent_that_cannot_start_says_why_and_ends(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "agent.conf"
    path.write_text(f"[DEFAULT]\nhost = zvm1\n{text}")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [str(Path(sys.executable).with_name("bigiron-neutron-zvm-agent")), "--config-file", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert ended.returncode == 1
    assert "bigiron-neutron-zvm-agent: " in ended.stderr and message in ended.stderr
