"""The Shared Ethernet agent as a process: `bigiron-neutron-sea-agent`, one for each host with nova-compute on PowerVM.

It takes Neutron's usual arguments (--config-file, --config-dir, --debug) and needs [DEFAULT] host to be the name that
nova-compute has.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neutron.agent import rpc as agent_rpc
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_conf
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib.agent import constants as agent_constants
from neutron_lib.agent import topics
from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.plugins import powervm_rest
from bigiron.plugins.neutron import bridgemap, conf, rpc
from bigiron.plugins.neutron.loop import WorkLoop
from bigiron.plugins.neutron.mech import AGENT_TYPE_SEA
from bigiron.plugins.neutron.reconcile import Network, Reconciler
from bigiron.powervm.network.bridges import BridgeDocuments
from bigiron.powervm.network.clients import ClientAdapters
from bigiron.powervm.network.link import NetworkLink, open_link
from bigiron.powervm.network.load_groups import bridge_documents
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Journal

LOG = logging.getLogger(__name__)

BINARY = "bigiron-neutron-sea-agent"
_MAX_PARALLEL = 8
_LAST_PASS_S = 3.0
"""How long the end of the process waits for a pass under way; the next start makes good what is cut short."""


@dataclass(frozen=True, slots=True)
class Host:
    """The platform side of an agent that has passed its start-up checks."""

    link: NetworkLink
    bridges: BridgeDocuments
    clients: ClientAdapters
    networks: Mapping[str, Network]


def connect(options: cfg.ConfigOpts, stopping: threading.Event, journal: Journal | None = None) -> Host:
    """Connect to the system and find the mapped bridges.

    Raises conf.BadMapping or PlatformError, whose messages name the option or the object and what to do.
    """
    mappings = conf.parse_mappings(options.AGENT.bridge_mappings)
    link = open_link(PowerVMOptions(**powervm_rest.values(options), max_parallel=_MAX_PARALLEL), journal, stopping)
    try:
        bridges = bridge_documents(link.adapter, link.system_uuid)
        bridges.read_orphans()
        networks = bridgemap.resolve(mappings, bridges.read(), bridges.switch_names())
    except BaseException:
        link.close()
        raise
    clients = ClientAdapters(link.adapter)
    link.events.subscribe(clients.on_event)
    return Host(link, bridges, clients, networks)


def state(host_name: str, host: Host) -> dict[str, Any]:
    """What the agent reports of itself: the mechanism driver reads it, and operators by `network agent show`."""
    networks = host.networks
    return {
        "binary": BINARY,
        "host": host_name,
        "topic": constants.L2_AGENT_TOPIC,
        "agent_type": AGENT_TYPE_SEA,
        "configurations": {
            "bridge_mappings": {physnet: network.bridge for physnet, network in networks.items()},
            "virtual_switches": {physnet: network.vswitch_name for physnet, network in networks.items()},
            "mtus": {physnet: network.mtu for physnet, network in networks.items()},
            "bridges": {physnet: network.name for physnet, network in networks.items()},
            "system": host.link.system_name,
        },
        "start_flag": True,
    }


class Heartbeat:
    """Reports the agent's state until stopped; a server that revives the agent makes it compare everything."""

    def __init__(self, api: agent_rpc.PluginReportStateAPI, report: dict[str, Any], loop: WorkLoop) -> None:
        self._api = api
        self._report = report
        self._loop = loop
        self._context = neutron_context.get_admin_context_without_session()
        self._failing = False

    def run(self, interval: float, stopping: threading.Event) -> None:
        """Report now and every `interval` seconds."""
        self.beat()
        while not stopping.wait(interval):
            self.beat()

    def beat(self) -> None:
        """Report once."""
        self._report["configurations"]["devices"] = self._loop.devices
        try:
            answer = self._api.report_state(self._context, self._report, use_call=True)
        except Exception:
            # The thread must outlive a server or broker that is away, whatever that raises.
            if not self._failing:
                LOG.exception("Reporting the state of agent %s on host %s failed", BINARY, self._report["host"])
            self._failing = True
            return
        if self._failing:
            LOG.info("The state of agent %s on host %s is reported again", BINARY, self._report["host"])
        self._failing = False
        self._report.pop("start_flag", None)
        if answer == agent_constants.AGENT_REVIVED:
            self._loop.heal_soon("Neutron had counted the agent as dead")


def work_loop(options: cfg.ConfigOpts, host: Host, api: agent_rpc.PluginApi) -> WorkLoop:
    """The loop over the host's bridges and Neutron's ports, fed by the platform's events."""
    agent = options.AGENT
    server = rpc.NeutronServer(options.host, api)

    def announce(ports: Sequence[str]) -> None:
        try:
            host.link.announce_wired(ports)
        except PlatformError as error:
            LOG.warning("Who waits for ports %s hears of them later, from Neutron: %s", ", ".join(ports), error)

    reconciler = Reconciler(
        server, host.bridges, host.clients, host.networks, announce, agent.automated_powervm_vlan_cleanup
    )
    loop = WorkLoop(reconciler, options.host, agent.heal_and_optimize_interval, agent.exception_interval)
    host.link.events.subscribe(loop.on_event)
    return loop


def run(options: cfg.ConfigOpts, host: Host, stopping: threading.Event) -> None:
    """Serve until `stopping` is set."""
    loop = work_loop(options, host, agent_rpc.PluginApi(topics.PLUGIN))
    connection = agent_rpc.create_consumers([rpc.Endpoint(options.host, loop)], topics.AGENT, rpc.CONSUMERS)
    heartbeat = Heartbeat(agent_rpc.PluginReportStateAPI(topics.REPORTS), state(options.host, host), loop)
    worker = threading.Thread(target=loop.run, name="sea worker", daemon=True)
    beating = (options.AGENT.report_interval, stopping)
    worker.start()
    threading.Thread(target=heartbeat.run, args=beating, name="sea heartbeat", daemon=True).start()
    served = (f"{physnet} through {network.name}" for physnet, network in host.networks.items())
    LOG.info("The SEA agent of host %s serves %s", options.host, "; ".join(served))
    stopping.wait()
    loop.stop()
    worker.join(_LAST_PASS_S)
    connection.close()
    host.link.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; returns its exit status."""
    neutron_config.register_common_config_options()
    agent_conf.register_agent_state_opts_helper(cfg.CONF)
    conf.register(cfg.CONF)
    neutron_config.init(sys.argv[1:] if arguments is None else list(arguments))
    neutron_config.setup_logging()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGHUP, lambda *_: cfg.CONF.mutate_config_files())
    try:
        host = connect(cfg.CONF, stopping)
    except (conf.BadMapping, PlatformError) as error:
        LOG.error("The SEA agent cannot start: %s", error)
        print(f"{BINARY}: {error}", file=sys.stderr)  # noqa: T201 - with a log file nothing else would be seen
        return 1
    run(cfg.CONF, host, stopping)
    return 0
