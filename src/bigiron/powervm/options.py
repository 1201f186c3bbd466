"""What a PowerVM platform is configured with: plain values, so that any option system can fill them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bigiron.powervm.console.vencrypt import VncCertificates

DiskDriverName = Literal["localdisk", "ssp"]


@dataclass(frozen=True, slots=True)
class PowerVMOptions:
    """Field names are those of the `[powervm]` option group, where it has them.

    `rest_host` None means the NovaLink service on this machine. Without a password the session logs on by a token
    file, which only works on the machine that the service runs on. Times are in seconds; 0 for `connect_timeout_s`
    waits for ever.
    """

    rest_host: str | None = None
    rest_port: int | None = None
    rest_protocol: Literal["http", "https"] | None = None
    rest_username: str | None = None
    rest_password: str | None = field(default=None, repr=False)
    rest_cacert: str | None = None
    rest_timeout: float = 1200.0
    connect_timeout_s: float = 0.0
    hostname: str = ""
    disk_driver: DiskDriverName = "localdisk"
    volume_group_name: str = ""
    cluster_name: str = ""
    vopt_media_volume_group: str = "rootvg"
    vopt_media_rep_size_gb: int = 1
    proc_units_factor: float = 0.1
    uncapped_proc_weight: int = 64
    use_rmc_mgmt_vif: bool = True
    use_rmc_ipv6_scheme: bool = True
    pvm_vswitch_for_novalink_io: str = "NovaLinkVEABridge"
    job_timeout_s: float = 1800.0
    max_parallel: int = 64
    """Requests that may be under way at once: concurrent builds times the steps that run side by side in each."""
    management_root: Path = Path("/")
    console_recorder: bool = True
    vnc_host: str = ""
    """Address of this machine that consoles are shown on by VNC; an empty one shows none."""
    serial_host: str = ""
    """The same for serial consoles."""
    vnc_port: int = 5901
    console_own_ports: bool = False
    """Each console on a port of its own, from `vnc_port` on, instead of all on that one."""
    vnc_certificates: VncCertificates | None = None
    state_path: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "bigiron-powervm")
    """Where the ledger of guests and their console logs are kept; must survive a restart of the process."""
