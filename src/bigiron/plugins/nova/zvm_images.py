"""Nova's image properties once more: what a z/VM host makes of each. The documentation shows the same."""

from __future__ import annotations

from bigiron.plugins.nova.image_properties import COMMON, ImageProperty, Use, of

_H, _R, _I = Use.HONOURED, Use.REFUSED, Use.IGNORED
_NUMA = "a guest's memory and processors are placed by CP"
_DEVICES = "a device of another hypervisor"


PROPERTIES: tuple[ImageProperty, ...] = (
    of("hw_architecture", _H, "the processors are IBM Z's", "s390x"),
    of("hw_emulation_architecture", _R, "nothing is emulated", "s390x"),
    of("hw_vm_mode", _H, "a guest is fully virtual", "hvm"),
    of("img_hv_type", _H, "the hypervisor is z/VM", "zvm"),
    of("os_distro", _H, "the distribution with its version, such as rhel9.4; by it network and disks are configured"),
    of("os_type", _H, "what runs on z/VM", "linux"),
    of("hw_disk_bus hw_cdrom_bus hw_scsi_model", _I, "disks are minidisks, and the config drive is a file"),
    of("hw_vif_model hw_vif_multiqueue_enabled", _I, "adapters are virtual QDIO adapters"),
    of("hw_rescue_device hw_rescue_bus", _I, "servers are not rescued"),
    of("hw_cpu_policy", _R, "processors are shared", "shared"),
    of("hw_cpu_thread_policy", _R, "CP does not show threads", "prefer"),
    of("hw_mem_page_size", _R, "CP chooses its page sizes", "any small"),
    of("hw_locked_memory", _R, "CP pages guests' memory", "false"),
    of("hw_mem_encryption", _R, "memory is not encrypted by guest", "false"),
    of("hw_mem_encryption_model", _R, "memory is not encrypted by guest"),
    of("hw_firmware_type hw_firmware_stateless", _R, "a guest has no firmware, it is IPLed", "false"),
    of("hw_machine_type", _R, "a guest sees the real machine"),
    of("hw_tpm_model hw_tpm_version", _R, "there is no TPM"),
    of("os_secure_boot", _R, "the Cloud Connector sets no secure IPL", "disabled optional"),
    of("hw_serial_port_count", _I, "a guest has one console"),
    of("hw_numa_nodes", _R, _NUMA, "1"),
    of("hw_numa_cpus hw_numa_mem", _R, _NUMA),
    *COMMON,
)
