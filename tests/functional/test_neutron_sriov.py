"""The SR-IOV agent and mechanism driver with a real Ml2Plugin, against a simulated system over HTTP."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from tests.functional.neutron_base import GUESTS, HOST, SeaTestCase, system_document

from neutron_lib.api.definitions import portbindings  # isort: skip
from oslo_config import cfg  # isort: skip

from bigiron import naming
from bigiron.errors import NotFound
from bigiron.model import NicSpec
from bigiron.plugins.neutron import conf, rpc, sriov_agent
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.powervm.network.vnic import VirtualNics
from bigiron.sim.powervm.model import vnics
from bigiron.sim.powervm.server import Settings, Simulator

PROD, LAB, DMZ = "physnet1", "physnet2", "physnet3"
"""Neutron's test class knows these; no port has the last one's label."""
ADAPTERS = [{"ports": [{"label": PROD}, {"label": LAB, "link": "down"}]}, {"ports": [{"label": PROD}, {}]}]
PROD_PORTS = ["U78D2.001-P2-C1-T1", "U78D2.001-P2-C2-T1"]


class SriovTestCase(SeaTestCase):
    """As for SEA, with the other agent and driver; the SEA driver stands beside."""

    _mechanism_drivers = ["pvm_sea", "pvm_sriov"]

    def _configure(self) -> None:
        super()._configure()
        conf.register_sriov(cfg.CONF)

    def setUp(self) -> None:
        super().setUp()
        self.adapters: Any = VirtualNics(self.nova)
        self.said: list[str] = []
        handler = _Lines(self.said)
        for name in ("bigiron.plugins.neutron.binding", "bigiron.plugins.neutron.vnics"):
            logging.getLogger(name).addHandler(handler)
            self.addCleanup(logging.getLogger(name).removeHandler, handler)

    def start_simulator(self) -> None:
        document = {**system_document(), "sriov_adapters": ADAPTERS}
        self.simulator = Simulator(document, self.state / "simulator", Settings(listen=self.address))
        self.simulator.start()

    def start_agent(self) -> None:
        """An agent as `sriov_agent.run` assembles it, up to the message bus; it has compared everything once."""
        self.host: Any = sriov_agent.connect(cfg.CONF, threading.Event(), self.calls.append)
        self.addCleanup(self.host.link.close)
        self.loop = sriov_agent.work_loop(cfg.CONF, self.host, self.server_api)
        self.casts.endpoint = rpc.Endpoint(HOST, self.loop, SRIOV)
        self.heartbeat = sriov_agent.heartbeat(cfg.CONF, self.host, self.loop, self.server_api)
        self.heartbeat.beat()
        self.loop.heal_soon("the agent starts")
        self.loop.step(1)

    def direct_port(
        self, guest: str = GUESTS[0], physnet: str = PROD, vlan: int | None = 100, profile: Any = None
    ) -> Any:
        """A port of vnic_type direct, bound to this host for a guest."""
        fields: dict[str, Any] = {
            portbindings.HOST_ID: HOST,
            portbindings.VNIC_TYPE: portbindings.VNIC_DIRECT,
            "device_id": guest,
            "device_owner": "compute:nova",
        }
        # Neutron lets services set the profile, and not administrators.
        if profile:
            fields[portbindings.PROFILE] = profile
        who = {"is_service": True} if profile else {"as_admin": True}
        network = self.flat_network(physnet) if vlan is None else self.vlan_network(vlan, physnet)
        return self._make_port(self.fmt, network["id"], arg_list=tuple(fields), **who, **fields)["port"]

    def flat_network(self, physnet: str) -> Any:
        provider = {"provider:network_type": "flat", "provider:physical_network": physnet}
        return self._make_network(self.fmt, "flat", True, as_admin=True, arg_list=tuple(provider), **provider)[
            "network"
        ]

    def nic(self, port: Any) -> NicSpec:
        """As the compute service translates it."""
        details = port[portbindings.VIF_DETAILS]
        return NicSpec(
            id=port["id"], mac=port["mac_address"], vif_type=port[portbindings.VIF_TYPE], vlan=details.get("vlan"),
            physical_network=details["physical_network"], details={key: str(value) for key, value in details.items()},
        )  # fmt: skip

    def configurations(self) -> Any:
        (agent,) = self.driver.get_agents(self.context)
        return agent["configurations"]

    def vnic(self, guest: str = GUESTS[0]) -> Any:
        (found,) = self.simulator.world.partition(naming.lpar_uuid(guest)).vnics
        return found

    def set_link(self, adapter: int, number: int, up: bool) -> None:
        port = vnics.find_port(self.simulator.world, adapter, number)
        assert port is not None
        with self.simulator.world.lock:
            vnics.set_port(self.simulator.world, port, link=up)


class TestBinding(SriovTestCase):
    """What the driver binds by the agent's report, and what it refuses."""

    def test_a_direct_port_is_bound_and_comes_up_with_its_vnic(self) -> None:
        self.start_agent()
        port = self.direct_port()
        assert port[portbindings.VIF_TYPE] == "pvm_sriov"
        details = dict(port[portbindings.VIF_DETAILS])
        details.pop("bound_drivers", None)
        assert details == {
            "port_filter": False, "connectivity": "l2", "vlan": 100, "physical_network": PROD,
            "physical_ports": PROD_PORTS, "redundancy": 2, "allowed_macs": "NONE",
        }  # fmt: skip
        assert self.status(port) == "DOWN"
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert (self.vnic().pvid, self.vnic().allowed_macs) == (100, "NONE")
        assert len(self.vnic().backing) == 2
        self.unplug(port)
        self.until_status("DOWN", port)
        self.clean_up(port)

    def test_the_profile_says_how_the_vnic_is_to_be(self) -> None:
        cfg.CONF.set_override("vnic_vf_capacity", 0.1, "AGENT")
        self.start_agent()
        asked = {"vnic_required_vfs": 1, "capacity": 0.2, "maxcapacity": 0.6}
        plain, own = self.direct_port(), self.direct_port(GUESTS[1], vlan=101, profile=asked)
        self.plug(plain)
        self.plug(own)
        self.until_status("ACTIVE", plain, own)
        world = self.simulator.world
        found = [[vnics.logical_port(world, way) for way in self.vnic(guest).backing] for guest in GUESTS[:2]]
        assert [[(one.capacity, one.max_capacity) for one in ways if one] for ways in found] == [
            [(10.0, 100.0), (10.0, 100.0)],
            [(20.0, 60.0)],
        ]
        self.clean_up(plain, own)

    def test_frames_of_a_flat_network_are_untagged(self) -> None:
        self.start_agent()
        port = self.direct_port(vlan=None)
        assert "vlan" not in port[portbindings.VIF_DETAILS]
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.vnic().pvid == 0
        self.heal()
        assert self.status(port) == "ACTIVE"
        self.clean_up(port)

    def test_what_the_host_cannot_carry_is_refused_with_a_reason(self) -> None:
        self.start_agent()
        ports = [
            self.direct_port(physnet=DMZ),
            self.direct_port(physnet=LAB, vlan=101),
            self.direct_port(vlan=102, profile={"vnic_required_vfs": 3}),
            self.direct_port(vlan=103, profile={"vnic_required_vfs": "some"}),
        ]
        assert {port[portbindings.VIF_TYPE] for port in ports} == {"binding_failed"}
        text = "\n".join(self.said)
        for reason in (
            "for its physical network physnet3, no SR-IOV port there has that label (networks with a link up: ",
            "for its physical network physnet2, every port's link is down",
            "asks for 3 logical ports, and physical network physnet1 has 2 ports with the link up there; set",
            "has the redundancy 'some' in its binding, which is no number",
        ):
            assert reason in text
        self.clean_up(*ports)

    def test_a_host_without_an_agent_is_not_bound_to(self) -> None:
        port = self.direct_port()
        assert port[portbindings.VIF_TYPE] == "binding_failed"
        self.clean_up(port)


