"""The options of the z/VM agent: what can be read, what is refused, and what networking-zvm called them."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg
from tests.unit.plugins.neutron.zvm_system import FakeSystem

from bigiron.errors import PlatformError, Unavailable
from bigiron.plugins import zvm_rest
from bigiron.plugins.neutron import conf, zvm_conf
from bigiron.plugins.neutron.zvm_networks import Networks, Uplink


def options(tmp_path: Path, text: str) -> cfg.ConfigOpts:
    """What an agent reads from a file."""
    path = tmp_path / "agent.conf"
    path.write_text(text)
    made = cfg.ConfigOpts()
    zvm_conf.register(made)
    made(["--config-file", str(path)])
    return made


def test_names_of_networking_zvm_still_work(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("secret")
    made = options(
        tmp_path,
        "[AGENT]\npolling_interval = 3\ncloud_connector_url = https://zvm1:8080/\n"
        f"zvm_cloud_connector_ca_file = {secret}\nzvm_cloud_connector_token_file = {secret}\n"
        "[VSW1]\nrdev_list = 6243\n",
    )
    assert zvm_rest.values(made) == {
        "cloud_connector_url": "https://zvm1:8080/", "ca_file": str(secret), "token_path": str(secret),
        "call_timeout_s": 120.0,
    }  # fmt: skip
    assert made.AGENT.polling_interval == 3
    assert zvm_conf.uplinks(made) == {"VSW1": Uplink(("6243",), "AWARE")}
    assert zvm_conf.mappings(made) == {}


def test_mappings_and_uplinks(tmp_path: Path) -> None:
    made = options(
        tmp_path,
        "[AGENT]\nvswitch_mappings = physnet1:vsw1, public:VSW2\n[vsw1]\nrdev_list = 6243, 6246\nvlan_id = 100\n"
        "[VSW2]\nrdev_list = 6250\nvlan_id = unaware\n[securitygroup]\nenable_security_group = true\n",
    )
    assert zvm_conf.mappings(made) == {"physnet1": "VSW1", "public": "VSW2"}
    assert zvm_conf.uplinks(made) == {"VSW1": Uplink(("6243", "6246"), 100), "VSW2": Uplink(("6250",), "UNAWARE")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[AGENT]\nvswitch_mappings = physnet1\n", "'physnet1' is not of the form"),
        ("[AGENT]\nvswitch_mappings = :VSW1\n", "':VSW1' is not of the form"),
        ("[AGENT]\nvswitch_mappings = physnet1:VIRTUALSW\n", "'physnet1:VIRTUALSW' is not of the form"),
        ("[AGENT]\nvswitch_mappings = a:VSW1,a:VSW2\n", "physical network a is mapped twice"),
        ("[VSW1]\nrdev_list = osa1\n", "rdev_list = osa1 names no real devices"),
        ("[VSW1]\nrdev_list = 1 2 3 4\n", "names no real devices: use one to 3"),
        ("[VSW1]\nrdev_list = 6243\nvlan_id = 4095\n", "vlan_id = 4095 is not AWARE, UNAWARE or a VLAN"),
        ("[VSW1]\nrdev_list = 6243\nvlan_id = some\n", "vlan_id = some is not AWARE"),
    ],
)
def test_what_makes_no_sense_is_quoted_with_the_fix(tmp_path: Path, text: str, message: str) -> None:
    made = options(tmp_path, text)
    with pytest.raises(conf.BadMapping, match=message.replace("[", r"\[")):
        zvm_conf.mappings(made)
        zvm_conf.uplinks(made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cloud_connector_url is not set"),
        (
            "[zvm]\ncloud_connector_url = http://zvm1/\ntoken_path = /nowhere/token\n",
            "token_path = /nowhere/token cannot",
        ),
        ("[zvm]\ncloud_connector_url = http://zvm1/\nca_file = /nowhere/ca\n", "ca_file = /nowhere/ca cannot be read"),
    ],
)
def test_a_connector_that_cannot_be_reached_so(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(zvm_rest.BadOption, match=message):
        zvm_rest.values(options(tmp_path, text))


class TestNetworks:
    """Which switch carries what, and switches that are made."""

    def test_every_switch_carries_the_network_of_its_name(self) -> None:
        system = FakeSystem()
        system.define("VSW1", default_vlan=5)
        networks = Networks(system, {}, {})
        heard: list[object] = []
        networks.changed.append(lambda: heard.append(networks.configurations()))
        networks.refresh()
        assert heard == [
            {"vswitch_mappings": {"VSW1": "VSW1"}, "vswitches": {"VSW1": {"vlan_aware": True, "default_vlan": 5}}}
        ]
        networks.refresh()
        assert len(heard) == 1
        system.define("VSW2", aware=False)
        networks.refresh()
        assert len(heard) == 2 and networks.serving == {"VSW1": "VSW1", "VSW2": "VSW2"}

    def test_a_missing_switch_is_made_where_its_devices_are_known(self) -> None:
        system = FakeSystem()
        networks = Networks(system, {"net": "VSW1", "other": "VSW2"}, {"VSW1": Uplink(("6243",), "AWARE")})
        networks.refresh()
        assert list(system.made) == ["VSW1"] and networks.missing == ["VSW2"]
        assert networks.configurations()["vswitch_mappings"] == {"net": "VSW1"}
        networks.refresh()
        assert system.asked.count("create VSW1") == 1

    @pytest.mark.parametrize("error", [Unavailable("away"), PlatformError("no such device")])
    def test_one_that_cannot_be_made_says_so_and_is_not_reported(
        self, error: PlatformError, caplog: pytest.LogCaptureFixture
    ) -> None:
        system = FakeSystem(failures={"create VSW1": error})
        networks = Networks(system, {"net": "VSW1"}, {"VSW1": Uplink(("6243",), "AWARE")})
        networks.refresh()
        assert error.message in caplog.text and networks.configurations()["vswitch_mappings"] == {}
