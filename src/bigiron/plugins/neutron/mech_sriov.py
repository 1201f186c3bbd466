"""The `pvm_sriov` mechanism driver: binds direct ports to hosts with SR-IOV ports on the network's physical network.

It runs in Neutron's server and decides from what the host's agent reports; it never talks to a platform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from bigiron.errors import InvalidSpec
from bigiron.model import NicSpec
from bigiron.plugins.neutron import addresses, bandwidth, qos
from bigiron.plugins.neutron.binding import BindingDriver
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.powervm.network import macs, sriov

REQUIRED_VFS, CAPACITY, MAX_CAPACITY = "vnic_required_vfs", "capacity", "maxcapacity"
"""Keys of a port's binding:profile, which users may set; the agent's options have the defaults."""


class SriovMechanismDriver(BindingDriver):
    """Binds a port of vnic_type direct where the host has enough SR-IOV ports of the network's label with a link."""

    name = "pvm_sriov"
    kind = SRIOV
    carrier = "SR-IOV ports"
    carries = "an SR-IOV port carries flat and vlan networks"
    resource_provider_uuid5_namespace = bandwidth.NAMESPACE

    def initialize(self) -> None:
        """Offer guaranteed bandwidth too, where the QoS service runs."""
        super().initialize()
        self.qos = qos.GuaranteeDriver(self.name, SRIOV)

    def update_port_precommit(self, context: Any) -> None:
        """Refuse, of a port that we have bound, the address pairs that no vNIC can let through."""
        addresses.check_update(context, self.vif_type)
        super().update_port_precommit(context)

    def get_mappings(self, agent: Mapping[str, Any]) -> dict[str, list[str]]:
        """Physical network -> locations of its ports with the link up, as the agent reported them."""
        return dict(agent["configurations"].get("bridge_mappings") or {})

    def get_standard_device_mappings(self, agent: Mapping[str, Any]) -> dict[str, list[str]]:
        """Physical network -> locations of all its ports, as Neutron's placement service asks."""
        found: dict[str, list[str]] = {}
        for location, link in bandwidth.links(agent["configurations"]).items():
            found.setdefault(link.network, []).append(location)
        return found

    def physnet_in_mappings(self, physnet: str, mappings: Mapping[str, list[str]]) -> bool:
        """Whether the physical network has a port with the link up."""
        return bool(mappings.get(physnet))

    def segment_obstacle(self, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether the physical network has a port with the link up."""
        physnet, mappings = segment[api.PHYSICAL_NETWORK], self.get_mappings(agent)
        if self.physnet_in_mappings(physnet, mappings):
            return ""
        up = ", ".join(sorted(name for name, ports in mappings.items() if ports)) or "none"
        fault = "no SR-IOV port there has that label" if physnet not in mappings else "every port's link is down"
        return (
            f"for its physical network {physnet}, {fault} (networks with a link up: {up}); label a port, or bring a "
            "link up"
        )

    def port_obstacle(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Whether the host's ports can give what the vNIC is to have."""
        reason = self._obstacle(context, segment, agent) or addresses.obstacle(context.current)
        return reason or self._guaranteed(context, segment, agent)[1]

    def get_vif_details(self, context: Any, agent: Mapping[str, Any], segment: Mapping[str, Any]) -> dict[str, Any]:
        """What the compute driver needs to make the vNIC."""
        physnet = segment[api.PHYSICAL_NETWORK]
        details = {
            **self.vif_details,
            api.PHYSICAL_NETWORK: physnet,
            "physical_ports": self.get_mappings(agent)[physnet],
            macs.ALLOWED: addresses.allowed(context.current),
            **{key: value for key, value in _asked(context, agent).items() if value is not None},
        }
        guaranteed, _ = self._guaranteed(context, segment, agent)
        if guaranteed:
            guaranteed["capacity"] = max(guaranteed["capacity"], float(details.get("capacity") or 0.0))
            details |= guaranteed
        if segment[api.SEGMENTATION_ID] is not None:
            details[portbindings.VIF_DETAILS_VLAN] = segment[api.SEGMENTATION_ID]
        return details

    def _obstacle(self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
        """Why no vNIC can be made as the port's profile and the agent's options say; empty where one can."""
        physnet = segment[api.PHYSICAL_NETWORK]
        up = self.get_mappings(agent)[physnet]
        asked = {key: str(value) for key, value in _asked(context, agent).items() if value is not None}
        port = context.current
        try:
            want = sriov.wanted(NicSpec(port["id"], port["mac_address"], self.vif_type, details=asked))
        except InvalidSpec as error:
            return error.message
        if want.redundancy > len(up):
            return (
                f"it asks for {want.redundancy} logical ports, and physical network {physnet} has {len(up)} ports with "
                f"the link up there; set vnic_required_vfs in its binding:profile to 1..{len(up)}"
            )
        steps = {where: link.granularity for where, link in bandwidth.links(agent["configurations"]).items()}
        # Agents of before do not say them.
        found = [steps.get(where, 0.0) for where in up]
        if want.capacity is not None and not any(sriov.gives_out(step, want.capacity) for step in found):
            return (
                f"it asks for a capacity of {want.capacity:g}, and the ports of physical network {physnet} give out "
                f"multiples of {' or '.join(f'{step:g}' for step in sorted(set(found)))} there; change capacity in its "
                "binding:profile, or vnic_vf_capacity of the host's agent"
            )
        return ""

    def _guaranteed(
        self, context: Any, segment: Mapping[str, Any], agent: Mapping[str, Any]
    ) -> tuple[dict[str, Any], str]:
        """What the port's QoS policy adds to the binding's details, and why it cannot be had."""
        rules = qos.rules(context)
        reason = qos.obstacle(rules, qos.MINIMUM_BANDWIDTH)
        wanted = qos.minimum_kbps(rules)
        if reason or not wanted:
            return {}, reason
        physnet = segment[api.PHYSICAL_NETWORK]
        reported, up = bandwidth.links(agent["configurations"]), self.get_mappings(agent)[physnet]
        links = {where: link for where, link in reported.items() if where in up and link.kbps and link.granularity}
        allocation = (context.current.get(portbindings.PROFILE) or {}).get("allocation") or {}
        given = [where for where in links if bandwidth.provider(agent["host"], where) in allocation.values()]
        if allocation and not given:
            return {}, (
                f"its bandwidth is not of a port of physical network {physnet} whose link is up on this host (ports: "
                f"{', '.join(links) or 'none'})"
            )
        links = {where: links[where] for where in given or links}
        slowest = min((link.kbps for link in links.values()), default=0)
        if wanted > slowest:
            return {}, (
                f"its QoS policy guarantees {wanted} kbit/s, and a port of physical network {physnet} carries "
                f"{slowest or 'an unknown number'} there; use faster ports, or lower min_kbps"
            )
        # Without an allocation any of the ports may be the one.
        capacity = max(bandwidth.share(wanted, link.kbps, link.granularity) for link in links.values())
        details = {"capacity": capacity, qos.GUARANTEED: math.floor(capacity * slowest + 1e-6)}
        return {**details, "allocated_port": given[0]} if given else details, ""


def _asked(context: Any, agent: Mapping[str, Any]) -> dict[str, Any]:
    """What the port's profile asks of its vNIC, or else the agent's options."""
    profile = context.current.get(portbindings.PROFILE) or {}
    defaults = agent["configurations"]
    return {
        "redundancy": profile.get(REQUIRED_VFS, defaults.get("default_redundancy", 1)),
        "capacity": profile.get(CAPACITY, defaults.get("default_capacity")),
        "maxcapacity": profile.get(MAX_CAPACITY),
    }
