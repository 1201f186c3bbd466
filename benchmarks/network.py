"""REST calls of the Shared Ethernet agent: for ports that are plugged, and for a comparison of all of them.

Neutron's server is stood in for by a list of ports; everything on the side of the platform is real.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from benchmarks.guests import Tally
from benchmarks.host import FIRST_VLAN, VLANS, resident_instances, simulated_host
from bigiron import naming
from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.reconcile import Network, Reconciler
from bigiron.powervm.network.clients import ClientAdapters
from bigiron.powervm.network.link import open_link
from bigiron.powervm.network.load_groups import bridge_documents
from bigiron.powervm.network.vif_events import VifEvent

PORTS = 500
BURST = 100
NEW_VLANS = 20
PHYSNET = "physnet1"


@dataclass
class Server:
    """Neutron's server with these ports; what is reported up counts as active."""

    known: list[Port] = field(default_factory=list)
    up: set[str] = field(default_factory=set)

    def ports(self) -> list[Port]:
        return self.known

    def lookup(self, devices: Collection[str]) -> list[Port]:
        return [port for port in self.known if port.device in devices]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        self.up |= set(up)
        assert not down, f"{len(down)} ports went down"


def run() -> dict[str, float]:
    """Figures by name, such as powervm.sea.port_on_present_vlan.calls."""
    figures: dict[str, float] = {}
    with simulated_host(residents=PORTS) as host:
        tally = Tally()
        link = open_link(host.options(), tally)
        bridges, clients = bridge_documents(link.adapter, link.system_uuid), ClientAdapters(link.adapter)
        (bridge,) = bridges.read()
        server = Server()
        reconciler = Reconciler(server, bridges, clients, {PHYSNET: Network(bridge.uuid, bridge.vswitch)})
        with tally.stretch() as first:
            server.known = _ports(clients, bridge.vswitch)
            assert reconciler.heal()
        assert len(server.up) == PORTS
        figures["powervm.sea.first_heal.calls.500"] = len(first)
        with tally.stretch() as heal:
            assert reconciler.heal()
        figures["powervm.sea.heal.calls.500"] = len(heal)

        with tally.stretch() as present:
            assert reconciler.handle([_announced(server.known[0])])
        figures["powervm.sea.port_on_present_vlan.calls"] = len(present)

        first_new = FIRST_VLAN + VLANS
        fresh = [_moved(port, first_new + n % NEW_VLANS) for n, port in enumerate(server.known[:BURST])]
        server.known = [*fresh, *server.known[BURST:]]
        with tally.stretch() as burst:
            assert reconciler.handle([_announced(port) for port in fresh])
        figures["powervm.sea.burst.calls.100"] = len(burst)
        figures["powervm.sea.burst.bridge_updates.100"] = sum(call.method == "POST" for call in burst)
        (bridge,) = bridges.read()
        assert {first_new + n for n in range(NEW_VLANS)} <= bridge.added_vlans()
        link.close()
        leftovers = host.audit()
        assert not leftovers, leftovers
    return figures


def _ports(clients: ClientAdapters, vswitch: int) -> list[Port]:
    """A port for each guest's adapter on the bridge's switch, on the adapter's VLAN."""
    guests = {naming.lpar_uuid(guest).upper(): guest for guest in resident_instances(PORTS)}
    adapters = [adapter for adapter in clients.of(guests) if adapter.vswitch == vswitch]
    return [
        Port(
            id=f"port-{n}", mac=adapter.mac, physical_network=PHYSNET, vlan=min(adapter.vlans), enabled=True,
            active=False, guest=guests[adapter.partition], device=f"port-{n}",
        )
        for n, adapter in enumerate(adapters)
    ]  # fmt: skip


def _moved(port: Port, vlan: int) -> Port:
    return Port(port.id, port.mac, PHYSNET, vlan, True, False, port.guest, port.device)


def _announced(port: Port) -> VifEvent:
    return VifEvent("plug", port.mac, naming.VIF_TYPE_PVM_SEA, port.id)
