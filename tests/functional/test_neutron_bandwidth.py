"""Guaranteed bandwidth: the real QoS and placement services, ML2, our driver, the agent, and a simulated system.

Placement is stood for by what Neutron writes to it.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
from tests.functional.neutron_base import GUESTS, HOST
from tests.functional.test_neutron_sriov import LAB, PROD, PROD_PORTS, SriovTestCase

from neutron.objects.qos import rule as qos_rules  # isort: skip
from neutron_lib import context as neutron_context  # isort: skip
from neutron_lib.api.definitions import portbindings  # isort: skip
from neutron_lib.callbacks import exceptions as callback_errors  # isort: skip
from neutron_lib.exceptions import qos as qos_errors  # isort: skip
from neutron_lib.plugins import directory  # isort: skip
from oslo_config import cfg  # isort: skip

from bigiron.plugins.neutron import bandwidth, conf
from bigiron.plugins.neutron.kinds import SRIOV
from bigiron.sim.powervm.model import vnics

FIRST, SECOND = PROD_PORTS
NODE = "5a1e0b5c-0000-4000-8000-000000000001"
GBPS = 1_000_000


class Placement:
    """Keeps what the placement service of Neutron writes."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {NODE: HOST}
        self.parents: dict[str, str] = {}
        self.traits: dict[str, set[str]] = {}
        self.known_traits: set[str] = set()
        self.inventories: dict[str, dict[str, Any]] = {}
        self.writes = 0

    def list_resource_providers(self, name: str) -> dict[str, Any]:
        return {"resource_providers": [{"uuid": uuid} for uuid, known in self.names.items() if known == name]}

    def update_trait(self, name: str) -> None:
        self.known_traits.add(name)

    def ensure_resource_provider(self, resource_provider: dict[str, str]) -> None:
        self.names[str(resource_provider["uuid"])] = resource_provider["name"]
        self.parents[str(resource_provider["uuid"])] = str(resource_provider["parent_provider_uuid"])

    def update_resource_provider_traits(self, resource_provider_uuid: Any, traits: list[str]) -> None:
        assert set(traits) <= self.known_traits
        self.traits[str(resource_provider_uuid)] = set(traits)

    def update_resource_provider_inventories(self, resource_provider_uuid: Any, inventories: dict[str, Any]) -> None:
        self.writes += 1
        self.inventories[str(resource_provider_uuid)] = inventories

    def totals(self, location: str) -> tuple[int, int]:
        """What a physical port has to give, out of the guest and into it."""
        found = self.inventories[bandwidth.provider(HOST, location)]
        return found["NET_BW_EGR_KILOBIT_PER_SEC"]["total"], found["NET_BW_IGR_KILOBIT_PER_SEC"]["total"]


class BandwidthTestCase(SriovTestCase):
    """Two ports of 10 Gbit/s lead to the network; a vNIC is on one of them unless its port says otherwise."""

    database_in_file = True

    def preSetUp(self) -> None:
        super().preSetUp()
        cfg.CONF.set_override("extension_drivers", ["port_security", "qos"], "ml2")

    def get_additional_service_plugins(self) -> dict[str, str]:
        return {
            **super().get_additional_service_plugins(),
            "qos_plugin_name": "qos",
            "placement_plugin_name": "placement",
        }

    def setUp(self) -> None:
        super().setUp()
        cfg.CONF.set_override("vnic_required_vfs", 1, "AGENT")
        self.admin = neutron_context.get_admin_context()
        self.qos = directory.get_plugin("QOS")
        self.placement = Placement()
        reports = directory.get_plugin("placement_report")
        reports._placement_client = self.placement
        # What is put off there for a moment, so that reports of many agents go together, is done at once.
        reports._batch_notifier.queue_event = lambda batch: batch()

    def policy(self, **rules: dict[str, Any]) -> str:
        made = self.qos.create_policy(self.admin, {"policy": {"name": "gold", "project_id": "tenant", "shared": True}})
        for name, fields in rules.items():
            kind = name.rstrip("12")
            body = {f"{kind}_rule": fields}
            self.qos.create_policy_rule(self.admin, _RULES[kind], made["id"], body)
        return str(made["id"])

    def guarantee(self, egress: int, ingress: int = 0) -> str:
        rules = {"minimum_bandwidth1": {"min_kbps": egress, "direction": "egress"}}
        if ingress:
            rules["minimum_bandwidth2"] = {"min_kbps": ingress, "direction": "ingress"}
        return self.policy(**rules)

    def unbound(self, policy: str | None, vnic_type: str = "direct", expected: int = 201) -> Any:
        """A port of a user's, on the network with VLAN 100; the answer's body where it is refused."""
        fields = {portbindings.VNIC_TYPE: vnic_type, **({"qos_policy_id": policy} if policy else {})}
        answer = self._create_port(self.fmt, self.prod["id"], expected, arg_list=tuple(fields), is_admin=True, **fields)
        body = self.deserialize(self.fmt, answer)
        return body["port"] if expected == 201 else body

    @functools.cached_property
    def prod(self) -> Any:
        return self.vlan_network(100, PROD)

    def bind(self, port: Any, location: str | None = None, guest: str = GUESTS[0], **profile: Any) -> Any:
        """What Nova does with a port of a new server, where Placement has given bandwidth of that physical port."""
        if location:
            (group,) = self.shown(port)["resource_request"]["request_groups"]
            profile["allocation"] = {group["id"]: bandwidth.provider(HOST, location)}
        changes = {
            portbindings.HOST_ID: HOST, portbindings.PROFILE: profile, "device_id": guest,
            "device_owner": "compute:nova",
        }  # fmt: skip
        return self.driver.update_port(self.admin, port["id"], {"port": changes})

    def shown(self, port: Any) -> Any:
        return self.driver.get_port(self.admin, port["id"])

    def ways(self, guest: str = GUESTS[0]) -> list[tuple[int, float]]:
        """Adapter and capacity of each way of the guest's vNIC, the preferred first."""
        world = self.simulator.world
        with world.lock:
            ranked = sorted(self.vnic(guest).backing, key=lambda way: way.priority)
            found = [(way.adapter, vnics.logical_port(world, way)) for way in ranked]
        return [(adapter, logical.capacity) for adapter, logical in found if logical]

    def reported(self) -> None:
        """What the agent has found has reached Placement."""
        self.settled()
        self.heartbeat.beat()


