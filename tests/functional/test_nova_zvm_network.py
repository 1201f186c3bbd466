"""Servers on z/VM whose ports come up when the network agent has coupled their adapters: real Nova, our agent's code.

Neutron's server is Nova's fixture, as both cannot be had in one process: what it is told, Nova hears as its events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tests.functional import base
from tests.functional.zvm import VswitchNeutron, ZVMCloud

from bigiron.plugins.neutron.ports import Port
from bigiron.plugins.neutron.zvm_loop import LookLoop
from bigiron.plugins.neutron.zvm_networks import Networks
from bigiron.plugins.neutron.zvm_reconcile import CouplingReconciler
from bigiron.zvm.api import Api
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.portline import AGENT, COMPUTE, PortLine
from bigiron.zvm.rest import Connector
from bigiron.zvm.vswitches import Vswitches

SWITCH, VLAN = "VSWVLAN", 77


class VlanNeutron(VswitchNeutron):
    """A VLAN network on a virtual switch; ports are down until the agent reports them up."""

    physical_network = SWITCH
    vlan = VLAN
    status = "DOWN"
    agent: Agent | None = None

    def update_port(self, port_id: str, body: Any = None) -> Any:
        answer = super().update_port(port_id, body)
        if self.agent is not None:
            self.agent.port_changed(self._ports[port_id])
        return answer

    def delete_port(self, port_id: str, **params: Any) -> None:
        super().delete_port(port_id, **params)
        if self.agent is not None:
            self.agent.loop.port_gone(port_id)


class Agent:
    """The agent's parts as `zvm_agent` puts them together, with Nova's fixture for Neutron's server."""

    def __init__(self, cloud: NetworkedCloud) -> None:
        self._cloud = cloud
        simulator = cloud.world.simulator
        self.tells_neutron = True
        self.line = PortLine(str(cloud.port_line), AGENT, COMPUTE)
        self._connector = Connector(ZvmOptions(simulator.url, token_path=str(simulator.layout.token)))
        platform = Vswitches(Api(self._connector))
        networks = Networks(platform, {}, {})
        networks.refresh()
        reconciler = CouplingReconciler(self, platform, networks)
        self.looking = threading.Lock()
        """Held by a pass; by a test, so that there is none."""
        look = reconciler.look
        reconciler.look = lambda: self._look(look)  # type: ignore[method-assign]
        self.loop = LookLoop(reconciler, base.HOST, 0.1, 1800.0, 1.0)
        self._thread = threading.Thread(target=self.loop.run, name="z/VM agent", daemon=True)
        self.guests_that_ran: list[bool] = []
        """Whether the guest ran already when its port came up, for each port."""
        reconciler.announce = self._tell
        self.line.start(self.loop.adapters_made)
        self._thread.start()

    def _look(self, look: Callable[[], bool]) -> bool:
        with self.looking:
            return look()

    def _tell(self, up: Sequence[str]) -> None:
        """Before anybody hears: nova-compute starts the guest at once."""
        for port_id in up:
            guest = self._cloud.guest_of({"id": self._cloud.neutron._ports[port_id]["device_id"]})
            self.guests_that_ran.append(guest["state"] != "off")
        self.line.tell(up)

    def stop(self) -> None:
        self.loop.stop()
        self._thread.join()
        self.line.close()
        self._connector.close()

    def port_changed(self, port: dict[str, Any]) -> None:
        up = port["status"] == "ACTIVE"
        self.loop.port_changed(port["id"], port.get("binding:host_id"), SWITCH, VLAN, port["admin_state_up"], up)

    # What the reconciler asks of Neutron's server

    def ports(self) -> list[Port]:
        return [self._port(port) for port in list(self._cloud.neutron._ports.values()) if port.get("binding:host_id")]

    @staticmethod
    def _port(port: dict[str, Any]) -> Port:
        return Port(
            port["id"], port["mac_address"], SWITCH, VLAN, enabled=port["admin_state_up"],
            active=port["status"] == "ACTIVE", guest=port.get("device_id") or "", device=port["id"],
            down=port["status"] == "DOWN",
        )  # fmt: skip

    def lookup(self, devices: Collection[str]) -> list[Port]:
        """What Neutron is asked for counts as being built."""
        for port_id in devices:
            self._cloud.neutron._ports[port_id]["status"] = "BUILD"
        return [port for port in self.ports() if port.id in devices]

    def report(self, up: Collection[str], down: Collection[str]) -> None:
        for port_id in down:
            if port_id in self._cloud.neutron._ports:
                self._cloud.neutron._ports[port_id]["status"] = "DOWN"
        for port_id in up if self.tells_neutron else ():
            port = self._cloud.neutron._ports[port_id]
            port["status"] = "ACTIVE"
            event = {"name": "network-vif-plugged", "server_uuid": port["device_id"], "tag": port_id}
            self._cloud.admin_api.create_server_external_events([{**event, "status": "completed"}])


