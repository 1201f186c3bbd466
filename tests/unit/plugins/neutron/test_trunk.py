"""What a trunk's adapter cannot carry, and what a trunk's status follows from; binding is in the functional tests."""

from __future__ import annotations

from typing import Any

import pytest

from bigiron.plugins.neutron import mech, trunk

AGENT = {
    "host": "power1",
    "configurations": {
        "virtual_switches": {"physnet1": "ETHERNET0", "physnet2": "ETHERNET0", "storage": "STORAGE"},
        "mtus": {"physnet1": 1500, "storage": 9000},
    },
}
SEGMENT = {"physical_network": "physnet1", "segmentation_id": 10}


def segment(vlan: int, physnet: str = "physnet1", kind: str = "vlan") -> dict[str, Any]:
    return {"network_type": kind, "physical_network": physnet, "segmentation_id": vlan}


def subport(number: int, vlan: int) -> dict[str, Any]:
    return {"port_id": f"sub-{number}", "segmentation_id": vlan}


@pytest.mark.parametrize(
    ("tag", "segments", "reason"),
    [
        (101, [segment(101)], ""),
        (101, [segment(101, "physnet2")], ""),
        (101, [segment(5, kind="vxlan"), segment(101)], ""),
        (500, [segment(101)], "has segmentation id 500 and its network VLAN 101"),
        (10, [segment(10)], "has VLAN 10, which the trunk's own port has"),
        (101, [segment(101, "storage")], "is no VLAN of virtual switch ETHERNET0 of host power1"),
        (101, [segment(101, kind="vxlan")], "is no VLAN of virtual switch ETHERNET0"),
        (101, [], "is no VLAN of virtual switch ETHERNET0"),
    ],
)
def test_a_subport_is_carried_where_its_tag_is_its_networks_vlan_on_the_same_switch(
    monkeypatch: pytest.MonkeyPatch, tag: int, segments: list[dict[str, Any]], reason: str
) -> None:
    monkeypatch.setattr(trunk, "_networks", lambda context, ports: {"sub-1": segments})
    found = trunk.obstacle(None, AGENT, SEGMENT, [subport(1, tag)])
    assert (reason in found) if reason else found == ""


def test_an_adapter_carries_twenty_subports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        trunk, "_networks", lambda context, ports: {port: [segment(100 + int(port[4:]))] for port in ports}
    )
    subports = [subport(n, 100 + n) for n in range(21)]
    assert trunk.obstacle(None, AGENT, SEGMENT, subports[:20]) == ""
    assert "has 21 subports, and a virtual Ethernet adapter carries 20" in trunk.obstacle(
        None, AGENT, SEGMENT, subports
    )


def test_the_vlans_are_told_in_order() -> None:
    assert trunk.vlans_text([subport(1, 300), subport(2, 20)]) == "20,300"
    assert trunk.vlans_text([]) == ""


def port(status: str = "ACTIVE", vif_type: str = "pvm_sea", enabled: bool = True) -> dict[str, Any]:
    return {"status": status, "binding:vif_type": vif_type, "admin_state_up": enabled}


@pytest.mark.parametrize(
    ("ports", "status"),
    [
        ([], "DOWN"),
        ([port(vif_type="unbound")], "DOWN"),
        ([port()], "ACTIVE"),
        ([port(), port("DOWN")], "BUILD"),
        ([port(), port("DOWN", enabled=False)], "ACTIVE"),
        ([port(), port("DOWN", vif_type="binding_failed")], "DEGRADED"),
    ],
)
def test_a_trunk_is_what_its_ports_are(ports: list[dict[str, Any]], status: str) -> None:
    assert trunk._status(ports) == status


@pytest.mark.parametrize(
    ("mtu", "physnet", "refused"),
    [(1500, "physnet1", False), (1501, "physnet1", True), (9000, "storage", False), (9000, "physnet2", False)],
)
def test_packets_have_to_fit_where_it_is_known_what_does(mtu: int, physnet: str, refused: bool) -> None:
    reason = mech._too_large({"mtu": mtu}, {"physical_network": physnet}, AGENT)
    assert bool(reason) is refused
    assert not refused or "restart the host's agent" in reason
