"""What a z/VM platform is configured with: plain values, so that any option system can fill them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ZvmOptions:
    """Field names are those of the `[zvm]` option group, where it has them. Times are in seconds."""

    cloud_connector_url: str
    ca_file: str | None = None
    """The authority that the connector's certificate is verified with; None takes the system's own."""
    token_path: str | None = None
    """File with the connector's shared secret; None for a connector that asks for none (auth=none)."""
    userid_prefix: str = "NV"
    user_profile: str = ""
    """Directory profile that guests include; empty takes the connector's own default."""
    disk_pool: str = ""
    """`ECKD:name` or `FBA:name`; empty takes the connector's own default."""
    account: str = ""
    """Account number of the guests; empty charges each guest to its own userid, which is z/VM's default too."""
    max_cpu: int = 64
    max_memory_mb: int = 0
    """The most that a guest can be resized to; 0 lets each have four times its flavor's, where that can be said."""
    ephemeral_format: str = "ext3"
    shared_path: str = ""
    """A directory that the connector sees under the same path: files are handed over there, and not by REST."""
    scp_host: str = ""
    """`user@host`, as whom and where the connector can run scp to copy files from and to this host."""
    connector_image_repository: str = "/var/lib/zvmsdk/images"
    """What `sdk_image_repository` in the connector's zvmsdk.conf says."""
    call_timeout_s: float = 120.0
    """For one quick call; what makes, copies or stops a guest has longer ones of its own."""
    deploy_timeout_s: float = 3600.0
    reachable_timeout_s: int = 300
    """How long a soft reboot may take until the guest answers again."""
    power_poll_s: float = 30.0
    """How often guests are asked whether they still run; 0 never asks."""
    port_line: str = ""
    """Directory of the sockets at which nova-compute and the network agent hear each other; empty where they do not."""
    max_parallel: int = 64
    state_path: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "bigiron-zvm")
    """Where the ledger of guests is kept; must survive a restart of the process."""
