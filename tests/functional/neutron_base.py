"""The one module that knows Neutron's test classes: a real Ml2Plugin with our driver, our agent, a simulated system.

The agent runs its real parts against the simulator over HTTP. Only the message bus between agent and server is cut
short: calls go from one to the other as the JSON that would have been sent. The agent's loop runs in the test's own
thread, because the plug-in's database lives there.
"""

# ruff: noqa: E402 - Neutron can be imported only once `prepare` has run

from __future__ import annotations

import logging
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.neutron_imports import prepare

prepare()

from neutron.conf.agent import common as agent_conf
from neutron.db import agents_db
from neutron.plugins.ml2 import rpc as ml2_rpc
from neutron.tests.unit.plugins.ml2 import test_plugin
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib import fixture as neutron_fixture
from neutron_lib.api.definitions import portbindings
from oslo_config import cfg
from oslo_db.sqlalchemy import engines
from oslo_serialization import jsonutils
from oslo_utils import timeutils

from bigiron import naming
from bigiron.model import NicSpec
from bigiron.plugins.neutron import agent, conf, rpc
from bigiron.powervm.connect import connect
from bigiron.powervm.events import RestEvent, post_custom
from bigiron.powervm.network.nic import ClientAdapters
from bigiron.powervm.network.vswitch import VirtualSwitches
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Call
from bigiron.sim.kernel import ports
from bigiron.sim.kernel.faults import Action
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.server import Settings, Simulator
from bigiron.sim.powervm.session import Flavour

HOST = "power1"
PHYSNET = "physnet1"
GUESTS = [f"9f3c2a10-0000-4000-8000-00000000000{n}" for n in range(1, 5)]
WAIT_S = 60
FAILURES = tuple(each for each in Action if each not in (Action.HANG, Action.LATE))
"""How a request of the REST API can fail at once."""


def system_document() -> dict[str, Any]:
    """Two VIOSes with a failover bridge on ETHERNET0, one alone on STORAGE, and four partitions of Nova's."""
    volumes = [{"name": "hdisk0", "size_gb": 100}]
    vios = {"memory_mb": 4096, "proc_units": 1.0, "vcpus": 2, "volumes": volumes, "ethernet": ["ent0", "ent1"]}
    return {
        "system": {
            "name": "server1",
            "machine": {"type": "8286", "model": "42A", "serial": "21C4A7V"},
            "memory_mb": 131072,
            "processors": 16,
        },
        "users": {"padmin": "padmin"},
        "switches": [{"name": "ETHERNET0"}, {"name": "STORAGE"}],
        "vioses": [{"name": "vios1", **vios}, {"name": "vios2", **vios}],
        "bridges": [
            {
                "switch": "ETHERNET0",
                "pvid": 1,
                "adapters": [
                    {"vios": "vios1", "device": "ent5", "backing": "ent0"},
                    {"vios": "vios2", "device": "ent6", "backing": "ent0"},
                ],
            },
            {"switch": "STORAGE", "pvid": 1, "adapters": [{"vios": "vios1", "device": "ent7", "backing": "ent1"}]},
        ],
        "partitions": [
            {
                "name": f"guest{n}",
                "uuid": naming.lpar_uuid(uuid),
                "memory_mb": 1024,
                "vcpus": 1,
                "proc_units": 0.5,
                "state": "running",
                "description": naming.mark(uuid),
            }
            for n, uuid in enumerate(GUESTS, 1)
        ],
    }


def _sent(value: Any) -> Any:
    """The value as the other side of the message bus gets it."""
    return jsonutils.loads(jsonutils.dumps(value))


