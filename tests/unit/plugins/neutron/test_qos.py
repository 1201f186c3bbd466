"""Which rules of QoS policies our ports can have, and when a vNIC that is there can have one."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from neutron.objects import ports
from neutron.objects.qos import policy as qos_policy
from neutron_lib.api.definitions import portbindings

from bigiron.plugins.neutron import qos
from bigiron.plugins.neutron.kinds import SRIOV


def rule(kind: str = "minimum_bandwidth", **fields: Any) -> Any:
    """A rule as the driver's base class reads it."""
    found: dict[str, Any] = {"min_kbps": 1000, "direction": "egress", **fields}
    return SimpleNamespace(rule_type=kind, get=found.get, **found)


def port(details: dict[str, Any] | None = None, vif_type: str = "pvm_sriov", **profile: Any) -> Any:
    binding = ports.PortBinding(status="ACTIVE", host="power1", vif_type=vif_type, vif_details=details, profile=profile)

    class Port(dict[str, str]):
        bindings = [binding]
        device_id = "server-1"

    return Port(id="port-1")


@pytest.fixture
def driver() -> qos.GuaranteeDriver:
    return qos.GuaranteeDriver("pvm_sriov", SRIOV)


def test_the_policy_of_the_port_comes_before_that_of_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get_object(context: Any, id: str) -> Any:
        asked.append(id)
        return SimpleNamespace(rules=[id]) if id != "gone" else None

    monkeypatch.setattr(qos_policy.QosPolicy, "get_object", get_object)
    plugin: Any = SimpleNamespace(elevated=lambda: None)

    def rules(**current: Any) -> Any:
        return qos.rules(SimpleNamespace(current=current, plugin_context=plugin))

    assert rules(qos_policy_id="own", qos_network_policy_id="network") == ["own"]
    assert rules(qos_policy_id=None, qos_network_policy_id="network") == ["network"]
    assert list(rules(qos_policy_id="gone")) == list(rules()) == []
    assert asked == ["own", "network", "gone"]


def test_the_larger_direction_is_what_a_capacity_has_to_be() -> None:
    assert qos.minimum_kbps([rule(min_kbps=5), rule(min_kbps=7, direction="ingress"), rule("dscp_marking")]) == 7
    assert qos.minimum_kbps([]) == 0


def test_ports_on_shared_ethernet_adapters_can_have_no_rule() -> None:
    assert qos.obstacle([], {}) == ""
    assert "rules of type minimum_bandwidth, which the platform does not carry out for it (it does: none)" in (
        qos.obstacle([rule()], {})
    )


def test_direct_ports_can_have_a_minimum_in_either_direction(driver: qos.GuaranteeDriver) -> None:
    assert driver.is_vnic_compatible(portbindings.VNIC_DIRECT) and not driver.is_vnic_compatible("normal")
    assert driver.is_vif_type_compatible("pvm_sriov") and not driver.is_vif_type_compatible("pvm_sea")
    assert all(driver.is_rule_supported(rule(direction=way)) for way in ("egress", "ingress"))
    assert not driver.is_rule_supported(rule("bandwidth_limit"))
    assert not driver.is_rule_supported(rule(direction="any"))


@pytest.mark.parametrize(
    ("given", "can"),
    [
        (port(vif_type="unbound"), True),
        (port(vif_type="ovs"), True),
        (port({"guaranteed_kbps": 1000}), True),
        (port({"guaranteed_kbps": 999}), False),
        (port({}), False),
        (port(None), False),
        (port({}, allocation={"group": "provider"}), True),
    ],
)
def test_a_vnic_that_is_there_can_have_what_it_was_made_for(
    driver: qos.GuaranteeDriver, caplog: pytest.LogCaptureFixture, given: Any, can: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        assert driver.validate_rule_for_port(None, rule(), given) is can
    assert ("does not take a minimum bandwidth of 1000 kbit/s for port port-1" in caplog.text) is not can
