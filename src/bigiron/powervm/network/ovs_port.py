"""A port on Open vSwitch as values: what its binding must say, its external ids, and the choice of its VLAN.

The guest's adapter and a trunk adapter of the management partition are alone on one VLAN of a private virtual switch.
The trunk adapter is a network device of that partition, which the platform adds to an Open vSwitch bridge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from bigiron import naming
from bigiron.errors import NoCapacity, Unsupported
from bigiron.model import NicSpec

BRIDGE, HYBRID, VNIC_TYPE = "bridge_name", "ovs_hybrid_plug", "vnic_type"
"""Keys of a port's binding details."""
DEFAULT_BRIDGE = "br-int"
VLANS = range(1, 4095)

_NORMAL = "normal"
_TRUNK_BRIDGE = "tbr-"
"""Begin of the names of the bridges that Neutron's trunk service has made for each trunk."""
_PORT, _MAC, _INSTANCE = "iface-id", "attached-mac", "vm-uuid"


def check(nic: NicSpec) -> None:
    """Raise Unsupported for a binding that cannot be carried out on any host."""
    if (kind := nic.details.get(VNIC_TYPE, _NORMAL)) != _NORMAL:
        raise Unsupported(
            f"Port {nic.id} is of vnic_type {kind}, and Open vSwitch on PowerVM offloads to no hardware. Use vnic_type "
            f"normal, or the mechanism driver {naming.VIF_TYPE_PVM_SRIOV} for direct ports."
        )
    if nic.details.get(HYBRID, "").lower() == "true":
        raise Unsupported(
            f"Port {nic.id} asks for a hybrid plug, which PowerVM does not have. Set firewall_driver = openvswitch, or "
            "noop, in [securitygroup] of this host's neutron-openvswitch-agent, restart it, and bind the port anew."
        )
    if bridge(nic).startswith(_TRUNK_BRIDGE):
        raise Unsupported(
            f"Port {nic.id} is of a trunk, and Open vSwitch on PowerVM has no bridge {bridge(nic)} for it. Use a port "
            f"without subports, or a network of the mechanism driver {naming.VIF_TYPE_PVM_SEA}."
        )


def bridge(nic: NicSpec) -> str:
    """The Open vSwitch bridge that the port is to be on."""
    return nic.details.get(BRIDGE) or DEFAULT_BRIDGE


def external_ids(nic: NicSpec, instance: str) -> str:
    """The external ids of the port on Open vSwitch, by which Neutron's agent knows it (OvsPortExternalIds)."""
    ids = {_PORT: nic.id, "iface-status": "active", _MAC: nic.mac, _INSTANCE: instance}
    return ",".join(f"{key}={value}" for key, value in ids.items())


def owner(text: str | None) -> tuple[str, str, str]:
    """(port, MAC, instance) of external ids, empty where they do not say."""
    pairs = (pair.partition("=") for pair in (text or "").split(","))
    ids = {key.strip(): value.strip() for key, _, value in pairs}
    return ids.get(_PORT, ""), ids.get(_MAC, "").lower(), ids.get(_INSTANCE, "").lower()


def free_vlan(nic: NicSpec, taken: Collection[int], switch: str, attempt: int = 0) -> int:
    """A VLAN for the port: the first one that nobody has from the one on that the port's id and the attempt lead to.

    Two who choose at the same time, in this process or another, so hardly ever want the same one.
    """
    start = _start(nic.id, attempt)
    for step in range(len(VLANS)):
        vlan = VLANS[(start + step) % len(VLANS)]
        if vlan not in taken:
            return vlan
    raise NoCapacity(
        f"Port {nic.id} needs a VLAN of its own on virtual switch {switch}, and all {len(VLANS)} are in use. Remove "
        "what is on it and is not OpenStack's, or detach ports."
    )


def _start(port: str, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{port}/{attempt}".encode()).digest()[:4], "big")
