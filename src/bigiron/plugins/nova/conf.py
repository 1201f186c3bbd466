"""The `[powervm]` options of nova.conf: those that existing PowerVM clouds know, and where the REST service is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nova import version
from oslo_config import cfg

from bigiron.plugins import powervm_rest
from bigiron.plugins.nova.limits import parallel_steps
from bigiron.plugins.nova.options import OptionError as OptionError
from bigiron.powervm.console.vencrypt import VncCertificates
from bigiron.powervm.network import rmc
from bigiron.powervm.network.nic import SEA_SWITCH
from bigiron.powervm.options import PowerVMOptions

_PATHS_SINCE = 34
"""The first Nova whose proxies can name a console's path."""

GROUP = cfg.OptGroup(
    "powervm",
    title="PowerVM",
    help="The PowerVM host that nova-compute manages with compute_driver = bigiron.PowerVMDriver.",
)

REST_OPTS: list[cfg.Opt] = [
    *powervm_rest.REST_OPTS,
    cfg.FloatOpt(
        "job_timeout", default=1800.0, min=1, help="Seconds after which a job of the platform (power, migrate) failed."
    ),
    cfg.StrOpt(
        "management_root",
        default="/",
        help="Root directory of the management partition's own tools (mkvterm, rmvterm, /proc, /sys). Only a "
        "simulated host has it elsewhere.",
    ),
]

CONSOLE_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "console_recorder",
        default=True,
        help="Record what instances write to their consoles, for `openstack console log show`. Needs nova-compute on "
        "the management partition (NovaLink). The recorder holds each instance's virtual terminal, and gives it up "
        "while a console is shown by VNC and to whoever closes it with rmvterm.",
    ),
    cfg.PortOpt(
        "vnc_port",
        default=5901,
        help="Port on which nova-novncproxy and nova-serialproxy reach consoles, at server_proxyclient_address of "
        "[vnc] and proxyclient_address of [serial_console]. With console_own_ports the first of 1024 such ports.",
    ),
    cfg.BoolOpt(
        "console_own_ports",
        help="Give each console a port of its own, from vnc_port on, while its instance runs, instead of all consoles "
        "that one port, on which a proxy names a secret path first. Who reaches a console's own port reaches the "
        "console: keep the ports to the proxies' network, and VNC to who has a certificate (vnc_use_x509_auth). When "
        "it is not set: true with Nova 33 (2026.1), whose proxies cannot name a path, and false with later ones.",
    ),
    cfg.BoolOpt(
        "vnc_use_x509_auth",
        default=False,
        help="Show consoles through TLS only, to who has a certificate: with auth_schemes = vencrypt and the "
        "vencrypt options in [vnc] of nova-novncproxy.",
    ),
    cfg.StrOpt("vnc_ca_certs", help="PEM file of the authority that issued nova-novncproxy's certificate."),
    cfg.StrOpt("vnc_server_cert", help="PEM file of this host's certificate for VNC."),
    cfg.StrOpt("vnc_server_key", help="PEM file of that certificate's private key."),
]

DISK_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "disk_driver",
        default="localdisk",
        ignore_case=True,
        choices=[
            ("localdisk", "a volume group of one Virtual I/O Server: see volume_group_name"),
            ("ssp", "a shared storage pool: see cluster_name"),
        ],
        help="Where the disks of instances are kept.",
    ),
    cfg.StrOpt(
        "volume_group_name",
        default="",
        help="Volume group for the disks of instances; must be set with disk_driver = localdisk. Do not use rootvg.",
    ),
    cfg.StrOpt(
        "cluster_name",
        default="",
        help="Cluster whose shared storage pool holds the disks; may stay empty where the host knows only one.",
    ),
    cfg.BoolOpt(
        "ssp_sharing_provider",
        default=False,
        help="Show the shared storage pool to placement as one provider of disk space, which all hosts of the pool "
        "share, instead of counting the whole pool on each of them. Set it alike on every host of the pool, and "
        "restart nova-compute: what servers have moves with it. Read the guide first: servers in an availability zone "
        "and on a named host need more.",
    ),
    cfg.StrOpt(
        "vopt_media_volume_group",
        default="rootvg",
        help="Volume group in which the media repository for config drives is made, where none exists.",
    ),
    cfg.IntOpt("vopt_media_rep_size", default=1, min=1, help="Size in GB of the media repository when it is made."),
]

IMAGE_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "image_conversion_path",
        default="$state_path/bigiron/images",
        help="Directory in which images are looked at, and qcow2 images converted to raw, before they go to the "
        "platform. Needs room for the images of as many servers as are built at once; with qcow2, as large as their "
        "disks.",
    ),
]

GUEST_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "proc_units_factor",
        default=0.1,
        min=0.05,
        max=1,
        help="Processing units per virtual processor, for flavors without powervm:proc_units. Also decides how many "
        "VCPU the host reports to placement: its processing units divided by this factor.",
    ),
    cfg.IntOpt(
        "uncapped_proc_weight",
        default=64,
        min=1,
        max=255,
        help="Weight of a partition among those that compete for spare processor time.",
    ),
    cfg.BoolOpt(
        "use_rmc_mgmt_vif",
        default=True,
        help="Give each instance an adapter on the management switch, over which the platform talks to its operating "
        "system (RMC); without it an orderly shutdown needs another way.",
    ),
    cfg.BoolOpt(
        "use_rmc_ipv6_scheme",
        default=True,
        help="Put the management adapter's IPv6 link-local address into the config drive.",
    ),
]

