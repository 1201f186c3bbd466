"""The network steps of a spawn: each port's adapter in the order of the ports, then the one for RMC."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bigiron.errors import PlatformError
from bigiron.hypervisor import Step, Values, nic_plugged
from bigiron.model import GuestSpec, NicSpec
from bigiron.powervm.keys import LPAR, RMC_NIC
from bigiron.powervm.network import rmc
from bigiron.powervm.network.nic import ClientAdapters

LOG = logging.getLogger(__name__)


class PlugNic(Step):
    """Creates a port's adapter and announces it to the network agent."""

    def __init__(self, adapters: ClientAdapters, guest: GuestSpec, index: int) -> None:
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


def network_steps(adapters: ClientAdapters, guest: GuestSpec) -> Sequence[Step]:
    """The steps that give a guest its adapters; the last provides RMC_NIC."""
    return [*(PlugNic(adapters, guest, index) for index in range(len(guest.nics))), PlugRmc(adapters, guest)]


def unplug(adapters: ClientAdapters, lpar_uuid: str, nic: NicSpec) -> None:
    """Delete the adapter and announce that; one that is gone is no error, nor is an announcement that fails."""
    href = adapters.delete(lpar_uuid, nic.mac)
    if href is None:
        return
    try:
        adapters.announce(href, nic, "unplug")
    except PlatformError as error:
        LOG.warning("The network agent could not be told that port %s is unplugged: %s", nic.id, error)
