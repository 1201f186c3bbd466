"""The `[zvm]` options that say where the Cloud Connector is, for processes that have them from nobody else.

Nova registers the first two itself, with the same meaning; the others nova-compute takes from here.
"""

from __future__ import annotations

import os
from typing import Any

from oslo_config import cfg

GROUP = "zvm"


def _old(*names: str) -> list[cfg.DeprecatedOpt]:
    return [cfg.DeprecatedOpt(name, group="AGENT") for name in names]


TOKEN_PATH = cfg.StrOpt(
    "token_path",
    deprecated_opts=_old("zvm_cloud_connector_token_file"),
    help="File with the Cloud Connector's shared secret, a copy of the one that token_path in its zvmsdk.conf names. "
    "Needed where that says auth = token, as it should.",
)

CALL_TIMEOUT = cfg.FloatOpt(
    "call_timeout", default=120.0, min=1, help="Seconds that the Cloud Connector has for a quick answer."
)

REST_OPTS: list[cfg.Opt] = [
    cfg.URIOpt(
        "cloud_connector_url",
        schemes=["http", "https"],
        deprecated_opts=_old("cloud_connector_url"),
        help="Address of the z/VM Cloud Connector, such as https://zvm1.example.org:8080/.",
    ),
    cfg.StrOpt(
        "ca_file",
        deprecated_opts=_old("zvm_cloud_connector_ca_file"),
        help="PEM file with the certificate authority that signed the Cloud Connector's certificate; the system's "
        "authorities when not set.",
    ),
    TOKEN_PATH,
    CALL_TIMEOUT,
]

PORT_LINE = cfg.StrOpt(
    "port_line",
    default="",
    help="Directory in which nova-compute and the z/VM network agent have sockets to tell each other of ports at once: "
    "the same in both, of a group that both are in, with mode 2770, and one for each z/VM system. Empty has them wait "
    "for the agent's looks and for Neutron's events.",
)


class BadOption(ValueError):
    """An option that says how to reach the connector cannot work; the message quotes it."""


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; calling it again changes nothing."""
    conf.register_opts(REST_OPTS, GROUP)


def values(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """What the options say, by the field names of `bigiron.zvm.options.ZvmOptions`; raises BadOption."""
    group = conf[GROUP]
    if not group.cloud_connector_url:
        raise BadOption(
            "[zvm] cloud_connector_url is not set: set it to the Cloud Connector's address, such as "
            "https://zvm1.example.org:8080/."
        )
    for name in ("ca_file", "token_path"):
        if group[name] and not os.access(group[name], os.R_OK):
            raise BadOption(f"[zvm] {name} = {group[name]} cannot be read: name a file that this process can read.")
    return {
        "cloud_connector_url": group.cloud_connector_url,
        "ca_file": group.ca_file,
        "token_path": group.token_path,
        "call_timeout_s": group.call_timeout,
    }
