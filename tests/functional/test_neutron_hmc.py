"""Ports on Shared Ethernet Adapters of a system that an HMC manages: real Neutron code, the agent, a simulated HMC."""

from __future__ import annotations

import pytest
from oslo_config import cfg
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.network import NetBridge
from tests.functional.neutron_base import FAILURES, GUESTS, SeaTestCase

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.session import Flavour

BRIDGES = "/rest/api/uom/ManagedSystem/{uuid}/NetworkBridge"
BRIDGE = "/rest/api/uom/ManagedSystem/{uuid}/NetworkBridge/{uuid}"
NETWORKS = "/rest/api/uom/ManagedSystem/{uuid}/VirtualNetwork"


class TestHmc(SeaTestCase):
    """The same as with NovaLink, by load groups."""

    flavour = Flavour.HMC

    def test_ports_come_up_and_a_placeholder_gives_way(self) -> None:
        self.start_agent()
        first = self.bound_port(55)
        self.plug(first)
        self.until_status("ACTIVE", first)
        assert self.bridges()["ent5"] == self.bridges()["ent6"] == [(1, []), (4094, [55])]
        second = self.bound_port(4094, GUESTS[1])
        self.plug(second)
        self.until_status("ACTIVE", second)
        assert self.bridges()["ent5"] == self.bridges()["ent6"] == [(1, []), (4093, [55, 4094])]
        self.settled()
        self.requests()
        third = self.bound_port(55, GUESTS[2], network={"id": first["network_id"]})
        self.plug(third)
        self.until_status("ACTIVE", third)
        assert [call.split()[0] for call in self.requests()] == ["GET"], "the VLAN is there already"
        self.clean_up(first, second, third)

    def test_a_load_group_that_somebody_removed_is_made_again(self) -> None:
        self.start_agent()
        port = self.bound_port(45)
        self.plug(port)
        self.until_status("ACTIVE", port)
        parent = {"parent_type": System, "parent_uuid": self.nova.system_uuid}
        (bridge,) = (b for b in NetBridge.get(self.nova.adapter, **parent) if b.seas[0].dev_name == "ent5")
        bridge.load_grps = bridge.load_grps[:1]
        bridge.update()
        assert self.bridges() == self.before
        self.heal()
        assert self.carried("ent5") == self.carried("ent6") == {45}
        self.clean_up(port)

    @pytest.mark.full
    def test_each_request_of_a_plug_may_fail(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        cases = [("GET", path, action) for path in (BRIDGES, NETWORKS) for action in (Action.ERROR, Action.DROP_BEFORE)]
        cases += [("PUT", NETWORKS, action) for action in (Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER)]
        cases += [("POST", BRIDGE, action) for action in FAILURES]
        ports = []
        for vlan, (method, path, action) in enumerate(cases, 10):
            port = self.bound_port(vlan, GUESTS[vlan % 4])
            # The compute service makes the virtual network of an adapter; here somebody deletes it before it is used.
            self.create_adapter(port)
            with self.simulator.world.lock:
                for network in [one for one in self.simulator.world.state.networks if one.vlan == vlan]:
                    self.simulator.world.state.networks.remove(network)
            self.simulator.faults.clear()
            self.simulator.faults.add(Fault(method, path, action))
            self.adapters.announce(self.hrefs[port["id"]], self.nic(port), "plug")
            self.until_status("ACTIVE", port)
            (fault,) = self.simulator.faults.faults()
            assert fault.fired == 1, f"{method} {path} {action}"
            assert vlan in self.carried("ent5") & self.carried("ent6")
            ports.append(port)
        self.simulator.faults.clear()
        self.clean_up(*ports)
