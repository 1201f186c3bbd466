"""Hundreds of ports that come and go while the agent is killed and somebody else works on the same bridges.

What happens is drawn from a seed, which a failure names; BIGIRON_CHURN_SEED repeats it.
"""

from __future__ import annotations

import os
import threading
from random import Random
from typing import Any

import pytest
from neutron_lib.api.definitions import portbindings
from oslo_config import cfg
from pypowervm import exceptions as pvm
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.network import NetBridge
from tests.functional.neutron_base import GUESTS, SeaTestCase

from bigiron import naming
from bigiron.powervm.session import Call
from bigiron.sim.powervm.audit import audit

PORTS = 500
VLANS = range(100, 160)
ALIVE = 40
"""At most so many at once, ten for each guest."""
FOREIGN = range(3000, 3010)
"""VLANs that nobody but the other client puts on the served bridge."""


class Killed(BaseException):
    """The agent's process ends here."""


class Interferer(list[Call]):
    """Hears of the agent's calls in the order that it makes them, and lets something happen after one of them."""

    def __init__(self, churn: TestChurn) -> None:
        super().__init__()
        self.churn = churn
        self.fuse: int | None = None

    def append(self, call: Call) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                raise Killed
        if call.method == "GET" and call.path.split("?")[0].endswith("/NetworkBridge"):
            self.churn.perhaps_edit(0.1)


