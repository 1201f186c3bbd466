"""The table of programs can be started in some order, asks for checks that exist, and shows no secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bigiron.lab import broker, configs, health, services, spec
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths

SYSTEMS = Path(__file__).parents[3] / "examples" / "systems"
ONE, ANOTHER = SYSTEMS / "one-host.yaml", SYSTEMS / "another-host.yaml"


@pytest.fixture
def binaries(tmp_path: Path) -> broker.Binaries:
    for folder in ("erlang/erts-1/bin", "lab/data/broker/erlang/erts-1/bin"):
        (tmp_path / folder).mkdir(parents=True)
    return broker.Binaries(tmp_path / "erlang", tmp_path / "rabbitmq")


def _table(tmp_path: Path, made: spec.LabSpec, binaries: broker.Binaries | None) -> dict[str, services.Program]:
    return {each.name: each for each in services.programs(LabPaths(tmp_path / "lab"), made, binaries)}


@pytest.mark.parametrize("driver", spec.DRIVERS)
def test_every_program_can_be_started_after_those_it_needs(
    driver: str, tmp_path: Path, binaries: broker.Binaries
) -> None:
    waiting = _table(tmp_path, spec.LabSpec(driver=driver, telemetry=True).equipped(), binaries)
    ready = {services.BOOTSTRAP, services.SEED}
    while waiting:
        startable = [name for name, each in waiting.items() if ready.issuperset(each.after)]
        assert startable, f"{sorted(waiting)} wait for each other or for what does not exist"
        for name in startable:
            ready.add(name)
            del waiting[name]


def test_the_platform_runs_with_its_driver_only(tmp_path: Path, binaries: broker.Binaries) -> None:
    real = _table(tmp_path, spec.LabSpec(driver="powervm").equipped(), binaries)
    fake = _table(tmp_path, spec.LabSpec(driver="fake").equipped(), binaries)
    assert real.keys() - fake.keys() == {"sim", "neutron-sea-agent", "nova-novncproxy", "nova-serialproxy"}
    zvm = _table(tmp_path, spec.LabSpec(driver="zvm").equipped(), binaries)
    assert zvm.keys() - fake.keys() == {"sim", "neutron-zvm-agent"}
    both = _table(tmp_path, spec.LabSpec(driver="both").equipped(), binaries)
    assert both.keys() - real.keys() == {"sim-2", "nova-compute-2", "neutron-zvm-agent-2"}
    assert both["sim-2"].argv[1:3] == ("sim", "zvm") and "sim-2" in both["nova-compute-2"].after


def test_a_missing_connector_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGIRON_ZVM_CONNECTOR", str(tmp_path))
    with pytest.raises(LabError, match="make connector"):
        services.check_connector()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sdkserver").touch()
    services.check_connector()
    table = _table(tmp_path, spec.LabSpec(driver="zvm").equipped(), None)
    assert table["sim"].argv[-2:] == ("--connector", str(tmp_path))


def test_telemetry_adds_an_agent_for_each_simulated_system(tmp_path: Path, binaries: broker.Binaries) -> None:
    plain = spec.LabSpec(systems=(str(ONE), str(ANOTHER))).equipped()
    measured = replace(plain, telemetry=True)
    added = _table(tmp_path, measured, binaries).keys() - _table(tmp_path, plain, binaries).keys()
    assert added == {"ceilometer-polling", "ceilometer-polling-2", "charts"}
    drawn = _table(tmp_path, measured, binaries)["charts"]
    assert [word for word in drawn.argv if word.endswith("/metrics")] == [
        f"http://127.0.0.1:{measured.ports[name]}/metrics" for name in ("exporter", "exporter-2")
    ]
    fake = spec.LabSpec(driver="fake", telemetry=True).equipped()
    assert not {"ceilometer-polling", "charts"} & _table(tmp_path, fake, binaries).keys()
    paths = LabPaths(tmp_path / "lab")
    paths.create()
    configs.write(paths, measured)
    text = (paths.etc / "ceilometer-polling-2" / "ceilometer.conf").read_text(encoding="utf-8")
    assert f"prometheus_listen_addresses = 127.0.0.1:{measured.ports['exporter-2']}" in text
    assert f"rest_port = {measured.ports['sim-2']}" in text and "host = lab-compute-2\n" in text
    assert (paths.etc / "ceilometer-polling-2" / "polling.yaml").exists()


def test_a_zvm_host_has_an_agent_of_its_namespace(tmp_path: Path, binaries: broker.Binaries) -> None:
    measured = spec.LabSpec(driver="both", telemetry=True).equipped()
    agent = _table(tmp_path, measured, binaries)["ceilometer-polling-2"]
    assert agent.argv[1:3] == ("--polling-namespaces", "zvm")
    paths = LabPaths(tmp_path / "lab")
    paths.create()
    configs.write(paths, measured)
    text = (paths.etc / "ceilometer-polling-2" / "ceilometer.conf").read_text(encoding="utf-8")
    assert f"cloud_connector_url = http://127.0.0.1:{measured.ports['sim-2']}/" in text and "[powervm]" not in text


@pytest.mark.parametrize(("driver", "telemetry"), [("powervm", False), ("powervm", True), ("both", True)])
def test_each_log_has_one_program_that_ends_it(
    tmp_path: Path, binaries: broker.Binaries, driver: str, telemetry: bool
) -> None:
    paths, made = LabPaths(tmp_path / "lab"), spec.LabSpec(driver=driver, telemetry=telemetry).equipped()
    paths.create()
    configs.write(paths, made)
    written = {line.split("/")[-1] for path in paths.etc.rglob("*.conf") for line in path.read_text().splitlines()
               if line.startswith("log_file")}  # fmt: skip
    table = _table(tmp_path, made, binaries)
    assert {f"{name}.log" for name, each in table.items() if each.own_log} == written


def test_a_given_broker_takes_the_private_ones_place(tmp_path: Path) -> None:
    made = spec.LabSpec(driver="fake", broker_url="rabbit://u:p@192.0.2.1:5672/").equipped()
    table = _table(tmp_path, made, None)
    assert "broker" not in table
    assert not any("broker" in each.after for each in table.values())
    assert made.transport_url == "rabbit://u:p@192.0.2.1:5672/"


def test_no_secret_is_on_a_command_line(tmp_path: Path, binaries: broker.Binaries) -> None:
    made = spec.LabSpec(driver="powervm", telemetry=True).equipped()
    words = [word for each in _table(tmp_path, made, binaries).values() for word in each.argv]
    assert not [word for word in words if any(secret in word for secret in made.secrets.values())]


def test_a_program_that_does_not_answer_does_not_work(tmp_path: Path, binaries: broker.Binaries) -> None:
    """Every check ends with an answer, not an error, while nothing listens yet."""
    made = spec.LabSpec(driver="both", telemetry=True).equipped()
    checks = health.Health(LabPaths(tmp_path), made)
    for each in _table(tmp_path, made, binaries).values():
        assert checks.works(each.check, since=0.0) is False


def test_a_missing_system_document_is_named() -> None:
    with pytest.raises(LabError, match=r"system document /nowhere/x.yaml does not exist.*--system"):
        spec.Host(1, "/nowhere/x.yaml").document()


def test_each_host_has_programs_ports_and_files_of_its_own(tmp_path: Path, binaries: broker.Binaries) -> None:
    paths, made = LabPaths(tmp_path / "lab"), spec.LabSpec(systems=(str(ONE), str(ANOTHER))).equipped()
    paths.create()
    configs.write(paths, made)
    table = _table(tmp_path, made, binaries)
    for kind, file in (("nova-compute", "nova.conf"), ("neutron-sea-agent", "neutron.conf")):
        texts = [(paths.etc / name / file).read_text(encoding="utf-8") for name in (kind, f"{kind}-2")]
        for port, text in zip((made.ports["sim"], made.ports["sim-2"]), texts, strict=True):
            assert f"rest_port = {port}" in text
        assert [f"host = lab-compute{suffix}\n" in text for suffix, text in zip(("", "-2"), texts, strict=True)] == [
            True, True
        ]  # fmt: skip
        assert {"sim-2", "sim"} & set(table[f"{kind}-2"].after) == {"sim-2"}
    assert str(ANOTHER) in table["sim-2"].argv
    assert str(paths.data / "sim-2") in table["sim-2"].argv
    assert len(set(made.ports.values())) == len(made.ports)


DIRECT = """
sriov_adapters:
  - mode: Dedicated
    ports: [{}]
  - ports: [{}, {label: fast}]
  - ports: [{label: fast}]
