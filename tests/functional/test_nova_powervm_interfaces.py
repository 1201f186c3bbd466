"""Network adapters come to servers and go from them, running and stopped, through a real Nova and over HTTP."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from nova import context, objects
from tests.functional import base, world
from tests.functional.actions import NETWORK
from tests.functional.powervm import EVENTS
from tests.functional.sweep import Call, explained, label_of
from tests.functional.test_nova_powervm_sweeps import Sweep

from bigiron.powervm.network import rmc
from bigiron.sim.kernel.faults import Fault
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RMC_INACTIVE

LPAR = "/rest/api/uom/LogicalPartition/{uuid}"
ADAPTERS = f"{LPAR}/ClientNetworkAdapter"
ADAPTER = f"{ADAPTERS}/{{uuid}}"


class Adapters(Sweep):
    """What the tests of adapters share."""

    def macs(self, server: dict[str, Any]) -> list[str]:
        """The MACs of the partition's adapters in the order of their slots, which is the guest's, RMC left out."""
        found = sorted(self.lpar_of(server)["adapters"], key=lambda adapter: adapter["slot"])
        written = [":".join(one["mac"][i : i + 2] for i in range(0, 12, 2)).lower() for one in found]
        return [mac for mac in written if mac != rmc.mac(server["id"])]

    def until_rmc(self, server: dict[str, Any]) -> None:
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest's RMC connection")

    def lose_rmc(self, server: dict[str, Any]) -> None:
        """As if the guest's RMC daemon had ended."""
        self.until_rmc(server)
        uuid = self.lpar_of(server)["uuid"]
        with self.simulator.services.locked() as simulated:
            lpar = simulated.partition(uuid)
            lpar.rmc = RMC_INACTIVE
            simulated.changed(lpar, "RMCState")

    def before_services(self) -> None:
        super().before_services()
        self.told()

    def told(self) -> list[tuple[str, str]]:
        """(action, MAC) of what the network agents were told since this was last asked."""
        events = self.simulator.services.events.take("a network agent", 0)
        found = [json.loads(event.detail) for event in events if "NOVA_PVM_VIF" in event.detail]
        return [(one["action"], one["mac"]) for one in found]


