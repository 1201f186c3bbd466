"""What our mechanism drivers share: a port is bound or refused, and the log of Neutron's server says why.

They run in Neutron's server and decide from what a host's agent reports; they never talk to a platform.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from neutron.plugins.ml2.drivers import mech_agent
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from oslo_log import log as logging

from bigiron.plugins.neutron import filtering
from bigiron.plugins.neutron.kinds import Kind
from bigiron.plugins.neutron.unbinding import TellsOfUnbinding

LOG = logging.getLogger(__name__)


class BindingDriver(TellsOfUnbinding, mech_agent.SimpleAgentMechanismDriverBase):
    """Binds a port of a segment where nothing stands in the way of either on the agent's host.

    A subclass gives the words for messages: its name in Neutron's options, what carries the frames, and of what types
    of networks it does.
    """

    name: str
    kind: Kind
    carrier: str
    carries: str

    def __init__(self) -> None:
        # None of the platforms filters frames: security groups cannot be enforced.
        details = {portbindings.CAP_PORT_FILTER: False}
        super().__init__(self.kind.agent_type, self.kind.vif_type, details, [self.kind.vnic_type])

    def initialize(self) -> None:
        """Say what the platform cannot do."""
        super().initialize()
        filtering.warn(self.name, self.carrier)

    @property
    def connectivity(self) -> str:
        """Layer 2: the guest's frames reach the VLAN itself."""
        return str(portbindings.CONNECTIVITY_L2)

    def get_allowed_network_types(self, agent: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Those of the kind of adapter."""
        return self.kind.network_types

    def check_segment_for_agent(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Whether the agent's host can carry the segment; a refusal is logged with its reason and the fix."""
        if agent["agent_type"] != self.agent_type:
            return False
        network, kind, host = segment.get("network_id"), segment[api.NETWORK_TYPE], agent["host"]
        if kind not in self.get_allowed_network_types(agent):
            LOG.info(
                "%s does not bind network %s on host %s: it is of type %s, and %s",
                self.name, network, host, kind, self.carries,
            )  # fmt: skip
            return False
        reason = self.segment_obstacle(segment, agent)
        if reason:
            LOG.warning("%s does not bind network %s on host %s: %s", self.name, network, host, reason)
        return not reason

    def try_to_bind_segment_for_agent(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> bool:
        """Bind, unless the port asks for what its adapter could not be given; the log says why not."""
        if not self.check_segment_for_agent(segment, agent):
            return False
        reason = self.port_obstacle(context, segment, agent)
        if reason:
            LOG.error(
                "%s does not bind port %s on host %s: %s", self.name, context.current["id"], agent["host"], reason
            )
            return False
        return bool(super().try_to_bind_segment_for_agent(context, segment, agent))

    @abstractmethod
    def segment_obstacle(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Why the host cannot carry a segment of an allowed type, and the fix; empty where it can."""

    @abstractmethod
    def port_obstacle(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Why the port cannot have what it asks for on a segment that can be carried; empty where it can."""
