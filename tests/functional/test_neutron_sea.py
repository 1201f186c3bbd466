"""Ports on Shared Ethernet Adapters: real Neutron code, the agent, and a simulated system over HTTP."""

from __future__ import annotations

import threading

import pytest
from neutron_lib import exceptions as neutron_errors
from neutron_lib.api.definitions import portbindings
from oslo_config import cfg
from pypowervm.wrappers.entry_wrapper import EntryWrapper
from pypowervm.wrappers.logical_partition import LPAR
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.network import CNA, NetBridge
from pypowervm.wrappers.virtual_io_server import VIOS
from tests.functional.neutron_base import FAILURES, GUESTS, HOST, SeaTestCase

from bigiron import naming
from bigiron.errors import PlatformError
from bigiron.plugins.neutron import agent, conf
from bigiron.plugins.neutron.mech import AGENT_TYPE_SEA
from bigiron.sim.kernel.faults import Action, Fault

BRIDGES = "/rest/api/uom/ManagedSystem/{uuid}/NetworkBridge"
BRIDGE = "/rest/api/uom/ManagedSystem/{uuid}/NetworkBridge/{uuid}"


class TestPlug(SeaTestCase):
    """From binding to traffic and back."""

    def test_a_port_is_up_only_when_its_vlan_and_its_adapter_are_there(self) -> None:
        self.start_agent()
        port = self.bound_port(55)
        assert port[portbindings.VIF_TYPE] == "pvm_sea"
        details = port[portbindings.VIF_DETAILS]
        wanted = {"vlan": 55, "physical_network": "physnet1", "port_filter": False, "vswitch": "ETHERNET0"}
        assert {key: details.get(key) for key in wanted} == wanted
        assert details["connectivity"] == "l2"
        self.settled()
        assert self.status(port) == "DOWN"

        self.create_adapter(port)
        self.settled()
        assert self.status(port) == "DOWN", "nobody has announced the adapter, so Nova does not wait yet"

        self.adapters.announce(self.hrefs[port["id"]], self.nic(port), "plug")
        self.until_status("ACTIVE", port)
        assert self.carried("ent5") == self.carried("ent6") == {55}
        assert self.carried("ent7") == set()

        self.unplug(port)
        self.until_status("DOWN", port)
        self.clean_up(port)

    def test_a_vlan_already_there_costs_one_read_and_many_new_ones_one_update(self) -> None:
        self.start_agent()
        first = self.bound_port(10)
        self.plug(first)
        self.until_status("ACTIVE", first)
        self.settled()
        self.requests()

        second = self.bound_port(10, GUESTS[1], network={"id": first["network_id"]})
        self.plug(second)
        self.until_status("ACTIVE", second)
        (only,) = self.requests()
        assert only.startswith("GET ") and only.endswith("/NetworkBridge")

        many = [self.bound_port(20 + n % 3, GUESTS[n % 4]) for n in range(3)]
        many += [self.bound_port(0, GUESTS[n % 4], network={"id": many[n % 3]["network_id"]}) for n in range(6)]
        for port in many:
            self.plug(port)
        self.until_status("ACTIVE", *many)
        requests = self.requests()
        assert sum(call.startswith("POST ") for call in requests) == 1, requests
        assert {20, 21, 22} <= self.carried("ent5") == self.carried("ent6")
        self.clean_up(first, second, *many)

    def test_a_new_trunk_takes_no_vlan_that_a_client_uses(self) -> None:
        switch = self.adapters._switches.get("ETHERNET0")
        parent = {"parent_type": LPAR, "parent_uuid": naming.lpar_uuid(GUESTS[3])}
        client = EntryWrapper.create(CNA.bld(self.nova.adapter, 4094, switch), **parent)
        self.start_agent()
        port = self.bound_port(15)
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.bridges()["ent5"] == self.bridges()["ent6"] == [(1, []), (4093, [15])]
        client.delete()
        self.clean_up(port)

    def test_a_port_of_an_unmapped_network_is_not_bound(self) -> None:
        self.start_agent()
        with self.assertLogs("bigiron.plugins.neutron.binding", "WARNING") as logs:
            port = self.bound_port(250, physnet="physnet2")
        assert port[portbindings.VIF_TYPE] == "binding_failed"
        assert "physnet2 has no bridge there" in logs.output[0]

    def test_a_network_with_larger_packets_than_the_bridge_carries_is_not_bound(self) -> None:
        cfg.CONF.set_override("global_physnet_mtu", 9000)
        self.start_agent()
        network = self.vlan_network(14)
        assert self._show("networks", network["id"], as_admin=True)["network"]["mtu"] == 9000
        with self.assertLogs("bigiron.plugins.neutron.binding", "ERROR") as logs:
            port = self.bound_port(14, network=network)
        assert port[portbindings.VIF_TYPE] == "binding_failed"
        assert "MTU 9000, and the bridge of physical network physnet1 carries 1500" in logs.output[0]
        self.stop_agent()
        with self.simulator.world.lock:
            bridge = next(b for b in self.simulator.world.state.bridges if b.seas[0].device == "ent5")
            for sea in bridge.seas:
                sea.jumbo = True
            self.simulator.world.touch(bridge)
        self.start_agent()
        assert self.bound_port(14, network=network)[portbindings.VIF_TYPE] == "pvm_sea"

    def test_neutron_keeps_the_mac_of_a_bound_port(self) -> None:
        self.start_agent()
        port = self.bound_port(16)
        with pytest.raises(neutron_errors.PortBound, match="port is already bound"):
            self.driver.update_port(self.context, port["id"], {"port": {"mac_address": "fa:16:3e:00:00:99"}})

    def test_operators_see_what_the_agent_serves(self) -> None:
        self.start_agent()
        (found,) = self.driver.get_agents(self.context, {"agent_type": [AGENT_TYPE_SEA]})
        (bridge,) = (b for b in self.simulator.world.state.bridges if b.seas[0].device == "ent5")
        assert (found["host"], found["alive"], found["binary"]) == (HOST, True, "bigiron-neutron-sea-agent")
        assert found["configurations"]["bridge_mappings"] == {"physnet1": bridge.uuid.lower()}
        assert found["configurations"]["bridges"] == {"physnet1": "ent5 of VIOS vios1 and ent6 of VIOS vios2"}
        assert found["configurations"]["virtual_switches"] == {"physnet1": "ETHERNET0"}
        assert found["configurations"]["mtus"] == {"physnet1": 1500}
        port = self.bound_port(12)
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.heartbeat.beat()
        (found,) = self.driver.get_agents(self.context, {"agent_type": [AGENT_TYPE_SEA]})
        assert found["configurations"]["devices"] == 1
        self.clean_up(port)

    def test_a_disabled_port_goes_down_and_comes_back(self) -> None:
        self.start_agent()
        port = self.bound_port(30)
        self.plug(port)
        self.until_status("ACTIVE", port)
        self._update("ports", port["id"], {"port": {"admin_state_up": False}}, as_admin=True)
        self.until_status("DOWN", port)
        self._update("ports", port["id"], {"port": {"admin_state_up": True}}, as_admin=True)
        self.until_status("ACTIVE", port)
        self.clean_up(port)

    def test_a_port_that_is_bound_again_waits_for_its_new_adapter(self) -> None:
        self.start_agent()
        port = self.bound_port(31)
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.delete_adapter(port)
        self.hrefs.pop(port["id"])
        for host, guest in (("", ""), (HOST, GUESTS[1])):
            changes = {portbindings.HOST_ID: host, "device_id": guest}
            port = self._update("ports", port["id"], {"port": changes}, as_admin=True)["port"]
            self.settled()
            assert self.status(port) == "DOWN"
        assert port[portbindings.VIF_TYPE] == "pvm_sea"
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.clean_up(port)

    def test_what_users_write_as_the_device_of_a_port_is_nobody_elses_trouble(self) -> None:
        self.start_agent()
        port, other = self.bound_port(32), self.bound_port(33, GUESTS[1])
        self._update("ports", port["id"], {"port": {"device_id": "my server"}}, as_admin=True)
        self.create_adapter(other)
        self.heal()
        assert [self.status(one) for one in (port, other)] == ["DOWN", "ACTIVE"]
        self.clean_up(port, other)


