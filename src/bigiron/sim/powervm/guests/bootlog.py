"""What a Power partition prints: its firmware, GRUB, Linux, cloud-init and the login prompt, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bigiron.sim.kernel.configdrive import LABEL, ConfigDrive, fingerprint
from bigiron.sim.powervm.guests.hardware import Adapter, Hardware

KERNEL = "6.12.48+deb13-powerpc64le"


def banner(hardware: Hardware) -> str:
    """The firmware's screen while it looks for devices."""
    rows = [" ".join(["IBM"] * 19)] * 5
    menu = (
        "          1 = SMS Menu                          5 = Default Boot List\n"
        "          8 = Open Firmware Prompt              6 = Stored Boot List\n"
    )
    return "\n".join(
        [
            *rows,
            "",
            menu,
            "     memory      keyboard      network      scsi      ok",
            f"     {hardware.name}: {hardware.processors} virtual processor(s), {hardware.memory_mb} MB",
            "",
        ]
    )


def no_boot_device(hardware: Hardware) -> str:
    """The firmware's last word when the boot list holds nothing that it can start, or IBM i's without a load source."""
    if hardware.ibm_i:
        return (
            f"\n B2003110  Partition {hardware.lpar_id} ({hardware.name}) found no load source in virtual slot "
            f"{hardware.load_source}.\n"
        )
    disks = f"{len(hardware.disks)} disk(s), none at {hardware.boot_string}" if hardware.disks else "no disk"
    seen = f"{len(hardware.optical)} optical device(s), {len(hardware.adapters)} network adapter(s), {disks}"
    return (
        "\n AA060011  The firmware did not find an operating system image on any device of the boot list.\n"
        f"           Found: {seen}. Map a boot disk to the partition and activate it again.\n"
    )


def firmware_menu(hardware: Hardware) -> str:
    """Where a partition waits that was activated to its firmware instead of its operating system."""
    return (
        f"\n System Management Services of {hardware.name}\n\n"
        " Main Menu\n 1.  Set up remote boot\n 2.  Select console\n 3.  Select boot options\n\n"
        " Type a menu item number and press Enter: "
    )


def bootloader(hardware: Hardware) -> str:
    """The disk that is booted and GRUB's choice."""
    disk = hardware.boot_disk
    assert disk is not None
    served = f" of {disk.vios}" if disk.vios else ""
    return (
        "Elapsed time since release of system processors: 0 mins 2 secs\n\n"
        f"Boot device: {disk.path}\n"
        f"Boot disk: {disk.name}{served}\n"
        "Welcome to GRUB!\n\n"
        f"  Booting `Linux {KERNEL}'\n\n"
        "Loading Linux ...\nLoading initial ramdisk ...\n"
        "OF stdout device is: /vdevice/vty@30000000\n"
        "Preparing to boot Linux version " + KERNEL + "\nDetected machine type: 0000000000000101\n"
        "command line: root=/dev/sda2 ro console=hvc0\nCalling quiesce...\nreturning from prom_init\n"
    )


def kernel(hardware: Hardware) -> str:
    """Linux' own messages: processors, memory, virtual SCSI disks and virtual Ethernet adapters."""
    lines = [
        f"Linux version {KERNEL} (gcc-14, GNU ld) #1 SMP Debian 6.12.48-1",
        "radix-mmu: Initializing Radix MMU",
        f"Memory: {hardware.memory_mb * 1024 - 65536}K/{hardware.memory_mb * 1024}K available",
        f"smp: Brought up 1 node, {hardware.processors * 8} CPUs",
        "PCI: Probing PCI hardware",
        "vio_register_device_node: vty",
        *_scsi(hardware),
        *(_ethernet(adapter) for adapter in hardware.adapters),
        "EXT4-fs (sda2): mounted filesystem with ordered data mode",
        "systemd[1]: Detected architecture ppc64-le.",
        "systemd[1]: Detected virtualization powervm.",
    ]
    return "".join(f"[{0.0 if i == 0 else 0.18 * i + 0.003 * (i % 7):12.6f}] {line}\n" for i, line in enumerate(lines))


