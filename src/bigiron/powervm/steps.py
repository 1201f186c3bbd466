"""The steps of a spawn that are the partition's own: its creation and its first start."""

from __future__ import annotations

from bigiron.errors import Conflict, InvalidSpec, NoCapacity
from bigiron.hypervisor import NICS_READY, Step, Values
from bigiron.model import GuestOs, GuestSpec
from bigiron.powervm.guest import Guests
from bigiron.powervm.keys import LPAR, MAPPED, RMC_NIC, TAGGED
from bigiron.powervm.partition import Lpar
from bigiron.powervm.power import Power


class CreateLpar(Step):
    """Creates the partition, marked and entered in the ledger."""

    name = "create LPAR"
    provides = LPAR

    def __init__(self, guests: Guests, guest: GuestSpec) -> None:
        self._guests = guests
        self._guest = guest
        self._refused = False

    def execute(self, values: Values) -> Lpar:
        try:
            return self._guests.create(self._guest)
        except (Conflict, InvalidSpec, NoCapacity):
            # Nothing was made, and what is in the way under that address is not this spawn's.
            self._refused = True
            raise

    def revert(self, values: Values) -> None:
        if not self._refused:
            self._guests.discard(self._guest.uuid)


class StartGuest(Step):
    """Starts the partition, where the guest is to run, and closes its entry in the ledger."""

    name = "start guest"

    def __init__(self, guests: Guests, power: Power, guest: GuestSpec) -> None:
        self.needs = (LPAR, MAPPED, RMC_NIC, NICS_READY, *((TAGGED,) if guest.os is GuestOs.IBMI else ()))
        self._guests = guests
        self._power = power
        self._guest = guest

    def execute(self, values: Values) -> None:
        if self._guest.power_on:
            self._power.start(values[LPAR], known_off=True)
        self._guests.completed(self._guest.uuid)

    def revert(self, values: Values) -> None:
        if self._guest.power_on:
            self._power.stop(values[LPAR], known_on=True)
