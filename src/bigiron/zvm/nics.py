"""Network adapters of guests: made with the configuration that the guest's own activation engine carries out.

Nothing here couples them to a virtual switch: that is the network agent's alone, which finds a port's id in the
connector's list beside its adapter. The adapters of one guest are made one after the other. The adapter's MAC
is z/VM's prefix and the last three bytes of the port's: Neutron's base_mac must have that prefix. An adapter that is
added to a running guest gets another MAC from CP until the guest is logged on again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bigiron.errors import Conflict, InvalidSpec, NotFound, PlatformError, Unsupported
from bigiron.model import NicSpec, PowerState
from bigiron.naming import VIF_TYPE_ZVM
from bigiron.zvm.api import Api
from bigiron.zvm.directory import vdev
from bigiron.zvm.guests import Guest
from bigiron.zvm.power import Power

LOG = logging.getLogger(__name__)


class Nics:
    """The adapters of this host's guests."""

    def __init__(self, api: Api, power: Power, announce: Callable[[Sequence[str]], None]) -> None:
        """`announce` tells the network agent of ports whose adapters were made."""
        self._api = api
        self._power = power
        self._announce = announce
        self._read: frozenset[tuple[str, str]] = frozenset()

    def read(self) -> None:
        """Read once which guests have adapters for which ports: Nova asks for each as it starts."""
        rows = self._api.all_nics()
        self._read = frozenset((str(row["userid"]).upper(), str(row.get("port") or "")) for row in rows)

    def was_there(self, guest: Guest, nic: NicSpec) -> bool:
        """Whether the port had its adapter when they were read."""
        return (guest.userid, nic.id) in self._read

    def make(self, guest: Guest, nics: Iterable[NicSpec], active: bool = False) -> None:
        """Make adapters, in this order, and have the guest configure them at its next start, or now with `active`."""
        networks = [_network(nic) for nic in nics]
        ports = [network["nic_id"] for network in networks]
        what = f"Making adapters of guest {guest.name} for ports {', '.join(ports)}"

        def undo() -> None:
            for row in self._api.nics(guest.userid):
                if row.get("port") in ports:
                    self._api.delete_nic(guest.userid, vdev(str(row["interface"])), active, f"{what} again")

        self._api.add_interfaces(
            guest.userid, self._distro(guest), networks, active, what, undo if len(networks) > 1 else None
        )
        self._announce(ports)

    def attach(self, guest: Guest, nic: NicSpec) -> None:
        """Give a guest one more adapter, running or not; undone if the guest cannot configure it."""
        power = self._changeable(guest)
        if self._find(guest, nic) is not None:
            raise Conflict(f"Guest {guest.name} has an adapter for port {nic.id} already.")
        active = power is PowerState.RUNNING
        try:
            self.make(guest, [nic], active)
        except PlatformError:
            self._undo(guest, nic, active)
            raise

    def _undo(self, guest: Guest, nic: NicSpec, active: bool) -> None:
        try:
            number = self._find(guest, nic)
            if number is not None:
                what = f"Taking the adapter of port {nic.id} from guest {guest.name} again"
                self._api.delete_nic(guest.userid, number, active, what)
        except PlatformError as error:
            LOG.warning("an adapter that was not attached stays: %s", error)

    def detach(self, guest: Guest, nic: NicSpec) -> None:
        """Take a port's adapter from a guest, running or not; one that is gone already is no error."""
        power = self._changeable(guest)
        number = self._find(guest, nic)
        if number is None:
            return
        what = f"Taking the adapter of port {nic.id} from guest {guest.name}"
        try:
            self._api.delete_interface(guest.userid, self._distro(guest), number, power is PowerState.RUNNING, what)
        except PlatformError as error:
            if self._find(guest, nic) is not None:
                raise
            # The adapter goes first and the guest is told then, which one that does not listen cannot be.
            LOG.warning("guest %s keeps the configuration of an adapter that is gone: %s", guest.name, error)

    def plug(self, guest: Guest, nic: NicSpec) -> None:
        """Make the adapter if it is not there."""
        if self._find(guest, nic) is None:
            self.make(guest, [nic], self._power.state(guest) is PowerState.RUNNING)

    def unplug(self, guest: Guest, nic: NicSpec) -> None:
        """Take the adapter away without telling the guest; one that is gone already is no error."""
        number = self._find(guest, nic)
        if number is not None:
            active = self._power.state(guest) is not PowerState.STOPPED
            what = f"Taking the adapter of port {nic.id} from guest {guest.name}"
            self._api.delete_nic(guest.userid, number, active, what)

    def _changeable(self, guest: Guest) -> PowerState:
        power = self._power.state(guest)
        if power not in (PowerState.RUNNING, PowerState.STOPPED):
            raise Conflict(f"Guest {guest.name} is {power.value}: unpause or stop it to change its network adapters.")
        return power

    def _find(self, guest: Guest, nic: NicSpec) -> str | None:
        """The device number of a port's adapter, if it has one."""
        rows = self._api.nics(guest.userid)
        return next((vdev(str(row["interface"])) for row in rows if row.get("port") == nic.id), None)

    def _distro(self, guest: Guest) -> str:
        """The guest's distribution, by which the connector writes its network files."""
        if guest.distro:
            return guest.distro
        try:
            found = str(self._api.info(guest.userid).get("os_distro") or "")
        except (NotFound, Unsupported) as error:
            raise Unsupported(f"Which system guest {guest.name} runs is not known: {error.message}") from error
        if not found:
            raise Unsupported(f"Which system guest {guest.name} runs is not known, as it does not answer. Start it.")
        return found


def _network(nic: NicSpec) -> dict[str, Any]:
    """An adapter in the connector's words; one without an IPv4 address is made, and left to the guest."""
    network: dict[str, Any] = {"nic_id": nic.id, "mac_addr": nic.mac}
    if nic.mtu:
        network["mtu"] = nic.mtu
    if nic.fixed is not None:
        network |= {"ip_addr": nic.fixed.address, "cidr": nic.fixed.cidr}
        if nic.fixed.gateway:
            network["gateway_addr"] = nic.fixed.gateway
        if nic.fixed.dns:
            network["dns_addr"] = list(nic.fixed.dns)
    return network


def check(nic: NicSpec) -> None:
    """Raise InvalidSpec for a port that a guest here cannot have."""
    if nic.vif_type != VIF_TYPE_ZVM:
        raise InvalidSpec(
            f"Port {nic.id} has the interface type {nic.vif_type}, and adapters on z/VM are of type {VIF_TYPE_ZVM}: "
            "see that Neutron's mechanism driver for z/VM binds the port."
        )
    if nic.tagged_vlans:
        raise InvalidSpec(f"Port {nic.id} is a trunk, and a guest's adapter carries one VLAN on z/VM.")
