"""The `[powervm]` options: defaults, what reaches the platform, and refusals that name the option and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from oslo_config import cfg

from bigiron.plugins.nova import conf
from bigiron.powervm.console.vencrypt import VncCertificates


def parsed(tmp_path: Path, text: str) -> Any:
    """A configuration read from a file, as nova-compute reads nova.conf."""
    file = tmp_path / "nova.conf"
    file.write_text(text)
    config = cfg.ConfigOpts()
    config.register_opts(
        [
            cfg.StrOpt("host", default="power1"),
            cfg.StrOpt("state_path"),
            cfg.IntOpt("max_concurrent_builds", default=10),
        ]
    )
    config.register_opts(
        [cfg.BoolOpt("enabled", default=True), cfg.StrOpt("server_proxyclient_address", default="127.0.0.1")], "vnc"
    )
    config.register_opts([cfg.BoolOpt("enabled", default=False), cfg.StrOpt("proxyclient_address")], "serial_console")
    conf.register(config)
    config(["--config-file", str(file)])
    config.set_override("state_path", str(tmp_path))
    return config


def test_two_options_are_enough_on_novalink(tmp_path: Path) -> None:
    options = conf.to_options(parsed(tmp_path, "[powervm]\ndisk_driver = ssp\n"))
    assert options.rest_host is None
    assert options.disk_driver == "ssp"
    assert options.hostname == "power1"
    assert options.proc_units_factor == 0.1
    assert options.uncapped_proc_weight == 64
    assert options.max_parallel == 40
    assert options.state_path == tmp_path / "bigiron"


def test_every_option_reaches_the_platform(tmp_path: Path) -> None:
    cacert = tmp_path / "ca.pem"
    cacert.write_text("certificate")
    text = f"""
[DEFAULT]
max_concurrent_builds = 32
[powervm]
rest_host = hmc.example.org
rest_port = 12443
rest_protocol = https
rest_username = padmin
rest_password = secret
rest_cacert = {cacert}
rest_timeout = 30
rest_connect_timeout = 60
job_timeout = 90
management_root = {tmp_path}
disk_driver = LocalDisk
volume_group_name = datavg
cluster_name = cluster1
vopt_media_volume_group = mediavg
vopt_media_rep_size = 4
proc_units_factor = 0.5
uncapped_proc_weight = 128
use_rmc_mgmt_vif = false
use_rmc_ipv6_scheme = false
console_recorder = false
vnc_port = 6001
console_own_ports = true
vnc_use_x509_auth = true
vnc_ca_certs = ca.pem
vnc_server_cert = cert.pem
vnc_server_key = key.pem
[vnc]
server_proxyclient_address = 10.1.2.3
[serial_console]
enabled = true
proxyclient_address = 10.1.2.4
"""
    options = conf.to_options(parsed(tmp_path, text))
    assert (options.rest_host, options.rest_port, options.rest_protocol) == ("hmc.example.org", 12443, "https")
    assert (options.rest_username, options.rest_password, options.rest_cacert) == ("padmin", "secret", str(cacert))
    assert (options.rest_timeout, options.connect_timeout_s, options.job_timeout_s) == (30, 60, 90)
    assert options.management_root == tmp_path
    assert (options.disk_driver, options.volume_group_name, options.cluster_name) == (
        "localdisk",
        "datavg",
        "cluster1",
    )
    assert (options.vopt_media_volume_group, options.vopt_media_rep_size_gb) == ("mediavg", 4)
    assert (options.proc_units_factor, options.uncapped_proc_weight) == (0.5, 128)
    assert (options.use_rmc_mgmt_vif, options.use_rmc_ipv6_scheme) == (False, False)
    assert (options.console_recorder, options.vnc_host, options.vnc_port) == (False, "10.1.2.3", 6001)
    assert options.console_own_ports
    assert options.serial_host == "10.1.2.4"
    assert options.vnc_certificates == VncCertificates("ca.pem", "cert.pem", "key.pem")
    assert options.max_parallel == 128


@pytest.mark.parametrize(("release", "own"), [("33.0.2", True), ("34.0.0", False), ("35.0.0", False)])
def test_consoles_have_their_own_ports_where_the_proxies_cannot_name_a_path(
    tmp_path: Path, release: str, own: bool
) -> None:
    with mock.patch("nova.version.version_string", return_value=release):
        assert conf.to_options(parsed(tmp_path, "[powervm]\ndisk_driver = ssp\n")).console_own_ports is own


def test_without_vnc_in_nova_there_is_none_here(tmp_path: Path) -> None:
    options = conf.to_options(parsed(tmp_path, "[powervm]\ndisk_driver = ssp\n[vnc]\nenabled = false\n"))
    assert (options.console_recorder, options.vnc_host, options.serial_host) == (True, "", "")


@pytest.mark.parametrize(
    ("text", "named", "fix"),
    [
        ("", "volume_group_name", "disk_driver = ssp"),
        ("disk_driver = nfs", "disk_driver", "localdisk"),
        ("disk_driver = ssp\nproc_units_factor = 3", "proc_units_factor", "1"),
        ("disk_driver = ssp\nuncapped_proc_weight = 0", "uncapped_proc_weight", "1"),
        ("disk_driver = ssp\nrest_username = padmin", "rest_password", "together"),
        ("disk_driver = ssp\nrest_password = secret", "rest_username", "together"),
        ("disk_driver = ssp\nrest_host = hmc", "rest_host", "rest_username and rest_password"),
        ("disk_driver = ssp\nrest_port = 70000", "rest_port", "65535"),
        ("disk_driver = ssp\nrest_cacert = /nowhere/ca.pem", "rest_cacert", "PEM file"),
        ("disk_driver = ssp\nmanagement_root = /nowhere", "management_root", "directory"),
        ("disk_driver = ssp\npvm_vswitch_for_novalink_io = ETHERNET0", "pvm_vswitch_for_novalink_io", "another one"),
        ("disk_driver = ssp\npvm_vswitch_for_novalink_io =", "pvm_vswitch_for_novalink_io", "leave the option out"),
        ("disk_driver = ssp\nvnc_use_x509_auth = true\nvnc_ca_certs = ca.pem", "vnc_server_cert", "PEM file"),
    ],
)
def test_a_wrong_value_is_refused_by_name_with_the_fix(tmp_path: Path, text: str, named: str, fix: str) -> None:
    with pytest.raises(conf.OptionError) as caught:
        conf.to_options(parsed(tmp_path, f"[powervm]\n{text}\n"))
    assert named in str(caught.value)
    assert fix in str(caught.value)


def test_the_password_is_secret_wherever_options_are_shown(tmp_path: Path) -> None:
    text = "[powervm]\ndisk_driver = ssp\nrest_username = padmin\nrest_password = hunter2\n"
    assert "hunter2" not in repr(conf.to_options(parsed(tmp_path, text)))
    (password,) = (opt for opt in conf.ALL_OPTS if opt.name == "rest_password")
    assert password.secret


def test_each_option_is_explained_and_listed_for_the_generator() -> None:
    ((group, listed),) = conf.list_opts()
    assert group.name == "powervm"
    assert all(opt.help and len(opt.help) > 20 for opt in listed)
