"""A real Nova on a simulated system whose ports are on Open vSwitch: what these tests share."""

from __future__ import annotations

import threading
from typing import Any

from tests.functional.powervm import PowerVMCloud

from bigiron import naming
from bigiron.sim.powervm.model import taps

BINDING = {
    "port_filter": True,
    "connectivity": "l2",
    "bound_drivers": {"0": "openvswitch"},
    "ovs_hybrid_plug": False,
    "bridge_name": "br-int",
    "datapath_type": "system",
}
"""As the mechanism driver `openvswitch` binds a port."""
MTU = 1450


class OvsCloud(PowerVMCloud):
    """The system has the switch that NovaLink makes for Open vSwitch."""

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "switches": [*document["switches"], {"name": taps.PRIVATE_SWITCH}]}

    def after_services(self) -> None:
        self.neutron.vif_type = "ovs"
        self.neutron.vif_details = BINDING
        super().after_services()

    def ports(self) -> list[taps.Port]:
        """What Open vSwitch on the management partition has."""
        with self.simulator.services.locked() as simulated:
            return taps.ports(simulated)

    def lose_devices(self) -> None:
        """The management partition restarts."""
        with self.simulator.services.locked() as simulated:
            taps.detach_all(simulated)

    def wanted(self, *servers: dict[str, Any]) -> list[taps.Port]:
        """The ports on Open vSwitch that the servers' ports in Neutron ask for."""
        found = []
        for server in servers:
            for port in self.neutron._ports.values():
                if port.get("device_id") == server["id"]:
                    ids = {"iface-id": port["id"], "iface-status": "active", "attached-mac": port["mac_address"]}
                    ids["vm-uuid"] = server["id"]
                    found.append(taps.Port("br-int", naming.tap_device(port["id"]), ids, MTU))
        return found

    def check_wired(self, *servers: dict[str, Any]) -> None:
        """The servers' ports are on Open vSwitch, and no others, each on a VLAN with its guest's adapter alone."""
        by_device = {port.device: port for port in self.ports()}
        wanted = self.wanted(*servers)
        assert by_device == {port.device: port for port in wanted}
        assert wanted
        assert self.audit() == []


class NeutronAgent:
    """Stands in for neutron-openvswitch-agent, which would wire each port once it is on Open vSwitch."""

    def __init__(self, cloud: OvsCloud) -> None:
        self._cloud = cloud
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="a Neutron agent", daemon=True)
        self.running_when_wired: list[bool] = []
        """Whether the guest ran already when its port came up, for each port."""

    def __enter__(self) -> NeutronAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        known: set[str] = set()
        while not self._stopping.wait(0.05):
            for port in self._cloud.ports():
                interface, server = port.external_ids["iface-id"], port.external_ids["vm-uuid"]
                if interface not in known:
                    known.add(interface)
                    self.running_when_wired.append(self._cloud.lpar_of({"id": server})["state"] == "running")
                    event = {"name": "network-vif-plugged", "server_uuid": server, "tag": interface}
                    self._cloud.admin_api.create_server_external_events([{**event, "status": "completed"}])
