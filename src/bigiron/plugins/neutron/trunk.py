"""Neutron trunks on Shared Ethernet Adapters: a guest's one adapter carries further networks, each by its VLAN tag.

The adapter of the trunk's own port gets the VLANs of the subports as tagged ones. It reaches a bridge as it is: the
hypervisor exchanges no tag for another, so a subport's segmentation id has to be the VLAN of its network, which
segmentation type `inherit` makes it. Everything else of a subport is a port like others: bound to the host here when
the trunk's own port is, wired and reported by the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neutron.db import segments_db
from neutron.objects import trunk as trunk_objects
from neutron.services.trunk.drivers import base
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib import exceptions as neutron_errors
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.db import api as db_api
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from neutron_lib.services.trunk import constants as trunk_constants
from oslo_config import cfg
from oslo_log import log as logging

from bigiron.naming import VIF_TYPE_PVM_SEA

LOG = logging.getLogger(__name__)

MAX_TAGGED_VLANS = 20
"""What one virtual Ethernet adapter carries beside the VLAN of its own."""

TRUNK_VLANS = "trunk_vlans"
"""In the details of a trunk's own port: the VLANs of its subports such as `101,102`; empty while it has none."""


def vlans_text(subports: Iterable[Mapping[str, Any]]) -> str:
    """The value of TRUNK_VLANS."""
    return ",".join(str(vlan) for vlan in sorted(int(subport["segmentation_id"]) for subport in subports))


def obstacle(
    context: Any, agent: Mapping[str, Any], segment: Mapping[str, Any], subports: Sequence[Mapping[str, Any]]
) -> str:
    """Why the subports cannot be carried by an adapter on `segment` of the agent's host; empty where they can."""
    if len(subports) > MAX_TAGGED_VLANS:
        return f"the trunk has {len(subports)} subports, and a virtual Ethernet adapter carries {MAX_TAGGED_VLANS}"
    switches = agent["configurations"].get("virtual_switches") or {}
    switch = switches.get(segment[api.PHYSICAL_NETWORK])
    beside = {physnet for physnet, name in switches.items() if name == switch} or {segment[api.PHYSICAL_NETWORK]}
    networks = _networks(context, [subport["port_id"] for subport in subports])
    for subport in subports:
        vlan = int(subport["segmentation_id"])
        if vlan == segment[api.SEGMENTATION_ID]:
            return f"subport {subport['port_id']} has VLAN {vlan}, which the trunk's own port has"
        found = {
            one[api.SEGMENTATION_ID]
            for one in networks.get(subport["port_id"], ())
            if one[api.NETWORK_TYPE] == constants.TYPE_VLAN and one[api.PHYSICAL_NETWORK] in beside
        }
        if not found:
            return (
                f"the network of subport {subport['port_id']} is no VLAN of virtual switch {switch} of host "
                f"{agent['host']}, on which the trunk's own port is"
            )
        if vlan not in found:
            return (
                f"subport {subport['port_id']} has segmentation id {vlan} and its network VLAN "
                f"{', '.join(map(str, sorted(found)))}; the hypervisor exchanges no tag for another, so add it to the "
                "trunk with segmentation type inherit"
            )
    return ""


