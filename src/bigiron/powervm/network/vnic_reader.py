"""Reads the physical ports and the vNICs of a system for the network agent, which makes none."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.iocard import VNIC
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.managed_system import System

from bigiron.powervm.errors import translated
from bigiron.powervm.network.sriov import PhysicalPort, physical_ports
from bigiron.powervm.network.vif_events import mac_text

_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Vnic:
    """One vNIC: its partition's uuid (upper case), MAC, and VLAN, 0 where its frames are untagged."""

    partition: str
    mac: str
    vlan: int


class VnicReader:
    """What there is now; nothing is kept, for few comparisons are made."""

    def __init__(self, adapter: Adapter, system_uuid: str) -> None:
        self._adapter = adapter
        self._system_uuid = system_uuid

    def ports(self) -> tuple[PhysicalPort, ...]:
        """The ports of the adapters that are shared out, in one request."""
        with translated("Reading the SR-IOV adapters of the managed system"):
            return physical_ports(System.get(self._adapter, uuid=self._system_uuid))

    def of(self, partitions: Collection[str]) -> list[Vnic]:
        """The vNICs of those of the partitions (by uuid, upper case) that exist, in one request for each."""
        if not partitions:
            return []
        with ThreadPoolExecutor(min(_PARALLEL, len(partitions)), thread_name_prefix="vnics") as pool:
            return [vnic for found in pool.map(self._of, sorted(partitions)) for vnic in found]

    def _of(self, uuid: str) -> list[Vnic]:
        with translated(f"Reading the vNICs of partition {uuid}"):
            try:
                feed = VNIC.get(self._adapter, parent_type=LPAR, parent_uuid=uuid)
            except pvm.HttpNotFound:
                # The guest is not made yet, or gone.
                return []
        return [Vnic(uuid, mac_text(vnic.mac or ""), int(vnic.pvid or 0)) for vnic in feed]
