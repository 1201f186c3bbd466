"""The work loop of the z/VM agent: z/VM reports nothing, so it looks; often only while an adapter is to come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bigiron.plugins.neutron.kinds import ZVM
from bigiron.plugins.neutron.passes import Heal, PassLoop
from bigiron.plugins.neutron.ports import Place, Port

IDLE = 30
"""How many times as long the pause between two looks is while nothing is expected."""


class Look:
    """Look for adapters that have come or gone."""


class Reconciles(Protocol):
    """The work itself: see zvm_reconcile.CouplingReconciler."""

    @property
    def devices(self) -> int: ...
    @property
    def awaits(self) -> bool: ...
    def look(self) -> bool: ...
    def heal(self) -> bool: ...
    def plugged(self, port_id: str) -> Port | None: ...
    def expect(self, port_id: str, place: Place | None) -> None: ...
    def forget(self, port_id: str) -> None: ...
    def changed(self) -> None: ...


class LookLoop(PassLoop[Look]):
    """Feeds the reconciler; `run` works until `stop`, everything else may be called from any thread."""

    what = "looking for new adapters"

    def __init__(
        self,
        reconciler: Reconciles,
        host: str,
        polling_interval: float,
        heal_interval: float,
        exception_interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(ZVM, host, heal_interval, exception_interval, clock)
        self._reconciler = reconciler
        self._polling_interval = polling_interval
        self._looked = clock()

    @property
    def devices(self) -> int:
        """How many ports have an adapter here, as far as known."""
        return self._reconciler.devices

    def _work(self, items: list[Look]) -> bool:
        try:
            return self._reconciler.look()
        finally:
            self._looked = self._clock()

    def _compare(self) -> bool:
        try:
            return self._reconciler.heal()
        finally:
            self._looked = self._clock()

    def _due(self) -> tuple[float, Look | Heal]:
        pause = self._polling_interval * (1 if self._reconciler.awaits else IDLE)
        heal = super()._due()
        look = (self._looked + pause, Look())
        return look if look[0] < heal[0] else heal

    def adapters_made(self, ports: Sequence[str]) -> None:
        """nova-compute has made the adapters of these ports."""
        self._queue.put(Look())

    # What Neutron tells

    def port_changed(
        self, port_id: str, host: str | None, physical_network: str, vlan: int, enabled: bool, active: bool
    ) -> None:
        """Neutron has changed a port: of interest if its adapter is here and it now differs, or if it is to come."""
        here = host == self._host
        known = self._reconciler.plugged(port_id)
        place = Place(physical_network, vlan)
        self._reconciler.expect(port_id, place if here and enabled else None)
        if known is None:
            if here and enabled:
                # Its adapter may be there already; if not, the pauses are short from now on.
                self._queue.put(Look())
        elif not here:
            self._left(port_id)
        elif (known.physical_network, known.vlan, known.enabled) != (physical_network, vlan, enabled) or (
            enabled and not active
        ):
            self._changed()

    def port_gone(self, port_id: str) -> None:
        """The port was deleted, or is no longer bound here."""
        if self._reconciler.plugged(port_id) is not None:
            self._left(port_id)
        else:
            self._reconciler.forget(port_id)

    def port_arrived(self, port_id: str) -> None:
        """The port's binding to this host was activated."""
        self.heal_soon(f"port {port_id} was activated on this host")

    def subport_changed(self, port_id: str, host: str | None, vlan: int, enabled: bool, active: bool) -> None:
        """No trunk is bound here."""

    def trunk_changed(self, port_id: str, subports: frozenset[str]) -> None:
        """No trunk is bound here."""

    def addresses_changed(self, port_id: str, allowed: str) -> None:
        """A virtual switch lets every address through."""

    def _left(self, port_id: str) -> None:
        self._reconciler.forget(port_id)
        self._changed()

    def _changed(self) -> None:
        self._reconciler.changed()
        self._queue.put(Look())
