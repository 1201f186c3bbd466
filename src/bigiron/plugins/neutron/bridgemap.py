"""Finds the network bridge behind each entry of bridge_mappings; what does not fit stops the agent with a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bigiron.errors import InvalidSpec, NotFound
from bigiron.plugins.neutron.conf import MappedDevice
from bigiron.plugins.neutron.reconcile import Network
from bigiron.powervm.network.trunks import Bridge

DEFAULT_NETWORK = "default"
"""The physical network of a system with one bridge and no mapping."""


def resolve(
    mappings: Mapping[str, MappedDevice], bridges: Sequence[Bridge], switches: Mapping[int, str]
) -> dict[str, Network]:
    """Physical network -> the bridge that carries it.

    Raises NotFound where the system has no bridge or none with the device named, and InvalidSpec where several bridges
    leave open which one is meant.
    """
    if not bridges:
        raise NotFound(
            "The system has no network bridge. Create a Shared Ethernet Adapter on a VIOS before this agent is started."
        )
    if mappings:
        return {name: _network(_find(entry, bridges), switches) for name, entry in mappings.items()}
    if len(bridges) > 1:
        raise InvalidSpec(
            f"[AGENT] bridge_mappings is empty and the system has {len(bridges)} network bridges: {_list(bridges)}. "
            "Map each that this host is to serve: <physical network>:<device>:<VIOS name>."
        )
    return {DEFAULT_NETWORK: _network(bridges[0], switches)}


def _find(entry: MappedDevice, bridges: Sequence[Bridge]) -> Bridge:
    for bridge in bridges:
        if any(a.device == entry.device and a.vios == entry.vios for a in bridge.adapters):
            return bridge
    raise NotFound(
        f"[AGENT] bridge_mappings: physical network {entry.physical_network} names {entry.device} of VIOS "
        f"{entry.vios}, and no network bridge has it. The system has: {_list(bridges)}."
    )


def _network(bridge: Bridge, switches: Mapping[int, str]) -> Network:
    return Network(bridge.uuid, bridge.vswitch, switches.get(bridge.vswitch, ""), bridge.names(), bridge.mtu)


def _list(bridges: Sequence[Bridge]) -> str:
    return "; ".join(bridge.names() for bridge in bridges)
