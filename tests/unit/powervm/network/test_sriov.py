"""Which physical ports back a vNIC: the choice alone, without a platform."""

from __future__ import annotations

from typing import Any

import pytest

from bigiron.errors import InvalidSpec, NoCapacity
from bigiron.model import NicSpec
from bigiron.powervm.network import sriov
from bigiron.powervm.network.sriov import PhysicalPort, Wanted


def port(adapter: int, number: int, **more: Any) -> PhysicalPort:
    values = {
        "location": f"C{adapter}-T{number}", "network": "prod", "link": True, "granularity": 0.02, "allocated": 0.0,
        "logical": 0, "max_logical": 20, **more,
    }  # fmt: skip
    return PhysicalPort(adapter=adapter, port=number, **values)


def nic(**details: str) -> NicSpec:
    return NicSpec("port-1", "fa:16:3e:00:00:01", "pvm_sriov", 100, "prod", details=details)


def chosen(*ports: PhysicalPort, **wanted: Any) -> list[str]:
    return [one.location for one in sriov.choose(ports, nic(), Wanted(**wanted))]


def test_different_adapters_first_and_of_each_the_port_with_most_room() -> None:
    ports = port(1, 0, allocated=0.5), port(1, 1, allocated=0.2), port(2, 0, allocated=0.9), port(2, 1, allocated=0.6)
    assert chosen(*ports) == ["C1-T1"]
    assert chosen(*ports, redundancy=2) == ["C1-T1", "C2-T1"]
    assert chosen(*ports, redundancy=3) == ["C1-T1", "C2-T1", "C1-T0"]


def test_ports_without_link_room_or_the_label_are_not_taken() -> None:
    ports = port(1, 0, link=False), port(1, 1, network="other"), port(1, 2, logical=20), port(2, 0, allocated=0.98)
    assert chosen(*ports) == ["C2-T0"]
    with pytest.raises(NoCapacity) as caught:
        chosen(*ports, redundancy=2, capacity=0.02)
    assert str(caught.value) == (
        "Port port-1 needs 2 SR-IOV ports of physical network prod with link and room, and 1 have both. Bring links "
        "up, or lower vnic_required_vfs or capacity in its binding:profile. For 2% of a port: C1-T0: its link is down; "
        "C1-T2: 20 of 20 logical ports, 100% free; C2-T0: could be used."
    )


def test_the_port_whose_bandwidth_was_given_out_comes_first() -> None:
    ports = port(1, 0, allocated=0.5), port(1, 1), port(2, 0, allocated=0.9)
    assert chosen(*ports, first="C1-T0") == ["C1-T0"]
    assert chosen(*ports, first="C1-T0", redundancy=2) == ["C1-T0", "C2-T0"]
    with pytest.raises(NoCapacity, match=r"bandwidth of SR-IOV port C2-T0, which cannot take it: .* 10% free"):
        chosen(*ports, first="C2-T0", capacity=0.2)
    with pytest.raises(NoCapacity, match="C9-T9, which cannot take it: the system has no such port"):
        chosen(*ports, first="C9-T9")


@pytest.mark.parametrize(
    ("speed", "kbps"), [("E10Gbps", 10_000_000), ("E100Mbps", 100_000), ("Auto", 0), ("Unknown", 0), ("", 0)]
)
def test_the_speed_of_a_link(speed: str, kbps: int) -> None:
    assert sriov._kbps(speed) == kbps


def test_a_capacity_that_fills_a_port_to_the_brim_fits() -> None:
    assert chosen(port(1, 0, allocated=0.7), capacity=0.3) == ["C1-T0"]


def test_a_label_that_no_port_has() -> None:
    with pytest.raises(
        InvalidSpec, match=r"no SR-IOV port of this system has that label \(there are: default, other\)"
    ):
        chosen(port(1, 0, network="other"), port(1, 1, network="default"))


def test_a_capacity_that_no_port_gives_out() -> None:
    with pytest.raises(InvalidSpec, match=r"capacity of 0\.03, which no .* C1-T0 gives out multiples of 0\.02"):
        chosen(port(1, 0), capacity=0.03)


def test_a_capacity_that_some_ports_give_out_is_theirs() -> None:
    assert chosen(port(1, 0), port(2, 0, granularity=0.01, allocated=0.5), capacity=0.03) == ["C2-T0"]


def test_a_limit_needs_an_adapter_that_can_limit() -> None:
    unlimited, limited = port(1, 0, limits=False), port(2, 0, allocated=0.5)
    assert chosen(unlimited, limited, max_capacity=0.5) == ["C2-T0"]
    assert chosen(unlimited, limited, max_capacity=1.0) == ["C1-T0"]
    with pytest.raises(
        InvalidSpec, match=r"no SR-IOV adapter on physical network prod can limit .*; remove maxcapacity"
    ):
        chosen(unlimited, max_capacity=0.5)


def test_what_a_binding_asks_for() -> None:
    assert sriov.wanted(nic()) == Wanted(1, None, None)
    asked = nic(redundancy="2", capacity="0.04", maxcapacity="0.5")
    assert sriov.wanted(asked) == Wanted(2, 0.04, 0.5)
    assert sriov.wanted(nic(allocated_port="C1-T1")) == Wanted(1, first="C1-T1")
    assert sriov.wanted(nic(capacity="None", maxcapacity="")) == Wanted(1, None, None)


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"redundancy": "7"}, "asks for 7 logical ports"),
        ({"redundancy": "1.5"}, r"asks for 1\.5 logical ports"),
        ({"redundancy": "two"}, "redundancy 'two' in its binding, which is no number"),
        ({"capacity": "2"}, r"capacity 2; it is a fraction"),
        ({"capacity": "0.5", "maxcapacity": "0.4"}, r"maxcapacity 0\.4, which is less than its capacity 0\.5"),
    ],
)
def test_what_a_binding_cannot_ask_for(details: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        sriov.wanted(nic(**details))