class TestHealing(SeaTestCase):
    """What nobody told the agent of."""

    def test_an_agent_that_was_away_finds_what_was_plugged_and_unplugged(self) -> None:
        self.start_agent()
        stays, goes, comes = self.bound_port(40), self.bound_port(41, GUESTS[1]), self.bound_port(42, GUESTS[2])
        self.plug(stays)
        self.plug(goes)
        self.until_status("ACTIVE", stays, goes)
        self.stop_agent()

        self.plug(comes)
        self.delete_adapter(goes)
        self.hrefs.pop(goes["id"])
        self.start_agent()
        assert [self.status(port) for port in (stays, goes, comes)] == ["ACTIVE", "DOWN", "ACTIVE"]
        assert self.carried("ent5") == self.carried("ent6") == {40, 41, 42}
        self.clean_up(stays, goes, comes)

    def test_a_vlan_that_somebody_removed_is_put_back(self) -> None:
        self.start_agent()
        port = self.bound_port(45)
        self.plug(port)
        self.until_status("ACTIVE", port)
        parent = {"parent_type": System, "parent_uuid": self.nova.system_uuid}
        (bridge,) = (b for b in NetBridge.get(self.nova.adapter, **parent) if b.seas[0].dev_name == "ent5")
        for sea in bridge.seas:
            sea.addl_adpts = []
        bridge.update()
        assert self.bridges() == self.before
        self.settled()
        assert self.carried("ent5") == self.carried("ent6") == {45}
        assert self.status(port) == "ACTIVE"
        self.settled()
        self.requests()
        with self.simulator.world.lock:
            changed = next(b for b in self.simulator.world.state.bridges if b.seas[0].device == "ent5")
            self.simulator.world.changed(changed, "Other", self.simulator.world.system)
        self.settled()
        (only,) = self.requests()
        assert only.startswith("GET ") and only.endswith("/NetworkBridge"), "nothing that matters has changed"
        self.clean_up(port)

    def test_a_settled_host_is_compared_with_few_requests_and_no_change_of_any_port(self) -> None:
        self.start_agent()
        ports = [self.bound_port(60 + n, guest) for n, guest in enumerate(GUESTS)]
        for port in ports:
            self.plug(port)
        self.until_status("ACTIVE", *ports)
        self.heal()
        self.requests()
        revision = self.simulator.world.revision
        self.heal()
        assert len(self.requests()) == 2, "the partitions' feed and the bridges' feed"
        assert self.simulator.world.revision == revision
        assert {self.status(port) for port in ports} == {"ACTIVE"}
        self.clean_up(*ports)

    def test_a_vlan_that_another_partition_uses_is_not_cleaned_away(self) -> None:
        self.start_agent()
        ours = self.bound_port(70)
        other = self.bound_port(70, GUESTS[1], network={"id": ours["network_id"]})
        self.plug(ours)
        self.until_status("ACTIVE", ours)
        self.create_adapter(other)
        self._delete("ports", other["id"], as_admin=True)
        self.unplug(ours)
        self._delete("ports", ours["id"], as_admin=True)
        self.heal()
        assert self.carried("ent5") == {70}, "a client adapter that Neutron does not know is on it"
        self.delete_adapter(other)
        self.heal()
        assert self.bridges() == self.before

    def test_a_service_that_goes_away_and_comes_back_is_caught_up_with(self) -> None:
        self.start_agent()
        port = self.bound_port(75)
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.simulator.sessions.expire_all()
        other = self.bound_port(76, GUESTS[1])
        self.plug(other)
        self.until_status("ACTIVE", other)
        self.clean_up(port, other)


