"""Ceilometer's own agent finds our namespaces by their entry points."""

from __future__ import annotations

from pathlib import Path

import pytest
from ceilometer.compute.discovery import InstanceDiscovery
from ceilometer.polling import manager as polling
from tests.support.telemetry_conf import prepared

from bigiron.errors import InvalidSpec
from bigiron.plugins.ceilometer import conf as options
from bigiron.plugins.ceilometer.pollsters import GuestPollster

EXAMPLES = Path(__file__).parents[4] / "examples" / "telemetry"


PLATFORMS = ["powervm", "zvm"]
OWN = {
    "powervm": {"disk.device.read.bytes", "memory.swap.in", "powervm.cpu.wait"},
    "zvm": {"zvm.cpu.delay", "zvm.cpu.in_use"},
}


def agent_of(platform: str, folder: Path) -> polling.AgentManager:
    """With the files of the examples."""
    text = (EXAMPLES / f"ceilometer-{platform}.conf").read_text()
    text = text.replace("/etc/ceilometer/polling.yaml", str(EXAMPLES / f"polling-{platform}.yaml"))
    path = folder / "ceilometer.conf"
    path.write_text(text.replace("enable_prometheus_exporter = true", "enable_prometheus_exporter = false"))
    return polling.AgentManager(0, prepared(path), [platform])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_loads_every_pollster_and_the_discovery(platform: str, tmp_path: Path) -> None:
    agent = agent_of(platform, tmp_path)
    ours = {one.name for one in agent.extensions if isinstance(one.obj, GuestPollster)}
    assert {one.name for one in agent.extensions} - ours == {"disk.root.size", "disk.ephemeral.size"}
    assert ours >= OWN[platform] | {"cpu", "vcpus", "memory.usage", "power.state", "network.outgoing.packets.error"}
    (discovery,) = agent.discoveries
    assert discovery.name == "local_instances" and isinstance(discovery.obj, InstanceDiscovery)
    assert discovery.obj.method == "naive"
    assert {one.obj.default_discovery for one in agent.extensions} == {"local_instances"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_example_polls_what_it_says(platform: str, tmp_path: Path) -> None:
    agent = agent_of(platform, tmp_path)
    agent.polling_manager = polling.PollingManager(agent.conf)
    (source,) = agent.polling_manager.sources
    polled = {one.name for one in agent.extensions if source.support_meter(one.name)}
    assert polled >= {"cpu", "power.state", "network.incoming.packets.drop"} | OWN[platform]
    assert source.interval % 30 == 0


def test_the_examples_say_where_the_service_is(tmp_path: Path) -> None:
    powervm = options.to_powervm(agent_of("powervm", tmp_path).conf)
    assert (powervm.rest_host, powervm.rest_username, powervm.hostname) == (
        "novalink1.example.org", "padmin", "power1",
    )  # fmt: skip
    assert powervm.rest_cacert == "/etc/ssl/certs/novalink1.pem"
    with pytest.raises(InvalidSpec, match=r"ceilometer.conf: \[zvm\] ca_file = .* cannot be read"):
        options.to_zvm(agent_of("zvm", tmp_path).conf)


def test_a_connector_that_is_not_named_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ceilometer.conf"
    path.write_text("")
    with pytest.raises(InvalidSpec, match=r"\[zvm\] cloud_connector_url is not set"):
        options.to_zvm(prepared(path))