class Interfaces(Adapters):
    """On a shared storage pool; the disks do not matter here."""

    def test_a_running_server_takes_an_adapter_and_gives_it_back(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.until_rmc(server)
        first = self.macs(server)
        self.told()
        self.simulator.journal.clear()
        port = self.attach(server)
        assert self.asked() == {("GET", LPAR): 1, ("PUT", ADAPTERS): 1, ("PUT", EVENTS): 1}
        (_, added) = self.macs(server)
        assert self.macs(server) == [*first, added] == self.ports(server)
        (made,) = [one for one in self.lpar_of(server)["adapters"] if one["mac"] == added.replace(":", "").upper()]
        assert made["pvid"] == base.VLAN
        assert made["slot"] == max(one["slot"] for one in self.lpar_of(server)["adapters"])
        assert self.told() == [("plug", added)]
        self.simulator.journal.clear()
        assert self.detach(server, port) == "Success"
        assert self.asked() == {("GET", LPAR): 1, ("GET", ADAPTERS): 1, ("DELETE", ADAPTER): 1, ("PUT", EVENTS): 1}
        assert self.macs(server) == self.ports(server) == first
        assert self.told() == [("unplug", added)]
        assert port not in self.neutron._ports
        self.delete(server)

    def test_a_stopped_server_takes_an_adapter_and_starts_with_it(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._stop_server(server)
        port = self.attach(server)
        assert self.macs(server) == self.ports(server)
        assert len(self.macs(server)) == 2
        self._start_server(server)
        self.until_rmc(server)
        assert self.detach(server, port) == "Success"
        assert self.macs(server) == self.ports(server)
        self._stop_server(server)
        (last,) = self.api.get_port_interfaces(server["id"])
        assert self.detach(server, last["port_id"]) == "Success"
        assert self.macs(server) == self.ports(server) == []
        self.delete(server)

    def test_a_running_server_without_rmc_is_refused_before_anything_is_changed(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.lose_rmc(server)
        before, ports = self.state(), set(self.neutron._ports)
        (mine,) = self.api.get_port_interfaces(server["id"])
        for action, attempt, looks in (
            ("attached", lambda: self.attach_fails(server), {}),
            # One that is gone already would be no error.
            ("detached", lambda: self.detach(server, mine["port_id"]), {("GET", f"{LPAR}/ClientNetworkAdapter"): 1}),
        ):
            self.simulator.journal.clear()
            assert attempt() in (None, "Error")
            assert self.asked() == {("GET", LPAR): 1, **looks}
            name = self.lpar_of(server)["name"]
            said = f"cannot be {action}: LPAR {name} is running and its RMC state is inactive. Stop the server, or wait"
            assert said in self.stdlog.logger.output
        assert world.differences(before, self.state()) == []
        assert set(self.neutron._ports) == ports
        assert self.macs(server) == self.ports(server)
        self._stop_server(server)
        assert self.detach(server, self.attach(server)) == "Success"
        self.delete(server)

    def test_an_adapter_that_is_gone_already_is_detached(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._stop_server(server)
        port = self.attach(server)
        self.driver.detach_interface(None, *self.instance_and_vif(server, port))
        assert len(self.macs(server)) == 1
        assert self.detach(server, port) == "Success"
        assert self.macs(server) == self.ports(server)
        self.delete(server)

    def instance_and_vif(self, server: dict[str, Any], port: str) -> tuple[Any, Any]:
        """What the manager hands to the driver."""
        instance = objects.Instance.get_by_uuid(
            context.get_admin_context(), server["id"], expected_attrs=["info_cache"]
        )
        (vif,) = [vif for vif in instance.get_network_info() if vif["id"] == port]
        return instance, vif

    def test_a_network_that_no_sea_serves_is_refused(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self._stop_server(server)
        self.neutron.vif_type = "tap"
        self.simulator.journal.clear()
        self.attach_fails(server)
        self.neutron.vif_type = "pvm_sea"
        assert not self.asked()
        assert "has the interface type tap" in self.stdlog.logger.output
        assert self.macs(server) == self.ports(server)
        self.delete(server)

    def test_the_guest_sees_its_adapters_in_the_order_of_the_request(self) -> None:
        networks = [{"uuid": NETWORK}] * 4
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=networks)
        assert self.macs(server) == self.ports(server)
        assert len(set(self.macs(server))) == 4
        self.until_rmc(server)
        attached = self.api.get_port_interfaces(server["id"])
        second = next(one for one in attached if one["mac_addr"] == self.macs(server)[1])
        assert self.detach(server, second["port_id"]) == "Success"
        self.attach(server)
        assert self.macs(server) == self.ports(server)
        self.delete(server)


class InterfaceSweep(Adapters):
    """Every request of an attach and of a detach fails in turn, on a running server."""

    @pytest.mark.timeout(300)
    def test_attach(self) -> None:
        server = self.running()
        for _ in range(2):
            self.simulator.journal.clear()
            port = self.attach(server)
            calls = self.recorded()
            assert self.detach(server, port) == "Success"
        outcomes = Counter(self.strike_attach(server, fault) for fault in self.faults(calls))
        assert outcomes["Success"], outcomes
        assert outcomes["Error"], outcomes
        self.delete(server)
        self.check_nothing_left()

    @pytest.mark.timeout(300)
    def test_detach(self) -> None:
        server = self.running()
        for _ in range(2):
            port = self.attach(server)
            self.simulator.journal.clear()
            assert self.detach(server, port) == "Success"
            calls = self.recorded()
        outcomes = Counter(self.strike_detach(server, fault) for fault in self.faults(calls))
        assert outcomes["Success"], outcomes
        assert outcomes["Error"], outcomes
        self.delete(server)
        self.check_nothing_left()

    def running(self) -> dict[str, Any]:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.until_rmc(server)
        return server

    @staticmethod
    def faults(calls: list[Call]) -> list[Fault]:
        assert calls
        return [fault for call in calls for fault in call.faults()]

    def strike_attach(self, server: dict[str, Any], fault: Fault) -> str:
        """An attach under a fault; afterwards it is done or nothing of it is there, and the next try works."""
        label = f"attach with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            before = self.state()
            self.simulator.journal.clear()
            self.plan(fault)
            try:
                port = self.attach(server)
                outcome = "Success"
            except base.api_client.OpenStackApiException as error:
                assert error.response.status_code == 500
                outcome = "Error"
            self.check_fired(label)
            assert self.macs(server) == self.ports(server)
            if outcome == "Error":
                assert world.differences(before, self.state()) == []
                port = self.attach(server)
                assert self.macs(server) == self.ports(server)
            assert self.detach(server, port) == "Success"
            assert world.differences(before, self.state()) == []
        return outcome

    def strike_detach(self, server: dict[str, Any], fault: Fault) -> str:
        """A detach under a fault; afterwards it is done or the adapter is still there, and the next try works."""
        label = f"detach with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            before = self.state()
            port = self.attach(server)
            self.simulator.journal.clear()
            self.plan(fault)
            outcome = self.detach(server, port)
            self.check_fired(label)
            assert self.macs(server) == self.ports(server)
            if outcome == "Error":
                assert len(self.macs(server)) == 2
                assert self.detach(server, port) == "Success"
            assert world.differences(before, self.state()) == []
        return outcome
