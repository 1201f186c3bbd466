"""The `zvm` mechanism driver: binds ports of flat and vlan networks to z/VM hosts with a virtual switch for them.

It runs in Neutron's server and decides from what the host's agent reports; it never talks to a platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neutron.plugins.ml2.drivers import mech_agent
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from oslo_log import log as logging

from bigiron.plugins.neutron import filtering, qos
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.plugins.neutron.unbinding import TellsOfUnbinding
from bigiron.zvm import vswitches

LOG = logging.getLogger(__name__)


class ZvmMechanismDriver(TellsOfUnbinding, mech_agent.SimpleAgentMechanismDriverBase):
    """Binds a port where the host has a virtual switch for the segment's physical network that can carry its VLAN."""

    def __init__(self) -> None:
        # A virtual switch passes frames and filters none: security groups cannot be enforced there.
        super().__init__(ZVM.agent_type, ZVM.vif_type, {portbindings.CAP_PORT_FILTER: False})

    def initialize(self) -> None:
        """Say what the platform cannot do."""
        super().initialize()
        filtering.warn("zvm", "virtual switches")

    @property
    def connectivity(self) -> str:
        """Layer 2: the guest's frames reach the VLAN itself."""
        return str(portbindings.CONNECTIVITY_L2)

    def get_allowed_network_types(self, agent: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """VLAN networks, and flat ones, whose frames go untagged."""
        return ZVM.network_types

    def get_mappings(self, agent: Mapping[str, Any]) -> dict[str, str]:
        """Physical network -> virtual switch, as the agent reported them."""
        return dict(agent["configurations"].get("vswitch_mappings") or {})

    def check_segment_for_agent(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Whether the agent's host can carry the segment; a refusal is logged with its reason and the fix."""
        if agent["agent_type"] != self.agent_type:
            return False
        network, kind = segment.get("network_id"), segment[api.NETWORK_TYPE]
        if kind not in self.get_allowed_network_types(agent):
            LOG.info(
                "zvm does not bind network %s on host %s: it is of type %s, and a virtual switch carries flat and vlan "
                "networks",
                network, agent["host"], kind,
            )  # fmt: skip
            return False
        reason = self._obstacle(segment, agent)
        if reason:
            LOG.warning("zvm does not bind network %s on host %s: %s", network, agent["host"], reason)
        return not reason

    def _obstacle(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
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

    def try_to_bind_segment_for_agent(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Bind, unless the port asks for what an adapter cannot have; the log says why not."""
        if not self.check_segment_for_agent(segment, agent):
            return False
        reason = qos.obstacle(qos.rules(context), {})
        if context.current.get("trunk_details"):
            reason = "it is a trunk's own port, and an adapter has one VLAN here; give the server several ports"
        if reason:
            LOG.error("zvm does not bind port %s on host %s: %s", context.current["id"], agent["host"], reason)
            return False
        return bool(super().try_to_bind_segment_for_agent(context, segment, agent))

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
