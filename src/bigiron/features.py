"""One table of features: driver capabilities, the support matrix in the docs and the tempest flags come from it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Support(enum.Enum):
    """How far a platform goes with a feature."""

    YES = "yes"
    PARTIAL = "partial"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature under the key of Nova's support matrix, what each platform does, and why not where it does not.

    `capability` is the compute driver's flag; `tempest` the option of [compute-feature-enabled] and `tempest_network`
    that of [network-feature-enabled] that follow it.
    `note` is PowerVM's, and z/VM's too where that has none of its own and neither has all of the feature.
    """

    key: str
    title: str
    powervm: Support
    note: str = ""
    capability: str | None = None
    tempest: str | None = None
    tempest_network: str | None = None
    zvm: Support = Support.NO
    zvm_note: str = ""

    def support(self, platform: str) -> Support:
        """How far the platform goes with it."""
        return self.zvm if platform == "zvm" else self.powervm

    def why(self, platform: str) -> str:
        """What there is to know of it on the platform."""
        if platform != "zvm":
            return self.note
        return self.zvm_note or ("" if self.zvm is Support.YES else self.note)


_Y, _P, _N = Support.YES, Support.PARTIAL, Support.NO
_LATER = "not built yet"
_NO_COPY = "a Virtual I/O Server does not copy a volume to another one under a running partition"
_NO_GRAPHICS = "partitions have a text console and no graphics"
_DLPAR = "a running server needs an active RMC connection; a stopped one does not"