"""


def test_a_host_with_sriov_adapters_has_their_agent(tmp_path: Path, binaries: broker.Binaries) -> None:
    document = tmp_path / "direct.yaml"
    document.write_text(ONE.read_text(encoding="utf-8") + DIRECT, encoding="utf-8")
    paths, made = LabPaths(tmp_path / "lab"), spec.LabSpec(systems=(str(ANOTHER), str(document))).equipped()
    paths.create()
    configs.write(paths, made)
    table = _table(tmp_path, made, binaries)
    assert [name for name in table if "sriov" in name] == ["neutron-sriov-agent-2"]
    assert {"sim-2", "neutron"} <= set(table["neutron-sriov-agent-2"].after)
    assert table["neutron-sriov-agent-2"].argv[-1] == str(paths.etc / "neutron-sriov-agent-2" / "neutron.conf")
    assert health.Health(LabPaths(tmp_path), made).works("neutron-sriov-agent-2", since=0.0) is False
    nova = (paths.etc / "nova-compute-2" / "nova.conf").read_text(encoding="utf-8")
    wanted = [("0001:00:*.*", "default"), ("0001:01:*.*", "fast"), ("0002:00:*.*", "fast")]
    for address, network in wanted:
        assert f'device_spec = {{"address": "{address}", "physical_network": "{network}"}}\n' in nova
    assert nova.count("device_spec") == len(wanted)
    assert "device_spec" not in (paths.etc / "nova-compute" / "nova.conf").read_text(encoding="utf-8")
    assert "PciPassthroughFilter" in (paths.etc / "nova" / "nova.conf").read_text(encoding="utf-8")
    ml2 = (paths.etc / "neutron" / "ml2_conf.ini").read_text(encoding="utf-8")
    assert "network_vlan_ranges = default:100:1999,fast:100:1999\n" in ml2
    assert "flat_networks = default,fast\n" in ml2
    fake = spec.LabSpec(driver="fake", systems=(str(document),))
    assert (fake.direct_hosts, fake.physical_networks) == ((), ("default",))
