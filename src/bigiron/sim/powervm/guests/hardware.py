"""What a guest finds when it is powered on: values taken from the partition at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Adapter:
    """A virtual Ethernet adapter. `slot` is its virtual slot, `rmc` tells that it is on the management switch."""

    mac: str
    slot: int
    vlan: int
    switch: str
    tagged: tuple[int, ...] = ()
    rmc: bool = False

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
    adapters: tuple[Adapter, ...] = ()
    storage: tuple[Storage, ...] = ()

    @property
    def disks(self) -> tuple[Storage, ...]:
        """The devices it can boot from."""
        return tuple(device for device in self.storage if not device.optical)

    @property
    def optical(self) -> tuple[Storage, ...]:
        """The optical devices."""
        return tuple(device for device in self.storage if device.optical)

    @property
    def has_rmc(self) -> bool:
        """Whether its operating system can talk to the platform."""
        return any(adapter.rmc for adapter in self.adapters)
