"""The SR-IOV agent as a process: `bigiron-neutron-sriov-agent`, one for each host whose SR-IOV ports guests may use.

It reports the physical ports by their labels, which are the physical networks, and which direct ports have their vNIC.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from neutron.agent import rpc as agent_rpc
from neutron_lib.agent import topics
from oslo_config import cfg

from bigiron.errors import NotFound
from bigiron.plugins.neutron import conf, rpc, service
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.plugins.neutron.loop import WorkLoop
from bigiron.plugins.neutron.service import Heartbeat
from bigiron.plugins.neutron.vnics import VnicReconciler
from bigiron.powervm.events import RestEvent
from bigiron.powervm.network.link import NetworkLink
from bigiron.powervm.network.sriov import PhysicalPort, by_network
from bigiron.powervm.network.vnic_reader import VnicReader
from bigiron.powervm.session import Journal

_PORT_CHANGED = "SRIOVPhysicalPort"
"""What the platform says, in the detail of an event of the managed system, where a physical port has changed."""


@dataclass(slots=True)
class Host:
    """The platform side of an agent that has passed its start-up checks; `ports` are as last read."""

    link: NetworkLink
    vnics: VnicReader
    ports: tuple[PhysicalPort, ...]
    changed: list[Any] = field(default_factory=list)


def connect(options: cfg.ConfigOpts, stopping: threading.Event, journal: Journal | None = None) -> Host:
    """Connect to the system and read its physical ports; raises PlatformError, NotFound where it shares none out."""
    link = service.link(options, stopping, journal)
    try:
        vnics = VnicReader(link.adapter, link.system_uuid)
        ports = vnics.ports()
        if not ports:
            raise NotFound(
                f"System {link.system_name} has no SR-IOV adapter in shared mode that runs. Switch one to shared mode "
                "on the management console, and label its ports with the names of their physical networks."
            )
    except BaseException:
        link.close()
        raise
    return Host(link, vnics, ports)


def configurations(options: cfg.ConfigOpts, host: Host) -> dict[str, Any]:
    """What the mechanism driver decides by: by physical network the ports with their link up, and the defaults."""
    return {
        "bridge_mappings": {
            network: [port.location for port in ports if port.link] for network, ports in by_network(host.ports).items()
        },
        "physical_ports": {port.location: _described(port) for port in host.ports},
        "default_redundancy": options.AGENT.vnic_required_vfs,
        "default_capacity": options.AGENT.vnic_vf_capacity,
        "system": host.link.system_name,
    }


def _described(port: PhysicalPort) -> str:
    link = "up" if port.link else "down"
    return f"{port.network}, link {link}, adapter {port.adapter} port {port.port}, {port.max_logical} logical ports"


def work_loop(options: cfg.ConfigOpts, host: Host, api: agent_rpc.PluginApi) -> WorkLoop:
    """The loop over the host's vNICs and Neutron's direct ports, fed by the platform's events."""
    agent = options.AGENT
    server = rpc.NeutronServer(options.host, api, SRIOV)

    def ports_read(ports: Iterable[PhysicalPort]) -> None:
        before, host.ports = host.ports, tuple(ports)
        if _shown(before) != _shown(host.ports):
            for listener in host.changed:
                listener()

    reconciler = VnicReconciler(server, host.vnics, service.announcer(host), ports_read)
    loop = WorkLoop(reconciler, options.host, agent.heal_and_optimize_interval, agent.exception_interval, kind=SRIOV)

    def ports_changed(event: RestEvent) -> None:
        if _PORT_CHANGED in event.detail:
            loop.heal_soon("a physical port has changed")

    host.link.events.subscribe(loop.on_event)
    host.link.events.subscribe(ports_changed)
    return loop


def _shown(ports: Iterable[PhysicalPort]) -> list[tuple[str, str]]:
    """What is reported of the ports, and not how much of them is in use."""
    return [(port.location, _described(port)) for port in ports]


def heartbeat(options: cfg.ConfigOpts, host: Host, loop: WorkLoop, api: agent_rpc.PluginReportStateAPI) -> Heartbeat:
    """What reports the agent's state, and at once when the physical ports change."""
    beat = Heartbeat(api, service.report(SRIOV, options.host, configurations(options, host)), loop)
    host.changed.append(lambda: beat.update(configurations(options, host)))
    return beat


def run(options: cfg.ConfigOpts, host: Host, stopping: threading.Event) -> None:
    """Serve until `stopping` is set."""
    loop = work_loop(options, host, agent_rpc.PluginApi(topics.PLUGIN))
    beat = heartbeat(options, host, loop, agent_rpc.PluginReportStateAPI(topics.REPORTS))
    serves = "; ".join(
        f"{network} through {', '.join(port.location for port in ports)}"
        for network, ports in by_network(host.ports).items()
    )
    service.serve(options, SRIOV, host, loop, beat, serves, stopping)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; returns its exit status."""

    def start(options: cfg.ConfigOpts, stopping: threading.Event) -> None:
        run(options, connect(options, stopping), stopping)

    return service.main(SRIOV, conf.register_sriov, start, arguments)
