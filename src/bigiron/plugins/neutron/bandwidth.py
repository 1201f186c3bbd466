"""Bandwidth of SR-IOV ports as Placement counts it: what ports have to give, and what Neutron's ports are guaranteed.

A physical port is a resource provider with kilobits per second of either direction. A guarantee becomes the capacity of
a vNIC, which is a share of the physical port, so more may be held than was asked for: shares come in steps, a redundant
vNIC holds one on each of its ports, and ports without a guarantee hold the least share there is. What is held beyond
what Placement has counted is taken off a provider's total, so that what Placement takes for free is free.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import os_resource_classes as orc
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.placement import utils as placement_utils

from bigiron.powervm.network.sriov import PhysicalPort

NAMESPACE = uuid.UUID("0d35b39f-b112-4c17-a2da-582a077b19c7")
"""Of the uuids of our providers, which agent and mechanism driver derive alike."""

NOTHING = 1
"""The total of a port that has nothing to give; Placement takes no 0."""

_EXACT = 1e-6


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What Placement has given a port, in kilobits per second as its guest sees them, and of which provider."""

    provider: str
    egress: int = 0
    ingress: int = 0


def provider(host: str, location: str) -> str:
    """The uuid of a physical port's provider."""
    return str(placement_utils.device_resource_provider_uuid(NAMESPACE, host, location))


def guarantee(port: Mapping[str, Any]) -> Guarantee | None:
    """What Placement has given the port, as Neutron's server shows the port to services; None where nothing."""
    allocation = (port.get(portbindings.PROFILE) or {}).get("allocation") or {}
    for group in (port.get("resource_request") or {}).get("request_groups") or ():
        resources = group["resources"]
        egress, ingress = (
            resources.get(orc.NET_BW_EGR_KILOBIT_PER_SEC, 0),
            resources.get(orc.NET_BW_IGR_KILOBIT_PER_SEC, 0),
        )
        if group["id"] in allocation and (egress or ingress):
            return Guarantee(allocation[group["id"]], egress, ingress)
    return None


def described(port: PhysicalPort) -> list[Any]:
    """A port in an agent's report, in few letters: network, link, adapter/port, logical ports, kbit/s, step."""
    link = "up" if port.link else "down"
    return [port.network, link, f"{port.adapter}/{port.port}", port.max_logical, port.kbps, port.granularity]


@dataclass(frozen=True, slots=True)
class Link:
    """What the mechanism driver reads in that of a port."""

    network: str
    kbps: int
    granularity: float


def links(configurations: Mapping[str, Any]) -> dict[str, Link]:
    """The ports in an agent's report, by location; agents of before said less of them."""
    found = (configurations.get("physical_ports") or {}).items()
    return {
        location: Link(fields[0], int(fields[4]), float(fields[5]))
        for location, fields in found
        if isinstance(fields, list)
    }


def share(kbps: int, link_kbps: int, granularity: float) -> float:
    """The least share of a physical port that is as much, in the port's steps."""
    steps = math.ceil(kbps / link_kbps / granularity - _EXACT)
    return round(max(1, steps) * granularity, 6)


def totals(
    host: str,
    ports: Iterable[PhysicalPort],
    guarantees: Collection[Guarantee] | None,
    limits: Mapping[str, Mapping[str, int | None]],
) -> dict[str, dict[str, int]]:
    """By location what each port has to give in either direction, for the agent's report.

    `guarantees` are those of the vNICs that are there; None where they are not known yet, and what is held is then left
    to the platform. `limits` are an operator's for single ports, instead of what the link carries. Left out are ports
    of unknown speed without a limit.
    """
    found = {}
    for port in ports:
        limit = limits.get(port.location, {})
        most = [limit.get(way) or port.kbps for way in _WAYS]
        if not port.link:
            found[port.location] = dict.fromkeys(_WAYS, NOTHING)
        elif all(most):
            beyond = (0, 0) if guarantees is None else _uncounted(port, provider(host, port.location), guarantees)
            found[port.location] = {
                way: max(NOTHING, total - more) for way, total, more in zip(_WAYS, most, beyond, strict=True)
            }
    return found


def _uncounted(port: PhysicalPort, uuid: str, guarantees: Iterable[Guarantee]) -> tuple[int, int]:
    """What is held of the port in either direction and not counted by Placement."""
    given = [one for one in guarantees if one.provider == uuid]
    held = math.floor(port.allocated * port.kbps + _EXACT)
    egress, ingress = sum(one.egress for one in given), sum(one.ingress for one in given)
    return max(0, held - egress), max(0, held - ingress)


_WAYS = (constants.EGRESS_DIRECTION, constants.INGRESS_DIRECTION)
