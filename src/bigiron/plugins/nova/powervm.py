"""The PowerVM compute driver: `compute_driver = bigiron.PowerVMDriver`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import nova.conf
from nova.objects import fields

from bigiron import features
from bigiron.hypervisor import Hypervisor
from bigiron.model import GuestSpec
from bigiron.plugins.nova import conf, configdrive, privsep
from bigiron.plugins.nova.driver import BigironDriver
from bigiron.powervm.network import rmc
from bigiron.powervm.platform import PowerVM

CONF = nova.conf.CONF
conf.register(CONF)

_MANAGEMENT_NETWORK = "powervm-management"

NEVER = (
    "supports_migrate_to_same_host",
    "supports_pcpus",
    "supports_accelerators",
    "supports_bfv_rescue",
    "supports_secure_boot",
    "supports_socket_pci_numa_affinity",
    "supports_remote_managed_ports",
    "supports_address_space_passthrough",
    "supports_address_space_emulated",
    "supports_virtio_fs",
    "supports_mem_backing_file",
    "supports_ephemeral_encryption",
    "supports_ephemeral_encryption_luks",
    "supports_ephemeral_encryption_plain",
    "supports_image_type_aki",
    "supports_image_type_ami",
    "supports_image_type_ari",
    "supports_image_type_iso",
    "supports_image_type_vdi",
    "supports_image_type_vhd",
    "supports_image_type_vhdx",
    "supports_image_type_vmdk",
    "supports_image_type_ploop",
)
"""Nova's capability flags that the feature table does not decide, every one said, so that none is inherited."""
FOUND = ("supports_image_type_qcow2",)
"""Those that each start decides, by what is installed; until then they are not set."""


class PowerVMDriver(BigironDriver):
    """Runs instances as logical partitions of a PowerVM host."""

    capabilities = {**dict.fromkeys((*NEVER, *FOUND), False), **features.capabilities()}
    platform = "powervm"
    hypervisor_type = fields.HVType.PHYP
    machines = (fields.Architecture.PPC64, fields.Architecture.PPC64LE)
    flavor_namespace = "powervm:"

    def make_hypervisor(self) -> Hypervisor:
        return PowerVM(conf.to_options(CONF), access=privsep.PrivilegedAccess())

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