NETWORK_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "pvm_vswitch_for_novalink_io",
        default="NovaLinkVEABridge",
        help="Virtual switch over which ports on Open vSwitch reach the management partition; it is made where it is "
        "missing. Each port has a VLAN of its own there, so that the switch must serve nothing else.",
    ),
]

ALL_OPTS = [*REST_OPTS, *CONSOLE_OPTS, *DISK_OPTS, *IMAGE_OPTS, *GUEST_OPTS, *NETWORK_OPTS]


def register(conf: Any) -> None:
    """Make the options known to oslo.config; harmless when repeated."""
    conf.register_group(GROUP)
    conf.register_opts(ALL_OPTS, GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """What oslo-config-generator and the configuration reference show."""
    return [(GROUP, ALL_OPTS)]


def to_options(conf: Any) -> PowerVMOptions:
    """The platform's options from a parsed nova.conf; raises OptionError for what cannot work."""
    try:
        group = {opt.dest: getattr(conf.powervm, opt.dest) for opt in ALL_OPTS}
    except cfg.ConfigFileValueError as error:
        raise OptionError(f"nova.conf: {error}") from error
    _check(group)
    return PowerVMOptions(
        **powervm_rest.values(conf),
        hostname=conf.host,
        disk_driver=group["disk_driver"].lower(),
        volume_group_name=group["volume_group_name"],
        cluster_name=group["cluster_name"],
        vopt_media_volume_group=group["vopt_media_volume_group"],
        vopt_media_rep_size_gb=group["vopt_media_rep_size"],
        proc_units_factor=group["proc_units_factor"],
        uncapped_proc_weight=group["uncapped_proc_weight"],
        use_rmc_mgmt_vif=group["use_rmc_mgmt_vif"],
        use_rmc_ipv6_scheme=group["use_rmc_ipv6_scheme"],
        pvm_vswitch_for_novalink_io=group["pvm_vswitch_for_novalink_io"],
        job_timeout_s=group["job_timeout"],
        max_parallel=parallel_steps(conf),
        management_root=Path(group["management_root"]),
        console_recorder=group["console_recorder"],
        vnc_host=conf.vnc.server_proxyclient_address if conf.vnc.enabled else "",
        serial_host=conf.serial_console.proxyclient_address if conf.serial_console.enabled else "",
        vnc_port=group["vnc_port"],
        console_own_ports=_own_ports(group["console_own_ports"]),
        vnc_certificates=_vnc_certificates(group),
        state_path=Path(conf.state_path) / "bigiron",
    )


def _own_ports(wanted: bool | None) -> bool:
    """Nova 33's proxies look for text in the bytes that answer their CONNECT, and so cannot name a path."""
    return int(version.version_string().split(".")[0]) < _PATHS_SINCE if wanted is None else wanted


def _vnc_certificates(group: dict[str, Any]) -> VncCertificates | None:
    if not group["vnc_use_x509_auth"]:
        return None
    names = ("vnc_ca_certs", "vnc_server_cert", "vnc_server_key")
    missing = [name for name in names if not group[name]]
    if missing:
        raise OptionError(f"[powervm] {missing[0]} is not set, and vnc_use_x509_auth needs it: name a PEM file")
    return VncCertificates(*(group[name] for name in names))


def _check(group: dict[str, Any]) -> None:
    """Refuse at start what would otherwise fail in the middle of a build."""
    if group["disk_driver"].lower() == "localdisk" and not group["volume_group_name"]:
        raise OptionError(
            "[powervm] volume_group_name is not set, and disk_driver = localdisk needs it: name the volume group for "
            "the disks of instances, or set disk_driver = ssp"
        )
    if group["ssp_sharing_provider"] and group["disk_driver"].lower() != "ssp":
        raise OptionError(
            "[powervm] ssp_sharing_provider is true, and disk_driver = localdisk has no pool that hosts share: set "
            "disk_driver = ssp, or leave ssp_sharing_provider out"
        )
    if bool(group["rest_username"]) != bool(group["rest_password"]):
        missing = "rest_password" if group["rest_username"] else "rest_username"
        raise OptionError(f"[powervm] {missing} is not set: set rest_username and rest_password together, or neither")
    if group["rest_host"] and not group["rest_username"]:
        raise OptionError(
            f"[powervm] rest_host = {group['rest_host']} needs rest_username and rest_password: only the NovaLink "
            "service on this machine, used when rest_host is not set, takes a logon without them"
        )
    cacert = group["rest_cacert"]
    if cacert and not os.access(cacert, os.R_OK):
        raise OptionError(
            f"[powervm] rest_cacert = {cacert} cannot be read: name a PEM file that nova-compute can read"
        )
    private = group["pvm_vswitch_for_novalink_io"]
    if not private or private in (SEA_SWITCH, rmc.SWITCH):
        raise OptionError(
            f"[powervm] pvm_vswitch_for_novalink_io = {private} is no switch for ports on Open vSwitch alone: name "
            "another one, which is made where it is missing, or leave the option out"
        )
    root = group["management_root"]
    if not Path(root).is_dir():
        raise OptionError(f"[powervm] management_root = {root} is not a directory")
