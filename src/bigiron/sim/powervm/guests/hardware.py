"""What a guest finds when it is powered on: values taken from the partition at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Adapter:
    """A virtual Ethernet adapter, or a vNIC, whose `switch` is the label of the physical port behind it.

    `slot` is its virtual slot, `rmc` tells that it is on the management switch.
    """

    mac: str
    slot: int
    vlan: int
    switch: str
    tagged: tuple[int, ...] = ()
    rmc: bool = False
    vnic: bool = False

    @property
    def colon_mac(self) -> str:
        """The MAC as operating systems write it."""
        digits = self.mac.replace(":", "").lower()
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


@dataclass(frozen=True, slots=True)
class Storage:
    """A virtual SCSI device: what it is called in its pool, and the VIOS that serves it.

    `media` is the ISO file in an optical drive, None for a disk and for an empty drive.
    """

    slot: int
    lua: str
    name: str
    kind: str = "PhysicalVolume"
    vios: str = ""
    gigabytes: float = 0.0
    media: Path | None = None
    optical: bool = False

    @property
    def path(self) -> str:
        """The device's path in Open Firmware."""
        address = self.lua.removeprefix("0x") or "8" + "0" * 15
        return f"/vdevice/v-scsi@{0x30000000 | self.slot:x}/disk@{address}"


@dataclass(frozen=True, slots=True)
class Hardware:
    """One partition as its firmware sees it; memory is in MB."""

    lpar_id: int
    uuid: str
    name: str
    memory_mb: int
    processors: int
    ibm_i: bool = False
    menu: bool = False
    """Whether it was told to stop in its firmware instead of booting."""
    boot_string: str = ""
    """The device paths that this start was told to boot from, divided by blanks."""
    load_source: int = 0
    """The virtual slot that an IBM i partition loads from."""
    adapters: tuple[Adapter, ...] = ()
    storage: tuple[Storage, ...] = ()

    @property
    def disks(self) -> tuple[Storage, ...]:
        """The devices it can boot from, in the order of its own boot list."""
        return tuple(device for device in self.storage if not device.optical)

    @property
    def boot_disk(self) -> Storage | None:
        """The disk that its firmware starts: the first there is of the boot string, or of its own list without one."""
        if self.ibm_i:
            return next((disk for disk in self.disks if disk.slot == self.load_source), None)
        if not self.boot_string:
            return self.disks[0] if self.disks else None
        paths = {disk.path: disk for disk in self.disks}
        return next((paths[path] for path in self.boot_string.split() if path in paths), None)

    @property
    def optical(self) -> tuple[Storage, ...]:
        """The optical devices."""
        return tuple(device for device in self.storage if device.optical)

    @property
    def has_rmc(self) -> bool:
        """Whether its operating system can talk to the platform."""
        return any(adapter.rmc for adapter in self.adapters)