class TestFailures(SeaTestCase):
    """The platform refuses, drops or changes under the agent: the port comes up in the end all the same."""

    def test_each_request_of_a_plug_may_fail(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        cases = [("GET", BRIDGES, action) for action in (Action.ERROR, Action.DROP_BEFORE)]
        cases += [("POST", BRIDGE, action) for action in FAILURES]
        ports = []
        for vlan, (method, path, action) in enumerate(cases, 10):
            port = self.bound_port(vlan, GUESTS[vlan % 4])
            self.simulator.faults.clear()
            self.simulator.faults.add(Fault(method, path, action))
            self.plug(port)
            self.until_status("ACTIVE", port)
            (fault,) = self.simulator.faults.faults()
            assert fault.fired == 1, f"{method} {path} {action}"
            assert vlan in self.carried("ent5") & self.carried("ent6")
            ports.append(port)
        self.simulator.faults.clear()
        self.clean_up(*ports)

    def test_one_vlan_that_the_platform_refuses_fails_only_its_own_port(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        # A guest's own trunk adapter on a VIOS that is no part of a bridge, made after the agent has looked.
        good, bad = self.bound_port(31), self.bound_port(32, GUESTS[1])
        first = self.bound_port(30)
        self.plug(first)
        self.until_status("ACTIVE", first)
        parent = {"parent_type": VIOS, "parent_uuid": self._vios("vios1")}
        switch = self.adapters._switches.get("ETHERNET0")
        trunk = EntryWrapper.create(CNA.bld(self.nova.adapter, 32, switch, trunk_pri=1), **parent)
        self.plug(good)
        self.plug(bad)
        self.until_status("ACTIVE", good)
        assert self.status(bad) != "ACTIVE"
        assert self.carried("ent5") == {30, 31}
        trunk.delete()
        self.until_status("ACTIVE", bad)
        self.clean_up(first, good, bad)

    def test_a_service_that_was_away_is_caught_up_with(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        port, late = self.bound_port(77), self.bound_port(78, GUESTS[1])
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.simulator.stop()
        self.start_simulator()
        self.plug(late)
        self.until_status("ACTIVE", late)
        assert self.carried("ent5") == self.carried("ent6") == {77, 78}
        self.clean_up(port, late)

    def _vios(self, name: str) -> str:
        return next(vios.uuid for vios in self.simulator.world.vioses if vios.name == name)


class TestStart(SeaTestCase):
    """What keeps an agent from starting names itself."""

    def _refusal(self) -> str:
        with pytest.raises((conf.BadMapping, PlatformError)) as caught:
            agent.connect(cfg.CONF, threading.Event())
        return str(caught.value)

    def test_mistakes_in_the_mappings(self) -> None:
        for text, message in (
            ("physnet1:ent5", "'physnet1:ent5' is not of the form <physical network>:<device>:<VIOS name>"),
            (
                "physnet1:ent9:vios1",
                "physnet1 names ent9 of VIOS vios1, and no network bridge has it. The system has: ",
            ),
            ("", "bridge_mappings is empty and the system has 2 network bridges: ent5 of VIOS vios1"),
        ):
            cfg.CONF.set_override("bridge_mappings", text, "AGENT")
            assert message in self._refusal()

    def test_a_system_without_a_bridge(self) -> None:
        self.simulator.world.state.bridges.clear()
        assert "The system has no network bridge. Create a Shared Ethernet Adapter" in self._refusal()

    def test_wrong_credentials(self) -> None:
        cfg.CONF.set_override("rest_password", "wrong", "powervm")
        assert "Check [powervm] rest_username and rest_password" in self._refusal()

    def test_nobody_there(self) -> None:
        cfg.CONF.set_override("rest_port", 1, "powervm")
        cfg.CONF.set_override("rest_connect_timeout", 1, "powervm")
        assert "did not answer within" in self._refusal()
