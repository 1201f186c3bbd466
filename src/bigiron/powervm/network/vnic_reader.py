"""Reads the physical ports and the vNICs of a system for the network agent, which makes none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pypowervm import exceptions as pvm
from pypowervm.adapter import Adapter
from pypowervm.wrappers.iocard import VNIC
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.managed_system import System

from bigiron.powervm.errors import translated
from bigiron.powervm.events import RestEvent
from bigiron.powervm.network.kept import KeptByPartition
from bigiron.powervm.network.sriov import PhysicalPort, physical_ports
from bigiron.powervm.network.vif_events import mac_text


@dataclass(frozen=True, slots=True)
class Vnic:
    """One vNIC: its partition's uuid (upper case), MAC, and VLAN, 0 where its frames are untagged."""

    partition: str
    mac: str
    vlan: int


class VnicReader:
    """The ports as they are now, and the vNICs kept between readings."""

    def __init__(self, adapter: Adapter, system_uuid: str) -> None:
        self._adapter = adapter
        self._system_uuid = system_uuid
        self._kept = KeptByPartition(adapter, LPAR, self._of)

    def ports(self) -> tuple[PhysicalPort, ...]:
        """The ports of the adapters that are shared out, in one request."""
        with translated("Reading the SR-IOV adapters of the managed system"):
            return physical_ports(System.get(self._adapter, uuid=self._system_uuid))

    def of(self, partitions: Collection[str]) -> list[Vnic]:
        """The vNICs of those of the partitions (by uuid, upper case) that exist."""
        if not partitions:
            return []
        found = self._kept.of(self._kept.feed(), partitions)
        return [vnic for vnics in found.values() for vnic in vnics]

    def on_event(self, event: RestEvent) -> None:
        """Forget what somebody has changed."""
        self._kept.on_event(event)

    def _of(self, uuid: str) -> tuple[Vnic, ...]:
        with translated(f"Reading the vNICs of partition {uuid}"):
            try:
                feed = VNIC.get(self._adapter, parent_type=LPAR, parent_uuid=uuid)
            except pvm.HttpNotFound:
                # Deleted since the feed was read.
                return ()
        return tuple(Vnic(uuid, mac_text(vnic.mac or ""), int(vnic.pvid or 0)) for vnic in feed)
