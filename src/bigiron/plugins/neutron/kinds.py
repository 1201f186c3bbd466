"""The kinds of network adapters that have an agent and a mechanism driver, and what tells one from another."""

from __future__ import annotations

from dataclasses import dataclass

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings

from bigiron.naming import VIF_TYPE_PVM_SEA, VIF_TYPE_PVM_SRIOV, VIF_TYPE_ZVM


@dataclass(frozen=True, slots=True)
class Kind:
    """`agent_type` is the name that existing clouds know, kept so that their agent records stay valid."""

    title: str
    binary: str
    agent_type: str
    agent_prefix: str
    vif_type: str
    vnic_type: str
    network_types: tuple[str, ...]

    def agent_id(self, host: str) -> str:
        """By which the agent of a host names itself to the server."""
        return f"{self.agent_prefix}-{host}"


SEA = Kind(
    title="SEA",
    binary="bigiron-neutron-sea-agent",
    agent_type="PowerVM Shared Ethernet agent",
    agent_prefix="sea-agent",
    vif_type=VIF_TYPE_PVM_SEA,
    vnic_type=str(portbindings.VNIC_NORMAL),
    network_types=(constants.TYPE_VLAN,),
)
SRIOV = Kind(
    title="SR-IOV",
    binary="bigiron-neutron-sriov-agent",
    agent_type="PowerVM SR-IOV Ethernet agent",
    agent_prefix="sriov-agent",
    vif_type=VIF_TYPE_PVM_SRIOV,
    vnic_type=str(portbindings.VNIC_DIRECT),
    network_types=(constants.TYPE_FLAT, constants.TYPE_VLAN),
)
ZVM = Kind(
    title="z/VM",
    binary="bigiron-neutron-zvm-agent",
    agent_type="z/VM agent",
    agent_prefix="zvm-agent",
    vif_type=VIF_TYPE_ZVM,
    vnic_type=str(portbindings.VNIC_NORMAL),
    network_types=(constants.TYPE_FLAT, constants.TYPE_VLAN),
)
