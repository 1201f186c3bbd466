"""The PowerVM compute driver: `compute_driver = bigiron.PowerVMDriver`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import nova.conf
from nova.objects import fields

from bigiron import features
from bigiron.hypervisor import Hypervisor
from bigiron.model import GuestSpec
from bigiron.plugins.nova import conf, configdrive, privsep
from bigiron.plugins.nova.capabilities import FOUND as FOUND
from bigiron.plugins.nova.capabilities import NEVER as NEVER
from bigiron.plugins.nova.driver import BigironDriver
from bigiron.powervm.network import rmc
from bigiron.powervm.platform import PowerVM

CONF = nova.conf.CONF
conf.register(CONF)

_MANAGEMENT_NETWORK = "powervm-management"


class PowerVMDriver(BigironDriver):
    """Runs instances as logical partitions of a PowerVM host."""

    capabilities = {**dict.fromkeys((*NEVER, *FOUND), False), **features.capabilities("powervm")}
    platform = "powervm"
    hypervisor_type = fields.HVType.PHYP
    machines = (fields.Architecture.PPC64, fields.Architecture.PPC64LE)
    flavor_namespace = "powervm:"

    def make_hypervisor(self) -> Hypervisor:
        return PowerVM(conf.to_options(CONF), access=privsep.PrivilegedAccess())

    def image_folder(self) -> Path:
        return Path(CONF.powervm.image_conversion_path)

    def start_timeout_s(self) -> float:
        return float(CONF.powervm.rest_connect_timeout)

    @property
    def shares_disk_pool(self) -> bool:
        return bool(CONF.powervm.ssp_sharing_provider)

    @property
    def powervm(self) -> PowerVM:
        """The started platform, for what only it can do."""
        return cast(PowerVM, self.hypervisor)

    def config_drive_network(self, spec: GuestSpec, network_info: Sequence[Any]) -> Sequence[Any]:
        """Nova's adapters, and the management adapter with the address by which the platform talks to the guest."""
        if not (CONF.powervm.use_rmc_ipv6_scheme and self.powervm.makes_rmc_adapters):
            return network_info
        mac = rmc.mac(spec.uuid)
        return [*network_info, configdrive.link_local_vif(mac, rmc.link_local(mac), _MANAGEMENT_NETWORK)]