@pytest.mark.full
class TestChurn(SeaTestCase):
    """Afterwards the bridge holds what is in use and nothing else, and every port is told the truth about."""

    @pytest.mark.timeout(1200)
    def test_ports_come_and_go(self) -> None:
        seed = int(os.environ.get("BIGIRON_CHURN_SEED") or Random().randrange(10**6))
        self.rng = Random(seed)
        print(f"BIGIRON_CHURN_SEED={seed}")
        try:
            self.churn()
        except BaseException as error:
            error.add_note(f"BIGIRON_CHURN_SEED={seed}")
            raise

    def churn(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.alive: list[Any] = []
        self.unplugged: set[str] = set()
        self.networks: dict[int, Any] = {}
        self.made = self.kills = self.edits = 0
        self.edit("ent7", 77)
        unserved = self.bridges()["ent7"]
        self.calls = Interferer(self)
        self.start_agent()
        while self.made < PORTS or self.alive:
            self.guarded(self.one_step)
        self.calls.clear()
        self.settle()
        assert self.kills >= 5 and self.edits >= 5, (self.kills, self.edits)
        assert self.bridges() == {**self.before, "ent7": unserved}
        with self.simulator.world.lock:
            assert audit(self.simulator.world) == []

    def one_step(self) -> None:
        """Something happens; half of the times the agent gets to work on it at once."""
        growing = self.made < PORTS and len(self.alive) < ALIVE
        if growing and (not self.alive or self.rng.random() < 0.55):
            self.come()
        else:
            self.go(self.alive.pop(self.rng.randrange(len(self.alive))))
        self.perhaps_edit(0.03)
        if self.rng.random() < 0.04:
            self.calls.fuse = self.rng.randint(1, 4)
        if self.rng.random() < 0.03:
            self.loop.heal_soon("it is time")
        if self.rng.random() < 0.1:
            self.heartbeat.beat()
        if self.rng.random() < 0.5:
            self.loop.step(0)
        if self.made in (PORTS // 3, PORTS * 2 // 3, PORTS) and self.alive and self.rng.random() < 0.3:
            self.settle()

    def guarded(self, step: Any) -> None:
        """A killed agent does not come back to what it was at: another one is started."""
        try:
            step()
        except Killed:
            self.kills += 1
            self.casts.endpoint = None
            self.host.link.close()
            self.calls.fuse = None
            self.start_agent()

    def come(self) -> None:
        vlan = self.rng.choice(VLANS)
        if vlan not in self.networks:
            self.networks[vlan] = self.vlan_network(vlan)
        port = self.bound_port(vlan, GUESTS[self.made % len(GUESTS)], network=self.networks[vlan])
        assert port[portbindings.VIF_TYPE] == "pvm_sea"
        self.made += 1
        self.alive.append(port)
        if self.rng.random() < 0.85:
            self.plug(port)
        elif self.rng.random() < 0.5:
            self.create_adapter(port)
        else:
            self.unplugged.add(port["id"])

    def go(self, port: Any) -> None:
        """Its server ends as it should, or nobody tells the agent, or Neutron forgets it first."""
        way = self.rng.choice(("told", "silent", "backwards"))
        if way == "backwards":
            self._delete("ports", port["id"], as_admin=True)
        if port["id"] in self.unplugged:
            self.unplugged.discard(port["id"])
        elif way == "told":
            self.unplug(port)
        else:
            self.delete_adapter(port)
            self.hrefs.pop(port["id"])
        if way != "backwards":
            self._delete("ports", port["id"], as_admin=True)

    def perhaps_edit(self, chance: float) -> None:
        if self.rng.random() < chance:
            self.edit("ent5", self.rng.choice(FOREIGN))

    def edit(self, device: str, vlan: int) -> None:
        """Somebody else adds a VLAN, takes one away, or deletes a trunk with all that is on it."""
        parent = {"parent_type": System, "parent_uuid": self.nova.system_uuid}
        (bridge,) = (b for b in NetBridge.get(self.nova.adapter, **parent) if b.seas[0].dev_name == device)
        way = self.rng.choice(("add", "take", "delete")) if device == "ent5" else "add"
        pvids = [trunk.pvid for trunk in bridge.seas[0].addl_adpts]
        if not pvids and device == "ent5":
            return
        number = self.rng.randrange(len(pvids)) if pvids else 0
        for sea in bridge.seas:
            trunk = next((t for t in sea.addl_adpts if pvids and t.pvid == pvids[number]), sea.primary_adpt)
            if way == "delete":
                sea.addl_adpts = [t for t in sea.addl_adpts if t.pvid != trunk.pvid]
            elif way == "take" and trunk.tagged_vlans:
                trunk.tagged_vlans = sorted(trunk.tagged_vlans)[1:]
            elif way == "add" and vlan not in trunk.tagged_vlans and len(trunk.tagged_vlans) < 20:
                trunk.tagged_vlans = sorted([*trunk.tagged_vlans, vlan])
                trunk.has_tag_support = True
        try:
            bridge.update()
            self.edits += 1
        except pvm.HttpError as error:
            # The same VLAN is on the other trunk already.
            assert error.response.status == 400, error

    def settle(self) -> None:
        """Nobody interferes any more: after as many comparisons as the cleaning takes, all is right."""
        edit, self.perhaps_edit = self.perhaps_edit, lambda chance: None  # type: ignore[method-assign]
        fuse, self.calls.fuse = self.calls.fuse, None
        try:
            wanted = {port[portbindings.VIF_DETAILS]["vlan"] for port in self.alive}
            plugged = [port for port in self.alive if port["id"] not in self.unplugged]
            needed = {port[portbindings.VIF_DETAILS]["vlan"] for port in plugged}
            for _ in range(60):
                self.heal()
                if needed <= self.carried("ent5") <= wanted:
                    break
            assert needed <= self.carried("ent5") == self.carried("ent6") <= wanted, "wrong VLANs on the bridge"
            for port in self.alive:
                status = "DOWN" if port["id"] in self.unplugged else "ACTIVE"
                assert self.status(port) == status, f"port {port['id']} of VLAN {port[portbindings.VIF_DETAILS]}"
            macs = {port["mac_address"] for port in plugged}
            with self.simulator.world.lock:
                lpars = [self.simulator.world.partition(naming.lpar_uuid(guest)) for guest in GUESTS]
                there = {adapter.mac for lpar in lpars for adapter in lpar.adapters}
            assert there == {mac.replace(":", "").upper() for mac in macs}
        finally:
            self.perhaps_edit, self.calls.fuse = edit, fuse  # type: ignore[method-assign]
