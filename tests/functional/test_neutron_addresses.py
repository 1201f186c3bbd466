"""Which addresses a guest may use: real Neutron code, the agent, and a simulated system over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from neutron.plugins.ml2.common import exceptions as ml2_errors
from neutron_lib import context as neutron_context
from neutron_lib import exceptions as neutron_errors
from neutron_lib.api.definitions import portbindings
from oslo_config import cfg
from tests.functional.neutron_base import FAILURES, GUESTS, HOST, SeaTestCase

from bigiron import naming
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model.partition import OFF, RUNNING

VIRTUAL, SPARE = "00:00:5e:00:01:0a", "fa:16:3e:77:00:01"
ADAPTERS = "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter"
ADAPTER = f"{ADAPTERS}/{{uuid}}"


class AddressesTestCase(SeaTestCase):
    """What the adapter of a port lets through, and what changes that."""

    def preSetUp(self) -> None:
        super().preSetUp()
        cfg.CONF.set_override("extension_drivers", ["port_security"], "ml2")

    def plugged_port(self, vlan: int = 10) -> Any:
        port = self.bound_port(vlan)
        self.plug(port)
        self.until_status("ACTIVE", port)
        return port

    def allow(self, port: Any, *macs: str) -> None:
        pairs = [{"mac_address": mac, "ip_address": "10.0.0.77"} for mac in macs]
        self.driver.update_port(self.admin, port["id"], {"port": {"allowed_address_pairs": pairs}})

    def lift(self, port: Any) -> None:
        """Switch the port's port security off."""
        changes = {"port_security_enabled": False, "security_groups": []}
        self.driver.update_port(self.admin, port["id"], {"port": changes})

    def turn(self, state: str, guest: str = GUESTS[0]) -> None:
        """The guest is stopped or started."""
        world = self.simulator.world
        with world.lock:
            lpar = world.partition(naming.lpar_uuid(guest))
            lpar.state = state
            world.changed(lpar, "PartitionState")

    def passes(self, port: Any) -> str:
        """What the adapter lets through beside its own address, as the world has it."""
        world = self.simulator.world
        mac = port["mac_address"].replace(":", "").upper()
        with world.lock:
            lpar = world.partition(naming.lpar_uuid(port["device_id"]))
            (adapter,) = (one for one in lpar.adapters if one.mac == mac)
            return str(adapter.allowed_macs)

    def until_passes(self, port: Any, wanted: str) -> None:
        self.until(f"the adapter lets {wanted} through", lambda: self.passes(port) == wanted)

    @property
    def admin(self) -> Any:
        return neutron_context.get_admin_context()


class TestAddresses(AddressesTestCase):
    """Port security decides, as with every driver of Neutron."""

    def test_a_guest_may_use_its_ports_address_and_no_other(self) -> None:
        self.start_agent()
        port = self.bound_port(10)
        assert port[portbindings.VIF_DETAILS]["allowed_macs"] == "NONE"
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.passes(port) == "NONE"
        self.clean_up(port)

    def test_address_pairs_and_no_port_security_are_known_before_the_adapter_is_made(self) -> None:
        self.start_agent()
        paired, free = self.bound_port(10), self.bound_port(11)
        for port, change, wanted in (
            (paired, lambda: self.allow(paired, VIRTUAL), "00005E00010A"),
            (free, lambda: self.lift(free), "ALL"),
        ):
            self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: ""}})
            change()
            again = self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: HOST}})
            self.plug(again)
            self.until_status("ACTIVE", again)
            assert self.passes(again) == wanted
        self.clean_up(paired, free)

    def test_a_change_reaches_the_adapter_of_a_stopped_guest_at_once(self) -> None:
        self.start_agent()
        port = self.plugged_port()
        self.turn(OFF)
        self.settled()
        self.requests()
        for change, wanted in (
            (lambda: self.allow(port, VIRTUAL, SPARE), "00005E00010A FA163E770001"),
            (lambda: self.allow(port), "NONE"),
            (lambda: self.lift(port), "ALL"),
        ):
            change()
            self.until_passes(port, wanted)
            self.settled()
            assert sum(call.startswith("POST ") for call in self.requests()) == 1
        assert self.status(port) == "ACTIVE"
        self.heal()
        assert not [call for call in self.requests() if call.startswith("POST ")], "nothing is left to do"
        self.clean_up(port)

    def test_a_change_waits_until_a_running_guest_is_stopped(self) -> None:
        self.start_agent()
        port = self.plugged_port()
        self.requests()
        with self.assertLogs("bigiron.plugins.neutron.reconcile", "WARNING") as logs:
            self.allow(port, VIRTUAL)
            self.settled()
        assert "comes into force when the server is stopped" in logs.output[0]
        assert self.passes(port) == "NONE"
        assert not [call for call in self.requests() if call.startswith("POST ")], "the platform would refuse it"
        assert self.status(port) == "ACTIVE"
        self.turn(OFF)
        self.until_passes(port, "00005E00010A")
        self.turn(RUNNING)
        self.settled()
        self.clean_up(port)

    def test_an_adapter_made_by_what_its_binding_said_once_is_put_right(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        port = self.bound_port(10)
        self.turn(OFF)
        self.allow(port, VIRTUAL)
        assert self.nic(port).details["allowed_macs"] == "NONE", "the binding is older than the pair"
        self.plug(port)
        self.until_passes(port, "00005E00010A")
        self.until_status("ACTIVE", port)
        self.clean_up(port)

    def test_an_agent_that_was_away_makes_it_good(self) -> None:
        self.start_agent()
        port = self.plugged_port()
        self.stop_agent()
        self.turn(OFF)
        self.allow(port, SPARE)
        self.start_agent()
        self.until_passes(port, "FA163E770001")
        self.clean_up(port)

    def test_a_port_that_is_not_bound_takes_another_address_with_it(self) -> None:
        self.start_agent()
        port = self.bound_port(10)
        with pytest.raises(neutron_errors.PortBound):
            self.driver.update_port(self.admin, port["id"], {"port": {"mac_address": SPARE}})
        self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: ""}})
        self.driver.update_port(self.admin, port["id"], {"port": {"mac_address": SPARE}})
        port = self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: HOST}})
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.passes(port) == "NONE"
        self.clean_up(port)


