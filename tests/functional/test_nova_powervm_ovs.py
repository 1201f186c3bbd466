"""Servers with ports on Open vSwitch, through a real Nova and over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from tests.functional import base, world
from tests.functional import test_nova_powervm_interfaces as interfaces
from tests.functional import test_nova_powervm_sweeps as sweeps
from tests.functional.ovs import BINDING, NeutronAgent, OvsCloud
from tests.functional.sweep import Call, explained, label_of
from tests.functional.test_nova_powervm_faults import LPAR, Spawning

from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model import taps
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

ADAPTERS = f"{LPAR}{{uuid}}/ClientNetworkAdapter"
ADAPTER = f"{ADAPTERS}/{{uuid}}"
EVENT = "/rest/api/uom/Event"
SWITCHES = "/rest/api/uom/ManagedSystem/{uuid}/VirtualSwitch"
NETWORK = base.SeaNeutron.network_1["id"]


class OvsPorts(OvsCloud):
    """On a shared storage pool; the disks do not matter here."""

    def test_a_server_gets_its_ports_and_gives_them_back(self) -> None:
        self.delete(self.boot(flavor_id=self.make_flavor(memory_mb=512)))
        self.simulator.journal.clear()
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"uuid": NETWORK}] * 2)
        # Two adapters for each port and the one for RMC; nobody has to be told.
        assert self.kinds()["PUT", ADAPTERS] == 5
        assert ("PUT", EVENT) not in self.kinds()
        self.check_wired(server)
        (lpar,) = [self.lpar_of(server)]
        private = next(each["id"] for each in self.state()["switches"] if each["name"] == taps.PRIVATE_SWITCH)
        mine = [adapter for adapter in lpar["adapters"] if adapter["switch_id"] == private]
        assert len({adapter["pvid"] for adapter in mine}) == 2
        self.simulator.journal.clear()
        self.delete(server)
        assert self.kinds()["DELETE", ADAPTER] == 2
        assert self.ovs_ports() == []

    def test_servers_made_at_once_have_vlans_of_their_own(self) -> None:
        flavor = self.make_flavor(memory_mb=512)
        servers = [self.boot(f"web-{n}", flavor_id=flavor, expected=None) for n in range(6)]
        for server in servers:
            self.settle(server, "ACTIVE")
        self.check_wired(*servers)
        self.delete(*servers)

    def test_a_guest_starts_once_neutron_has_wired_its_ports(self) -> None:
        self.flags(vif_plugging_timeout=base.SETTLE_S)
        self.neutron.status = "DOWN"
        with NeutronAgent(self) as agent:
            server = self.boot(flavor_id=self.make_flavor(memory_mb=512), networks=[{"uuid": NETWORK}] * 2)
        assert agent.running_when_wired == [False, False]
        assert self.lpar_of(server)["state"] == "running"
        self.delete(server)

    def test_a_running_server_takes_a_port_and_gives_it_back(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest's RMC connection")
        self.simulator.journal.clear()
        made = self.api.attach_interface(server["id"], {"interfaceAttachment": {"net_id": NETWORK}})
        assert self.asked() == {("GET", f"{LPAR}{{uuid}}"): 1, ("PUT", ADAPTERS): 2}
        self.check_wired(server)
        assert len(self.ovs_ports()) == 2
        self.simulator.journal.clear()
        port = made.body["interfaceAttachment"]["port_id"]
        self.api.detach_interface(server["id"], port)
        self.wait_until(lambda: port not in self.neutron._ports, "the port is gone")
        assert len(self.ovs_ports()) == 1
        assert self.asked() == {("GET", f"{LPAR}{{uuid}}"): 1, ("GET", ADAPTERS): 1, ("DELETE", ADAPTER): 2}
        self.delete(server)

    def test_a_rebuilt_server_is_wired_again(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": self.image_id}})
        self.settle(server, "ACTIVE")
        self.check_wired(server)
        self.delete(server)

    def test_a_host_that_restarts_gets_its_devices_back(self) -> None:
        flavor = self.make_flavor(memory_mb=512)
        servers = [self.boot(f"web-{n}", flavor_id=flavor, networks=[{"uuid": NETWORK}] * 2) for n in range(2)]
        before = self.ovs_ports()
        self.compute.stop()
        self.lose_devices()
        assert self.ovs_ports() == []
        self.simulator.journal.clear()
        self.start_compute()
        assert self.ovs_ports() == before
        assert self.kinds()["GET", ADAPTERS] == 1
        assert self.kinds()["POST", ADAPTER] == 4
        # Nothing is to be done where nothing was lost.
        self.compute.stop()
        self.simulator.journal.clear()
        self.start_compute()
        assert self.kinds()["GET", ADAPTERS] == 1
        assert ("POST", ADAPTER) not in self.kinds()
        self.delete(*servers)

    def test_a_hard_reboot_puts_ports_back(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        before = self.ovs_ports()
        self.lose_devices()
        self._reboot_server(server)
        assert self.ovs_ports() == []
        self._reboot_server(server, hard=True)
        assert self.ovs_ports() == before
        self.delete(server)

    def test_a_trunk_adapter_that_somebody_removed_comes_back_with_the_service(self) -> None:
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        before = self.ovs_ports()
        self.compute.stop()
        with self.simulator.services.locked() as simulated:
            management = simulated.management
            (trunk,) = [one for one in management.adapters if one.trunk_priority is not None]
            management.adapters.remove(trunk)
            simulated.removed(trunk, management)
            simulated.changed(management, "ClientNetworkAdapter")
        assert [finding["kind"] for finding in self.audit()] == ["client-without-trunk"]
        self.start_compute()
        assert self.ovs_ports() == before
        self.check_wired(server)
        self.delete(server)

    def test_a_hybrid_plug_is_refused_with_the_option_to_change(self) -> None:
        self.neutron.vif_details = {**BINDING, "ovs_hybrid_plug": True}
        self.simulator.journal.clear()
        message = self.boot_fails()
        assert "asks for a hybrid plug, which PowerVM does not have." in message
        assert "Set firewall_driver = openvswitch, or noop, in [securitygroup]" in message
        assert not [entry for entry in self.calls() if entry.method != "GET"]


class OvsSwitchMissing(OvsCloud):
    """The first port finds no switch for it."""

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        return document

    def test_it_is_made(self) -> None:
        self.simulator.journal.clear()
        server = self.boot(flavor_id=self.make_flavor(memory_mb=512))
        assert self.kinds()["PUT", SWITCHES] == 1
        self.check_wired(server)
        self.delete(server)
        with self.simulator.services.locked() as simulated:
            (made,) = [one for one in simulated.state.switches if one.name == taps.PRIVATE_SWITCH]
            simulated.state.switches.remove(made)
            simulated.removed(made, simulated.system)


class OvsSpawning(OvsCloud, Spawning):
    """A spawn with a port on Open vSwitch, of which any request can be struck."""

    def spawn(self, number: int, expected: str | None = None) -> dict[str, Any]:
        server = self.boot(f"web-{number}", flavor_id=self.flavor_id, config_drive=True, expected=None)
        return self.finished(server, expected)

    def record(self) -> list[Call]:
        """Those on the network; the others are struck elsewhere."""
        calls = [call for call in super().record() if call.template == ADAPTERS]
        assert len(calls) == 3
        return calls


class OvsSpawnSweep(OvsSpawning):
    """Each request for an adapter."""

    @pytest.mark.full
    @pytest.mark.timeout(600)
    def test_every_call_fails_in_turn(self) -> None:
        outcomes, faults = self.sweep(Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER)
        assert outcomes["ERROR"] >= faults // 2, outcomes


@pytest.mark.full
class OvsDeleteSweep(OvsCloud, sweeps.DeleteSweep):
    """A server with a port on Open vSwitch."""


@pytest.mark.full
class OvsInterfaceSweep(OvsCloud, interfaces.InterfaceSweep):
    """A running server takes a port on Open vSwitch and gives it back."""

    def strike_attach(self, server: dict[str, Any], fault: Fault) -> str:
        outcome = super().strike_attach(server, fault)
        self.check_wired(server)
        return outcome

    def strike_detach(self, server: dict[str, Any], fault: Fault) -> str:
        outcome = super().strike_detach(server, fault)
        self.check_wired(server)
        return outcome


class OvsStartUpSweep(OvsCloud, sweeps.StartUpSweep):
    """nova-compute starts on a host whose management partition has restarted."""

    def end(self) -> None:
        super().end()
        self.lose_devices()

    def strike(self, server: dict[str, Any], fault: Fault) -> None:
        """The devices are back, whatever request failed."""
        label = f"start of the service with {label_of(fault)}"
        with explained(label, self.simulator.journal):
            was = self.state()
            self.end()
            self.simulator.journal.clear()
            self.plan(fault)
            self.start_compute()
            self.check_fired(label)
            assert self.agree(server) == "ACTIVE"
            assert world.differences(was, self.state()) == []
            self.check_wired(server)
