"""The `zvm` mechanism driver in Neutron's own tests for drivers with an agent, and what is special about it."""

# ruff: noqa: E402 - Neutron can be imported only once `prepare` has run

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.support.neutron_imports import prepare

prepare()

from neutron.tests.unit.plugins.ml2 import _test_mech_agent as base
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from bigiron.naming import VIF_TYPE_ZVM
from bigiron.plugins.neutron.kinds import ZVM
from bigiron.plugins.neutron.mech_zvm import ZvmMechanismDriver

PHYSNET = "fake_physical_network"


def _agents(*configurations: dict[str, Any], alive: bool = True) -> list[dict[str, Any]]:
    return [
        {"alive": alive, "configurations": found, "host": "host", "agent_type": ZVM.agent_type}
        for found in configurations
    ]


def _good(aware: bool = True, default_vlan: int | None = 1) -> dict[str, Any]:
    return {
        "vswitch_mappings": {PHYSNET: "VSW1"},
        "vswitches": {"VSW1": {"vlan_aware": aware, "default_vlan": default_vlan}},
    }


BAD = {"vswitch_mappings": {"wrong_physical_network": "VSW1"}}


class ZvmBase(base.AgentMechanismBaseTestCase):
    VIF_TYPE = VIF_TYPE_ZVM
    CAP_PORT_FILTER = False
    AGENT_TYPE = ZVM.agent_type
    AGENTS = _agents(_good())
    AGENTS_DEAD = _agents(_good(), alive=False)
    AGENTS_BAD = _agents(BAD)
    VNIC_TYPE = portbindings.VNIC_NORMAL

    def setUp(self) -> None:
        super().setUp()
        self.driver = ZvmMechanismDriver()
        self.driver.initialize()


class TestGeneric(ZvmBase, base.AgentMechanismGenericTestCase):
    """What every driver with an agent does."""


class TestFlat(ZvmBase, base.AgentMechanismFlatTestCase):
    """A flat segment is bound where the physical network is mapped."""


class TestVlan(ZvmBase, base.AgentMechanismVlanTestCase):
    """So is a VLAN segment."""


class TestRefusals(ZvmBase):
    """What is not bound, and why."""

    def segment(self, kind: str, vlan: int | None = None) -> dict[str, Any]:
        return {
            api.ID: kind, "network_id": "the-network", api.NETWORK_TYPE: kind, api.PHYSICAL_NETWORK: PHYSNET,
            api.SEGMENTATION_ID: vlan,
        }  # fmt: skip

    def refused(self, segment: dict[str, Any], configurations: dict[str, Any]) -> str:
        with self.assertLogs("bigiron.plugins.neutron.binding", "INFO") as logs:
            assert not self.driver.check_segment_for_agent(segment, _agents(configurations)[0])
        return logs.output[0]

    def test_other_network_types(self) -> None:
        for kind in ("local", "vxlan", "gre", "geneve"):
            assert f"the-network on host host: it is of type {kind}" in self.refused(self.segment(kind, 7), _good())

    def test_an_unmapped_physical_network_is_refused_with_the_fix(self) -> None:
        said = self.refused(self.segment("vlan", 7), BAD)
        assert f"{PHYSNET} has no virtual switch there (mapped: wrong_physical_network)" in said
        assert "vswitch_mappings" in said

    def test_vlans_and_switches_that_do_not_fit(self) -> None:
        assert "VSW1 knows no VLANs" in self.refused(self.segment("vlan", 7), _good(aware=False, default_vlan=None))
        assert "has no default one" in self.refused(self.segment("flat"), _good(default_vlan=None))
        assert "VLAN 4095 is not between 1 and 4094" in self.refused(self.segment("vlan", 4095), _good())

    def test_an_agent_that_reports_only_mappings_as_networking_zvm_did(self) -> None:
        (agent,) = _agents({"vswitch_mappings": {PHYSNET: "VSW1"}})
        assert self.driver.check_segment_for_agent(self.segment("vlan", 7), agent)
        details = {"port_filter": False, "connectivity": "l2", "physical_network": PHYSNET, "vswitch": "VSW1"}
        assert self.driver.get_vif_details(None, agent, self.segment("vlan", 7)) == {**details, "vlan": 7}
        assert self.driver.get_vif_details(None, agent, self.segment("flat")) == details

    def test_a_trunks_own_port(self) -> None:
        context: Any = SimpleNamespace(current={"id": "the-port", "trunk_details": {"sub_ports": []}})
        with self.assertLogs("bigiron.plugins.neutron.binding", "ERROR") as logs:
            assert not self.driver.try_to_bind_segment_for_agent(context, self.segment("vlan", 7), self.AGENTS[0])
        assert "port the-port on host host: it is a trunk's own port" in logs.output[0]
