"""The options of the Shared Ethernet agent, and the mapping syntax that operators know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oslo_config import cfg

from bigiron.plugins import powervm_rest

GROUP = "AGENT"

AGENT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "bridge_mappings",
        default="",
        help="Which network bridge carries which physical network: comma-separated entries of the form "
        "<physical network>:<device>:<VIOS name>, where the device is the Shared Ethernet Adapter on that VIOS, such "
        "as physnet1:ent5:vios1. Of a redundant bridge either adapter may be named. Empty is allowed where the "
        "system has exactly one bridge, which then carries the physical network `default`.",
    ),
    cfg.IntOpt(
        "heal_and_optimize_interval",
        default=1800,
        min=1,
        help="Seconds between two passes that compare the bridges and the client adapters with what Neutron wants "
        "and put right what differs.",
    ),
    cfg.BoolOpt(
        "automated_powervm_vlan_cleanup",
        default=True,
        help="Remove VLANs from the additional trunk adapters of the mapped bridges when no port and no client "
        "adapter of the system uses them, a few in each pass. VLANs of primary trunk adapters are never touched.",
    ),
    cfg.IntOpt(
        "exception_interval",
        default=5,
        min=1,
        help="Seconds to wait after a failed pass before it is tried again.",
    ),
]


class BadMapping(ValueError):
    """An entry of bridge_mappings cannot be read; the message quotes it."""


@dataclass(frozen=True, slots=True)
class MappedDevice:
    """One entry of bridge_mappings: a Shared Ethernet Adapter by its device and VIOS names."""

    physical_network: str
    device: str
    vios: str


def register(conf: cfg.ConfigOpts) -> None:
    """Register what the agent reads; calling it again changes nothing."""
    conf.register_opts(AGENT_OPTS, GROUP)
    powervm_rest.register(conf)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For the configuration reference."""
    return [(GROUP, AGENT_OPTS), (powervm_rest.GROUP, powervm_rest.REST_OPTS)]


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
