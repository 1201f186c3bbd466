"""What every agent keeps of its host's ports: which have an adapter, as last seen, and what of it is reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from bigiron.powervm.network.vif_events import VifEvent

if TYPE_CHECKING:
    from bigiron.plugins.neutron.reconcile import Port, Server

LOG = logging.getLogger(__name__)


class PortBook:
    """The ports of a host that have an adapter; a reconciler adds what its kind of adapter needs."""

    __slots__ = ()
    server: Server
    announce: Callable[[Sequence[str]], None]
    _plugged: dict[str, Port]

    @property
    def devices(self) -> int:
        """How many ports have a client adapter on this host, as last seen."""
        return len(self._plugged)

    def plugged(self, port_id: str) -> Port | None:
        """The port as last seen with a client adapter on this host, or None; may be called from any thread."""
        return self._plugged.get(port_id)

    def subports(self, port_id: str) -> frozenset[str]:
        """The subports last seen on the adapter of a trunk's own port; may be called from any thread."""
        return frozenset(port.id for port in tuple(self._plugged.values()) if port.parent == port_id)

    def waits_for(self, partition: str) -> bool:
        """Whether something can be put right once the partition (its uuid, upper case) is off."""
        return False

    def forget(self, port_id: str) -> None:
        """The port is no longer bound here, so nothing about it is to be reported; may be called from any thread."""
        self._plugged.pop(port_id, None)

    def _report(self, up: Sequence[str], down: Sequence[str]) -> None:
        # The waiting guests first: Neutron takes seconds to pass on what it is told.
        if up:
            self.announce(up)
        if up or down:
            self.server.report(up, down)

    def _lookup(self, events: Iterable[VifEvent]) -> list[Port]:
        devices = [device_of(event) for event in events if event.action == "plug"]
        ports = self.server.lookup(devices) if devices else []
        for device in set(devices) - {port.device for port in ports}:
            LOG.info("Adapter %s was announced, but Neutron has no port for it bound to this host", device)
        return ports


def device_of(event: VifEvent) -> str:
    """What Neutron is asked for the announced adapter by."""
    return event.port or event.mac


def latest(events: Iterable[VifEvent]) -> dict[str, VifEvent]:
    """The last announcement of each adapter: what came before it no longer matters."""
    return {device_of(event): event for event in events}