class TestReport(BandwidthTestCase):
    """What Placement is told of the physical ports."""

    def test_each_port_is_a_provider_below_the_host(self) -> None:
        self.start_agent()
        of = {name: uuid for uuid, name in self.placement.names.items()}
        agent = of[f"{HOST}:{SRIOV.agent_type}"]
        assert self.placement.parents[agent] == NODE
        for location in (*PROD_PORTS, "U78D2.001-P2-C1-T2"):
            uuid = of[f"{HOST}:{SRIOV.agent_type}:{location}"]
            assert uuid == bandwidth.provider(HOST, location)
            assert self.placement.parents[uuid] == agent
        assert self.placement.traits[bandwidth.provider(HOST, FIRST)] == {
            "CUSTOM_PHYSNET_PHYSNET1", "CUSTOM_VNIC_TYPE_DIRECT",
        }  # fmt: skip
        assert self.placement.totals(FIRST) == self.placement.totals(SECOND) == (10 * GBPS, 10 * GBPS)
        assert self.placement.totals("U78D2.001-P2-C1-T2") == (1, 1), "its link is down"

    def test_an_operator_can_say_otherwise(self) -> None:
        cfg.CONF.set_override("resource_provider_bandwidths", [f"{FIRST}:{4 * GBPS}:{GBPS}"], "AGENT")
        cfg.CONF.set_override("resource_provider_inventory_defaults", {"reserved": "1000"}, "AGENT")
        self.start_agent()
        assert self.placement.totals(FIRST) == (4 * GBPS, GBPS)
        inventory = self.placement.inventories[bandwidth.provider(HOST, SECOND)]
        assert inventory["NET_BW_EGR_KILOBIT_PER_SEC"] == {"total": 10 * GBPS, "reserved": 1000}
        for option, value, message in (
            ("resource_provider_bandwidths", ["C9-T9:1:1"], r"C9-T9 is no SR-IOV port of this system, which has U78D2"),
            ("resource_provider_bandwidths", [f"{FIRST}:much:1"], "Cannot parse"),
            ("resource_provider_inventory_defaults", {"size": "1"}, "Unexpected options: size"),
        ):
            self.stop_agent()
            cfg.CONF.set_override(option, value, "AGENT")
            with pytest.raises(conf.BadMapping, match=message):
                self.start_agent()
            cfg.CONF.clear_override(option, "AGENT")

    def test_a_link_that_comes_up_has_its_bandwidth_to_give(self) -> None:
        self.start_agent()
        self.set_link(1, 1, True)
        self.until("the port is read again", lambda: any(port.link for port in self.host.ports if port.network == LAB))
        self.reported()
        assert self.placement.totals("U78D2.001-P2-C1-T2") == (10 * GBPS, 10 * GBPS)
        writes = self.placement.writes
        self.heal()
        self.reported()
        assert self.placement.writes == writes, "nothing has changed"
        self.set_link(1, 1, False)

    def test_it_starts_with_what_links_carry_and_then_takes_off_what_is_held(self) -> None:
        self.start_agent()
        port = self.bind(self.unbound(None))
        self.plug(port)
        self.until_status("ACTIVE", port)
        self.stop_agent()
        self.start_agent()
        self.reported()
        assert self.placement.totals(FIRST) == (9_800_000, 9_800_000), "the least share is 2 %"
        self.clean_up(port)


