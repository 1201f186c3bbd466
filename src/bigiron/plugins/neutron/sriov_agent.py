"""The SR-IOV agent as a process: `bigiron-neutron-sriov-agent`, one for each host whose SR-IOV ports guests may use.

It reports the physical ports by their labels, which are the physical networks, and which direct ports have their vNIC.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neutron.agent import rpc as agent_rpc
from neutron_lib import constants
from neutron_lib.agent import topics
from neutron_lib.placement import utils as placement_utils
from oslo_config import cfg

from bigiron.errors import NotFound
from bigiron.plugins.neutron import bandwidth, conf, powervm_link, rpc, service
from bigiron.plugins.neutron.bandwidth import Guarantee
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.plugins.neutron.loop import WorkLoop
from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.service import Heartbeat
from bigiron.plugins.neutron.vnics import VnicReconciler
from bigiron.powervm.events import RestEvent
from bigiron.powervm.network.link import NetworkLink
from bigiron.powervm.network.sriov import PhysicalPort, by_network, gives_out
from bigiron.powervm.network.vnic_reader import VnicReader
from bigiron.powervm.session import Journal

LOG = logging.getLogger(__name__)

_PORT_CHANGED = "SRIOVPhysicalPort"
"""What the platform says, in the detail of an event of the managed system, where a physical port has changed."""
_ROOM = 4000
"""Letters of JSON that Neutron keeps of what an agent reports, less what is added to it."""


@dataclass(slots=True)
class Host:
    """The platform side of an agent that has passed its start-up checks; `ports` are as last read."""

    link: NetworkLink
    vnics: VnicReader
    ports: tuple[PhysicalPort, ...]
    guarantees: tuple[Guarantee, ...] | None = None
    """Of the vNICs that are there; None before they were first looked at."""
    limits: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    """What an operator lets ports give: see bandwidth.totals."""
    changed: list[Any] = field(default_factory=list)


def connect(options: cfg.ConfigOpts, stopping: threading.Event, journal: Journal | None = None) -> Host:
    """Connect to the system and read its physical ports; raises PlatformError, NotFound where it shares none out."""
    link = powervm_link.link(options, stopping, journal)
    try:
        vnics = VnicReader(link.adapter, link.system_uuid)
        ports = vnics.ports()
        if not ports:
            raise NotFound(
                f"System {link.system_name} has no SR-IOV adapter in shared mode that runs. Switch one to shared mode "
                "on the management console, and label its ports with the names of their physical networks."
            )
        _check_capacity(options, ports)
        limits = _limits(options, ports)
    except BaseException:
        link.close()
        raise
    link.events.subscribe(vnics.on_event)
    return Host(link, vnics, ports, limits=limits)


def _check_capacity(options: cfg.ConfigOpts, ports: Iterable[PhysicalPort]) -> None:
    capacity = options.AGENT.vnic_vf_capacity
    if capacity is None or (capacity > 0 and any(gives_out(port.granularity, capacity) for port in ports)):
        return
    steps = ", ".join(f"{step:g}" for step in sorted({port.granularity for port in ports}))
    raise conf.BadMapping(
        f"[AGENT] vnic_vf_capacity = {capacity:g} is no share that an SR-IOV port of this system gives out: set a "
        f"multiple of {steps}, or leave the option out."
    )


def _limits(options: cfg.ConfigOpts, ports: Iterable[PhysicalPort]) -> Mapping[str, Mapping[str, int | None]]:
    try:
        found = placement_utils.parse_rp_bandwidths(options.AGENT.resource_provider_bandwidths)
    except ValueError as error:
        raise conf.BadMapping(f"[AGENT] resource_provider_bandwidths: {error}") from error
    locations = {port.location for port in ports}
    for unknown in sorted(found.keys() - locations):
        raise conf.BadMapping(
            f"[AGENT] resource_provider_bandwidths: {unknown} is no SR-IOV port of this system, which has "
            f"{', '.join(sorted(locations))}."
        )
    return found


def configurations(options: cfg.ConfigOpts, host: Host) -> dict[str, Any]:
    """What the mechanism driver decides by: by physical network the ports with their link up, and the defaults.

    Neutron's placement service reads the keys of resource_provider. It takes the agent's host for the node of Nova's
    where it is told no other, and is not, for a record of an agent has room for so many letters only.
    """
    totals = bandwidth.totals(options.host, host.ports, host.guarantees, host.limits)
    found = {
        "bridge_mappings": {
            network: [port.location for port in ports if port.link] for network, ports in by_network(host.ports).items()
        },
        "physical_ports": {port.location: bandwidth.described(port) for port in host.ports},
        "default_redundancy": options.AGENT.vnic_required_vfs,
        "default_capacity": options.AGENT.vnic_vf_capacity,
        "system": host.link.system_name,
        constants.RP_INVENTORY_DEFAULTS: _inventory_defaults(options),
        constants.RP_BANDWIDTHS: totals,
    }
    return found if len(json.dumps(found)) <= _ROOM else {**found, constants.RP_BANDWIDTHS: {}}


def _inventory_defaults(options: cfg.ConfigOpts) -> dict[str, Any]:
    try:
        found: dict[str, Any] = placement_utils.parse_rp_inventory_defaults(
            dict(options.AGENT.resource_provider_inventory_defaults)
        )
    except ValueError as error:
        raise conf.BadMapping(f"[AGENT] resource_provider_inventory_defaults: {error}") from error
    return found


def work_loop(options: cfg.ConfigOpts, host: Host, api: agent_rpc.PluginApi) -> WorkLoop:
    """The loop over the host's vNICs and Neutron's direct ports, fed by the platform's events."""
    agent = options.AGENT
    server = rpc.NeutronServer(options.host, api, SRIOV)

    def ports_read(ports: Iterable[PhysicalPort], plugged: Iterable[Port]) -> None:
        before = configurations(options, host)
        host.ports = tuple(ports)
        host.guarantees = tuple(port.guarantee for port in plugged if port.guarantee is not None)
        if configurations(options, host) != before:
            for listener in host.changed:
                listener()

    reconciler = VnicReconciler(server, host.vnics, powervm_link.announcer(host), ports_read)
    loop = WorkLoop(reconciler, options.host, agent.heal_and_optimize_interval, agent.exception_interval, kind=SRIOV)

    def ports_changed(event: RestEvent) -> None:
        if _PORT_CHANGED in event.detail:
            loop.heal_soon("a physical port has changed")

    host.link.events.subscribe(loop.on_event)
    host.link.events.subscribe(ports_changed)
    return loop


def heartbeat(options: cfg.ConfigOpts, host: Host, loop: WorkLoop, api: agent_rpc.PluginReportStateAPI) -> Heartbeat:
    """What reports the agent's state, and at once when the physical ports change."""
    reported = configurations(options, host)
    if not reported[constants.RP_BANDWIDTHS]:
        LOG.warning(
            "The %d SR-IOV ports of system %s are too many for one agent's report, or none has a known speed: "
            "Placement is told of no bandwidth, and ports that are guaranteed some find no host",
            len(host.ports), host.link.system_name,
        )  # fmt: skip
    beat = Heartbeat(api, service.report(SRIOV, options.host, reported), loop)
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
    service.serve(options, SRIOV, host.link.close, loop, beat, serves, stopping)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; returns its exit status."""

    def start(options: cfg.ConfigOpts, stopping: threading.Event) -> None:
        run(options, connect(options, stopping), stopping)

    return service.main(SRIOV, conf.register_sriov, start, arguments)
