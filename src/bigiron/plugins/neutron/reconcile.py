"""Makes the bridges carry what Neutron's ports need, and tells Neutron which ports carry traffic.

Two ways in: `handle`, for the client adapters that the compute service has just announced, and `heal`, which compares
everything. Both read, plan, apply and report; neither knows of threads, RPC or REST. A port is reported up only when
its VLAN is on the bridge and its client adapter is there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bigiron import naming
from bigiron.errors import PlatformError
from bigiron.plugins.neutron.ports import Announce, Gather, Place, Port, PortBook, Server, latest
from bigiron.plugins.neutron.provision import Bridges, Outcome, Provisioner
from bigiron.powervm.network.clients import ClientAdapter
from bigiron.powervm.network.trunks import Bridge
from bigiron.powervm.network.vif_events import VifEvent

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Network:
    """A physical network of this host: its bridge's uuid, virtual switch and name in words, and what it carries."""

    bridge: str
    vswitch: int
    vswitch_name: str = ""
    name: str = ""
    mtu: int = 0


class Clients(Protocol):
    """The platform's client adapters: see powervm.network.clients.ClientAdapters."""

    def of(self, partitions: Collection[str]) -> list[ClientAdapter]: ...
    def all(self) -> list[ClientAdapter]: ...
    def set_tagged(self, adapter: ClientAdapter, vlans: frozenset[int]) -> None: ...
    def set_allowed(self, adapter: ClientAdapter, allowed: str) -> None: ...