class ServerApi:
    """neutron.agent.rpc.PluginApi and PluginReportStateAPI, answered by the server's real endpoints."""

    def __init__(self, plugin: Any) -> None:
        self._endpoint = ml2_rpc.RpcCallbacks(plugin.notifier, plugin.type_manager)
        self._reports = agents_db.AgentExtRpcCallback()

    def get_devices_details_list(self, _context: Any, devices: Any, agent_id: str, host: str) -> Any:
        return self._call("get_devices_details_list", devices=devices, agent_id=agent_id, host=host)

    def get_devices_details_list_and_failed_devices(self, _context: Any, devices: Any, agent_id: str, host: str) -> Any:
        return self._call("get_devices_details_list_and_failed_devices", devices=devices, agent_id=agent_id, host=host)

    def get_ports_by_vnic_type_and_host(self, _context: Any, vnic_type: str, host: str) -> Any:
        return self._call("get_ports_by_vnic_type_and_host", vnic_type=vnic_type, host=host)

    def update_device_list(self, _context: Any, devices_up: Any, devices_down: Any, agent_id: str, host: str) -> Any:
        return self._call(
            "update_device_list", devices_up=devices_up, devices_down=devices_down, agent_id=agent_id, host=host
        )

    def report_state(self, _context: Any, report: dict[str, Any], use_call: bool) -> Any:
        now = timeutils.utcnow().strftime(constants.ISO8601_TIME_FORMAT)
        state = _sent({"agent_state": report})
        return _sent(self._reports.report_state(neutron_context.get_admin_context(), agent_state=state, time=now))

    def _call(self, method: str, **arguments: Any) -> Any:
        return _sent(getattr(self._endpoint, method)(neutron_context.get_admin_context(), **_sent(arguments)))


class Casts:
    """The server's message client for agents: whatever it casts reaches the agent's endpoint at once."""

    def __init__(self) -> None:
        self.endpoint: Any = None

    def prepare(self, **_where: Any) -> Casts:
        return self

    def cast(self, context: Any, method: str, **arguments: Any) -> None:
        handler = getattr(self.endpoint, method, None)
        if handler is not None:
            handler(context, **_sent(arguments))


class DatabaseInFile(neutron_fixture.SqlFixture):  # type: ignore[misc]
    """A database with a connection for each transaction, as every database but one in memory has.

    Neutron's trunk service reads through a session of its own while another writes. On the one connection of a
    database in memory, the end of that reading undoes what the other has written.
    """

    def _init_resources(self) -> None:
        path = Path(self.useFixture(_Directory()).path) / "neutron.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            # Remembered by the file: who reads does not keep others from writing.
            connection.execute("PRAGMA journal_mode=WAL")
        self.engine = engines.create_engine(f"sqlite:///{path}")
        self._generate_schema(self.engine)

    def _delete_from_schema(self, engine: Any) -> None:
        engine.dispose()