FEATURES: tuple[Feature, ...] = (
    Feature("operation.launch", "Launch instance", _Y, zvm=_Y),
    Feature("operation.terminate", "Shutdown instance", _Y, zvm=_Y),
    Feature("operation.get-guest-info", "Guest instance status", _Y, zvm=_Y),
    Feature("operation.get-host-uptime", "Guest host uptime", _Y, zvm=_Y, zvm_note="the time of the IPL"),
    Feature("operation.get-host-ip", "Guest host ip", _Y, zvm=_Y),
    Feature(
        "operation.get-diagnostics",
        "Server diagnostics",
        _P,
        "counters where the platform's monitor is on, not of single disks and processors; the driver is null, as Nova "
        "has no name for ours",
        zvm=_P,
        zvm_note="counters of processors, memory and adapters, as old as the Cloud Connector's ``cache_interval``",
    ),
    Feature(
        "storage.sharing-provider",
        "Shared storage as one provider of disk space",
        _P,
        "with ssp_sharing_provider; requests for an availability zone need the pool in it, those for a named host fail",
        zvm_note="a pool belongs to one z/VM system",
    ),
    Feature("operation.reboot", "Reboot instance", _Y, zvm=_Y),
    Feature(
        "storage.image",
        "Image storage support",
        _Y,
        "raw, and qcow2 where qemu-img is installed",
        "supports_image_type_raw",
        zvm=_Y,
        zvm_note="raw, in the format of the connector, with the property os_distro",
    ),
    Feature(
        "guest.setup.configdrive",
        "Config drive support",
        _Y,
        "ISO 9660",
        tempest="config_drive",
        zvm=_Y,
        zvm_note="ISO 9660; the network is configured by the activation engine and not on it",
    ),
    Feature(
        "operation.pause",
        "Stop instance CPUs (pause)",
        _N,
        "PowerVM has no operation that stops a partition's processors",
        tempest="pause",
        zvm=_Y,
    ),
    Feature(
        "operation.suspend",
        "Suspend instance",
        _N,
        "gone from current Power firmware",
        tempest="suspend",
        zvm_note="z/VM does not keep the state of a guest that is logged off",
    ),
    Feature("operation.unpause", "Resume instance CPUs (unpause)", _N, "no server is ever paused", zvm=_Y),
    Feature(
        "operation.resume",
        "Restore instance",
        _N,
        "no server is ever suspended",
        zvm_note="no server is ever suspended",
    ),
    Feature(
        "operation.trigger-crash-dump",
        "Trigger crash dump",
        _Y,
        "the guest restarts when it is written",
        zvm_note="the Cloud Connector cannot have a guest dumped",
    ),
    Feature(
        "operation.rebuild", "Rebuild instance", _Y, "what cannot be made is refused before the old guest goes", zvm=_Y
    ),
    Feature(
        "operation.resize",
        "Resize instance",
        _P,
        "on the same host; a disk only grows, and stays larger after a revert; ephemeral disks and swap come and go",
        tempest="resize",
        zvm=_P,
        zvm_note="on the same host, live where it only grows; a minidisk does not grow; before Cloud Connector 1.6.6 a "
        "server keeps the processors that it was made with",
    ),
    Feature(
        "operation.rescue",
        "Rescue instance",
        _Y,
        "beside the server's own disks, without a menu; not of servers that boot from a volume, and not of IBM i",
        tempest="rescue",
        zvm_note="the Cloud Connector cannot start a guest from another disk",
    ),
    Feature(
        "operation.snapshot",
        "Save snapshot of instance disk",
        _Y,
        "raw, of running and stopped servers; nova-compute runs in the management partition",
        tempest="snapshot",
        zvm=_Y,
        zvm_note="the root disk; a running server is shut down for it and started again",
    ),
    Feature(
        "operation.shelve", "Shelve instance", _Y, "by a snapshot", tempest="shelve", zvm=_Y, zvm_note="by a snapshot"
    ),
    Feature("operation.cold-migrate", "Cold migrate instance", _N, _LATER, tempest="cold_migration"),
    Feature("operation.live-migrate", "Live migrate instance across hosts", _N, _LATER, tempest="live_migration"),
    Feature("operation.force-live-migration-to-complete", "Force live migration to complete", _N, _LATER),
    Feature("operation.abort-in-progress-live-migration", "Abort a queued or running live migration", _N, _LATER),
    Feature(
        "operation.attach-interface",
        "Attach virtual network interface to instance",
        _Y,
        _DLPAR,
        "supports_attach_interface",
        "interface_attach",
        zvm=_P,
        zvm_note="a running server must answer the connector, and has the port's MAC from its next start on",
    ),
    Feature(
        "operation.detach-interface",
        "Detach virtual network interface from instance",
        _Y,
        _DLPAR,
        zvm=_Y,
        zvm_note="a running server must answer the connector",
    ),
    Feature(
        "operation.device-tags",
        "Device tags",
        _P,
        "network adapters, by their MAC address; a tagged disk is refused: Nova's device metadata has no bus for "
        "Power's virtual adapters (vio), so a guest could not find it",
        "supports_device_tagging",
        zvm_note="Nova's device metadata has no bus for channel devices (CCW)",
    ),
    Feature(
        "operation.attach-tagged-interface",
        "Attach tagged virtual network interface to instance",
        _Y,
        "by its MAC address",
        "supports_tagged_attach_interface",
        zvm_note="as for device tags",
    ),
    Feature("operation.attach-volume", "Attach block volume to instance", _N, _LATER),
    Feature("operation.detach-volume", "Detach block volume from instance", _N, _LATER),
    Feature(
        "operation.attach-tagged-volume",
        "Attach tagged block device to instance",
        _N,
        "as for device tags",
        "supports_tagged_attach_volume",
        zvm_note="as for device tags",
    ),
    Feature("operation.extend-volume", "Extend block volume", _N, _LATER, "supports_extend_volume"),
    Feature(
        "operation.multiattach-volume",
        "Attach block volume to multiple instances",
        _N,
        _LATER,
        "supports_multiattach",
        "volume_multiattach",
    ),
    Feature("operation.swap-volume", "Swap block volumes", _N, _NO_COPY, tempest="swap_volume", zvm_note=_LATER),
    Feature(
        "operation.encrypted-volume",
        "Attach encrypted block volume to server",
        _N,
        "a Virtual I/O Server passes a volume on as it is; storage systems encrypt below it",
        tempest="attach_encrypted_volume",
        zvm_note="a guest sees the storage system itself, which encrypts",
    ),
    Feature("operation.rebuild-volume-backed", "Rebuild volume backed instance", _N, _LATER),
    Feature("storage.block", "Block storage support", _N, _LATER),
    Feature("storage.block.backend.fibrechannel", "Block storage over fibre channel", _N, _LATER),
    Feature(
        "storage.block.backend.iscsi",
        "Block storage over iSCSI",
        _N,
        _LATER,
        zvm_note="z/VM guests reach storage over fibre channel",
    ),
    Feature(
        "storage.block.backend.iscsi.auth.chap",
        "CHAP authentication for iSCSI",
        _N,
        _LATER,
        zvm_note="z/VM guests reach storage over fibre channel",
    ),
    Feature("operation.evacuate", "Evacuate instances from a host", _N, _LATER, "supports_evacuate"),
    Feature(
        "operation.cache-images",
        "Cache base images for faster boot",
        _Y,
        "in the pool or volume group; unused images go after remove_unused_original_minimum_age_seconds",
        "has_imagecache",
        zvm=_Y,
        zvm_note="in the Cloud Connector; unused images go after remove_unused_original_minimum_age_seconds",
    ),
    Feature(
        "console.serial.log",
        "View serial console logs",
        _Y,
        "recorded where nova-compute runs on the management partition, but not while the console is shown by VNC",
        tempest="console_output",
        zvm=_Y,
        zvm_note="what the guest has spooled; its profile must spool the console",
    ),
    Feature(
        "console.serial.interactive",
        "Remote interactive serial console",
        _Y,
        "shared with the recorder; not while the console is shown by VNC",
        tempest="serial_console",
        zvm_note="the Cloud Connector passes no console on",
    ),
    Feature(
        "console.vnc",
        "Remote desktop over VNC",
        _Y,
        "the text console, where nova-compute runs on the management partition",
        tempest="vnc_console",
        zvm_note="guests have a text console, and the Cloud Connector passes none on",
    ),
    Feature(
        "console.spice",
        "Remote desktop over SPICE",
        _N,
        _NO_GRAPHICS,
        tempest="spice_console",
        zvm_note="guests have a text console and no graphics",
    ),
    Feature(
        "console.rdp",
        "Remote desktop over RDP",
        _N,
        _NO_GRAPHICS,
        zvm_note="guests have a text console and no graphics",
    ),
    Feature(
        "operation.maintenance-mode",
        "Set the host in a maintenance mode",
        _N,
        "answered with 501; ``openstack compute service set --disable`` keeps new servers away",
    ),
    Feature(
        "operation.set-admin-password",
        "Set instance admin password",
        _N,
        "no agent in the guest to ask; the config drive brings the password of a new server",
        tempest="change_password",
    ),
    Feature("operation.quiesce", "quiesce", _N, "no agent in the guest to ask"),
    Feature("operation.unquiesce", "unquiesce", _N, "no agent in the guest to ask"),
    Feature(
        "guest.setup.inject.file",
        "Inject files into disk image",
        _P,
        "Files of a request (API before 2.57) come on the config drive; the disk's content is not touched",
        tempest="personality",
        zvm=_P,
    ),
    Feature(
        "guest.setup.inject.networking",
        "Inject guest networking config",
        _N,
        "the config drive brings it; the disk's content is not touched",
        zvm=_Y,
        zvm_note="by the activation engine of the image, from the first IPv4 address of each port",
    ),
    Feature(
        "guest.disk.autoconfig", "Auto configure disk", _N, "the guest grows its file system itself, as cloud-init does"
    ),
    Feature(
        "guest.disk.rate-limit",
        "Instance disk I/O limits",
        _N,
        "PowerVM has none for a virtual SCSI disk",
        zvm_note="the Cloud Connector sets none",
    ),
    Feature(
        "operation.uefi-boot", "uefi boot", _N, "a partition's firmware is Open Firmware", zvm_note="a guest is IPLed"
    ),
    Feature(
        "operation.boot-stateless-firmware",
        "Boot instance with stateless firmware",
        _N,
        "a matter of UEFI only",
        "supports_stateless_firmware",
    ),
    Feature(
        "operation.boot-emulated-tpm",
        "Boot instance with an emulated trusted platform module (TPM)",
        _N,
        "a partition's virtual TPM cannot be set through the REST client (pypowervm)",
        "supports_vtpm",
        zvm_note="a guest has no TPM",
    ),
    Feature(
        "operation.boot-encrypted-vm",
        "Boot instance with secure encrypted memory",
        _N,
        "POWER10 and later encrypt all memory, not that of one server",
        zvm_note="the Cloud Connector starts no guest in secure execution",
    ),
    Feature("operation.file-backed-memory", "File backed memory", _N, "memory is the hypervisor's, not a file"),
    Feature(
        "operation.trusted-certs", "Validate image with trusted certificates", _N, _LATER, "supports_trusted_certs"
    ),
    Feature(
        "operation.report-cpu-traits",
        "Report CPU traits",
        _P,
        "the compatibility modes, as ``CUSTOM_POWERVM_...`` traits, and OpenStack's for POWER8 and POWER9",
        zvm_note="the Cloud Connector tells no facilities of the processors",
    ),
    Feature(
        "operation.port-with-resource-request",
        "SR-IOV ports with resource request",
        _Y,
        "minimum bandwidth of direct ports, as the capacity of their vNICs; what a guest receives is only counted",
        zvm_note="adapters are virtual",
    ),
    Feature(
        "networking.sriov",
        "Direct ports on SR-IOV adapters",
        _Y,
        "vNICs, with several logical ports where redundancy is wanted",
        zvm_note="the Cloud Connector gives no physical network functions",
    ),
    Feature(
        "networking.ipv6",
        "IPv6 addresses",
        _Y,
        "by the config drive, one subnet of each port",
        tempest_network="ipv6",
        zvm_note="the activation engine is told of IPv4 only",
    ),
    Feature(
        "networking.ipv6-modes",
        "IPv6 address modes (SLAAC, DHCPv6)",
        _Y,
        "the config drive says which; routers and DHCP servers on the network are as elsewhere",
        tempest_network="ipv6_subnet_attributes",
        zvm_note="the activation engine is told of IPv4 only",
    ),
    Feature(
        "networking.security-groups",
        "Security groups",
        _P,
        "on Open vSwitch; neither Shared Ethernet Adapters nor SR-IOV ports filter, and they say so (``port_filter``)",
        zvm_note="virtual switches do not filter",
    ),
    Feature(
        "networking.port-security",
        "Port security and allowed address pairs",
        _P,
        "MAC addresses, four beside the port's own; not IP addresses; of a running server not before it is stopped",
        tempest_network="port_security",
        zvm_note="a virtual switch checks no addresses",
    ),
    Feature(
        "networking.admin-state",
        "Ports switched off",
        _N,
        "a disabled port is reported down, and its adapter goes on to carry traffic: the platform has no such switch",
        tempest_network="port_admin_state_change",
        zvm=_Y,
        zvm_note="its adapter is uncoupled from the virtual switch",
    ),
    Feature(
        "networking.flat",
        "Flat networks",
        _P,
        "direct ports on SR-IOV adapters only: a Shared Ethernet Adapter tells networks apart by their tag",
        zvm=_Y,
        zvm_note="where the virtual switch knows no VLANs or has a default one",
    ),
    Feature("networking.vlan", "VLAN networks", _Y, zvm=_Y, zvm_note="on VLAN-aware virtual switches"),
    Feature(
        "networking.trunk",
        "Trunk ports",
        _P,
        "on Shared Ethernet Adapters, whose tags are those of the networks",
        zvm_note="an adapter carries one VLAN",
    ),
    Feature(
        "networking.openvswitch",
        "Ports on Open vSwitch",
        _P,
        "on the management partition (NovaLink), with Neutron's own agent; no hybrid plug, and no trunks",
        zvm_note="z/VM has switches of its own",
    ),
    Feature(
        "telemetry.meters",
        "Meters of servers in Ceilometer",
        _Y,
        "by the polling namespace ``powervm``; of storage adapters, not of single disks",
        zvm=_P,
        zvm_note="by the polling namespace ``zvm``; of disks only their sizes: nobody counts what goes through them",
    ),
)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Tests of Tempest that are not run though a feature is supported: a regular expression over names, and why.

    They are left out on `platforms`.
    """

    pattern: str
    reason: str
    platforms: tuple[str, ...] = ("powervm", "zvm")


_NO_L3_AGENT = "They wait until a router's interface is up, which takes an L3 agent, and the lab has none"

EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(
        r"tempest\.api\.compute\.volumes\.",
        "Volumes are not supported yet, and the lab has no volume back end",
    ),
    Exclusion(
        r"tempest\.api\.compute\.admin\.test_server_diagnostics\.ServerDiagnosticsV248Test\.",
        "Tempest takes no driver but the five that Nova has names for, and we do not pass for one of them",
    ),
    Exclusion(
        r"neutron_tempest_plugin\.api\.admin\.test_ports\.PortTestCasesResourceRequest\.",
        "They guarantee bandwidth to ports of vnic_type normal, and on PowerVM those of vnic_type direct can have it",
    ),
    Exclusion(
        r"tempest\.api\.network\.test_routers\.Routers(IpV6)?Test\.test_"
        r"(add_remove_router_interface_with_subnet_id|update_delete_extra_route|"
        r"add_multiple_router_interfaces|router_interface_port_update_with_fixed_ip)",
        _NO_L3_AGENT,
    ),
    Exclusion(
        r"tempest\.api\.network\.test_routers_negative\.RoutersNegative(IpV6)?Test\.test_"
        r"(add_router_interfaces_on_overlapping_subnets_returns_400|router_remove_interface_in_use_returns_409)",
        _NO_L3_AGENT,
    ),
)


def exclusions(platform: str = "powervm") -> tuple[Exclusion, ...]:
    """The tests that are left out on a platform."""
    return tuple(each for each in EXCLUSIONS if platform in each.platforms)


def named(key: str) -> Feature:
    """The feature with this key."""
    return next(feature for feature in FEATURES if feature.key == key)


def capabilities(platform: str = "powervm") -> dict[str, bool]:
    """A compute driver's flags that this table decides."""
    return {f.capability: f.support(platform) is not Support.NO for f in FEATURES if f.capability}


def tempest_network_flags(platform: str = "powervm") -> dict[str, bool]:
    """The options of tempest's [network-feature-enabled] that this table decides."""
    return {f.tempest_network: f.support(platform) is not Support.NO for f in FEATURES if f.tempest_network}


def tempest_flags(platform: str = "powervm") -> dict[str, bool]:
    """The options of tempest's [compute-feature-enabled] that this table decides."""
    return {f.tempest: f.support(platform) is not Support.NO for f in FEATURES if f.tempest}
