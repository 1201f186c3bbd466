"""The steps that stop a guest for a change and start it again."""

from __future__ import annotations

from bigiron.hypervisor import Key, Step, Values
from bigiron.powervm.keys import STARTED, STOPPED
from bigiron.powervm.partition import Lpar
from bigiron.powervm.power import Power


class Stop(Step):
    """Stops the guest where it runs; undone, it runs again from what it ran from."""

    name = "stop guest"
    provides = STOPPED

    def __init__(
        self, power: Power, lpar: Lpar, timeout_s: int = 0, boot: str = "", rmc_state: str | None = None
    ) -> None:
        """`boot` is the boot string that the guest was started with; with `rmc_state` it was just seen running."""
        self._power = power
        self._lpar = lpar
        self._timeout_s = timeout_s
        self._boot = boot
        self._rmc_state = rmc_state
        self._ran = rmc_state is not None

    def execute(self, values: Values) -> None:
        known_on = self._ran
        self._ran = known_on or self._power.is_on(self._lpar)
        if self._ran:
            self._power.stop(self._lpar, self._timeout_s, known_on=known_on, rmc_state=self._rmc_state)

    def revert(self, values: Values) -> None:
        if self._ran:
            # A stop may have taken effect and nobody told: what runs already is no error.
            self._power.start(self._lpar, known_off=True, boot=self._boot)


class Start(Step):
    """Starts the guest, from what the step before says where there is one that does."""

    name = "start guest"
    provides = STARTED

    def __init__(self, power: Power, lpar: Lpar, boot: Key[str] | None = None) -> None:
        self.needs = () if boot is None else (boot,)
        self._power = power
        self._lpar = lpar
        self._boot = boot

    def execute(self, values: Values) -> None:
        boot = "" if self._boot is None else values[self._boot]
        self._power.start(self._lpar, known_off=True, boot=boot)

    def revert(self, values: Values) -> None:
        self._power.stop(self._lpar, known_on=True)