class TestAgent(SriovTestCase):
    """What the agent reports, and what it hears of."""

    def test_it_reports_the_ports_by_their_labels_and_what_changes(self) -> None:
        self.start_agent()
        assert self.configurations()["bridge_mappings"] == {
            "default": ["U78D2.001-P2-C2-T2"], PROD: PROD_PORTS, LAB: [],
        }  # fmt: skip
        assert self.configurations()["physical_ports"]["U78D2.001-P2-C1-T2"] == [LAB, "down", "1/1", 20, 0, 0.02]
        self.set_link(1, 1, True)
        self.until("the port is read again", lambda: any(port.link for port in self.host.ports if port.network == LAB))
        self.heartbeat.beat()
        assert self.configurations()["bridge_mappings"][LAB] == ["U78D2.001-P2-C1-T2"]
        port = self.direct_port(physnet=LAB, profile={"vnic_required_vfs": 1})
        assert port[portbindings.VIF_TYPE] == "pvm_sriov"
        self.clean_up(port)
        self.set_link(1, 1, False)

    def test_a_comparison_finds_what_was_missed(self) -> None:
        port = self.direct_port_unheard()
        self.start_agent()
        assert self.status(port) == "ACTIVE"
        self.requests()
        self.heal()
        system, partitions = self.requests()
        assert "/ManagedSystem/" in system
        assert partitions == "GET /rest/api/uom/LogicalPartition", "no guest is asked of which nothing has changed"
        self.delete_adapter(port)
        del self.hrefs[port["id"]]
        self.heal()
        assert self.status(port) == "DOWN"
        self.clean_up(port)

    def direct_port_unheard(self) -> Any:
        """A bound port whose vNIC was made while no agent listened."""
        self.start_agent()
        port = self.direct_port()
        self.stop_agent()
        self.plug(port)
        assert self.status(port) == "DOWN"
        return port

    def test_a_port_that_is_disabled_goes_down(self) -> None:
        self.start_agent()
        port = self.direct_port()
        self.plug(port)
        self.until_status("ACTIVE", port)
        self._update("ports", port["id"], {"port": {"admin_state_up": False}}, as_admin=True)
        self.until_status("DOWN", port)
        self._update("ports", port["id"], {"port": {"admin_state_up": True}}, as_admin=True)
        self.until_status("ACTIVE", port)
        self.clean_up(port)

    def test_a_system_that_shares_no_adapter_out(self) -> None:
        with self.simulator.world.lock:
            self.simulator.world.state.sriov.clear()
            self.simulator.world.touch(self.simulator.world.system)
        with pytest.raises(NotFound, match=r"no SR-IOV adapter in shared mode that runs\. Switch one to shared mode"):
            sriov_agent.connect(cfg.CONF, threading.Event())


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
