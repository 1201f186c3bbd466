"""Client network adapters: one virtual Ethernet adapter for each port on a Shared Ethernet Adapter, and one for RMC."""

from __future__ import annotations

import logging
from typing import Any

from pypowervm import exceptions as pvm_errors
from pypowervm.wrappers.entry_wrapper import EntryWrapper
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA

from bigiron import naming
from bigiron.errors import InvalidSpec, NotFound, Timeout, Unavailable, Unsupported
from bigiron.model import NicSpec
from bigiron.powervm import events
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.network import rmc
from bigiron.powervm.network.vif_events import Action, VifEvent, mac_text
from bigiron.powervm.network.vswitch import VirtualSwitches

LOG = logging.getLogger(__name__)

SEA_SWITCH = "ETHERNET0"
MAX_TAGGED_VLANS = 20


class ClientAdapters:
    """Creates, finds, deletes and announces the adapters of the system's LPARs."""

    def __init__(self, connection: Connection, switches: VirtualSwitches) -> None:
        self._connection = connection
        self._adapter = connection.adapter
        self._switches = switches

    def check(self, nic: NicSpec) -> None:
        """Raise Unsupported or InvalidSpec for an adapter that cannot be made; asks the platform nothing."""
        if nic.vif_type != naming.VIF_TYPE_PVM_SEA:
            raise Unsupported(
                f"Port {nic.id} has the interface type {nic.vif_type}; this host can make {naming.VIF_TYPE_PVM_SEA}. "
                "Check that its network's mechanism driver runs for this host."
            )
        if nic.vlan is None or not 1 <= nic.vlan <= 4094:
            raise InvalidSpec(f"Port {nic.id} has the VLAN {nic.vlan}; a Shared Ethernet Adapter needs one of 1..4094.")
        if len(nic.tagged_vlans or ()) > MAX_TAGGED_VLANS:
            raise InvalidSpec(
                f"Port {nic.id} is of a trunk with {len(nic.tagged_vlans or ())} subports; an adapter carries "
                f"{MAX_TAGGED_VLANS} tagged VLANs. Spread them over more trunks."
            )

    def create(self, lpar_uuid: str, nic: NicSpec) -> str:
        """Create the port's adapter, in one request; returns its href."""
        self.check(nic)
        assert nic.vlan is not None
        switch = nic.details.get("vswitch", SEA_SWITCH)
        return self._create(lpar_uuid, switch, nic.vlan, nic.mac, nic.tagged_vlans)

    def create_rmc(self, lpar_uuid: str, mac: str) -> str | None:
        """Create the adapter for RMC; None where it is not wanted or the system has no switch for it."""
        if not self._connection.options.use_rmc_mgmt_vif or self._switches.find(rmc.SWITCH) is None:
            return None
        return self._create(lpar_uuid, rmc.SWITCH, rmc.VLAN, mac)

    def macs(self, lpar_uuid: str) -> list[str]:
        """The MACs of the LPAR's adapters, that for RMC among them, in the order of their slots."""
        return [mac_text(one.mac or "") for one in sorted(self._all(lpar_uuid), key=lambda one: one.slot)]

    def find(self, lpar_uuid: str, nic: NicSpec) -> str | None:
        """The href of the LPAR's adapter with the port's MAC on the port's VLAN, None where there is none."""
        present = self._find(lpar_uuid, nic.mac)
        return str(present.related_href) if present is not None and present.pvid == nic.vlan else None

    def has(self, lpar_uuid: str, mac: str) -> bool:
        """Whether the LPAR has an adapter with that MAC, on whatever VLAN."""
        return self._find(lpar_uuid, mac) is not None

    def delete(self, lpar_uuid: str, mac: str) -> str | None:
        """Delete the LPAR's adapter with that MAC; returns the href it had, None where there was none."""
        present = self._find(lpar_uuid, mac)
        if present is None:
            return None
        href = str(present.related_href)
        try:
            with translated(f"Deleting the network adapter {mac} of partition {lpar_uuid}"):
                self._adapter.delete_by_href(href)
        except NotFound:
            LOG.debug("Network adapter %s of partition %s was gone already", mac, lpar_uuid)
        except (Timeout, Unavailable):
            # The answer may be all that was lost.
            if self._find(lpar_uuid, mac) is not None:
                raise
        return href

    def announce(self, href: str, nic: NicSpec, action: Action) -> None:
        """Tell the network agent of the adapter through the platform's event stream."""
        event = VifEvent(action, mac_text(nic.mac), nic.vif_type, nic.id, trunk=nic.tagged_vlans is not None)
        events.post_custom(self._adapter, href, event.detail())

    def _create(self, lpar_uuid: str, switch: str, vlan: int, mac: str, tagged: tuple[int, ...] | None = None) -> str:
        href = self._switches.get(switch)
        for number in (vlan, *(tagged or ())):
            self._switches.ensure_network(switch, number)
        wrapper = CNA.bld(self._adapter, vlan, href, mac_addr=mac, addl_tagged_vlans=tagged)
        with translated(f"Creating the network adapter {mac} of partition {lpar_uuid}"):
            # CNA.create first reads the whole partition, to learn what is known here: that it is no VIOS.
            created = EntryWrapper.create(wrapper, parent_type=LPAR, parent_uuid=lpar_uuid)
        return str(created.related_href)

    def _find(self, lpar_uuid: str, mac: str) -> Any | None:
        wanted = mac_text(mac)
        return next((adapter for adapter in self._all(lpar_uuid) if mac_text(adapter.mac or "") == wanted), None)

    def _all(self, lpar_uuid: str) -> list[Any]:
        with translated(f"Reading the network adapters of partition {lpar_uuid}"):
            try:
                return list(CNA.get(self._adapter, parent_type=LPAR, parent_uuid=lpar_uuid))
            except pvm_errors.HttpNotFound:
                return []
