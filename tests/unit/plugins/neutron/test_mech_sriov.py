"""What the mechanism driver of direct ports binds by an agent's report, and the reasons that it gives."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from bigiron.plugins.neutron import bandwidth, qos
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.plugins.neutron.mech_sriov import SriovMechanismDriver

PORTS = ["C1-T1", "C2-T1"]
AGENT = {
    "agent_type": SRIOV.agent_type,
    "alive": True,
    "host": "power1",
    "configurations": {
        "bridge_mappings": {"prod": PORTS, "lab": []},
        "default_redundancy": 2,
        "default_capacity": None,
    },
}


class Port:
    """A port context that remembers how it was bound."""

    def __init__(self, **profile: Any) -> None:
        self.current: dict[str, Any] = {
            "id": "port-1",
            "mac_address": "fa:16:3e:00:00:01",
            "binding:profile": profile,
            "binding:vnic_type": "direct",
        }
        self.bound: Any = None

    def set_binding(self, segment_id: str, vif_type: str, details: Any, status: Any = None) -> None:
        self.bound = SimpleNamespace(segment=segment_id, vif_type=vif_type, details=details)


def segment(physnet: str = "prod", kind: str = "vlan", vlan: int | None = 100) -> dict[str, Any]:
    return {
        "id": "segment-1", "network_id": "net-1", "network_type": kind, "physical_network": physnet,
        "segmentation_id": vlan,
    }  # fmt: skip


@pytest.fixture
def driver() -> SriovMechanismDriver:
    return SriovMechanismDriver()


def test_a_port_is_bound_with_what_its_vnic_needs(driver: SriovMechanismDriver) -> None:
    port = Port()
    assert driver.try_to_bind_segment_for_agent(port, segment(), AGENT)
    assert (port.bound.segment, port.bound.vif_type) == ("segment-1", "pvm_sriov")
    details = {key: port.bound.details[key] for key in port.bound.details if key != "connectivity"}
    assert details == {
        "port_filter": False, "physical_network": "prod", "physical_ports": PORTS, "redundancy": 2, "vlan": 100,
        "allowed_macs": "NONE",
    }  # fmt: skip
    assert driver.supported_vnic_types == ["direct"]
    assert driver.connectivity == "l2"


def test_the_profile_comes_before_the_agents_options(driver: SriovMechanismDriver) -> None:
    port = Port(vnic_required_vfs=1, capacity=0.2, maxcapacity=0.6)
    agent = {**AGENT, "configurations": {**AGENT["configurations"], "default_capacity": 0.1}}  # type: ignore[dict-item]
    assert driver.try_to_bind_segment_for_agent(port, segment(kind="flat", vlan=None), agent)
    found = port.bound.details
    assert (found["redundancy"], found["capacity"], found["maxcapacity"]) == (1, 0.2, 0.6)
    assert "vlan" not in found
    plain = Port()
    assert driver.try_to_bind_segment_for_agent(plain, segment(), agent)
    assert (plain.bound.details["capacity"], "maxcapacity" in plain.bound.details) == (0.1, False)


def test_a_port_without_port_security_gets_a_vnic_that_lets_any_address_through(driver: SriovMechanismDriver) -> None:
    port = Port()
    port.current["port_security_enabled"] = False
    assert driver.try_to_bind_segment_for_agent(port, segment(), AGENT)
    assert port.bound.details["allowed_macs"] == "ALL"


def test_more_address_pairs_than_a_vnic_takes_are_refused(
    driver: SriovMechanismDriver, caplog: pytest.LogCaptureFixture
) -> None:
    port = Port()
    port.current["allowed_address_pairs"] = [{"mac_address": f"fa:16:3e:00:01:0{n}"} for n in range(5)]
    assert not driver.try_to_bind_segment_for_agent(port, segment(), AGENT)
    assert "have 5 MAC addresses beside its own" in caplog.text


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The rules of the port's QoS policy."""
    rules: list[Any] = []
    monkeypatch.setattr(qos, "rules", lambda context: rules)
    return rules


def guaranteed(kbps: int) -> Any:
    return SimpleNamespace(rule_type="minimum_bandwidth", min_kbps=kbps)


LINKED = {
    **AGENT,
    "configurations": {
        **AGENT["configurations"],  # type: ignore[dict-item]
        "physical_ports": {
            "C1-T1": ["prod", "up", "1/0", 20, 10_000_000, 0.02],
            "C2-T1": ["prod", "up", "2/0", 20, 1_000_000, 0.02],
            "C2-T2": ["lab", "down", "2/1", 20, 0, 0.02],
        },
    },
}


def test_placement_is_told_which_ports_lead_to_which_network(driver: SriovMechanismDriver) -> None:
    assert driver.get_standard_device_mappings(LINKED) == {"prod": PORTS, "lab": ["C2-T2"]}
    older = {"configurations": {"physical_ports": {"C1-T1": "prod, link up"}}}
    assert driver.get_standard_device_mappings(older) == {}


