"""Ports of z/VM guests: real Neutron code, the agent, and a simulated z/VM under the real Cloud Connector."""

from __future__ import annotations

from typing import Any

import pytest
from neutron_lib.api.definitions import portbindings
from tests.functional.zvm_neutron_base import FLAT, HOST, PHYSNET, VLAN, ZvmTestCase

from bigiron.errors import PlatformError
from bigiron.plugins.neutron import conf, zvm_agent
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.zvm.model import directory, networks

MECH = "bigiron.plugins.neutron.binding"


class TestPlug(ZvmTestCase):
    """From binding to traffic and back."""

    def test_a_port_is_up_only_when_its_adapter_is_coupled_with_its_vlan(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(55), spec)
        assert port[portbindings.VIF_TYPE] == "zvm"
        details = port[portbindings.VIF_DETAILS]
        wanted = {"vlan": 55, "physical_network": PHYSNET, "port_filter": False, "vswitch": VLAN, "connectivity": "l2"}
        assert {key: details.get(key) for key in wanted} == wanted
        self.settled()
        assert self.status(port) == "DOWN"

        self.requests()
        spec = self.spawn(spec, port)
        self.until_status("ACTIVE", port)
        assert self.couplings(spec) == {"1000": (VLAN, 55, "", (55,))}
        assert len(self.requests()) == 2, "couple, and does it run"
        assert self.grants(VLAN) == [], "a VLAN in the directory is a right by itself"

        self.platform.power_on(spec.uuid)
        assert self.couplings(spec) == {"1000": (VLAN, 55, VLAN, (55,))}
        self.heal()
        assert self.status(port) == "ACTIVE"
        self.clean_up(spec)

    def test_a_flat_network_is_granted_and_the_right_goes_with_the_last_adapter(self) -> None:
        self.start_agent()
        spec = self.spec()
        network = self.network(None)
        first, second = self.bound_port(network, spec), self.bound_port(network, spec)
        spec = self.boot(spec, first, second)
        assert self.grants(FLAT) == [self.userid(spec)]
        assert set(self.couplings(spec).values()) == {(FLAT, None, FLAT, ())}

        self.platform.detach(spec.uuid, self.nic(first))
        self._delete("ports", first["id"], as_admin=True)
        self.settled()
        assert list(self.couplings(spec).values()) == [(FLAT, None, FLAT, ())], "the other one was not cut off"
        assert self.grants(FLAT) == [self.userid(spec)]
        self.platform.detach(spec.uuid, self.nic(second))
        self.until("the right is gone", lambda: self.grants(FLAT) == [])
        self.clean_up(spec)

    def test_two_vlans_of_one_switch_in_one_guest_that_runs(self) -> None:
        self.start_agent()
        spec = self.spec()
        first = self.bound_port(self.network(10), spec)
        spec = self.boot(spec, first)
        self.world.wait_until_up(spec)

        second = self.bound_port(self.network(20), spec)
        self.platform.attach(spec.uuid, self.nic(second))
        self.until_status("ACTIVE", second)
        assert sorted(self.couplings(spec).values()) == [(VLAN, 10, VLAN, (10,)), (VLAN, 20, VLAN, (20,))]

        self.platform.detach(spec.uuid, self.nic(first))
        self.until_status("DOWN", first)
        assert list(self.couplings(spec).values()) == [(VLAN, 20, VLAN, (20,))]
        assert self.status(second) == "ACTIVE"
        self.clean_up(spec)

    def test_a_disabled_port_carries_nothing_until_it_is_enabled(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(10), spec)
        spec = self.boot(spec, port)
        self.update(port, admin_state_up=False)
        self.until_status("DOWN", port)
        self.until("it is uncoupled", lambda: self.couplings(spec) == {"1000": ("", None, "", ())})
        self.update(port, admin_state_up=True)
        self.until_status("ACTIVE", port)
        assert self.couplings(spec) == {"1000": (VLAN, 10, VLAN, (10,))}
        self.clean_up(spec)

    def test_the_adapter_of_a_deleted_port_is_cut_off(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(None), spec)
        spec = self.boot(spec, port)
        self._delete("ports", port["id"], as_admin=True)
        self.until("it is uncoupled", lambda: self.couplings(spec) == {"1000": ("", None, "", ())})
        assert self.grants(FLAT) == []
        self.clean_up(spec)

    def test_a_guest_that_did_not_wait_is_coupled_as_it_runs(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(10), spec)
        spec = self.spawn(spec, port, power_on=True)
        assert self.couplings(spec) == {"1000": ("", None, "", ())}
        self.until_status("ACTIVE", port)
        assert self.couplings(spec) == {"1000": (VLAN, 10, VLAN, (10,))}
        self.clean_up(spec)

    def test_a_coupling_that_fails_is_tried_again_and_keeps_nobody_else_down(self) -> None:
        self.start_agent()
        network = self.network(10)
        bad, good = self.spec(), self.spec()
        lame = self.bound_port(network, bad)
        bad = self.spawn(bad, lame)
        self.fail("Image_Replace_DM", "400/0")
        self.until("it has failed", lambda: any(fault.fired for fault in self.world.simulator.faults.faults()))
        port = self.bound_port(network, good)
        good = self.spawn(good, port)
        self.until_status("ACTIVE", port, lame)
        self.world.simulator.faults.clear()
        self.clean_up(bad, good)


