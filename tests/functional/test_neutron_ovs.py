"""Neutron's own mechanism driver for Open vSwitch with a real Ml2Plugin, against a simulated system over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.functional.neutron_base import GUESTS, HOST, PHYSNET, SeaTestCase, system_document

from neutron_lib import constants  # isort: skip
from neutron_lib.api.definitions import portbindings  # isort: skip

from bigiron import naming
from bigiron.errors import Unsupported
from bigiron.model import NicSpec
from bigiron.powervm.network.ovs import OvsAdapters
from bigiron.powervm.network.vswitch import VirtualSwitches
from bigiron.powervm.options import PowerVMOptions
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.model import taps
from bigiron.sim.powervm.server import Settings, Simulator

NOVALINK = {
    "name": "novalink",
    "management": True,
    "memory_mb": 4096,
    "proc_units": 0.5,
    "vcpus": 2,
    "state": "running",
}
LPAR = naming.lpar_uuid(GUESTS[0])


class OvsTestCase(SeaTestCase):
    """As for SEA, without an agent of ours: what neutron-openvswitch-agent would do is done here, through the server's
    real endpoints and what the simulated Open vSwitch has."""

    _mechanism_drivers = ["openvswitch"]

    def start_simulator(self) -> None:
        document = system_document()
        document["switches"] = [*document["switches"], {"name": taps.PRIVATE_SWITCH}]
        document["partitions"] = [*document["partitions"], NOVALINK]
        self.simulator = Simulator(document, self.state / "simulator", Settings(listen=self.address))
        self.simulator.start()

    def _options(self) -> PowerVMOptions:
        return replace(super()._options(), management_root=self.simulator.management_root)

    def setUp(self) -> None:
        super().setUp()
        self.makes = OvsAdapters(self.nova, VirtualSwitches(self.nova), self.adapters)

    def report_agent(self, hybrid: bool = False) -> None:
        """As neutron-openvswitch-agent on the management partition reports itself."""
        configurations = {
            "bridge_mappings": {PHYSNET: "br-ex"},
            "integration_bridge": "br-int",
            "datapath_type": "system",
            "tunnel_types": [],
            "ovs_hybrid_plug": hybrid,
        }
        state = {
            "agent_type": constants.AGENT_TYPE_OVS,
            "binary": "neutron-openvswitch-agent",
            "host": HOST,
            "topic": constants.L2_AGENT_TOPIC,
            "configurations": configurations,
            "start_flag": True,
        }
        self.server_api.report_state(None, state, use_call=True)

    def wire(self) -> None:
        """As that agent looks at Open vSwitch, asks for the ports that it finds and reports them up."""
        with self.simulator.world.lock:
            found = [port.external_ids["iface-id"] for port in taps.ports(self.simulator.world)]
        listed = self.server_api.get_devices_details_list(None, found, f"ovs-agent-{HOST}", HOST)
        up = [details["device"] for details in listed if "port_id" in details]
        self.server_api.update_device_list(None, up, [], f"ovs-agent-{HOST}", HOST)

    def nic(self, port: Any) -> NicSpec:
        """As the compute service translates it."""
        details = {key: str(value) for key, value in port[portbindings.VIF_DETAILS].items()}
        return NicSpec(port["id"], port["mac_address"], port[portbindings.VIF_TYPE], mtu=1450, details=details)


class TestPorts(OvsTestCase):
    def test_a_port_is_bound_plugged_wired_and_gone(self) -> None:
        self.report_agent()
        port = self.bound_port(100)
        assert port[portbindings.VIF_TYPE] == naming.VIF_TYPE_OVS
        nic = self.nic(port)
        assert nic.details["bridge_name"] == "br-int"
        self.wire()
        assert self.status(port) == "DOWN"
        self.makes.create(LPAR, nic)
        ids = {"iface-id": port["id"], "iface-status": "active", "attached-mac": port["mac_address"]}
        with self.simulator.world.lock:
            (wired,) = taps.ports(self.simulator.world)
            assert audit(self.simulator.world) == []
        assert wired == taps.Port("br-int", naming.tap_device(port["id"]), {**ids, "vm-uuid": GUESTS[0]}, 1450)
        self.wire()
        assert self.status(port) == "ACTIVE"
        self.makes.delete(LPAR, nic.mac)
        self._delete("ports", port["id"], as_admin=True)
        with self.simulator.world.lock:
            assert taps.ports(self.simulator.world) == []
            assert audit(self.simulator.world) == []

    def test_a_hybrid_plug_is_refused_before_anything_is_made(self) -> None:
        self.report_agent(hybrid=True)
        nic = self.nic(self.bound_port(100))
        with pytest.raises(Unsupported, match=r"Set firewall_driver = openvswitch, or noop, in \[securitygroup\]"):
            self.makes.create(LPAR, nic)
        with self.simulator.world.lock:
            assert taps.ports(self.simulator.world) == []
