"""The option files are private, complete, and readable by the programs they are for."""

from __future__ import annotations

import configparser
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from oslo_config import cfg

from bigiron.lab import configs, spec
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths


@pytest.fixture(params=spec.DRIVERS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[LabPaths, spec.LabSpec]:
    # A folder named after the test would make the path of a socket in it too long.
    paths = LabPaths(tmp_path_factory.mktemp("lab"))
    paths.create()
    made = spec.LabSpec(driver=request.param).equipped()
    configs.write(paths, made)
    return paths, made


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def test_only_the_owner_can_read_them(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, _ = lab
    holders = [*paths.etc.rglob("*.conf"), paths.clouds_yaml, *(paths.data / "keystone").rglob("[01]")]
    assert len(holders) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}


def test_the_compute_host_has_no_database_and_its_own_state(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, made = lab
    compute = _read(paths.etc / "nova-compute" / "nova.conf")
    assert not {"database", "api_database"} & set(compute.sections())
    assert compute["DEFAULT"]["host"] == "lab-compute"
    assert compute["DEFAULT"]["state_path"] != _read(paths.etc / "nova" / "nova.conf")["DEFAULT"]["state_path"]
    assert [name for name in spec.PLATFORMS if compute.has_section(name)] == list(made.platform_names[:1])


def test_every_service_signs_in_with_its_own_password(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, made = lab
    for name in ("glance/glance-api", "placement/placement", "nova/nova", "neutron/neutron", "cinder/cinder"):
        token = _read(paths.etc / f"{name}.conf")["keystone_authtoken"]
        assert token["password"] == made.secrets[token["username"]]
        assert name.startswith(token["username"])


def test_every_program_begins_a_new_log_in_time(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, _ = lab
    options = [_read(path)["DEFAULT"] for path in paths.etc.rglob("*.conf") if "log_file" in _read(path)["DEFAULT"]]
    assert {Path(each["log_file"]).stem for each in options} >= {"keystone", "nova", "nova-compute", "neutron"}
    for each in options:
        assert (each["log_rotation_type"], each["max_logfile_count"]) == ("size", "1")
        assert int(each["max_logfile_size_mb"]) > 0


def test_clouds_yaml_names_both_users(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, made = lab
    clouds = yaml.safe_load(paths.clouds_yaml.read_text(encoding="utf-8"))["clouds"]
    assert clouds["bigiron"]["auth"]["password"] == made.secrets["admin"]
    assert clouds["bigiron-demo"]["auth"]["project_name"] == "demo"


def test_keystone_keys_stay_when_written_again(lab: tuple[LabPaths, spec.LabSpec]) -> None:
    paths, made = lab
    key = paths.data / "keystone" / "fernet-keys" / "1"
    before = key.read_text(encoding="utf-8")
    configs.write(paths, made)
    assert key.read_text(encoding="utf-8") == before


_UNKNOWN_OPTIONS = """
import configparser, sys
import nova.conf
from oslo_concurrency import lockutils
from oslo_log import log
import oslo_db.options
import nova.servicegroup, nova.service, nova.rpc
from nova.conf import novnc
from oslo_messaging import transport
conf = nova.conf.CONF
log.register_options(conf)
novnc.register_cli_opts(conf)
for options in (transport._transport_opts, lockutils._opts[:0]):
    conf.register_opts(options)
conf.register_opts(lockutils._opts, group="oslo_concurrency")
for group in ("database", "api_database"):
    conf.register_opts(oslo_db.options.database_opts, group=group)
credentials = {"auth_url", "username", "password", "project_name", "user_domain_name", "project_domain_name"}
elsewhere = {"powervm", "zvm", "keystone_authtoken", "oslo_messaging_rabbit"}
for path in sys.argv[1:]:
    conf(["--config-file", path], project="nova")
    given = configparser.ConfigParser(interpolation=None)
    given.read(path)
    for section in {"DEFAULT", *given.sections()} - elsewhere:
        known = conf if section == "DEFAULT" else getattr(conf, section)
        options = given.defaults() if section == "DEFAULT" else given._sections[section]
        print(*(f"{path}: [{section}] {name}" for name in options if name not in known and name not in credentials))
"""


def test_nova_knows_every_option_it_is_given(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An option that Nova does not know would be ignored in silence."""
    files = []
    for driver in spec.DRIVERS:
        paths = LabPaths(tmp_path_factory.mktemp("lab"))
        paths.create()
        configs.write(paths, spec.LabSpec(driver=driver).equipped())
        files += sorted(map(str, paths.etc.glob("nova*/nova.conf")))
    assert len(files) > 4 * len(spec.DRIVERS) - 4
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _UNKNOWN_OPTIONS, *files],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    assert answer.stdout.split() == []


def test_what_the_user_sets_wins_over_what_the_lab_sets(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path / "lab")
    paths.create()
    chosen = configs.settings(["neutron:DEFAULT.send_events_interval=7", "nova-compute:powervm.disk_driver=localdisk"])
    configs.write(paths, spec.LabSpec(settings=chosen).equipped())
    neutron, compute = cfg.ConfigOpts(), cfg.ConfigOpts()
    neutron.register_opt(cfg.IntOpt("send_events_interval"))
    neutron(["--config-file", str(paths.etc / "neutron" / "neutron.conf")])
    compute.register_opts([cfg.StrOpt("disk_driver"), cfg.StrOpt("cluster_name")], group="powervm")
    compute(["--config-file", str(paths.etc / "nova-compute" / "nova.conf")])
    assert neutron.send_events_interval == 7
    assert (compute.powervm.disk_driver, compute.powervm.cluster_name) == ("localdisk", "cluster1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("neutron:send_events_interval=7", "PROGRAM:GROUP.OPTION=VALUE"),
        ("neutron:DEFAULT.debug", "PROGRAM:GROUP.OPTION=VALUE"),
        ("neutron:DEFAULT.debug=1\n[nova]", "PROGRAM:GROUP.OPTION=VALUE"),
        ("swift:DEFAULT.debug=true", "choose from keystone"),
    ],
)
def test_a_setting_that_no_program_would_find_is_refused(text: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        configs.settings([text])


def test_a_lab_of_both_platforms_gives_each_host_its_own_driver(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path / "lab")
    paths.create()
    made = spec.LabSpec(driver="both").equipped()
    configs.write(paths, made)
    first, second = (_read(paths.etc / name / "nova.conf") for name in ("nova-compute", "nova-compute-2"))
    assert [each["DEFAULT"]["compute_driver"] for each in (first, second)] == [
        "bigiron.PowerVMDriver", "bigiron.ZVMDriver"
    ]  # fmt: skip
    assert second["zvm"]["cloud_connector_url"] == f"http://127.0.0.1:{made.ports['sim-2']}/"
    assert Path(second["zvm"]["token_path"]) == paths.data / "sim-2" / "connector" / "token"
    assert [each["vnc"]["enabled"] for each in (first, second)] == ["True", "False"]
    scheduler = _read(paths.etc / "nova" / "nova.conf")["filter_scheduler"]
    assert scheduler["image_properties_default_architecture"] == "ppc64le"
    neutron = _read(paths.etc / "neutron" / "neutron.conf")["DEFAULT"]
    assert neutron["base_mac"] == "02:00:00:00:00:00"
    assert not (paths.etc / "neutron-sea-agent-2").exists()
    agent = _read(paths.etc / "neutron-zvm-agent-2" / "neutron.conf")
    assert agent["AGENT"]["vswitch_mappings"] == "VSWFLAT:VSWFLAT,default:VSWVLAN"
    assert agent["DEFAULT"]["host"] == second["DEFAULT"]["host"] == "lab-compute-2"
    assert agent["zvm"]["cloud_connector_url"] == second["zvm"]["cloud_connector_url"]
    assert agent["zvm"]["port_line"] == second["zvm"]["port_line"]
    assert Path(agent["zvm"]["port_line"]).is_dir()
    ml2 = _read(paths.etc / "neutron" / "ml2_conf.ini")
    assert ml2["ml2"]["mechanism_drivers"] == "pvm_sea,pvm_sriov,zvm"
    assert ml2["ml2_type_flat"]["flat_networks"] == "default,VSWFLAT"
    assert ml2["ml2_type_vlan"]["network_vlan_ranges"] == "default:100:1999"
