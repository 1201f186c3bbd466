"""bridge_mappings: their syntax, and which bridge they mean; each mistake names itself and the fix."""

from __future__ import annotations

import pytest
from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.plugins.neutron import bridgemap, conf
from bigiron.plugins.neutron.conf import BadMapping, MappedDevice, parse_mappings
from bigiron.powervm.network.trunks import Bridge, SharedAdapter, Trunk

ONE = Bridge("b1", 0, False, (SharedAdapter("ent5", "vios1", Trunk(1)), SharedAdapter("ent6", "vios2", Trunk(1))))
TWO = Bridge("b2", 1, False, (SharedAdapter("ent7", "vios1", Trunk(1)),))
SWITCHES = {0: "ETHERNET0", 1: "STORAGE"}


def test_each_entry_is_read() -> None:
    assert parse_mappings(" physnet1:ent5:vios1, physnet2 : ent7 : vios1 ,") == {
        "physnet1": MappedDevice("physnet1", "ent5", "vios1"),
        "physnet2": MappedDevice("physnet2", "ent7", "vios1"),
    }


@pytest.mark.parametrize("text", ["physnet1", "physnet1:ent5", "physnet1::vios1", "a:b:c:d"])
def test_an_entry_of_another_form_is_quoted(text: str) -> None:
    with pytest.raises(
        BadMapping, match=r"\[AGENT\] bridge_mappings: .*<physical network>:<device>:<VIOS name>"
    ) as caught:
        parse_mappings(f"physnet0:ent1:vios1,{text}")
    assert repr(text) in str(caught.value)


def test_a_network_mapped_twice_is_named() -> None:
    with pytest.raises(BadMapping, match="physical network physnet1 is mapped twice"):
        parse_mappings("physnet1:ent5:vios1,physnet1:ent7:vios1")


@pytest.mark.parametrize("text", ["physnet1:ent5:vios1", "physnet1:ent6:vios2"])
def test_either_adapter_of_a_redundant_bridge_may_be_named(text: str) -> None:
    network = bridgemap.resolve(parse_mappings(text), [TWO, ONE], SWITCHES)["physnet1"]
    assert (network.bridge, network.vswitch, network.vswitch_name) == ("b1", 0, "ETHERNET0")
    assert network.name == "ent5 of VIOS vios1 and ent6 of VIOS vios2"


def test_one_bridge_needs_no_mapping() -> None:
    assert bridgemap.resolve({}, [ONE], SWITCHES)["default"].bridge == "b1"


@pytest.mark.parametrize(
    ("text", "bridges", "message"),
    [
        ("", [], "no network bridge. Create a Shared Ethernet Adapter"),
        ("physnet1:ent5:vios1", [], "no network bridge. Create a Shared Ethernet Adapter"),
        ("", [ONE, TWO], r"has 2 network bridges: ent5 of VIOS vios1 .*; ent7 of VIOS vios1"),
        ("physnet1:ent5:vios2", [ONE, TWO], "physnet1 names ent5 of VIOS vios2, and no network bridge has it"),
    ],
)
def test_what_does_not_fit_the_system_is_named(text: str, bridges: list[Bridge], message: str) -> None:
    with pytest.raises(PlatformError, match=message):
        bridgemap.resolve(parse_mappings(text), bridges, SWITCHES)


def test_the_options_can_be_registered_twice_and_are_all_listed() -> None:
    options = cfg.ConfigOpts()
    conf.register(options)
    conf.register(options)
    options([])
    assert options.AGENT.heal_and_optimize_interval == 1800
    assert options.AGENT.automated_powervm_vlan_cleanup is True
    assert options.powervm.rest_timeout == 1200
    assert {group for group, _ in conf.list_opts()} == {"AGENT", "powervm"}
