"""The `zvm` mechanism driver: binds ports of flat and vlan networks to z/VM hosts with a virtual switch for them.

It runs in Neutron's server and decides from what the host's agent reports; it never talks to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from bigiron.plugins.neutron import qos
from bigiron.plugins.neutron.binding import BindingDriver
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.zvm import vswitches


class ZvmMechanismDriver(BindingDriver):
    """Binds a port where the host has a virtual switch for the segment's physical network that can carry its VLAN."""

    name = "zvm"
    kind = ZVM
    carrier = "virtual switches"
    carries = "a virtual switch carries flat and vlan networks"

    def get_mappings(self, agent: Mapping[str, Any]) -> dict[str, str]:
        """Physical network -> virtual switch, as the agent reported them."""
        return dict(agent["configurations"].get("vswitch_mappings") or {})

    def segment_obstacle(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether the host has a virtual switch that can carry the VLAN."""
        physnet, mappings = segment[api.PHYSICAL_NETWORK], self.get_mappings(agent)
        name = mappings.get(physnet)
        if name is None:
            return (
                f"its physical network {physnet} has no virtual switch there (mapped: "
                f"{', '.join(sorted(mappings)) or 'none'}); define one of that name, or add it to [AGENT] "
                "vswitch_mappings of the host's agent"
            )
        known = (agent["configurations"].get("vswitches") or {}).get(name)
        if known is None:
            return ""
        vlan = segment[api.SEGMENTATION_ID] if segment[api.NETWORK_TYPE] == constants.TYPE_VLAN else None
        return vswitches.obstacle(name, known["vlan_aware"], known["default_vlan"], vlan)

    def port_obstacle(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether an adapter can have what the port asks for."""
        if context.current.get("trunk_details"):
            return "it is a trunk's own port, and an adapter has one VLAN here; give the server several ports"
        return str(qos.obstacle(qos.rules(context), {}))

    def get_vif_details(self, context: Any, agent: Mapping[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
        """What agent and compute driver need to know of the port's place."""
        physnet = segment[api.PHYSICAL_NETWORK]
        details = {
            **self.vif_details,
            api.PHYSICAL_NETWORK: physnet,
            "vswitch": self.get_mappings(agent)[physnet],
        }
        if segment[api.NETWORK_TYPE] == constants.TYPE_VLAN:
            details[portbindings.VIF_DETAILS_VLAN] = segment[api.SEGMENTATION_ID]
        return details