def test_a_guarantee_is_a_share_of_the_port_that_placement_has_chosen(
    driver: SriovMechanismDriver, policy: list[Any]
) -> None:
    policy += [guaranteed(300_000), guaranteed(550_000)]
    for chosen, capacity, kbps in (("C1-T1", 0.06, 600_000), ("C2-T1", 0.56, 560_000)):
        port = Port(allocation={"group": bandwidth.provider("power1", chosen)}, vnic_required_vfs=1)
        assert driver.try_to_bind_segment_for_agent(port, segment(), LINKED)
        found = port.bound.details
        assert (found["allocated_port"], found["capacity"], found["guaranteed_kbps"]) == (chosen, capacity, kbps)


def test_a_guarantee_without_placement_holds_on_any_port(driver: SriovMechanismDriver, policy: list[Any]) -> None:
    policy.append(guaranteed(550_000))
    port = Port(capacity=0.7)
    assert driver.try_to_bind_segment_for_agent(port, segment(), LINKED)
    found = port.bound.details
    assert (found["capacity"], found["guaranteed_kbps"]) == (0.7, 560_000), "the profile asks for more"
    assert "allocated_port" not in found


@pytest.mark.parametrize(
    ("rules", "allocation", "reason"),
    [
        (
            [guaranteed(1_000_001)],
            None,
            "guarantees 1000001 kbit/s, and a port of physical network prod carries 1000000",
        ),
        ([guaranteed(1)], {"g": "d7a8e0a5-0000-4000-8000-000000000000"}, "is not of a port of physical network prod"),
        (
            [SimpleNamespace(rule_type="dscp_marking"), SimpleNamespace(rule_type="bandwidth_limit")],
            None,
            "has rules of type bandwidth_limit, dscp_marking, which the platform does not carry out for it (it does: "
            "minimum_bandwidth)",
        ),
    ],
)
def test_a_policy_that_cannot_be_had_is_refused_with_the_reason(
    driver: SriovMechanismDriver,
    policy: list[Any],
    caplog: pytest.LogCaptureFixture,
    rules: Any,
    allocation: Any,
    reason: str,
) -> None:
    policy += rules
    port = Port(**({"allocation": allocation} if allocation else {}))
    assert not driver.try_to_bind_segment_for_agent(port, segment(), LINKED)
    assert port.bound is None
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("where", "profile", "reason"),
    [
        (
            segment("dmz"),
            {},
            "physical network dmz, no SR-IOV port there has that label (networks with a link up: prod)",
        ),
        (segment("lab"), {}, "physical network lab, every port's link is down"),
        (segment(kind="vxlan"), {}, "it is of type vxlan, and an SR-IOV port carries flat and vlan networks"),
        (segment(), {"vnic_required_vfs": 3}, "asks for 3 logical ports, and physical network prod has 2 ports"),
        (segment(), {"vnic_required_vfs": 0}, "asks for 0 logical ports"),
        (segment(), {"vnic_required_vfs": "some"}, "has the redundancy 'some' in its binding, which is no number"),
        (segment(), {"vnic_required_vfs": 7}, "asks for 7 logical ports"),
        (segment(), {"capacity": 1.5}, "has the capacity 1.5; it is a fraction"),
        (segment(), {"capacity": 0.4, "maxcapacity": 0.2}, "has the maxcapacity 0.2, which is less than its capacity"),
    ],
)
def test_what_the_host_cannot_carry_is_refused_with_the_reason(
    driver: SriovMechanismDriver,
    caplog: pytest.LogCaptureFixture,
    where: dict[str, Any],
    profile: dict[str, Any],
    reason: str,
) -> None:
    port = Port(**profile)
    with caplog.at_level(logging.INFO):
        assert not driver.try_to_bind_segment_for_agent(port, where, AGENT)
    assert port.bound is None
    assert reason in caplog.text


def test_a_capacity_that_no_port_gives_out_is_refused(
    driver: SriovMechanismDriver, caplog: pytest.LogCaptureFixture
) -> None:
    assert driver.try_to_bind_segment_for_agent(Port(capacity=0.04), segment(), LINKED)
    assert not driver.try_to_bind_segment_for_agent(Port(capacity=0.035), segment(), LINKED)
    assert "asks for a capacity of 0.035, and the ports of physical network prod give out multiples of" in caplog.text


def test_agents_of_another_kind_are_none_of_its_business(driver: SriovMechanismDriver) -> None:
    agent = {**AGENT, "agent_type": "PowerVM Shared Ethernet agent"}
    assert not driver.try_to_bind_segment_for_agent(Port(), segment(), agent)
    silent = {**AGENT, "configurations": {}}
    assert not driver.try_to_bind_segment_for_agent(Port(), segment(), silent)
