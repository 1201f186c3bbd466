"""The z/VM agent as a process: `bigiron-neutron-zvm-agent`, one for each z/VM system, where its nova-compute is.

It takes Neutron's usual arguments (--config-file, --config-dir, --debug) and needs [DEFAULT] host to be the name that
nova-compute has.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neutron.agent import rpc as agent_rpc
from neutron_lib.agent import topics
from oslo_config import cfg

from bigiron.journal import Journal
from bigiron.plugins import zvm_rest
from bigiron.plugins.neutron import conf, rpc, service, zvm_conf
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.plugins.neutron.service import Heartbeat
from bigiron.plugins.neutron.zvm_loop import LookLoop
from bigiron.plugins.neutron.zvm_networks import Networks
from bigiron.plugins.neutron.zvm_reconcile import CouplingReconciler
from bigiron.zvm.api import Api
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.portline import AGENT, COMPUTE, PortLine
from bigiron.zvm.rest import Connector
from bigiron.zvm.vswitches import Vswitches

_MAX_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Host:
    """The platform side of an agent that has passed its start-up checks."""

    connector: Connector
    platform: Vswitches
    networks: Networks
    system: str
    port_line: PortLine

    def close(self) -> None:
        """End both connections."""
        self.port_line.close()
        self.connector.close()


def connect(options: cfg.ConfigOpts, journal: Journal | None = None) -> Host:
    """Connect to the Cloud Connector, and find or make the mapped virtual switches.

    Raises conf.BadMapping or PlatformError, whose messages name the option or the object and what to do.
    """
    mapping, uplinks = zvm_conf.mappings(options), zvm_conf.uplinks(options)
    try:
        values = zvm_rest.values(options)
    except zvm_rest.BadOption as error:
        raise conf.BadMapping(str(error)) from error
    connector = Connector(ZvmOptions(**values, max_parallel=_MAX_PARALLEL), journal)
    try:
        api = Api(connector)
        api.read_version()
        platform = Vswitches(api)
        networks = Networks(platform, mapping, uplinks)
        networks.refresh()
        if networks.missing:
            name = networks.missing[0]
            raise conf.BadMapping(
                f"[AGENT] vswitch_mappings: this system has no virtual switch {name} (there are: "
                f"{', '.join(sorted(platform.names())) or 'none'}). Define it, or set rdev_list in a section [{name}]."
            )
        system = str(api.host()["hypervisor_hostname"])
    except BaseException:
        connector.close()
        raise
    return Host(connector, platform, networks, system, PortLine(options.zvm.port_line, AGENT, COMPUTE))


def state(host_name: str, host: Host) -> dict[str, Any]:
    """What the agent reports of itself."""
    return service.report(ZVM, host_name, configurations(host))


def configurations(host: Host) -> dict[str, Any]:
    """What the mechanism driver decides by."""
    return {**host.networks.configurations(), "system": host.system}


def work_loop(options: cfg.ConfigOpts, host: Host, api: agent_rpc.PluginApi) -> LookLoop:
    """The loop over the system's adapters and Neutron's ports; what it couples, nova-compute is told at once."""
    agent = options.AGENT
    reconciler = CouplingReconciler(rpc.NeutronServer(options.host, api, ZVM), host.platform, host.networks)
    reconciler.announce = host.port_line.tell
    return LookLoop(
        reconciler, options.host, agent.polling_interval, agent.heal_and_optimize_interval, agent.exception_interval
    )


def heartbeat(options: cfg.ConfigOpts, host: Host, loop: LookLoop, api: agent_rpc.PluginReportStateAPI) -> Heartbeat:
    """What reports the agent's state, and at once when virtual switches have come or gone."""
    beat = Heartbeat(api, state(options.host, host), loop)
    host.networks.changed.append(lambda: beat.update(configurations(host)))
    return beat


def run(options: cfg.ConfigOpts, host: Host, stopping: threading.Event) -> None:
    """Serve until `stopping` is set."""
    loop = work_loop(options, host, agent_rpc.PluginApi(topics.PLUGIN))
    host.port_line.start(loop.adapters_made)
    beat = heartbeat(options, host, loop, agent_rpc.PluginReportStateAPI(topics.REPORTS))
    serves = "; ".join(f"{physnet} through {name}" for physnet, name in sorted(host.networks.serving.items()))
    service.serve(options, ZVM, host.close, loop, beat, serves, stopping)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; returns its exit status."""

    def start(options: cfg.ConfigOpts, stopping: threading.Event) -> None:
        run(options, connect(options), stopping)

    return service.main(ZVM, zvm_conf.register, start, arguments)