class TestRefusals(AddressesTestCase):
    """An adapter takes four addresses."""

    macs = [f"fa:16:3e:77:00:0{n}" for n in range(5)]

    def test_more_pairs_for_a_bound_port(self) -> None:
        self.start_agent()
        port = self.bound_port(10)
        self.allow(port, *self.macs[:4])
        with pytest.raises(ml2_errors.MechanismDriverError) as caught:
            self.allow(port, *self.macs)
        (inner,) = caught.value.inner_exceptions
        assert isinstance(inner, neutron_errors.InvalidInput)
        assert "have 5 MAC addresses beside its own, and an adapter takes 4" in str(inner)
        assert len(self.driver.get_port(self.admin, port["id"])["allowed_address_pairs"]) == 4
        self.allow(port)
        self.clean_up(port)

    def test_the_api_says_so_as_the_users_mistake(self) -> None:
        self.start_agent()
        port = self.bound_port(10)
        pairs = [{"mac_address": mac, "ip_address": "10.0.0.77"} for mac in self.macs]
        self._update("ports", port["id"], {"port": {"allowed_address_pairs": pairs}}, expected_code=400, as_admin=True)
        self.clean_up(port)

    def test_a_port_with_more_pairs_is_not_bound(self) -> None:
        self.start_agent()
        port = self.bound_port(10)
        self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: ""}})
        self.allow(port, *self.macs)
        with self.assertLogs("bigiron.plugins.neutron.binding", "ERROR") as logs:
            port = self.driver.update_port(self.admin, port["id"], {"port": {portbindings.HOST_ID: HOST}})
        assert port[portbindings.VIF_TYPE] == "binding_failed"
        assert "have 5 MAC addresses beside its own" in logs.output[0]
        self.clean_up(port)


class TestFaults(AddressesTestCase):
    """Each request of a change fails in turn, and the change is made all the same."""

    def test_each_request_of_a_change_may_fail(self) -> None:
        cfg.CONF.set_override("exception_interval", 1, "AGENT")
        self.start_agent()
        port = self.plugged_port()
        self.turn(OFF)
        self.settled()
        cases = [("GET", ADAPTERS, action) for action in (Action.ERROR, Action.DROP_BEFORE)]
        cases += [("POST", ADAPTER, action) for action in FAILURES]
        for number, (method, path, action) in enumerate(cases):
            mac = f"fa:16:3e:77:01:{number:02x}"
            self.simulator.faults.clear()
            self.simulator.faults.add(Fault(method, path, action))
            self.allow(port, mac)
            self.until_passes(port, mac.replace(":", "").upper())
            self.settled()
            (fault,) = self.simulator.faults.faults()
            assert fault.fired == 1, f"{method} {path} {action}"
            assert self.status(port) == "ACTIVE"
        self.simulator.faults.clear()
        self.clean_up(port)
