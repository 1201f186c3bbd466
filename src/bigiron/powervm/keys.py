"""What the steps of a PowerVM operation hand to each other."""

from __future__ import annotations

from bigiron.hypervisor import Key
from bigiron.powervm.disk.driver import Disk
from bigiron.powervm.mapping import Backing
from bigiron.powervm.media import Medium
from bigiron.powervm.partition import Lpar

LPAR: Key[Lpar] = Key("lpar")
"""The partition exists."""

IMAGE: Key[Backing] = Key("image")
"""The root disk's image is in the pool's cache."""

OPTICAL: Key[Medium] = Key("optical")
"""The config drive is an optical medium of a VIOS."""

TAGGED: Key[None] = Key("tagged")
"""An IBM i partition knows what it loads from."""

MAPPED: Key[None] = Key("mapped")
"""All storage is presented to the partition."""

RMC_NIC: Key[None] = Key("rmc_nic")
"""The management adapter exists, where one is wanted."""

STOPPED: Key[None] = Key("stopped")
"""The guest does not run."""

BOOT: Key[str] = Key("boot")
"""The storage is as the next start needs it, and this is what that start boots from."""

STARTED: Key[None] = Key("started")
"""The guest runs again."""

RESHAPED: Key[None] = Key("reshaped")
"""The partition has the flavor's shape."""

GROWN: Key[None] = Key("grown")
"""The disks that were too small have the flavor's size."""

ADDED: Key[None] = Key("added")
"""The disks that the flavor has more are presented to the partition."""

DROPPED: Key[None] = Key("dropped")
"""The disks that the flavor has no more are not presented to the partition."""


def disk_key(index: int) -> Key[Disk]:
    """The guest's disk of that index exists."""
    return Key(f"disk:{index}")
