"""The `[zvm]` options of nova.conf: those of Nova's in-tree driver keep their meaning, and ours are added."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from oslo_config import cfg

from bigiron.plugins import zvm_rest
from bigiron.plugins.nova.limits import parallel_steps
from bigiron.plugins.nova.options import OptionError
from bigiron.zvm.options import ZvmOptions

GROUP = "zvm"

_PREFIX = re.compile(r"^[A-Z][A-Z0-9]{0,3}$")
_SCP_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""As the connector takes it; what begins with a hyphen would be an option of scp."""
_POOL = re.compile(r"^(ECKD|FBA):\w{1,8}$", re.IGNORECASE)
_FORMATS = ("ext2", "ext3", "ext4", "xfs")

OPTS: list[cfg.Opt] = [
    zvm_rest.TOKEN_PATH,
    cfg.FloatOpt(
        "connect_timeout",
        default=0.0,
        min=0,
        help="Seconds for which the start of nova-compute waits for a Cloud Connector that does not answer; 0 waits "
        "for ever.",
    ),
    zvm_rest.CALL_TIMEOUT,
    cfg.FloatOpt(
        "deploy_timeout",
        default=3600.0,
        min=1,
        help="Seconds that it has for what copies a disk or changes the user directory.",
    ),
    cfg.StrOpt(
        "userid_prefix",
        default="NV",
        help="What the userids of instances begin with: a letter and up to three letters and digits. The rest of the "
        "eight characters is made from the instance's uuid.",
    ),
    cfg.StrOpt(
        "user_profile",
        default="",
        help="Directory profile that guests include; empty takes user_profile of the Cloud Connector's zvmsdk.conf.",
    ),
    cfg.StrOpt(
        "disk_pool",
        default="",
        help="Pool of the minidisks, ECKD:name or FBA:name; empty takes disk_pool of the Cloud Connector's "
        "zvmsdk.conf.",
    ),
    cfg.StrOpt(
        "account",
        default="",
        help="Account number of the guests; empty charges each guest to its own userid, as z/VM does by itself.",
    ),
    cfg.IntOpt(
        "max_cpu", default=64, min=1, max=64, help="The most processors that a guest can have, now or by a resize."
    ),
    cfg.IntOpt(
        "max_memory",
        default=0,
        min=0,
        help="Megabytes of memory that a guest can be resized to; 0 allows 65536, or what its flavor has where that is "
        "more.",
    ),
    cfg.StrOpt(
        "shared_path",
        default="",
        help="Directory that nova-compute and the Cloud Connector see under the same path, as when both run on one "
        "machine: images and config drives are handed over there. Give it to the connector's group, with mode 2770. "
        "Empty hands over all by REST, which takes five more requests for a server with a config drive.",
    ),
    cfg.StrOpt(
        "scp_host",
        default="",
        help="nova-compute's user and this host's address, as in nova@10.0.0.5: the Cloud Connector copies files from "
        "and to this host with scp, as it does for Nova's in-tree driver. Its user must be able to log on as that one "
        "with its key. It does not check which host answers (StrictHostKeyChecking=no): use it in a network that "
        "nobody else is in.",
    ),
    cfg.StrOpt(
        "connector_image_repository",
        default="/var/lib/zvmsdk/images",
        help="What sdk_image_repository in the Cloud Connector's zvmsdk.conf says.",
    ),
    cfg.FloatOpt(
        "power_poll_interval",
        default=30.0,
        min=0,
        help="Seconds between looks at the power states of all instances, as z/VM reports none by itself; 0 never "
        "looks.",
    ),
    zvm_rest.PORT_LINE,
]


def register(conf: Any) -> None:
    """Make the options known to oslo.config; harmless when repeated."""
    conf.register_opts(OPTS, GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """What oslo-config-generator and the configuration reference show beside Nova's own."""
    return [(GROUP, OPTS)]


def to_options(conf: Any) -> ZvmOptions:
    """The platform's options from a parsed nova.conf; raises OptionError for what cannot work."""
    try:
        group = {opt.dest: getattr(conf.zvm, opt.dest) for opt in OPTS}
    except cfg.ConfigFileValueError as error:
        raise OptionError(f"nova.conf: {error}") from error
    url = str(conf.zvm.cloud_connector_url or "")
    _check(group, url, conf.zvm.ca_file, conf.default_ephemeral_format)
    return ZvmOptions(
        cloud_connector_url=url,
        ca_file=conf.zvm.ca_file,
        token_path=group["token_path"],
        userid_prefix=group["userid_prefix"].upper(),
        user_profile=group["user_profile"],
        disk_pool=group["disk_pool"],
        account=group["account"],
        max_cpu=group["max_cpu"],
        max_memory_mb=group["max_memory"],
        ephemeral_format=conf.default_ephemeral_format or "ext3",
        shared_path=group["shared_path"],
        scp_host=group["scp_host"],
        connector_image_repository=group["connector_image_repository"],
        call_timeout_s=group["call_timeout"],
        deploy_timeout_s=group["deploy_timeout"],
        reachable_timeout_s=conf.zvm.reachable_timeout,
        power_poll_s=group["power_poll_interval"],
        port_line=group["port_line"],
        max_parallel=parallel_steps(conf),
        state_path=Path(conf.state_path) / "bigiron",
    )


def _check(group: dict[str, Any], url: str, ca_file: str | None, ephemeral: str | None) -> None:
    """Refuse at start what would otherwise fail in the middle of a build."""
    if not url.startswith(("http://", "https://")):
        raise OptionError(
            f"[zvm] cloud_connector_url = {url or '(not set)'} names no Cloud Connector: set it to its address, such "
            "as https://zvm.example.org:8080/"
        )
    for name, path in (("ca_file", ca_file), ("token_path", group["token_path"])):
        if path and not os.access(path, os.R_OK):
            raise OptionError(f"[zvm] {name} = {path} cannot be read: name a file that nova-compute can read")
    if not _PREFIX.match(group["userid_prefix"].upper()):
        raise OptionError(
            f"[zvm] userid_prefix = {group['userid_prefix']} begins no userids: use a letter and up to three letters "
            "and digits"
        )
    if group["disk_pool"] and not _POOL.match(group["disk_pool"]):
        raise OptionError(f"[zvm] disk_pool = {group['disk_pool']} is no pool: use ECKD:name or FBA:name")
    if group["scp_host"] and not _SCP_HOST.fullmatch(group["scp_host"]):
        raise OptionError(f"[zvm] scp_host = {group['scp_host']} is not user@address, such as nova@10.0.0.5")
    if group["scp_host"] and group["shared_path"]:
        raise OptionError("[zvm] scp_host and shared_path are two ways for files: leave one of them out")
    if group["account"] and not group["account"].isalnum():
        raise OptionError(f"[zvm] account = {group['account']} is no account number: use letters and digits")
    if ephemeral and ephemeral not in _FORMATS:
        raise OptionError(
            f"[DEFAULT] default_ephemeral_format = {ephemeral} cannot be made here: use one of {', '.join(_FORMATS)}"
        )
