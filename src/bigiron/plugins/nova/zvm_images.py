"""Nova's image properties once more: what a z/VM host makes of each. The documentation shows the same."""

from __future__ import annotations

from bigiron.plugins.nova.image_properties import ImageProperty, Use

_H, _R, _I = Use.HONOURED, Use.REFUSED, Use.IGNORED
_NUMA = "a guest's memory and processors are placed by CP"
_DEVICES = "a device of another hypervisor"


def _of(names: str, use: Use, note: str, allowed: str = "") -> ImageProperty:
    return ImageProperty(tuple(names.split()), use, note, tuple(allowed.split()))


PROPERTIES: tuple[ImageProperty, ...] = (
    _of("hw_architecture", _H, "the processors are IBM Z's", "s390x"),
    _of("hw_emulation_architecture", _R, "nothing is emulated", "s390x"),
    _of("hw_vm_mode", _H, "a guest is fully virtual", "hvm"),
    _of("img_hv_type", _H, "the hypervisor is z/VM", "zvm"),
    _of("os_distro", _H, "the distribution with its version, such as rhel9.4; by it network and disks are configured"),
    _of("os_type", _H, "what runs on z/VM", "linux"),
    _of("hw_disk_bus hw_cdrom_bus hw_scsi_model", _I, "disks are minidisks, and the config drive is a file"),
    _of("hw_floppy_bus", _R, "there are no floppy disks"),
    _of("hw_vif_model hw_vif_multiqueue_enabled", _I, "adapters are virtual QDIO adapters"),
    _of("hw_rescue_device hw_rescue_bus", _I, "servers are not rescued"),
    _of("hw_cpu_policy", _R, "processors are shared", "shared"),
    _of("hw_cpu_thread_policy", _R, "CP does not show threads", "prefer"),
    _of("hw_cpu_realtime_mask", _R, "there are no real-time processors"),
    _of("hw_cpu_sockets hw_cpu_cores hw_cpu_threads", _I, "virtual processors have the machine's own topology"),
    _of("hw_cpu_max_sockets hw_cpu_max_cores hw_cpu_max_threads", _I, "as above"),
    _of("hw_mem_page_size", _R, "CP chooses its page sizes", "any small"),
    _of("hw_numa_nodes", _R, _NUMA, "1"),
    _of("hw_numa_cpus hw_numa_mem", _R, _NUMA),
    _of("hw_locked_memory", _R, "CP pages guests' memory", "false"),
    _of("hw_mem_encryption", _R, "memory is not encrypted by guest", "false"),
    _of("hw_mem_encryption_model", _R, "memory is not encrypted by guest"),
    _of("hw_firmware_type hw_firmware_stateless", _R, "a guest has no firmware, it is IPLed", "false"),
    _of("hw_machine_type", _R, "a guest sees the real machine"),
    _of("hw_tpm_model hw_tpm_version", _R, "there is no TPM"),
    _of("os_secure_boot", _R, "the Cloud Connector sets no secure IPL", "disabled optional"),
    _of("hw_ephemeral_encryption", _R, "local disks are not encrypted", "false"),
    _of("hw_ephemeral_encryption_format hw_ephemeral_encryption_secret_uuid", _I, "says how, not whether"),
    _of("hw_ipxe_boot", _R, "a server boots from its disk", "false"),
    _of("os_require_quiesce", _R, "a running guest's file systems cannot be frozen for a snapshot", "false"),
    _of("hw_boot_menu hw_input_bus hw_pointer_model hw_usb_model hw_redirected_usb_ports hw_sound_model", _I, _DEVICES),
    _of("hw_video_model hw_video_ram hw_rng_model hw_time_hpet hw_pmu hw_watchdog_action", _I, _DEVICES),
    _of("hw_virtio_packed_ring hw_maxphysaddr_mode hw_maxphysaddr_bits hw_qemu_guest_agent hw_device_id", _I, _DEVICES),
    _of("hw_viommu_model", _I, _DEVICES),
    _of("hw_serial_port_count", _I, "a guest has one console"),
    _of("hw_pci_numa_affinity_policy", _I, "no device of the host is passed through"),
    _of("hw_disk_type hw_auto_disk_config img_linked_clone img_use_agent img_hide_hypervisor_id", _I, _DEVICES),
    _of("img_cache_in_nova img_bittorrent img_compression_level img_version img_owner_id", _I, "not of the guest"),
    _of("img_hv_requested_version", _H, "the scheduler compares it with the host's"),
    _of("img_config_drive", _H, "Nova decides by it"),
    _of("img_bdm_v2 img_block_device_mapping img_mappings img_root_device_name", _H, "Nova decides by them"),
    _of("img_signature img_signature_hash_method img_signature_certificate_uuid", _H, "Nova checks what it downloads"),
    _of("img_signature_key_type", _H, "as above"),
    _of("os_admin_user os_skip_agent_inject_files_at_boot os_skip_agent_inject_ssh", _I, "there is no agent"),
    _of("os_command_line", _I, "the disk's own boot loader has the kernel's parameters"),
    _of("traits_required", _H, "the scheduler asks placement for them"),
)
