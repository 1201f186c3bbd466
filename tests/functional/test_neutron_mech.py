"""The mechanism driver in Neutron's own tests for drivers with an agent, and what is special about ours."""

# ruff: noqa: E402 - Neutron can be imported only once `prepare` has run

from __future__ import annotations

from typing import Any

from tests.support.neutron_imports import prepare

prepare()

from neutron.tests.unit.plugins.ml2 import _test_mech_agent as base
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

from bigiron.naming import VIF_TYPE_PVM_SEA
from bigiron.plugins.neutron.mech import AGENT_TYPE_SEA, SeaMechanismDriver


def _agents(*configurations: dict[str, Any], alive: bool = True) -> list[dict[str, Any]]:
    return [
        {"alive": alive, "configurations": found, "host": "host", "agent_type": AGENT_TYPE_SEA}
        for found in configurations
    ]


GOOD = {"bridge_mappings": {"fake_physical_network": "bridge-uuid"}}
BAD = {"bridge_mappings": {"wrong_physical_network": "bridge-uuid"}}


class SeaBase(base.AgentMechanismBaseTestCase):
    VIF_TYPE = VIF_TYPE_PVM_SEA
    CAP_PORT_FILTER = False
    AGENT_TYPE = AGENT_TYPE_SEA
    AGENTS = _agents(GOOD)
    AGENTS_DEAD = _agents(GOOD, alive=False)
    AGENTS_BAD = _agents(BAD)
    VNIC_TYPE = portbindings.VNIC_NORMAL

    def setUp(self) -> None:
        super().setUp()
        self.driver = SeaMechanismDriver()
        self.driver.initialize()


class TestGeneric(SeaBase, base.AgentMechanismGenericTestCase):
    """What every driver with an agent does."""


class TestVlan(SeaBase, base.AgentMechanismVlanTestCase):
    """A VLAN segment is bound where the physical network is mapped."""


class TestLocal(SeaBase, base.AgentMechanismBaseTestCase):
    """Only VLAN segments are bound."""

    def test_other_network_types_are_refused_with_the_reason(self) -> None:
        for kind in ("local", "flat", "vxlan", "gre", "geneve"):
            segment = {
                api.ID: kind,
                "network_id": "the-network",
                api.NETWORK_TYPE: kind,
                api.PHYSICAL_NETWORK: "fake_physical_network",
                api.SEGMENTATION_ID: 7,
            }
            with self.assertLogs("bigiron.plugins.neutron.binding", "INFO") as logs:
                assert not self.driver.check_segment_for_agent(segment, self.AGENTS[0])
            assert f"the-network on host host: it is of type {kind}" in logs.output[0]


class TestDetails(SeaBase):
    """What the compute driver gets to know."""

    SEGMENT = {
        api.ID: "segment",
        "network_id": "the-network",
        api.NETWORK_TYPE: "vlan",
        api.PHYSICAL_NETWORK: "fake_physical_network",
        api.SEGMENTATION_ID: 1234,
    }

    def test_vlan_network_and_switch(self) -> None:
        (agent,) = _agents({**GOOD, "virtual_switches": {"fake_physical_network": "ETHERNET1"}})
        assert self.driver.get_vif_details(None, agent, self.SEGMENT) == {
            "port_filter": False,
            "connectivity": "l2",
            "vlan": 1234,
            "physical_network": "fake_physical_network",
            "vswitch": "ETHERNET1",
        }

    def test_an_agent_that_tells_no_switch(self) -> None:
        assert "vswitch" not in self.driver.get_vif_details(None, self.AGENTS[0], self.SEGMENT)

    def test_an_unmapped_physical_network_is_refused_with_the_fix(self) -> None:
        (agent,) = _agents(BAD)
        with self.assertLogs("bigiron.plugins.neutron.binding", "WARNING") as logs:
            assert not self.driver.check_segment_for_agent(self.SEGMENT, agent)
        assert "fake_physical_network has no bridge there (mapped: wrong_physical_network)" in logs.output[0]
        assert "bridge_mappings" in logs.output[0]

    def test_an_agent_that_reports_nothing_serves_nothing(self) -> None:
        (agent,) = _agents({})
        assert not self.driver.check_segment_for_agent(self.SEGMENT, agent)