class TestRecovery(ZvmTestCase):
    """What the agent missed, and what others have changed."""

    def made(self, vlan: int | None = 10) -> tuple[Any, Any]:
        spec = self.spec()
        port = self.bound_port(self.network(vlan), spec)
        spec = self.boot(spec, port)
        return spec, port

    def test_an_agent_that_starts_finds_what_came_and_went_without_it(self) -> None:
        self.start_agent()
        spec, port = self.made()
        self.stop_agent()
        late = self.spec()
        second = self.bound_port(self.network(11), late)
        late = self.spawn(late, second, power_on=True)
        self.world.wait_until_up(spec)
        self.platform.detach(spec.uuid, self.nic(port))
        self.start_agent()
        assert (self.status(port), self.status(second)) == ("DOWN", "ACTIVE")
        assert self.couplings(late) == {"1000": (VLAN, 11, VLAN, (11,))}
        self.clean_up(spec, late)

    def test_what_somebody_did_by_hand_is_put_right(self) -> None:
        self.start_agent()
        spec, port = self.made()
        userid = self.userid(spec)
        with self.system() as system:
            networks.uncouple(system, system.running(userid), "1000")
        self.heal()
        assert self.couplings(spec) == {"1000": (VLAN, 10, VLAN, (10,))}
        with self.system() as system:
            system.put_entry(directory.with_line(system.entry(userid), f"NICDEF 1000 LAN SYSTEM {VLAN} VLAN 99"))
        self.heal()
        assert self.couplings(spec) == {"1000": (VLAN, 10, VLAN, (10,))}
        assert self.status(port) == "ACTIVE"
        self.requests()
        self.heal()
        assert not [call for call in self.requests() if call.startswith("PUT")]
        self.clean_up(spec)

    def test_an_adapter_of_the_operators_is_left_alone(self) -> None:
        self.start_agent()
        spec, port = self.made(None)
        userid = self.userid(spec)
        with self.system() as system:
            system.put_entry(directory.with_line(system.entry(userid), f"NICDEF 2000 TYPE QDIO LAN SYSTEM {FLAT}"))
        self.update(port, admin_state_up=False)
        self.until_status("DOWN", port)
        self.heal()
        assert self.couplings(spec)["2000"][0] == FLAT and self.grants(FLAT) == [userid]
        self.clean_up(spec)

    def test_after_an_ipl_the_lost_switch_is_made_again_and_guests_find_their_networks(self) -> None:
        self.configure(more=f"[{VLAN}]\nrdev_list = 6243 6246\nvlan_id = AWARE")
        self.start_agent()
        spec, port = self.made()
        with self.system() as system:
            system.state.running.pop(self.userid(spec))
            del system.state.vswitches[VLAN]
            system.state.ipl_time += 3600
            system.touch()
        with self.assertLogs("bigiron", "INFO") as logs:
            self.heal()
        assert any("z/VM was started anew" in line for line in logs.output)
        assert any(f"Made virtual switch {VLAN}" in line for line in logs.output)
        assert self.status(port) == "ACTIVE"
        self.platform.power_on(spec.uuid)
        assert self.couplings(spec) == {"1000": (VLAN, 10, VLAN, (10,))}
        self.clean_up(spec)

    def test_a_switch_that_is_gone_is_no_longer_reported_and_takes_its_ports_down(self) -> None:
        self.start_agent()
        spec, port = self.made()
        with self.system() as system:
            switch = system.state.vswitches.pop(VLAN)
            system.touch()
        self.heal()
        self.heartbeat.beat()
        assert self.status(port) == "DOWN"
        assert PHYSNET not in self.agent_record()["configurations"]["vswitch_mappings"]
        with self.system() as system:
            system.put_vswitch(switch)
        self.heal()
        assert self.status(port) == "ACTIVE"
        self.clean_up(spec)

    def test_a_connector_that_was_away_is_made_good(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(10), spec)
        spec = self.spawn(spec, port)
        self.world.simulator.faults.add(Fault("GET", "/guests/nics", Action.DROP_BEFORE, times=0))
        with self.assertLogs("bigiron.plugins.neutron.passes", "ERROR") as logs:
            self.settled()
        assert "cannot be reached" in logs.output[0] and self.status(port) == "DOWN"
        self.world.simulator.faults.clear()
        self.until_status("ACTIVE", port)
        self.clean_up(spec)

    def agent_record(self) -> dict[str, Any]:
        (found,) = self.driver.get_agents(self.context, {"agent_type": [ZVM.agent_type]})
        return dict(found)


