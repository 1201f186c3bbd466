"""The network steps of a spawn: each port's adapter in the order of the ports, then the one for RMC."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bigiron.errors import PlatformError
from bigiron.hypervisor import Step, Values, nic_plugged
from bigiron.model import GuestSpec, NicSpec
from bigiron.powervm.keys import LPAR, RMC_NIC
from bigiron.powervm.network import rmc
from bigiron.powervm.network.children import NicMaker
from bigiron.powervm.network.nic import ClientAdapters

LOG = logging.getLogger(__name__)


class PlugNic(Step):
    """Creates a port's adapter and announces it to the network agent."""

    def __init__(self, adapters: NicMaker, guest: GuestSpec, index: int) -> None:
        self._nic = guest.nics[index]
        self.name = f"plug port {self._nic.id}"
        # One after the other: the platform gives each the next slot, and slots are the order that the guest sees.
        self.needs = (LPAR, *((nic_plugged(guest.nics[index - 1]),) if index else ()))
        self.provides = nic_plugged(self._nic)
        self._adapters = adapters

    def execute(self, values: Values) -> None:
        href = self._adapters.create(values[LPAR].uuid, self._nic)
        self._adapters.announce(href, self._nic, "plug")

    def revert(self, values: Values) -> None:
        unplug(self._adapters, values[LPAR].uuid, self._nic)


class PlugRmc(Step):
    """Creates the management adapter, where it is wanted."""

    name = "plug the RMC adapter"
    provides = RMC_NIC

    def __init__(self, adapters: ClientAdapters, guest: GuestSpec) -> None:
        self.needs = (LPAR, *(nic_plugged(nic) for nic in guest.nics[-1:]))
        self._adapters = adapters
        self._mac = rmc.mac(guest.uuid)

    def execute(self, values: Values) -> None:
        self._adapters.create_rmc(values[LPAR].uuid, self._mac)

    def revert(self, values: Values) -> None:
        self._adapters.delete(values[LPAR].uuid, self._mac)


def network_steps(
    adapters: ClientAdapters, guest: GuestSpec, maker: Callable[[NicSpec], NicMaker] | None = None
) -> Sequence[Step]:
    """The steps that give a guest its adapters, each port's made by what `maker` names; the last provides RMC_NIC."""
    plugs = [PlugNic(maker(nic) if maker else adapters, guest, index) for index, nic in enumerate(guest.nics)]
    return [*plugs, PlugRmc(adapters, guest)]


def unplug(adapters: NicMaker, lpar_uuid: str, nic: NicSpec) -> None:
    """Delete the adapter and announce that; one that is gone is no error, nor is an announcement that fails."""
    href = adapters.delete(lpar_uuid, nic.mac)
    if href is not None:
        announce_gone(adapters, href, nic)


def announce_gone(adapters: NicMaker, href: str, nic: NicSpec) -> None:
    """Tell the network agent that the port's adapter is gone; what it does not hear it finds when it compares."""
    try:
        adapters.announce(href, nic, "unplug")
    except PlatformError as error:
        LOG.warning("The network agent could not be told that port %s is unplugged: %s", nic.id, error)
