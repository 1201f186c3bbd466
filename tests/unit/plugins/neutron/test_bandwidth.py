"""What ports have to give, and what shares of them a guarantee takes."""

from __future__ import annotations

from typing import Any

import pytest

from bigiron.plugins.neutron import bandwidth
from bigiron.plugins.neutron.bandwidth import Guarantee
from bigiron.powervm.network.sriov import PhysicalPort

HOST, FAST, SLOW = "power1", "C1-T1", "C1-T2"
LINK = 10_000_000


def port(location: str = FAST, allocated: float = 0.0, link: bool = True, kbps: int = LINK) -> PhysicalPort:
    return PhysicalPort(1, 0, location, "prod", link, 0.02, allocated, 0, 20, kbps=kbps)


def total(egress: int, ingress: int) -> dict[str, dict[str, int]]:
    return {FAST: {"egress": egress, "ingress": ingress}}


@pytest.mark.parametrize(
    ("kbps", "share"), [(1, 0.02), (200_000, 0.02), (200_001, 0.04), (1_100_000, 0.12), (LINK, 1.0)]
)
def test_a_share_is_as_much_as_was_asked_for_or_more(kbps: int, share: float) -> None:
    assert bandwidth.share(kbps, LINK, 0.02) == share


def test_what_is_held_and_not_counted_is_no_longer_there() -> None:
    def totals(allocated: float, *guarantees: Guarantee) -> Any:
        return bandwidth.totals(HOST, [port(allocated=allocated)], guarantees, {})

    here, elsewhere = bandwidth.provider(HOST, FAST), bandwidth.provider(HOST, SLOW)
    assert totals(0.0) == total(LINK, LINK)
    assert totals(0.04) == total(9_600_000, 9_600_000), "two ports without a guarantee hold the least there is"
    assert totals(0.12, Guarantee(here, 1_200_000, 1_200_000)) == total(LINK, LINK)
    assert totals(0.12, Guarantee(here, 1_100_000, 300_000)) == total(9_900_000, 9_100_000)
    assert totals(0.12, Guarantee(elsewhere, 1_200_000)) == total(8_800_000, 8_800_000), "as the second of its vNIC"
    assert totals(0.12, Guarantee(here, 5_000_000, 5_000_000)) == total(LINK, LINK), "a policy may have grown since"
    assert totals(1.0) == total(1, 1)


def test_before_the_vnics_were_looked_at_the_platform_watches_over_what_is_held() -> None:
    assert bandwidth.totals(HOST, [port(allocated=0.5)], None, {}) == total(LINK, LINK)


def test_a_port_without_a_link_gives_nothing_and_one_of_unknown_speed_is_not_reported() -> None:
    assert bandwidth.totals(HOST, [port(link=False, kbps=0)], (), {}) == total(1, 1)
    assert bandwidth.totals(HOST, [port(kbps=0)], (), {}) == {}


def test_an_operator_can_say_what_a_port_gives() -> None:
    limits: dict[str, dict[str, int | None]] = {FAST: {"egress": 4_000_000, "ingress": None}}
    assert bandwidth.totals(HOST, [port(allocated=0.1)], (), limits) == total(3_000_000, 9_000_000)
    both: dict[str, dict[str, int | None]] = {FAST: {"egress": 7, "ingress": 8}}
    assert bandwidth.totals(HOST, [port(kbps=0)], (), both) == total(7, 8)


def test_what_placement_has_given_a_port() -> None:
    resources = {"NET_BW_EGR_KILOBIT_PER_SEC": 1000, "NET_BW_IGR_KILOBIT_PER_SEC": 500}
    groups = [{"id": "p", "resources": {"NET_PACKET_RATE_KILOPACKET_PER_SEC": 1}}, {"id": "g", "resources": resources}]
    request = {"request_groups": groups, "same_subtree": ["p", "g"]}
    shown = {"binding:profile": {"allocation": {"g": "provider-1", "p": "provider-2"}}, "resource_request": request}
    assert bandwidth.guarantee(shown) == Guarantee("provider-1", 1000, 500)
    assert bandwidth.guarantee({**shown, "binding:profile": {}}) is None
    assert bandwidth.guarantee({**shown, "resource_request": None}) is None
    assert bandwidth.guarantee({}) is None
