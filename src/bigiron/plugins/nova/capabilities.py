"""Nova's capability flags that no platform of ours has or that a start decides; features.py has the others."""

from __future__ import annotations

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
