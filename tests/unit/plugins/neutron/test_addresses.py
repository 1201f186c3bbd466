"""Which MACs a port's guest may use, from the port as Neutron's API shows it."""

from __future__ import annotations

from typing import Any

import pytest

from bigiron.plugins.neutron import addresses

MAC = "fa:16:3e:00:00:01"
OTHER, THIRD = "fa:16:3e:00:00:02", "fa:16:3e:00:00:03"


def port(*pairs: str, **changes: Any) -> dict[str, Any]:
    listed = [{"mac_address": mac, "ip_address": "10.0.0.9"} for mac in pairs]
    return {"mac_address": MAC, "port_security_enabled": True, "allowed_address_pairs": listed, **changes}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (port(), "NONE"),
        (port(MAC.upper()), "NONE"),
        (port(THIRD, OTHER.upper(), OTHER), f"{OTHER},{THIRD}"),
        (port(port_security_enabled=False), "ALL"),
        (port(trunk_details={"sub_ports": []}), "ALL"),
        ({"mac_address": MAC}, "NONE"),
    ],
)
def test_a_guest_may_use_its_ports_address_and_those_of_the_pairs(given: dict[str, Any], allowed: str) -> None:
    assert addresses.allowed(given) == allowed
    assert addresses.obstacle(given) == ""


def test_an_adapter_takes_four_addresses() -> None:
    macs = [f"fa:16:3e:00:01:0{n}" for n in range(5)]
    assert addresses.obstacle(port(*macs[:4])) == ""
    assert "have 5 MAC addresses beside its own, and an adapter takes 4" in addresses.obstacle(port(*macs))
    assert addresses.obstacle(port(*macs, port_security_enabled=False)) == ""
