"""The options of the Shared Ethernet agent and of the SR-IOV agent, and the mapping syntax that operators know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oslo_config import cfg

from bigiron.plugins import powervm_rest

GROUP = "AGENT"

COMMON_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "heal_and_optimize_interval",
        default=1800,
        min=1,
        help="Seconds between two passes that compare all that the platform has for networks, and the adapters of "
        "guests, with what Neutron wants, and put right what differs.",
    ),
    cfg.IntOpt(
        "exception_interval",
        default=5,
        min=1,
        help="Seconds to wait after a failed pass before it is tried again.",
    ),
]

SEA_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "bridge_mappings",
        default="",
        help="Which network bridge carries which physical network: comma-separated entries of the form "
        "<physical network>:<device>:<VIOS name>, where the device is the Shared Ethernet Adapter on that VIOS, such "
        "as physnet1:ent5:vios1. Of a redundant bridge either adapter may be named. Empty is allowed where the "
        "system has exactly one bridge, which then carries the physical network `default`.",
    ),
    cfg.BoolOpt(
        "automated_powervm_vlan_cleanup",
        default=True,
        help="Remove VLANs from the additional trunk adapters of the mapped bridges when no port and no client "
        "adapter of the system uses them, a few in each pass. VLANs of primary trunk adapters are never touched.",
    ),
]

SRIOV_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "vnic_required_vfs",
        default=2,
        min=1,
        max=6,
        help="How many logical ports back the vNIC of a port of vnic_type direct, each on a physical port of its own: "
        "when one fails, the next takes over. A port's binding:profile may say another number in vnic_required_vfs.",
    ),
    cfg.FloatOpt(
        "vnic_vf_capacity",
        min=0.0,
        max=1.0,
        help="The share of a physical port's bandwidth that each logical port of a vNIC is given at least, such as "
        "0.04; a multiple of what the adapter gives out, which is the default. A port's binding:profile may say "
        "another one in capacity, and a limit in maxcapacity.",
    ),
    cfg.ListOpt(
        "resource_provider_bandwidths",
        default=[],
        help="What SR-IOV ports have to give to Neutron ports with guaranteed bandwidth, where that is not what their "
        "links carry: comma-separated entries of the form <location code>:<egress>:<ingress>, in kilobits per second "
        "as guests see them. Of other ports the speed of the link is reported.",
    ),
    cfg.DictOpt(
        "resource_provider_inventory_defaults",
        default={"allocation_ratio": 1.0, "min_unit": 1, "step_size": 1, "reserved": 0},
        help="What else placement is told of the bandwidth of every port. The platform gives out no more than there "
        "is, so leave allocation_ratio at 1.",
    ),
]


class BadMapping(ValueError):
    """An option that names parts of the system cannot be read; the message quotes it."""


@dataclass(frozen=True, slots=True)
class MappedDevice:
    """One entry of bridge_mappings: a Shared Ethernet Adapter by its device and VIOS names."""

    physical_network: str
    device: str
    vios: str


def register(conf: cfg.ConfigOpts) -> None:
    """Register what the Shared Ethernet agent reads; calling it again changes nothing."""
    _register(conf, SEA_OPTS)


def register_sriov(conf: cfg.ConfigOpts) -> None:
    """Register what the SR-IOV agent reads; calling it again changes nothing."""
    _register(conf, SRIOV_OPTS)


def _register(conf: cfg.ConfigOpts, own: list[cfg.Opt]) -> None:
    conf.register_opts(COMMON_OPTS + own, GROUP)
    powervm_rest.register(conf)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For the configuration reference."""
    return [(GROUP, SEA_OPTS + SRIOV_OPTS + COMMON_OPTS), (powervm_rest.GROUP, powervm_rest.REST_OPTS)]


def parse_mappings(text: str) -> Mapping[str, MappedDevice]:
    """Read bridge_mappings; raises BadMapping for an entry of another form or a physical network named twice."""
    found: dict[str, MappedDevice] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        parts = [part.strip() for part in entry.split(":")]
        if len(parts) != 3 or not all(parts):
            raise BadMapping(
                f"[AGENT] bridge_mappings: {entry!r} is not of the form <physical network>:<device>:<VIOS name>, such "
                "as physnet1:ent5:vios1."
            )
        if parts[0] in found:
            raise BadMapping(f"[AGENT] bridge_mappings: physical network {parts[0]} is mapped twice; keep one entry.")
        found[parts[0]] = MappedDevice(*parts)
    return found
