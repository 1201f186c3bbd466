"""The reconciler on a simulated system over HTTP, ended in the middle of its work again and again.

Ports come and go at random, some of them on VLANs that trunks have as their own. Afterwards the bridge carries what
is in use and nothing else, by NovaLink and by an HMC.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from tests.support.powervm_host import Host, guest_spec, nic, serve

from bigiron import naming
from bigiron.model import NicSpec
from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.reconcile import Network, Reconciler
from bigiron.powervm.network.clients import ClientAdapters
from bigiron.powervm.network.link import open_link
from bigiron.powervm.network.load_groups import bridge_documents
from bigiron.powervm.network.vif_events import VifEvent
from bigiron.powervm.platform import PowerVM
from bigiron.powervm.session import Call
from bigiron.sim.powervm.server import Settings
from bigiron.sim.powervm.session import Flavour

STEPS = 80
VLANS = (*range(100, 130), *range(4086, 4095))


class Killed(BaseException):
    """The agent's process ends here."""


@dataclass
class Neutron:
    """The server, and what it was told."""

    known: dict[str, Port] = field(default_factory=dict)

    def ports(self) -> list[Port]:
        return list(self.known.values())

    def lookup(self, devices: Collection[str]) -> list[Port]:
        return [replace(self.known[device], active=False) for device in devices if device in self.known]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        for devices, active in ((up, True), (down, False)):
            for device in set(devices) & set(self.known):
                self.known[device] = replace(self.known[device], active=active)


class Agent:
    """One connection, and reconcilers on it that know nothing of those before them."""

    def __init__(self, host: Host, neutron: Neutron) -> None:
        self.neutron = neutron
        self.fuse = 0
        self.link = open_link(host.options, self.heard)
        self.again()

    def again(self) -> None:
        bridges = bridge_documents(self.link.adapter, self.link.system_uuid)
        (bridge,) = bridges.read()
        network = Network(bridge.uuid, bridge.vswitch)
        clients = ClientAdapters(self.link.adapter)
        self.reconciler = Reconciler(self.neutron, bridges, clients, {"physnet1": network})

    def heard(self, call: Call) -> None:
        if self.fuse and threading.current_thread() is threading.main_thread():
            self.fuse -= 1
            if not self.fuse:
                raise Killed

    def work(self, events: list[VifEvent], kill_after: int) -> None:
        self.fuse = kill_after
        try:
            if events:
                self.reconciler.handle(events)
            else:
                self.reconciler.heal()
        except Killed:
            self.again()
            self.reconciler.heal()
        finally:
            self.fuse = 0


@pytest.fixture(params=[Flavour.NOVALINK, Flavour.HMC])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    with serve(tmp_path, settings=Settings(flavour=request.param)) as running:
        yield running


def carried(host: Host) -> list[set[int]]:
    with host.world.lock:
        (bridge,) = host.world.state.bridges
        return [{vlan for trunk in sea.trunks[1:] for vlan in trunk.tagged} for sea in bridge.seas]


def test_nothing_is_lost_and_nothing_is_left(host: Host) -> None:
    rng = Random(11)
    with host.platform() as platform:
        guest = guest_spec(nics=())
        lpar = platform._started.guests.create(guest)
        neutron = Neutron()
        agent = Agent(host, neutron)
        alive: list[NicSpec] = []
        for step in range(STEPS):
            if alive and rng.random() < len(alive) / 30:
                event = _go(platform, lpar.uuid, neutron, alive.pop(rng.randrange(len(alive))))
            else:
                event = _come(platform, lpar.uuid, guest.uuid, neutron, alive, rng)
            events = [event] if rng.random() < 0.7 else []
            agent.work(events, kill_after=rng.randint(1, 8) if rng.random() < 0.4 else 0)
            if step % 40 == 39:
                _check(host, agent, alive)
        while alive:
            _go(platform, lpar.uuid, neutron, alive.pop())
        _check(host, agent, alive)
        with host.world.lock:
            assert [len(sea.trunks) for sea in host.world.state.bridges[0].seas] == [1, 1]
        agent.link.close()
        platform.destroy(guest.uuid)
        assert host.audit() == []


def _come(
    platform: PowerVM, lpar_uuid: str, guest: str, neutron: Neutron, alive: list[NicSpec], rng: Random
) -> VifEvent:
    made = nic(vlan=rng.choice(VLANS))
    alive.append(made)
    neutron.known[made.id] = Port(
        made.id, made.mac, "physnet1", made.vlan or 0, enabled=True, active=False, guest=guest, device=made.id
    )
    platform._started.adapters.create(lpar_uuid, made)
    return VifEvent("plug", made.mac, naming.VIF_TYPE_PVM_SEA, made.id)


def _go(platform: PowerVM, lpar_uuid: str, neutron: Neutron, gone: NicSpec) -> VifEvent:
    platform._started.adapters.delete(lpar_uuid, gone.mac)
    del neutron.known[gone.id]
    return VifEvent("unplug", gone.mac, naming.VIF_TYPE_PVM_SEA, gone.id)


def _check(host: Host, agent: Agent, alive: list[NicSpec]) -> None:
    wanted = {one.vlan for one in alive}
    for _ in range(2 + len(VLANS) // 3):
        assert agent.reconciler.heal()
        if carried(host) == [wanted, wanted]:
            break
    assert carried(host) == [wanted, wanted]
    assert [port for port in agent.neutron.ports() if not port.active] == []