class TestRefusals(ZvmTestCase):
    """What cannot be, and how that is said."""

    def test_networks_that_no_switch_can_carry_are_not_bound(self) -> None:
        self.configure(agent=f"vswitch_mappings = {PHYSNET}:{FLAT},aware:{VLAN}")
        self.start_agent()
        spec = self.spec()
        for network, reason in (
            (self.network(10), f"virtual switch {FLAT} knows no VLANs"),
            (self.network(None, "aware"), f"virtual switch {VLAN} knows VLANs and has no default one"),
            (self.network(11, "physnet2"), "its physical network physnet2 has no virtual switch there (mapped: aware,"),
        ):
            with self.assertLogs(MECH, "WARNING") as logs:
                port = self.bound_port(network, spec)
            assert port[portbindings.VIF_TYPE] == "binding_failed"
            assert reason in logs.output[0], logs.output

    def test_every_switch_serves_the_network_of_its_name_where_nothing_is_mapped(self) -> None:
        self.configure(agent="vswitch_mappings =")
        self.start_agent()
        assert self.bound_port(self.network(None), self.spec())[portbindings.VIF_DETAILS]["vswitch"] == FLAT
        (found,) = self.driver.get_agents(self.context, {"agent_type": [ZVM.agent_type]})
        assert (found["host"], found["agent_type"], found["binary"]) == (HOST, ZVM.agent_type, ZVM.binary)
        assert found["configurations"]["vswitch_mappings"] == {FLAT: FLAT, VLAN: VLAN}
        assert found["configurations"]["system"]

    def test_a_switch_that_is_not_there_ends_the_start_with_the_fix(self) -> None:
        self.configure(agent=f"vswitch_mappings = {PHYSNET}:VSWNONE")
        with pytest.raises(conf.BadMapping, match=r"no virtual switch VSWNONE \(there are: VSWFLAT, VSWVLAN\)"):
            zvm_agent.connect(self.options)

    def test_a_switch_is_made_where_its_devices_are_known(self) -> None:
        more = "[VSWNEW]\nrdev_list = 6249\nvlan_id = 7"
        self.configure(agent=f"vswitch_mappings = {PHYSNET}:VSWNEW", more=more)
        self.start_agent()
        switch = next(each for each in self.world.state()["switches"] if each["name"] == "VSWNEW")
        assert (switch["aware"], switch["vlan"], switch["rdevs"]) == (True, 7, ["6249"])
        with self.system() as system:
            del system.state.vswitches["VSWNEW"]
            system.touch()

    def test_a_connector_that_is_down_ends_the_start_with_its_address(self) -> None:
        self.options.set_override("cloud_connector_url", "http://127.0.0.1:9/", "zvm")
        with pytest.raises(PlatformError, match=r"at http://127.0.0.1:9 cannot be reached .*cloud_connector_url"):
            zvm_agent.connect(self.options)