def cloud_init(hardware: Hardware, drive: ConfigDrive | None, trouble: str) -> str:
    """What cloud-init tells of the config drive it found, or that it found none."""
    prefix = "cloud-init[512]: "
    if drive is None:
        return f"{prefix}no config drive: {trouble}\n{prefix}Used fallback datasource DataSourceNone\n"
    note = "" if drive.label.lower() == LABEL else f" (its label is {drive.label}, not {LABEL})"
    meta = drive.meta_data
    lines = [
        "Cloud-init v. 25.1 running 'init'",
        f"Datasource DataSourceConfigDrive [net,ver=2][source=/dev/sr0]{note}",
        f"instance-id: {meta.get('uuid', 'missing')}",
        f"hostname: {drive.hostname}",
        *network_lines(drive.network_data, hardware.adapters),
        *(f"authorized key: {fingerprint(key)}" for key in drive.keys),
    ]
    if drive.user_data is not None:
        lines.append(f"user-data: {len(drive.user_data)} bytes, {_user_data_kind(drive.user_data)}")
    lines.append(f"finished at {hardware.name}. Datasource DataSourceConfigDrive")
    return "".join(f"{prefix}{line}\n" for line in lines)


def network_lines(network_data: dict[str, Any], adapters: Sequence[Adapter]) -> list[str]:
    """One line for each network of network_data.json: the device with its link's MAC, address, gateway.

    A link whose MAC no adapter has is told as such, as a guest whose adapter is missing would.
    """
    devices = {adapter.colon_mac: f"eth{number}" for number, adapter in enumerate(adapters)}
    links = {link.get("id"): link for link in network_data.get("links", [])}
    lines = []
    for network in network_data.get("networks", []):
        mac = str(links.get(network.get("link"), {}).get("ethernet_mac_address", "")).lower()
        device = devices.get(mac)
        if device is None:
            lines.append(f"network {network.get('id')}: no device has MAC {mac or 'unknown'}, not configured")
            continue
        address = network.get("ip_address") or str(network.get("type", "dhcp"))
        mask = f"/{network['netmask']}" if network.get("netmask") else ""
        lines.append(f"{device}: up, {mac}, {address}{mask}{_gateway(network)}")
    servers = [service["address"] for service in network_data.get("services", []) if service.get("type") == "dns"]
    if servers:
        lines.append("dns: " + " ".join(servers))
    return lines


def login(hostname: str) -> str:
    """The getty's prompt."""
    return f"\nDebian GNU/Linux 13 {hostname} hvc0\n\n{hostname} login: "


def shutdown(hostname: str) -> str:
    """systemd going down after the platform's request."""
    return (
        f"\n[  OK  ] Received a request of the platform (RMC) to shut down {hostname}.\n"
        "[  OK  ] Stopped target Multi-User System.\n"
        "[  OK  ] Stopped Network Service.\n"
        "[  OK  ] Unmounted /boot.\n"
        "[  OK  ] Reached target System Power Off.\n"
        "reboot: Power down\n"
    )


def ibm_i(hardware: Hardware) -> str:
    """An IBM i partition shows its IPL by codes; its console is a 5250, which this one stands in for."""
    disk = hardware.boot_disk
    assert disk is not None
    return (
        f"IBM i: IPL of partition {hardware.lpar_id} ({hardware.name})\n"
        f"C1004020  IPL in progress\nC2004031  Load source found: {disk.name} in slot {disk.slot}\n"
        "C6004065  Starting the operating system\n"
        "C9002A99  Start of the system is complete\n\nSign On\n  User  . . . . . . . . . . . . . .\n"
    )


def _scsi(hardware: Hardware) -> Iterable[str]:
    hosts = sorted({device.slot for device in hardware.storage})
    for number, slot in enumerate(hosts):
        yield f"ibmvscsi {0x30000000 | slot:x}: SRP_VERSION: 16.a"
        yield f"scsi host{number}: IBM POWER Virtual SCSI Adapter 1.5.9"
    for number, disk in enumerate(hardware.disks):
        yield (
            f"sd {hosts.index(disk.slot)}:0:{number + 1}:0: [sd{chr(ord('a') + number % 26)}] "
            f"{int(disk.gigabytes * 2**21)} 512-byte logical blocks"
        )
    for number, drive in enumerate(hardware.optical):
        yield f"sr {hosts.index(drive.slot)}:0:{len(hardware.disks) + number + 1}:0: [sr{number}] scsi-1 drive"


def _ethernet(adapter: Adapter) -> str:
    driver = "ibmvnic" if adapter.vnic else "ibmveth"
    return f"{driver} {0x30000000 | adapter.slot:x} eth: MAC {adapter.colon_mac}"


def _gateway(network: dict[str, Any]) -> str:
    default = next((route for route in network.get("routes", []) if route.get("netmask") in ("0.0.0.0", "::")), None)
    return f", gateway {default['gateway']}" if default else ""


def _user_data_kind(data: bytes) -> str:
    first = data.split(b"\n", 1)[0].decode("ascii", "replace").strip()
    return first if first.startswith("#") else "no known type"
