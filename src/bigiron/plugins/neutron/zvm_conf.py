"""The options of the z/VM agent: those of networking-zvm keep their meaning, and ours are added."""

from __future__ import annotations

import re
from collections.abc import Mapping

from oslo_config import cfg

from bigiron.plugins import zvm_rest
from bigiron.plugins.neutron.conf import COMMON_OPTS, GROUP, BadMapping
from bigiron.plugins.neutron.zvm_networks import Uplink
from bigiron.zvm.vswitches import HIGHEST_VLAN

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        "vswitch_mappings",
        default=[],
        help="Which virtual switch carries which physical network: comma-separated entries of the form <physical "
        "network>:<virtual switch>. Empty has every virtual switch of the system carry the physical network of its own "
        "name, in capitals.",
    ),
    cfg.FloatOpt(
        "polling_interval",
        default=1.0,
        min=0.1,
        help="Seconds between two looks for the adapter of a port that was bound to this host and has none yet, as "
        "z/VM reports nothing by itself. While there is no such port, the agent looks a thirtieth as often.",
    ),
]

VSWITCH_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "rdev_list",
        default="",
        help="Real devices of this virtual switch, one to three of four hexadecimal digits, such as `6243 6246`: the "
        "agent makes the switch of them where there is none. Empty expects the switch to be there. The section has the "
        "switch's name.",
    ),
    cfg.StrOpt(
        "vlan_id",
        default="AWARE",
        help="How the agent makes it: AWARE for vlan networks only, UNAWARE for flat networks only, or the number of a "
        "VLAN for both, which is then that of flat networks.",
    ),
]

_NAME = re.compile(r"^[A-Z0-9@#$_]{1,8}$")
_DEVICE = re.compile(r"^[0-9A-F]{1,4}$")
_MOST_DEVICES = 3


def register(conf: cfg.ConfigOpts) -> None:
    """Register what the z/VM agent reads; calling it again changes nothing."""
    conf.register_opts(COMMON_OPTS + OPTS, GROUP)
    zvm_rest.register(conf)
    conf.register_opt(zvm_rest.PORT_LINE, zvm_rest.GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For the configuration reference."""
    connector = [*zvm_rest.REST_OPTS, zvm_rest.PORT_LINE]
    return [(GROUP, OPTS + COMMON_OPTS), (zvm_rest.GROUP, connector), ("VSWITCH", VSWITCH_OPTS)]


def mappings(conf: cfg.ConfigOpts) -> Mapping[str, str]:
    """Physical network -> virtual switch as vswitch_mappings says; raises BadMapping."""
    found: dict[str, str] = {}
    for entry in filter(None, conf[GROUP].vswitch_mappings):
        physnet, _, name = (part.strip() for part in entry.partition(":"))
        if not physnet or not _NAME.match(name.upper()):
            raise BadMapping(
                f"[AGENT] vswitch_mappings: {entry!r} is not of the form <physical network>:<virtual switch>, such as "
                "physnet1:VSW1, with a name of up to eight letters and digits."
            )
        if physnet in found:
            raise BadMapping(f"[AGENT] vswitch_mappings: physical network {physnet} is mapped twice; keep one entry.")
        found[physnet] = name.upper()
    return found


def uplinks(conf: cfg.ConfigOpts) -> Mapping[str, Uplink]:
    """How to make virtual switches, from the sections with their names that say rdev_list; raises BadMapping."""
    found = {}
    for section in conf.list_all_sections():
        if not _NAME.match(section.upper()) or (section in conf and "rdev_list" not in conf[section]):
            continue
        conf.register_opts(VSWITCH_OPTS, section)
        if conf[section].rdev_list.strip():
            found[section.upper()] = Uplink(
                _devices(section, conf[section].rdev_list), _vid(section, conf[section].vlan_id)
            )
    return found


def _devices(section: str, text: str) -> tuple[str, ...]:
    devices = tuple(text.upper().replace(",", " ").split())
    if len(devices) > _MOST_DEVICES or not all(map(_DEVICE.match, devices)):
        raise BadMapping(
            f"[{section}] rdev_list = {text} names no real devices: use one to {_MOST_DEVICES} numbers of up to four "
            "hexadecimal digits, such as 6243 6246."
        )
    return devices


def _vid(section: str, text: str) -> int | str:
    word = text.strip().upper()
    if word in ("AWARE", "UNAWARE"):
        return word
    if word.isdigit() and 1 <= int(word) <= HIGHEST_VLAN:
        return int(word)
    raise BadMapping(f"[{section}] vlan_id = {text} is not AWARE, UNAWARE or a VLAN between 1 and {HIGHEST_VLAN}.")