@dataclass(slots=True)
class Reconciler(PortBook):
    """Works for one host; `handle` and `heal` are called from one thread."""

    server: Server
    bridges: Bridges
    clients: Clients
    networks: Mapping[str, Network]
    announce: Announce = lambda ports: None
    cleanup: bool = True
    _provisioner: Provisioner = field(init=False)
    _waiting: dict[tuple[str, str], str] = field(default_factory=dict)
    """Partition and MAC of the adapters that get what they are to let through once their guest is off."""

    def __post_init__(self) -> None:
        PortBook.__init__(self)
        self._provisioner = Provisioner(self.bridges)

    def differs(self) -> bool:
        """Whether a bridge is not as it was last read or written, in one request."""
        before = {bridge.uuid: bridge for bridge in self.bridges.known()}
        return {bridge.uuid: bridge for bridge in self.bridges.read()} != before

    def waits_for(self, partition: str) -> bool:
        """Whether an adapter of the partition is to be changed once it is off; may be called from any thread."""
        return any(one == partition for one, _ in tuple(self._waiting))

    def handle(self, events: Sequence[VifEvent], gather: Gather = tuple) -> bool:
        """Wire the announced adapters and report them; `gather` is asked before a bridge is updated.

        A guest whose port's place Neutron has told, and whose VLAN is on the bridge, may start before Neutron is asked.
        False says that the platform refused something, so that trying again later may help.
        """
        self._begin()
        last = latest(events)
        expected = self._expected(last)
        seen = self.bridges.read() if expected else ()
        announced = self._carried(expected, seen)
        if announced:
            self.announce(announced)
        ports = self._lookup(last.values())
        if ports and not expected:
            seen = self.bridges.read()
        if self._provisioner.plan(seen, self._by_bridge(ports)).ops:
            more = latest(gather())
            ports = [port for port in ports if port.device not in more] + self._lookup(more.values())
            last |= more
        outcome = self._provisioner.ensure(seen, self._by_bridge(ports))
        self._settle(last, ports, {port.id for port in self._carrying(ports, outcome)}, announced)
        return not outcome.failed and not _made_otherwise(ports, last)

    def heal(self) -> bool:
        """Compare all ports of this host with the bridges and client adapters, and put right what differs.

        False says that the platform refused something, so that trying again later may help.
        """
        self._begin()
        self._provisioner.forget()
        ports = self.server.ports()
        guests = {naming.lpar_uuid(port.guest) for port in ports if port.guest}
        adapters = {(one.partition, one.mac): one for one in self.clients.of(guests)} if guests else {}
        plugged = [port for port in ports if port.guest and self._has_adapter(port, adapters)]
        wanted = self._by_bridge(plugged)
        outcome = self._provisioner.ensure(self.bridges.read(), wanted)
        untagged, tagged = self._tag(plugged, adapters)
        carrying = {port.id for port in self._carrying(plugged, outcome)} - untagged
        self._compared(ports, plugged, carrying)
        restricted = self._restrict(plugged, adapters)
        return tagged and restricted and not outcome.failed and self._clean(ports, wanted)

    def _has_adapter(self, port: Port, adapters: Mapping[tuple[str, str], ClientAdapter]) -> bool:
        """Whether the port's adapter is there, on the port's own VLAN; a subport's VLAN is tagged later."""
        adapter = adapters.get((naming.lpar_uuid(port.guest), port.mac))
        network = self.networks.get(port.physical_network)
        if adapter is None or port.parent or network is None:
            return adapter is not None
        if port.vlan in adapter.vlans and adapter.vswitch == network.vswitch:
            return True
        LOG.error(
            "Port %s stays down: it is on VLAN %d of virtual switch %s, and its adapter of partition %s is on VLANs %s "
            "of switch number %d; detach the port from its server and attach it again",
            port.id, port.vlan, network.vswitch_name, adapter.partition, sorted(adapter.vlans), adapter.vswitch,
        )  # fmt: skip
        return False

    def _restrict(self, plugged: Sequence[Port], adapters: Mapping[tuple[str, str], ClientAdapter]) -> bool:
        """Let each guest use the MACs that its ports allow, where it is off; tells whether all went well.

        The platform changes this of no guest that runs, which goes on with what its adapter was made with.
        """
        complete = True
        waiting = {}
        for port in plugged:
            key = naming.lpar_uuid(port.guest), port.mac
            adapter = adapters[key]
            if port.parent or adapter.allowed == port.allowed:
                continue
            if adapter.on:
                waiting[key] = port.allowed
                if self._waiting.get(key) != port.allowed:
                    LOG.warning(
                        "The guest of port %s may use the MACs %s beside the port's own, and from now on it should "
                        "be: %s. That comes into force when the server is stopped, or the port detached and attached "
                        "again",
                        port.id, adapter.allowed, port.allowed,
                    )  # fmt: skip
                continue
            try:
                self.clients.set_allowed(adapter, port.allowed)
            except PlatformError as error:
                LOG.error("The guest of port %s may still use the MACs %s: %s", port.id, adapter.allowed, error)
                complete = False
            else:
                LOG.info("The guest of port %s may now use the MACs %s beside its own", port.id, port.allowed)
        self._waiting = waiting
        return complete

    def _clean(self, ports: Sequence[Port], wanted: Mapping[str, frozenset[int]]) -> bool:
        """Last, so that nothing of it can keep a port waiting."""
        seen = self.bridges.known()
        unused = self._unused(seen, ports) if self.cleanup else {}
        return not unused or self._provisioner.clean(seen, wanted, unused)

    def _tag(self, plugged: Sequence[Port], adapters: Mapping[tuple[str, str], ClientAdapter]) -> tuple[set[str], bool]:
        """Give each trunk's adapter the VLANs of its subports; returns the subports left without, and if all went well.

        The bridges come first, so that a tag works as soon as the guest has it.
        """
        refused: set[str] = set()
        complete = True
        for parent in (port for port in plugged if port.trunk):
            subports = [port for port in plugged if port.parent == parent.id and port.enabled]
            adapter = adapters[naming.lpar_uuid(parent.guest), parent.mac]
            vlans = frozenset(port.vlan for port in subports)
            if adapter.tagged == vlans:
                continue
            try:
                self.clients.set_tagged(adapter, vlans)
            except PlatformError as error:
                LOG.error("The adapter of port %s carries no VLANs %s: %s", parent.id, sorted(vlans), error)
                refused |= {port.id for port in subports if port.vlan not in adapter.tagged}
                complete = False
            else:
                LOG.info("The adapter of port %s now carries VLANs %s tagged", parent.id, sorted(vlans))
        return refused, complete

    def _carrying(self, ports: Iterable[Port], outcome: Outcome) -> list[Port]:
        """The enabled ports whose VLAN is on their bridge; says of each other one why it stays down."""
        carrying = []
        for port in ports:
            if port.physical_network not in self.networks:
                LOG.warning(
                    "Port %s stays down: no bridge of this host carries its physical network %s; add it to [AGENT] "
                    "bridge_mappings",
                    port.id, port.physical_network,
                )  # fmt: skip
            elif self._key(port) in outcome.refused:
                LOG.error("Port %s stays down: %s", port.id, outcome.refused[self._key(port)])
            elif port.enabled:
                carrying.append(port)
        return carrying

    def _carried(self, places: Mapping[str, Place], seen: Iterable[Bridge]) -> list[str]:
        """The ports whose VLAN their bridge has already."""
        bridges = {bridge.uuid: bridge for bridge in seen}
        networks = {port: self.networks.get(place.physical_network) for port, place in places.items()}
        return [
            port
            for port, network in networks.items()
            if network and network.bridge in bridges and bridges[network.bridge].carries(places[port].vlan)
        ]

    def _key(self, port: Port) -> tuple[str, int]:
        return self.networks[port.physical_network].bridge, port.vlan

    def _by_bridge(self, ports: Iterable[Port]) -> dict[str, frozenset[int]]:
        """The VLANs wanted by bridge; every served bridge has an entry."""
        wanted: dict[str, set[int]] = {network.bridge: set() for network in self.networks.values()}
        for port in ports:
            if port.physical_network in self.networks:
                bridge, vlan = self._key(port)
                wanted[bridge].add(vlan)
        return {bridge: frozenset(vlans) for bridge, vlans in wanted.items()}

    def _unused(self, seen: Sequence[Bridge], ports: Sequence[Port]) -> dict[str, frozenset[int]]:
        """VLANs that no port bound here and no client adapter of the system needs, by served bridge.

        A port counts from its binding on, long before its adapter is made: its VLAN must not go in between.
        """
        needed = self._by_bridge(ports)
        spare = {b.uuid: b.added_vlans() - needed[b.uuid] for b in seen if b.uuid in needed}
        if not any(spare.values()):
            return {}
        used: dict[int, set[int]] = {}
        for adapter in self.clients.all():
            used.setdefault(adapter.vswitch, set()).update(adapter.vlans)
        return {b.uuid: spare[b.uuid] - used.get(b.vswitch, set()) for b in seen if b.uuid in spare}


def _made_otherwise(ports: Iterable[Port], events: Mapping[str, VifEvent]) -> bool:
    """Whether an adapter was made to let through what its port's binding said, and Neutron wants another thing now."""
    return any((made := events[port.device].macs) and made != port.allowed for port in ports if not port.trunk)
