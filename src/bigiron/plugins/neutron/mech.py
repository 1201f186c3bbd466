"""The `pvm_sea` mechanism driver: binds ports of VLAN networks to hosts whose agent serves the physical network.

It runs in Neutron's server and decides from what the host's agent reports; it never talks to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from bigiron.plugins.neutron import addresses, qos, trunk
from bigiron.plugins.neutron.binding import BindingDriver
from bigiron.plugins.neutron.kinds import SEA
from bigiron.powervm.network import macs

AGENT_TYPE_SEA = SEA.agent_type


class SeaMechanismDriver(BindingDriver):
    """Binds a port where the host's agent maps the segment's physical network to a network bridge."""

    name = "pvm_sea"
    kind = SEA
    carrier = "Shared Ethernet Adapters"
    carries = "a Shared Ethernet Adapter carries only vlan networks"

    def initialize(self) -> None:
        """Offer trunks too, where the trunk service runs."""
        super().initialize()
        self.trunks = trunk.SeaTrunkDriver(AGENT_TYPE_SEA)

    def update_port_precommit(self, context: Any) -> None:
        """Refuse, of a port that we have bound, the address pairs that no adapter can let through."""
        addresses.check_update(context, self.vif_type)
        super().update_port_precommit(context)

    def get_mappings(self, agent: Mapping[str, Any]) -> dict[str, str]:
        """Physical network -> network bridge uuid, as the agent reported them."""
        return dict(agent["configurations"].get("bridge_mappings") or {})

    def segment_obstacle(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether the physical network has a bridge on the host."""
        physnet, mappings = segment[api.PHYSICAL_NETWORK], self.get_mappings(agent)
        if self.physnet_in_mappings(physnet, mappings):
            return ""
        mapped = ", ".join(sorted(mappings)) or "none"
        return (
            f"its physical network {physnet} has no bridge there (mapped: {mapped}); add it to [AGENT] bridge_mappings "
            "of the host's agent"
        )

    def port_obstacle(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether the bridge and the port's adapter can carry all that is asked."""
        port = context.current
        reason = _too_large(context.network.current, segment, agent) or addresses.obstacle(port)
        reason = reason or qos.obstacle(qos.rules(context), {})
        found = port.get("trunk_details")
        if found and not reason:
            reason = trunk.obstacle(context.plugin_context.elevated(), agent, segment, found["sub_ports"])
        return str(reason)

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
