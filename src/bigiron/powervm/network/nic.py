"""Client network adapters: one virtual Ethernet adapter for each port on a Shared Ethernet Adapter, and one for RMC."""

from __future__ import annotations

from pypowervm.wrappers.entry_wrapper import EntryWrapper
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.network import CNA

from bigiron import naming
from bigiron.errors import InvalidSpec, PlatformError, Unsupported
from bigiron.model import NicSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.network import macs, rmc
from bigiron.powervm.network.children import PartitionAdapters
from bigiron.powervm.network.vswitch import VirtualSwitches

SEA_SWITCH = "ETHERNET0"
MAX_TAGGED_VLANS = 20


class ClientAdapters(PartitionAdapters):
    """Creates, finds, deletes and announces the client network adapters of the system's LPARs, that for RMC among
    them."""

    wrapper = CNA
    what = "network adapter"

    def __init__(self, connection: Connection, switches: VirtualSwitches) -> None:
        super().__init__(connection)
        self._switches = switches

    def check(self, nic: NicSpec) -> None:
        """Raise Unsupported or InvalidSpec for an adapter that cannot be made; asks the platform nothing."""
        if nic.vif_type != naming.VIF_TYPE_PVM_SEA:
            raise Unsupported(
                f"Port {nic.id} has the interface type {nic.vif_type}; this host can make "
                f"{naming.VIF_TYPE_PVM_SEA}, {naming.VIF_TYPE_PVM_SRIOV} and {naming.VIF_TYPE_OVS}. Check that its "
                "network's mechanism driver runs for this host."
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
        allowed = nic.details.get(macs.ALLOWED, macs.ALL)
        return self.create_on(lpar_uuid, switch, nic.vlan, nic.mac, nic.tagged_vlans, allowed)

    def create_rmc(self, lpar_uuid: str, mac: str) -> str | None:
        """Create the adapter for RMC; None where it is not wanted or the system has no switch for it."""
        if not self._connection.options.use_rmc_mgmt_vif or self._switches.find(rmc.SWITCH) is None:
            return None
        return self.create_on(lpar_uuid, rmc.SWITCH, rmc.VLAN, mac)

    def create_on(
        self,
        lpar_uuid: str,
        switch: str,
        vlan: int,
        mac: str,
        tagged: tuple[int, ...] | None = None,
        allowed: str = macs.ALL,
    ) -> str:
        """Create an adapter on a VLAN of a switch, in one request; returns its href."""
        href = self._switches.get(switch)
        for number in (vlan, *(tagged or ())):
            self._switches.ensure_network(switch, number)
        wrapper = CNA.bld(self._adapter, vlan, href, mac_addr=mac, addl_tagged_vlans=tagged)
        # pypowervm knows the element's place and has no name for it.
        wrapper.set_parm_value(macs.ELEMENT, macs.to_wire(allowed))
        try:
            with translated(f"Creating the network adapter {mac} of partition {lpar_uuid}"):
                # CNA.create first reads the whole partition, to learn what is known here: that it is no VIOS.
                created = EntryWrapper.create(wrapper, parent_type=LPAR, parent_uuid=lpar_uuid)
        except PlatformError:
            self._switches.forget_networks()
            raise
        return str(created.related_href)