class NetworkedCloud(ZVMCloud):
    """Nova waits for its ports, and the agent brings them up."""

    neutron_fixture = VlanNeutron
    has_line = False
    """Whether nova-compute hears the agent."""

    def after_services(self) -> None:
        self.flags(vif_plugging_timeout=60)
        self.port_line = self.scratch / "line"
        self.port_line.mkdir()
        self.options = {**self.options, "port_line": str(self.port_line)} if self.has_line else self.options
        self.agent = Agent(self)
        self.addCleanup(self.agent.stop)
        self.neutron.agent = self.agent
        super().after_services()

    def coupled(self, server: dict[str, Any]) -> list[tuple[str, list[int]]]:
        """Switch and VLANs of each adapter, as CP has them while the guest runs."""
        return [(nic["coupled"], nic["vlans"]) for nic in self.guest_of(server)["nics"]]


class CoupledPorts(NetworkedCloud):
    """Ports come up with their servers, and go with them."""

    def test_a_server_starts_once_its_ports_are_coupled(self) -> None:
        ports = [{"port": self.port()}, {"port": self.port()}]
        server = self.boot(networks=ports)
        assert self.agent.guests_that_ran == [False, False], "no guest started before its port was up"
        assert self.coupled(server) == [(SWITCH, [VLAN])] * 2
        self.delete(server)

    def test_a_port_comes_to_a_server_that_runs_and_goes_again(self) -> None:
        server = self.boot()
        self.wait_until(lambda: self.guest_of(server)["guest"] == "up", "the guest is up")
        made = self.api.attach_interface(
            server["id"], {"interfaceAttachment": {"net_id": base.SeaNeutron.network_1["id"]}}
        )
        port = made.body["interfaceAttachment"]["port_id"]
        self.wait_until(lambda: self.coupled(server) == [(SWITCH, [VLAN])] * 2, "both adapters are coupled")
        self.api.detach_interface(server["id"], port)
        self.wait_until(lambda: self.coupled(server) == [(SWITCH, [VLAN])], "one is gone, and the other stays coupled")
        self.delete(server)

    def test_ports_stay_coupled_while_the_server_is_stopped_started_and_rebooted(self) -> None:
        server = self.boot()
        self.api.post_server_action(server["id"], {"os-stop": None})
        self.settle(server, "SHUTOFF")
        self.api.post_server_action(server["id"], {"os-start": None})
        self.settle(server, "ACTIVE")
        self.api.post_server_action(server["id"], {"reboot": {"type": "HARD"}})
        self.settle(server, "ACTIVE")
        assert self.coupled(server) == [(SWITCH, [VLAN])]
        assert len(self.agent.guests_that_ran) == 1, "nothing had to be coupled again"
        self.delete(server)

    def test_a_guest_that_is_made_again_before_the_agent_looks_gets_its_port(self) -> None:
        server = self.boot()
        with self.agent.looking:
            self.simulator.journal.clear()
            self.api.post_server_action(server["id"], {"rebuild": {"imageRef": self.image_id}})
            self.wait_until(self._has_a_new_adapter, "the guest is made again")
        self.settle(server, "ACTIVE")
        assert self.coupled(server) == [(SWITCH, [VLAN])]
        assert self.agent.guests_that_ran == [False, False]
        self.delete(server)

    def _has_a_new_adapter(self) -> bool:
        done = [one.template for one in self.simulator.journal.entries() if one.method == "SMAPI" and not one.status]
        return "Virtual_Network_Adapter_Create_Extended_DM" in done

    def test_without_an_agent_the_build_ends_after_the_time_out_and_leaves_nothing(self) -> None:
        self.agent.stop()
        self.flags(vif_plugging_timeout=1)
        assert "Failed to allocate the network" in self.boot_fails()
        self.delete(*self.api.get_servers())

    def port(self) -> str:
        body = {"port": {"network_id": base.SeaNeutron.network_1["id"]}}
        return str(self.neutron.create_port(body)["port"]["id"])


class ToldPorts(NetworkedCloud):
    """nova-compute and the agent tell each other of ports."""

    has_line = True

    def test_a_server_starts_when_the_agent_says_so_whatever_neutron_does(self) -> None:
        self.agent.tells_neutron = False
        server = self.boot()
        assert self.coupled(server) == [(SWITCH, [VLAN])]
        assert self.agent.guests_that_ran == [False]
        self.delete(server)

    def test_the_agent_looks_when_an_adapter_is_made(self) -> None:
        # Its next look by itself is an hour away, once it has looked up from the pause that it is in.
        self.agent.loop._polling_interval = 3600.0
        self.agent.loop.adapters_made([])
        server = self.boot()
        assert self.agent.guests_that_ran == [False]
        self.delete(server)
