"""One table of Nova's image properties: what a PowerVM host makes of each. The documentation shows the same.

A value that asks for what a partition cannot have is refused before anything is made, as a guest that starts without
what its image needs is worse than none. What only describes another hypervisor's devices is left unread.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bigiron import errors


class Use(enum.Enum):
    """What becomes of a property's values."""

    HONOURED = "honoured"
    """The guest has what the value says; a value that is not among the allowed ones is refused."""
    REFUSED = "refused"
    """A partition has nothing like it; only the allowed values, which ask for nothing, pass."""
    IGNORED = "ignored"
    """It says nothing to this platform."""


@dataclass(frozen=True, slots=True)
class ImageProperty:
    """A property of ImageMetaProps, or several that are alike; no allowed values stand for every value."""

    names: tuple[str, ...]
    use: Use
    note: str
    allowed: tuple[str, ...] = ()

    def accepts(self, value: str) -> bool:
        """Whether a guest can be made of an image that says so."""
        if self.use is Use.IGNORED:
            return True
        return value.lower() in self.allowed or (self.use is Use.HONOURED and not self.allowed)


def of(names: str, use: Use, note: str, allowed: str = "") -> ImageProperty:
    """One property or several, and the allowed values, each list in one string with spaces between."""
    return ImageProperty(tuple(names.split()), use, note, tuple(allowed.split()))


_H, _R, _I = Use.HONOURED, Use.REFUSED, Use.IGNORED
_NUMA = "a partition's memory and processors are placed by the hypervisor"
_DEVICES = "a device of another hypervisor"

COMMON: tuple[ImageProperty, ...] = (
    of("hw_floppy_bus", _R, "there are no floppy disks"),
    of("hw_cpu_realtime_mask", _R, "there are no real-time processors"),
    of("hw_cpu_sockets hw_cpu_cores hw_cpu_threads", _I, "virtual processors have the machine's own topology"),
    of("hw_cpu_max_sockets hw_cpu_max_cores hw_cpu_max_threads", _I, "as above"),
    of("hw_ephemeral_encryption", _R, "local disks are not encrypted", "false"),
    of("hw_ephemeral_encryption_format hw_ephemeral_encryption_secret_uuid", _I, "says how, not whether"),
    of("hw_ipxe_boot", _R, "a server boots from its disk", "false"),
    of("os_require_quiesce", _R, "a running guest's file systems cannot be frozen for a snapshot", "false"),
    of("hw_boot_menu hw_input_bus hw_pointer_model hw_usb_model hw_redirected_usb_ports hw_sound_model", _I, _DEVICES),
    of("hw_video_model hw_video_ram hw_rng_model hw_time_hpet hw_pmu hw_watchdog_action", _I, _DEVICES),
    of("hw_virtio_packed_ring hw_maxphysaddr_mode hw_maxphysaddr_bits hw_qemu_guest_agent hw_device_id", _I, _DEVICES),
    of("hw_viommu_model", _I, _DEVICES),
    of("hw_pci_numa_affinity_policy", _I, "no device of the host is passed through"),
    of("hw_disk_type hw_auto_disk_config img_linked_clone img_use_agent img_hide_hypervisor_id", _I, _DEVICES),
    of("img_cache_in_nova img_bittorrent img_compression_level img_version img_owner_id", _I, "not of the guest"),
    of("img_hv_requested_version", _H, "the scheduler compares it with the host's"),
    of("img_config_drive", _H, "Nova decides by it"),
    of("img_bdm_v2 img_block_device_mapping img_mappings img_root_device_name", _H, "Nova decides by them"),
    of("img_signature img_signature_hash_method img_signature_certificate_uuid", _H, "Nova checks what it downloads"),
    of("img_signature_key_type", _H, "as above"),
    of("os_admin_user os_skip_agent_inject_files_at_boot os_skip_agent_inject_ssh", _I, "there is no agent"),
    of("os_command_line", _I, "the disk's own boot loader has the kernel's parameters"),
    of("traits_required", _H, "the scheduler asks placement for them"),
)
"""Alike on every platform."""

PROPERTIES: tuple[ImageProperty, ...] = (
    of("hw_architecture", _H, "the processors are Power's", "ppc64 ppc64le"),
    of("hw_emulation_architecture", _R, "nothing is emulated", "ppc64 ppc64le"),
    of("hw_vm_mode", _H, "a partition is fully virtual", "hvm"),
    of("img_hv_type", _H, "the hypervisor is phyp", "phyp"),
    of("os_distro", _H, "ibmi makes an IBM i partition, aix and all others an AIX/Linux one"),
    of("os_type", _H, "what runs on Power", "linux"),
    of("hw_disk_bus", _H, "disks are virtual SCSI", "scsi"),
    of("hw_cdrom_bus", _H, "so is the config drive", "scsi"),
    of("hw_scsi_model", _H, "the client adapter is IBM's", "ibmvscsi"),
    of("hw_vif_model", _H, "adapters are virtual Ethernet", "spapr-vlan"),
    of("hw_vif_multiqueue_enabled", _I, "a virtual Ethernet adapter has as many queues as the guest opens"),
    of("hw_rescue_device", _H, "of a rescue image: it is attached after the server's own disks", "disk"),
    of("hw_rescue_bus", _H, "of a rescue image", "scsi"),
    of("hw_cpu_policy", _R, "flavor key powervm:dedicated_proc gives whole processors", "shared"),
    of("hw_cpu_thread_policy", _R, "threads of a processor always belong to one partition", "prefer"),
    of("hw_mem_page_size", _R, "the operating system chooses its page sizes", "any small"),
    of("hw_locked_memory", _H, "a partition's memory is its own"),
    of("hw_mem_encryption", _R, "memory is not encrypted by partition", "false"),
    of("hw_mem_encryption_model", _R, "memory is not encrypted by partition"),
    of("hw_firmware_type", _R, "the firmware is Open Firmware"),
    of("hw_firmware_stateless", _R, "a partition keeps its NVRAM", "false"),
    of("hw_machine_type", _R, "flavor key powervm:processor_compatibility chooses the processor mode"),
    of("hw_tpm_model hw_tpm_version", _R, "there is no virtual TPM"),
    of("os_secure_boot", _R, "flavor key powervm:secure_boot sets the policy", "disabled optional"),
    of("hw_serial_port_count", _I, "a partition has one console"),
    of("hw_numa_nodes", _R, _NUMA, "1"),
    of("hw_numa_cpus hw_numa_mem", _R, _NUMA),
    *COMMON,
)


def check(image_meta: Any, properties: Sequence[ImageProperty] = PROPERTIES) -> None:
    """Raise InvalidSpec for the first property of an image whose value cannot be had."""
    found = image_meta.properties
    for one in properties:
        for name in one.names:
            # Earlier releases of Nova do not know all of them.
            value = str(found.get(name, "")) if name in found.fields else ""
            if value and not one.accepts(value):
                remedy = f"use {' or '.join(one.allowed)}, or leave it out" if one.allowed else "leave it out"
                raise errors.InvalidSpec(
                    f"The image's property {name} is {value}, which this host does not have: {one.note}; {remedy}."
                )