class AgentTestCase(test_plugin.Ml2PluginV2TestCase):
    """A real Ml2Plugin and an agent's loop in the test's own thread, with the message bus between them cut short."""

    loop: Any

    def connect_server(self) -> None:
        """What agents call on the server, and what it tells them."""
        # Here an agent reports only when it starts, and a test that takes long must not find it dead.
        cfg.CONF.set_override("agent_down_time", 24 * 3600)
        self.server_api = ServerApi(self.driver)
        self.casts = Casts()
        # The real notifier hides behind a handler that stands in for it until RPC is set up.
        notifier = getattr(self.driver.notifier, "notifier_instance", None) or self.driver.notifier
        notifier.client = self.casts

    def heal(self) -> None:
        self.loop.heal_soon("the test asks for it")
        self.loop.step(1)

    def until(self, what: str, done: Callable[[], bool]) -> None:
        """Let the agent work until `done`."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
            self.loop.step(0.05)

    def status(self, port: Any) -> str:
        return str(self._show("ports", port["id"], as_admin=True)["port"]["status"])

    def until_status(self, status: str, *ports: Any) -> None:
        self.until(f"{len(ports)} ports {status}", lambda: all(self.status(port) == status for port in ports))


class SeaTestCase(AgentTestCase):
    """Ends by comparing the system's bridges with those of the beginning, and with an audit."""

    database_in_file = False
    flavour = Flavour.NOVALINK

    _mechanism_drivers = ["pvm_sea"]
    bridge_mappings = f"{PHYSNET}:ent5:vios1"

    def setUp(self) -> None:
        super().setUp()
        logging.getLogger("bigiron").setLevel(logging.DEBUG)
        self.state = Path(self.useFixture(_Directory()).path)
        held = ports.hold("127.0.0.1")
        self.addCleanup(held.close)
        self.address = ("127.0.0.1", ports.number(held))
        self.start_simulator()
        self.addCleanup(lambda: self.simulator.stop())
        self.calls: list[Call] = []
        self._configure()
        self.connect_server()
        self.nova = connect(self._options())
        self.addCleanup(self.nova.close)
        self.adapters = ClientAdapters(self.nova, VirtualSwitches(self.nova))
        self.hrefs: dict[str, str] = {}
        self.before = self.bridges()

    def _setup_database_fixtures(self) -> None:
        if not self.database_in_file:
            super()._setup_database_fixtures()
            return
        fixture = self.useFixture(DatabaseInFile())
        self.engine = fixture.engine

    # -- the agent ------------------------------------------------------------------------------------------------

    def start_agent(self) -> None:
        """An agent as `agent.main` assembles it, up to the message bus; it has compared everything once."""
        self.host = agent.connect(cfg.CONF, threading.Event(), self.calls.append)
        self.addCleanup(self.host.link.close)
        self.loop = agent.work_loop(cfg.CONF, self.host, self.server_api)
        self.casts.endpoint = rpc.Endpoint(HOST, self.loop)
        self.heartbeat = agent.Heartbeat(self.server_api, agent.state(HOST, self.host), self.loop)
        self.heartbeat.beat()
        self.loop.heal_soon("the agent starts")
        self.loop.step(1)

    def stop_agent(self) -> None:
        self.loop.stop()
        self.host.link.close()
        self.casts.endpoint = None

    def requests(self) -> list[str]:
        """Method and resource of the agent's REST calls since the last time, its event polls left out."""
        found = [f"{call.method} {call.path.split('?')[0]}" for call in self.calls]
        self.calls.clear()
        return [call for call in found if not call.endswith("/Event")]

    # -- Neutron --------------------------------------------------------------------------------------------------

    def bound_port(self, vlan: int, guest: str = GUESTS[0], physnet: str = PHYSNET, network: Any = None) -> Any:
        """A port on a VLAN network, bound to this host for a guest."""
        network = network or self.vlan_network(vlan, physnet)
        made = self._make_port(
            self.fmt,
            network["id"],
            as_admin=True,
            arg_list=(portbindings.HOST_ID, "device_id", "device_owner"),
            **{portbindings.HOST_ID: HOST, "device_id": guest, "device_owner": "compute:nova"},
        )
        return made["port"]

    def vlan_network(self, vlan: int, physnet: str = PHYSNET) -> Any:
        provider = {
            "provider:network_type": "vlan",
            "provider:physical_network": physnet,
            "provider:segmentation_id": vlan,
        }
        made = self._make_network(self.fmt, f"net{vlan}", True, as_admin=True, arg_list=tuple(provider), **provider)
        self._make_subnet(self.fmt, made, "10.0.0.1", "10.0.0.0/24", as_admin=True)
        return made["network"]

    def settled(self) -> None:
        """The agent has worked off what it has heard of: an event of ours comes back to it last."""
        marker = uuid.uuid4().hex
        heard = threading.Event()

        def listen(event: RestEvent) -> None:
            if marker in event.data:
                heard.set()

        self.host.link.events.subscribe(listen)
        post_custom(self.nova.adapter, marker, "{}")
        self.until("the agent hears of the test's own event", heard.is_set)
        for _ in ("what it has heard of", "what that has led to"):
            self.loop.step(0)

    # -- the compute service --------------------------------------------------------------------------------------

    def nic(self, port: Any) -> NicSpec:
        details = {key: str(value) for key, value in port[portbindings.VIF_DETAILS].items()}
        tagged = details.get("trunk_vlans")
        return NicSpec(
            id=port["id"], mac=port["mac_address"], vif_type=port[portbindings.VIF_TYPE], vlan=int(details["vlan"]),
            physical_network=details["physical_network"], details=details,
            tagged_vlans=None if tagged is None else tuple(int(vlan) for vlan in tagged.split(",") if vlan),
        )  # fmt: skip

    def create_adapter(self, port: Any) -> None:
        """The first half of a plug: the adapter is there, and nobody knows of it."""
        self.hrefs[port["id"]] = self.adapters.create(naming.lpar_uuid(port["device_id"]), self.nic(port))

    def plug(self, port: Any) -> None:
        self.create_adapter(port)
        self.adapters.announce(self.hrefs[port["id"]], self.nic(port), "plug")

    def delete_adapter(self, port: Any) -> None:
        self.adapters.delete(naming.lpar_uuid(port["device_id"]), port["mac_address"])

    def unplug(self, port: Any) -> None:
        self.delete_adapter(port)
        self.adapters.announce(self.hrefs.pop(port["id"]), self.nic(port), "unplug")

    # -- the system -----------------------------------------------------------------------------------------------

    def bridges(self) -> dict[str, list[tuple[int, list[int]]]]:
        """Device and VIOS of every SEA -> its trunks' PVIDs and VLANs, as the world has them."""
        world = self.simulator.world
        with world.lock:
            return {
                sea.device: sorted((trunk.pvid, sorted(trunk.tagged)) for trunk in sea.trunks)
                for bridge in world.state.bridges
                for sea in bridge.seas
            }

    def carried(self, device: str) -> set[int]:
        """The VLANs tagged on the trunks of one SEA."""
        return {vlan for _, vlans in self.bridges()[device] for vlan in vlans}

    def start_simulator(self) -> None:
        """Start the REST service with what it has saved, if anything; always at the same address."""
        settings = Settings(listen=self.address, flavour=self.flavour)
        self.simulator = Simulator(system_document(), self.state / "simulator", settings)
        self.simulator.start()

    def clean_up(self, *ports: Any) -> None:
        """Take everything away again as the compute service and users do, and check that nothing is left."""
        for port in ports:
            if port["id"] in self.hrefs:
                self.unplug(port)
            self._delete("ports", port["id"], as_admin=True)
        for _ in range(20):
            if self.bridges() == self.before:
                break
            self.heal()
        assert self.bridges() == self.before
        with self.simulator.world.lock:
            assert audit(self.simulator.world) == []

    # -- settings -------------------------------------------------------------------------------------------------

    def _options(self) -> PowerVMOptions:
        host, port = self.address
        return PowerVMOptions(
            rest_host=host, rest_port=port, rest_protocol="http", rest_username="padmin", rest_password="padmin",
            rest_timeout=60, connect_timeout_s=30, state_path=self.state / "nova",
        )  # fmt: skip

    def _configure(self) -> None:
        agent_conf.register_agent_state_opts_helper(cfg.CONF)
        conf.register(cfg.CONF)
        options = self._options()
        rest = ("rest_host", "rest_port", "rest_protocol", "rest_username", "rest_password", "rest_timeout")
        for name in rest:
            cfg.CONF.set_override(name, getattr(options, name), "powervm")
        cfg.CONF.set_override("rest_connect_timeout", 5, "powervm")
        cfg.CONF.set_override("bridge_mappings", self.bridge_mappings, "AGENT")
        cfg.CONF.set_override("host", HOST)


class _Directory:
    """A temporary directory as a fixture."""

    def setUp(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.path = self._directory.name

    def cleanUp(self) -> None:
        self._directory.cleanup()

    def getDetails(self) -> dict[str, Any]:
        return {}
