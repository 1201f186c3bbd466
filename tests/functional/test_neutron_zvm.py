"""Ports of z/VM guests: real Neutron code, the agent, and a simulated z/VM under the real Cloud Connector."""

from __future__ import annotations

from neutron_lib.api.definitions import portbindings
from tests.functional.zvm_neutron_base import FLAT, PHYSNET, VLAN, ZvmTestCase


class TestPlug(ZvmTestCase):
    """From binding to traffic and back."""

    def test_a_port_is_up_only_when_its_adapter_is_coupled_with_its_vlan(self) -> None:
        self.start_agent()
        spec = self.spec()
        port = self.bound_port(self.network(55), spec)
        assert port[portbindings.VIF_TYPE] == "zvm"
        details = port[portbindings.VIF_DETAILS]
        wanted = {"vlan": 55, "physical_network": PHYSNET, "port_filter": False, "vswitch": VLAN}
        assert {key: details.get(key) for key in wanted} == wanted
        self.settled()
        assert self.status(port) == "DOWN"

        self.requests()
        spec = self.spawn(spec, port, power_on=False)
        self.until_status("ACTIVE", port)
        assert self.couplings(spec) == {"1000": (VLAN, 55, "", (55,))}
        assert len(self.requests()) == 2, "is the guest on, and couple"

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
        spec = self.spawn(spec, first, second)
        self.until_status("ACTIVE", first, second)
        assert {switch["name"]: list(switch["grants"]) for switch in self.world.state()["switches"]}[FLAT]
        for coupling in self.couplings(spec).values():
            assert coupling == (FLAT, None, FLAT, ())
        self.clean_up(spec)
