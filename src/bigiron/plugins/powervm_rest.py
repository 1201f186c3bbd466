"""The `[powervm]` options that say where the REST service is: the same for every process that talks to a system."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = "powervm"

REST_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "rest_host",
        help="Host name or address of the PowerVM REST service: the NovaLink partition's or the HMC's. Unset means "
        "the NovaLink service on this machine.",
    ),
    cfg.PortOpt(
        "rest_port",
        help="Port of the REST service. Unset means 12080 for http and 12443 for https.",
    ),
    cfg.StrOpt(
        "rest_protocol",
        choices=["http", "https"],
        help="Protocol of the REST service. Unset means https where a password is given, and http for a NovaLink "
        "service on this machine.",
    ),
    cfg.StrOpt(
        "rest_username",
        help="User to log on as. Unset, together with rest_password, means the token file that a local NovaLink "
        "service hands to members of the group pvm_admin.",
    ),
    cfg.StrOpt("rest_password", secret=True, help="Password of rest_username."),
    cfg.StrOpt(
        "rest_cacert",
        help="File with the certificate authorities, in PEM form, that the REST service's certificate is checked "
        "against. Unset means those of the machine. The certificate is always checked.",
    ),
    cfg.FloatOpt(
        "rest_timeout",
        default=1200.0,
        min=1.0,
        help="Seconds to wait for the answer to one request. Changes of a VIOS may take minutes.",
    ),
    cfg.FloatOpt(
        "rest_connect_timeout",
        default=0.0,
        min=0.0,
        help="Seconds to wait at start for a REST service that does not answer yet; 0 waits for ever.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; calling it again changes nothing."""
    conf.register_opts(REST_OPTS, GROUP)


def values(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """What the options say, by the field names of `bigiron.powervm.options.PowerVMOptions`."""
    group = conf[GROUP]
    fields = {opt.dest: group[opt.dest] for opt in REST_OPTS if opt.dest != "rest_connect_timeout"}
    return {**fields, "connect_timeout_s": group.rest_connect_timeout}