class TestGuarantee(BandwidthTestCase):
    """From a policy to a vNIC and back."""

    def test_a_vnic_has_the_capacity_on_the_port_that_placement_has_chosen(self) -> None:
        self.start_agent()
        port = self.unbound(self.guarantee(1_100_000, 300_000))
        (group,) = self.shown(port)["resource_request"]["request_groups"]
        assert group["resources"] == {"NET_BW_EGR_KILOBIT_PER_SEC": 1_100_000, "NET_BW_IGR_KILOBIT_PER_SEC": 300_000}
        assert set(group["required"]) == self.placement.traits[bandwidth.provider(HOST, SECOND)]
        port = self.bind(port, SECOND)
        details = port[portbindings.VIF_DETAILS]
        assert (details["allocated_port"], details["capacity"], details["guaranteed_kbps"]) == (SECOND, 0.12, 1_200_000)
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.ways() == [(2, 12.0)]
        self.reported()
        assert self.placement.totals(SECOND) == (9_900_000, 9_100_000), "a share of 12 % is more than was counted"
        assert self.placement.totals(FIRST) == (10 * GBPS, 10 * GBPS)
        self.unplug(port)
        self.until_status("DOWN", port)
        self.reported()
        assert self.placement.totals(SECOND) == (10 * GBPS, 10 * GBPS)
        self.clean_up(port)

    def test_the_second_way_of_a_vnic_is_held_too_and_not_given_out(self) -> None:
        self.start_agent()
        port = self.bind(self.unbound(self.guarantee(2 * GBPS, 2 * GBPS)), SECOND, vnic_required_vfs=2)
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert self.ways() == [(2, 20.0), (1, 20.0)]
        self.reported()
        assert self.placement.totals(SECOND) == (10 * GBPS, 10 * GBPS)
        assert self.placement.totals(FIRST) == (8 * GBPS, 8 * GBPS)
        self.clean_up(port)

    def test_a_guarantee_of_a_network_and_one_that_placement_does_not_know(self) -> None:
        self.start_agent()
        port = self.unbound(None)
        policy = self.guarantee(GBPS)
        self.driver.update_network(self.admin, port["network_id"], {"network": {"qos_policy_id": policy}})
        port = self.bind(port)
        assert port[portbindings.VIF_DETAILS]["capacity"] == 0.1
        assert "allocated_port" not in port[portbindings.VIF_DETAILS]
        self.plug(port)
        self.until_status("ACTIVE", port)
        assert [capacity for _, capacity in self.ways()] == [10.0]
        self.clean_up(port)


class TestRefusals(BandwidthTestCase):
    """What the platform cannot do is said by the API where it can be, and else by the server's log."""

    def test_the_rule_types_are_those_that_are_carried_out(self) -> None:
        assert [each["type"] for each in self.qos.get_rule_types(self.admin, filters={})] == ["minimum_bandwidth"]
        (driver,) = self.qos.get_rule_type(self.admin, "minimum_bandwidth")["drivers"]
        assert driver["name"] == "pvm_sriov"

    def test_rules_of_other_types_and_other_ports(self) -> None:
        self.start_agent()
        limit = {"max_kbps": 1000, "max_burst_kbps": 0, "direction": "egress"}
        for policy, vnic_type in (
            (self.policy(bandwidth_limit=limit), "direct"),
            (self.policy(dscp_marking={"dscp_mark": 10}), "direct"),
            (self.guarantee(1000), "normal"),
        ):
            refused = self.unbound(policy, vnic_type, expected=409)
            assert refused["NeutronError"]["type"] == "QosRuleNotSupported"

    def test_more_than_a_port_carries(self) -> None:
        self.start_agent()
        port = self.bind(self.unbound(self.guarantee(20 * GBPS)), SECOND)
        assert port[portbindings.VIF_TYPE] == "binding_failed"
        assert any(
            "guarantees 20000000 kbit/s, and a port of physical network physnet1 carries" in each for each in self.said
        )

    def test_a_vnic_that_is_there_takes_no_guarantee(self) -> None:
        self.start_agent()
        port = self.bind(self.unbound(None), capacity=0.1)
        self.plug(port)
        self.until_status("ACTIVE", port)
        with pytest.raises(callback_errors.CallbackFailure) as caught:
            self.driver.update_port(self.admin, port["id"], {"port": {"qos_policy_id": self.guarantee(GBPS)}})
        assert [type(each.error) for each in caught.value.errors] == [qos_errors.QosRuleNotSupported]
        assert self.shown(port)["qos_policy_id"] is None
        self.clean_up(port)


_RULES = {
    "minimum_bandwidth": qos_rules.QosMinimumBandwidthRule,
    "bandwidth_limit": qos_rules.QosBandwidthLimitRule,
    "dscp_marking": qos_rules.QosDscpMarkingRule,
}
