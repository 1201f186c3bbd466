"""The ports of a host as every agent has them: what Neutron says of them, which have an adapter, what is reported."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bigiron.plugins.neutron.bandwidth import Guarantee
from bigiron.powervm.network import macs
from bigiron.powervm.network.vif_events import VifEvent

LOG = logging.getLogger(__name__)


UNTAGGED = 0
"""The VLAN of a port of a flat network."""

Announce = Callable[[Sequence[str]], None]
"""Answers whoever waits for their adapters that these ports (their ids) carry traffic."""

Gather = Callable[[], Sequence[VifEvent]]
"""Hands over announcements that have arrived since, so that one bridge update serves them too."""


@dataclass(frozen=True, slots=True)
class Port:
    """A Neutron port of this host; `device` is what it was asked for by (its id or its MAC).

    Neutron counts it as active, as down, or as being built. `guest` is the instance's uuid, empty where there is none.
    `trunk` says that it is a trunk's own port. A subport has its trunk's own port as `parent`, and that one's guest
    and MAC: it has no adapter but its parent's, which carries its VLAN tagged.
    """

    id: str
    mac: str
    physical_network: str
    vlan: int
    enabled: bool
    active: bool
    guest: str
    device: str = ""
    trunk: bool = False
    parent: str = ""
    allowed: str = macs.ALL
    """Which MACs its guest may use beside the port's own."""
    guarantee: Guarantee | None = None
    """What Placement has given it, of which physical port."""
    down: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where Neutron has bound an enabled port of this host, as it told when it did."""

    physical_network: str
    vlan: int


class Server(Protocol):
    """Neutron's server, as the agent needs it."""

    def ports(self) -> list[Port]:
        """Every port bound to this host by our driver."""
        ...

    def lookup(self, devices: Collection[str]) -> list[Port]:
        """The ports of those devices (port ids or MACs) that are bound here."""
        ...

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        """Devices (port ids or MACs) that carry traffic now, and those that no longer do."""
        ...


class PortBook:
    """The ports of a host that have an adapter; a reconciler adds what its kind of adapter needs."""

    __slots__ = ("_forgotten", "_lock", "_places", "_plugged")
    title = "client adapter"
    server: Server
    announce: Callable[[Sequence[str]], None]

    def __init__(self) -> None:
        self._plugged: dict[str, Port] = {}
        self._places: dict[str, Place] = {}
        self._forgotten: set[str] = set()
        self._lock = threading.Lock()

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

    def expect(self, port_id: str, place: Place | None) -> None:
        """Neutron has bound the port here, or None: it is disabled; may be called from any thread."""
        with self._lock:
            if place is None:
                self._places.pop(port_id, None)
            else:
                self._places[port_id] = place

    def forget(self, port_id: str) -> None:
        """The port is no longer bound here, so nothing about it is to be reported; may be called from any thread."""
        with self._lock:
            self._forgotten.add(port_id)
            self._plugged.pop(port_id, None)
            self._places.pop(port_id, None)

    def _begin(self) -> None:
        """A pass begins: what is forgotten from now on stays so, whatever the pass has read before."""
        with self._lock:
            self._forgotten.clear()

    def _keep(self, ports: Iterable[Port]) -> None:
        with self._lock:
            self._plugged = {port.id: port for port in ports if port.id not in self._forgotten}

    def _expected(self, last: Mapping[str, VifEvent]) -> dict[str, Place]:
        """The announced ports whose places Neutron has told before, so that their guests need not wait for it."""
        with self._lock:
            plugged = {event.port for event in last.values() if event.action == "plug"}
            return {port: place for port, place in self._places.items() if port in plugged}

    def _settle(
        self,
        last: Mapping[str, VifEvent],
        ports: Sequence[Port],
        carrying: Collection[str],
        announced: Collection[str] = (),
    ) -> None:
        """After announcements: `last` of each adapter, the ports of those that were plugged and those that carry.

        Who waits for the `announced` of them has been told.
        """
        gone = {device for device, event in last.items() if event.action == "unplug"}
        self._keep(port for port in (*self._plugged.values(), *ports) if not gone & {port.id, port.mac})
        down = gone | {port.id for port in ports if port.id not in carrying}
        self._report([port.id for port in ports if port.id in carrying], sorted(down), announced)

    def _compared(self, ports: Sequence[Port], plugged: Sequence[Port], carrying: Collection[str]) -> None:
        """After a comparison of all ports bound here: those with an adapter, and those of them that carry."""
        self._keep(plugged)
        with self._lock:
            # What Neutron told, it may have taken back while the agent was out of reach.
            self._places = {port.id: self._places[port.id] for port in ports if port.id in self._places}
        up = [port.id for port in ports if port.id in carrying and not port.active]
        down = [port.id for port in ports if port.id not in carrying and not port.down]
        LOG.info(
            "Compared: %d ports bound here, %d with a %s, %d come up, %d go down",
            len(ports), len(plugged), self.title, len(up), len(down),
        )  # fmt: skip
        self._report(up, down)

    def _report(self, up: Sequence[str], down: Sequence[str], announced: Collection[str] = ()) -> None:
        # The waiting guests first: Neutron takes seconds to pass on what it is told.
        if news := [port for port in up if port not in announced]:
            self.announce(news)
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
