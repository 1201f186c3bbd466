"""The `pvm_sea` mechanism driver: binds ports of VLAN networks to hosts whose agent serves the physical network.

It runs in Neutron's server and decides from what the host's agent reports; it never talks to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neutron.plugins.ml2.drivers import mech_agent
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from oslo_log import log as logging

from bigiron.plugins.neutron import addresses, filtering, qos, trunk
from bigiron.plugins.neutron.kinds import SEA
from bigiron.plugins.neutron.unbinding import TellsOfUnbinding
from bigiron.powervm.network import macs

AGENT_TYPE_SEA = SEA.agent_type

LOG = logging.getLogger(__name__)


class SeaMechanismDriver(TellsOfUnbinding, mech_agent.SimpleAgentMechanismDriverBase):
    """Binds a port where the host's agent maps the segment's physical network to a network bridge."""

    def __init__(self) -> None:
        # A Shared Ethernet Adapter passes frames and filters none: security groups cannot be enforced there.
        super().__init__(AGENT_TYPE_SEA, SEA.vif_type, {portbindings.CAP_PORT_FILTER: False})

    def initialize(self) -> None:
        """Offer trunks too, where the trunk service runs."""
        super().initialize()
        filtering.warn("pvm_sea", "Shared Ethernet Adapters")
        self.trunks = trunk.SeaTrunkDriver(AGENT_TYPE_SEA)

    def update_port_precommit(self, context: Any) -> None:
        """Refuse, of a port that we have bound, the address pairs that no adapter can let through."""
        addresses.check_update(context, self.vif_type)
        super().update_port_precommit(context)

    @property
    def connectivity(self) -> str:
        """Layer 2: the guest's frames reach the VLAN itself."""
        return str(portbindings.CONNECTIVITY_L2)

    def get_allowed_network_types(self, agent: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """VLAN networks only: the bridge tells networks apart by their tag."""
        return SEA.network_types

    def get_mappings(self, agent: Mapping[str, Any]) -> dict[str, str]:
        """Physical network -> network bridge uuid, as the agent reported them."""
        return dict(agent["configurations"].get("bridge_mappings") or {})

    def check_segment_for_agent(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Whether the agent's host can carry the segment; a refusal is logged with its reason and the fix."""
        if agent["agent_type"] != self.agent_type:
            return False
        network, kind = segment.get("network_id"), segment[api.NETWORK_TYPE]
        if kind not in self.get_allowed_network_types(agent):
            LOG.info(
                "pvm_sea does not bind network %s on host %s: it is of type %s, and a Shared Ethernet Adapter carries "
                "only vlan networks",
                network,
                agent["host"],
                kind,
            )
            return False
        physnet, mappings = segment[api.PHYSICAL_NETWORK], self.get_mappings(agent)
        if not self.physnet_in_mappings(physnet, mappings):
            LOG.warning(
                "pvm_sea does not bind network %s on host %s: its physical network %s has no bridge there (mapped: "
                "%s); add it to [AGENT] bridge_mappings of the host's agent",
                network,
                agent["host"],
                physnet,
                ", ".join(sorted(mappings)) or "none",
            )
            return False
        return True

    def try_to_bind_segment_for_agent(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Bind, unless the bridge or the port's adapter could not carry all that is asked; the log says why not."""
        if not self.check_segment_for_agent(segment, agent):
            return False
        port = context.current
        reason = _too_large(context.network.current, segment, agent) or addresses.obstacle(port)
        reason = reason or qos.obstacle(qos.rules(context), {})
        found = context.current.get("trunk_details")
        if found and not reason:
            reason = trunk.obstacle(context.plugin_context.elevated(), agent, segment, found["sub_ports"])
        if reason:
            LOG.error("pvm_sea does not bind port %s on host %s: %s", context.current["id"], agent["host"], reason)
            return False
        return bool(super().try_to_bind_segment_for_agent(context, segment, agent))

    def get_vif_details(self, context: Any, agent: Mapping[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
        """What the compute driver needs for the client adapter: the VLANs, the network and the virtual switch."""
        details = {
            **self.vif_details,
            portbindings.VIF_DETAILS_VLAN: segment[api.SEGMENTATION_ID],
            api.PHYSICAL_NETWORK: segment[api.PHYSICAL_NETWORK],
        }
        if context is not None:
            details[macs.ALLOWED] = addresses.allowed(context.current)
        found = context.current.get("trunk_details") if context is not None else None
        if found:
            details[trunk.TRUNK_VLANS] = trunk.vlans_text(found["sub_ports"])
        switches = agent["configurations"].get("virtual_switches") or {}
        switch = switches.get(segment[api.PHYSICAL_NETWORK])
        return {**details, "vswitch": switch} if switch else details


def _too_large(network: Mapping[str, Any], segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
    """Why packets of the network do not fit through the bridge; empty where they do, or where that is unknown."""
    carried = (agent["configurations"].get("mtus") or {}).get(segment[api.PHYSICAL_NETWORK])
    wanted = network.get("mtu")
    if not carried or not wanted or wanted <= carried:
        return ""
    return (
        f"its network has the MTU {wanted}, and the bridge of physical network {segment[api.PHYSICAL_NETWORK]} carries "
        f"{carried}; give the network a smaller one, or let the Shared Ethernet Adapters take jumbo frames and restart "
        "the host's agent"
    )