def _networks(context: Any, port_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The segments of each port's network."""
    if not port_ids:
        return {}
    ports = directory.get_plugin().get_ports(context, filters={"id": port_ids})
    segments = segments_db.get_networks_segments(context, list({port["network_id"] for port in ports}))
    return {port["id"]: segments[port["network_id"]] for port in ports}


class SeaTrunkDriver(base.DriverBase):
    """Tells the trunk service of our interface type, binds subports with their trunk, and keeps the trunk's status.

    It needs no RPC of the trunk service: the agent hears of subports as of all ports.
    """

    def __init__(self, agent_type: str) -> None:
        # An adapter made without support for tags cannot be given it while its guest runs, so no port that is bound
        # becomes a trunk. The agent type is none of the trunk service's, whose RPC it would ask for.
        super().__init__(
            VIF_TYPE_PVM_SEA, (VIF_TYPE_PVM_SEA,), (trunk_constants.SEGMENTATION_TYPE_VLAN,), can_trunk_bound_port=False
        )
        self._sea_agent_type = agent_type

    @property
    def is_loaded(self) -> bool:
        """Whether our mechanism driver is configured."""
        try:
            return VIF_TYPE_PVM_SEA in cfg.CONF.ml2.mechanism_drivers
        except cfg.NoSuchOptError:
            return False

    @registry.receives(resources.TRUNK_PLUGIN, [events.AFTER_INIT])
    def register(self, resource: str, event: str, trigger: Any, payload: Any = None) -> None:
        """The trunk service has started."""
        super().register(resource, event, trigger, payload=payload)
        registry.subscribe(self.check_subports, resources.SUBPORTS, events.PRECOMMIT_CREATE)
        registry.subscribe(self.subports_added, resources.SUBPORTS, events.AFTER_CREATE)
        registry.subscribe(self.subports_removed, resources.SUBPORTS, events.AFTER_DELETE)
        registry.subscribe(self.trunk_deleted, resources.TRUNK, events.AFTER_DELETE)
        registry.subscribe(self.port_updated, resources.PORT, events.AFTER_UPDATE)

    def check_subports(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Refuse subports for a guest's adapter that cannot carry them, before they are added."""
        context = payload.context.elevated()
        trunk = payload.states[1]
        parent = directory.get_plugin().get_port(context, trunk.port_id)
        if parent[portbindings.VIF_TYPE] != VIF_TYPE_PVM_SEA:
            return
        agent = self._agent(context, parent[portbindings.HOST_ID])
        details = parent[portbindings.VIF_DETAILS]
        segment = {
            api.PHYSICAL_NETWORK: details[api.PHYSICAL_NETWORK],
            api.SEGMENTATION_ID: int(details[portbindings.VIF_DETAILS_VLAN]),
        }
        reason = obstacle(context, agent, segment, trunk.sub_ports)
        if reason:
            raise neutron_errors.InvalidInput(error_message=reason)

    def subports_added(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Bind them where the trunk's own port is."""
        context = payload.context.elevated()
        trunk = payload.states[1]
        parent = directory.get_plugin().get_port(context, trunk.port_id)
        if parent[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA:
            _bind(context, [one.port_id for one in payload.metadata["subports"]], parent[portbindings.HOST_ID])
            refresh_status(context, trunk.id)

    def subports_removed(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """They are ports of nobody again; the agent hears of it by an update of the trunk's own port."""
        context = payload.context.elevated()
        trunk = payload.states[1]
        _release(context, [one.port_id for one in payload.metadata["subports"]])
        refresh_status(context, trunk.id)
        plugin = directory.get_plugin()
        parent = plugin.get_port(context, trunk.port_id)
        if parent[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA:
            details = parent[portbindings.VIF_DETAILS]
            vlan, physnet = int(details[portbindings.VIF_DETAILS_VLAN]), details[api.PHYSICAL_NETWORK]
            # Neutron itself notifies agents of no port that has become unbound.
            plugin.notifier.port_update(context, parent, constants.TYPE_VLAN, vlan, physnet)

    def trunk_deleted(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Its subports are ports of nobody again."""
        _release(payload.context.elevated(), [one.port_id for one in payload.states[0].sub_ports])

    def port_updated(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Subports go where their trunk's own port goes, and the trunk's status follows that of its ports."""
        before, after = payload.states[0], payload.latest_state
        context = neutron_context.get_admin_context()
        trunk = after.get("trunk_details")
        if trunk:
            subports = [one["port_id"] for one in trunk["sub_ports"]]
            if _place(before) != _place(after):
                if _place(after):
                    _bind(context, subports, after[portbindings.HOST_ID])
                elif _place(before):
                    _bind(context, subports, "")
            if after[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA and before["status"] != after["status"]:
                refresh_status(context, trunk["trunk_id"])
        elif after["device_owner"] == trunk_constants.TRUNK_SUBPORT_OWNER and before["status"] != after["status"]:
            subport = trunk_objects.SubPort.get_object(context, port_id=after["id"])
            if subport is not None and after[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA:
                refresh_status(context, subport.trunk_id)

    def _agent(self, context: Any, host: str) -> Mapping[str, Any]:
        filters = {"host": [host], "agent_type": [self._sea_agent_type]}
        found = directory.get_plugin().get_agents(context, filters=filters)
        if not found:
            raise neutron_errors.InvalidInput(error_message=f"host {host} has no agent that could carry subports")
        agent: Mapping[str, Any] = found[0]
        return agent


def _place(port: Mapping[str, Any]) -> str:
    """The host where we have bound the port, or nothing."""
    return str(port[portbindings.HOST_ID]) if port[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA else ""


def _bind(context: Any, port_ids: Iterable[str], host: str) -> None:
    """Bind the subports to a host, or to none; one that fails does not keep the others from it."""
    wanted = {portbindings.HOST_ID: host, "device_owner": trunk_constants.TRUNK_SUBPORT_OWNER}
    for port_id in port_ids:
        _update(context, port_id, wanted)


def _release(context: Any, port_ids: Iterable[str]) -> None:
    """Take from ports what made them subports of ours; those of other drivers are left alone."""
    ids = list(port_ids)
    for port in directory.get_plugin().get_ports(context, filters={"id": ids}) if ids else ():
        if port[portbindings.VIF_TYPE] == VIF_TYPE_PVM_SEA:
            _update(context, port["id"], {portbindings.HOST_ID: "", "device_owner": ""})


def _update(context: Any, port_id: str, changes: dict[str, str]) -> None:
    try:
        directory.get_plugin().update_port(context, port_id, {"port": changes})
    except neutron_errors.PortNotFound:
        LOG.debug("Subport %s was deleted meanwhile", port_id)
    except neutron_errors.NeutronException:
        LOG.exception("Subport %s could not be bound to host %r", port_id, changes[portbindings.HOST_ID])


@db_api.retry_db_errors
def refresh_status(context: Any, trunk_id: str) -> None:
    """A trunk is active when all its ports are, degraded where one has found no place, and else being built."""
    with db_api.CONTEXT_WRITER.using(context):
        trunk = trunk_objects.Trunk.get_object(context, id=trunk_id)
        if trunk is None:
            return
        ids = [trunk.port_id, *(one.port_id for one in trunk.sub_ports)]
        ports = {port["id"]: port for port in directory.get_plugin().get_ports(context, filters={"id": ids})}
        status = _status([ports[one] for one in ids if one in ports])
        if trunk.status != status:
            trunk.update(status=status)


def _status(ports: Sequence[Mapping[str, Any]]) -> str:
    if not ports or ports[0][portbindings.VIF_TYPE] != VIF_TYPE_PVM_SEA:
        return str(trunk_constants.TRUNK_DOWN_STATUS)
    if any(port[portbindings.VIF_TYPE] != VIF_TYPE_PVM_SEA for port in ports):
        return str(trunk_constants.TRUNK_DEGRADED_STATUS)
    # A disabled port is down for good and keeps nobody waiting.
    if all(port["status"] == constants.PORT_STATUS_ACTIVE or not port["admin_state_up"] for port in ports):
        return str(trunk_constants.TRUNK_ACTIVE_STATUS)
    return str(trunk_constants.TRUNK_BUILD_STATUS)
