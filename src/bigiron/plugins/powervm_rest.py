"""The `[powervm]` options that say where the REST service is: the same for every process that talks to a system."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = "powervm"

REST_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "rest_host",
        help="Address of the PowerVM REST service: this NovaLink partition's own when it is not set, else that of an "
        "HMC or of another NovaLink partition, which needs rest_username and rest_password as well.",
    ),
    cfg.PortOpt("rest_port", help="Port of the REST service; the protocol's usual one (12443 or 12080) when not set."),
    cfg.StrOpt(
        "rest_protocol",
        choices=[("https", "TLS, the certificate verified on every request"), ("http", "no encryption")],
        help="Protocol of the REST service: https when not set, except for the NovaLink service on this machine.",
    ),
    cfg.StrOpt(
        "rest_username",
        help="User to log on to the REST service with. Not needed on the NovaLink partition itself, where the user "
        "that the process runs as must be a member of the group pvm_admin.",
    ),
    cfg.StrOpt("rest_password", secret=True, help="Password of rest_username."),
    cfg.StrOpt(
        "rest_cacert",
        help="PEM file with the certificate authority that signed the REST service's certificate, or with that "
        "certificate itself where it is self-signed; the system's authorities when not set.",
    ),
    cfg.FloatOpt(
        "rest_timeout", default=1200.0, min=1, help="Seconds after which a request without an answer has failed."
    ),
    cfg.FloatOpt(
        "rest_connect_timeout",
        default=600.0,
        min=0,
        help="Seconds to wait, when the process starts, for a REST service that does not answer yet; 0 waits for "
        "ever. The log says every few seconds what is being waited for.",
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
