"""The Shared Ethernet agent as a process: `bigiron-neutron-sea-agent`, one for each host with nova-compute on PowerVM.

It takes Neutron's usual arguments (--config-file, --config-dir, --debug) and needs [DEFAULT] host to be the name that
nova-compute has.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neutron.agent import rpc as agent_rpc
from neutron_lib.agent import topics
from oslo_config import cfg

from bigiron.plugins.neutron import bridgemap, conf, powervm_link, rpc, service
from bigiron.plugins.neutron.kinds import SEA
from bigiron.plugins.neutron.loop import WorkLoop
from bigiron.plugins.neutron.reconcile import Network, Reconciler
from bigiron.plugins.neutron.service import Heartbeat
from bigiron.powervm.network.bridges import BridgeDocuments
from bigiron.powervm.network.clients import ClientAdapters
from bigiron.powervm.network.link import NetworkLink
from bigiron.powervm.network.load_groups import bridge_documents
from bigiron.powervm.session import Journal


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
    link = powervm_link.link(options, stopping, journal)
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
    """What the agent reports of itself."""
    networks = host.networks
    configurations = {
        "bridge_mappings": {physnet: network.bridge for physnet, network in networks.items()},
        "virtual_switches": {physnet: network.vswitch_name for physnet, network in networks.items()},
        "mtus": {physnet: network.mtu for physnet, network in networks.items()},
        "bridges": {physnet: network.name for physnet, network in networks.items()},
        "system": host.link.system_name,
    }
    return service.report(SEA, host_name, configurations)


def work_loop(options: cfg.ConfigOpts, host: Host, api: agent_rpc.PluginApi) -> WorkLoop:
    """The loop over the host's bridges and Neutron's ports, fed by the platform's events."""
    agent = options.AGENT
    server = rpc.NeutronServer(options.host, api)
    announce = powervm_link.announcer(host)
    reconciler = Reconciler(
        server, host.bridges, host.clients, host.networks, announce, agent.automated_powervm_vlan_cleanup
    )
    loop = WorkLoop(reconciler, options.host, agent.heal_and_optimize_interval, agent.exception_interval)
    host.link.events.subscribe(loop.on_event)
    return loop


def run(options: cfg.ConfigOpts, host: Host, stopping: threading.Event) -> None:
    """Serve until `stopping` is set."""
    loop = work_loop(options, host, agent_rpc.PluginApi(topics.PLUGIN))
    heartbeat = Heartbeat(agent_rpc.PluginReportStateAPI(topics.REPORTS), state(options.host, host), loop)
    serves = "; ".join(f"{physnet} through {network.name}" for physnet, network in host.networks.items())
    service.serve(options, SEA, host.link.close, loop, heartbeat, serves, stopping)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; returns its exit status."""

    def start(options: cfg.ConfigOpts, stopping: threading.Event) -> None:
        run(options, connect(options, stopping), stopping)

    return service.main(SEA, conf.register, start, arguments)
