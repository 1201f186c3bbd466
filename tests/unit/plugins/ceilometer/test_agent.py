"""Ceilometer's own agent finds our namespace by its entry points."""

from __future__ import annotations

from pathlib import Path

import pytest
from ceilometer.compute.discovery import InstanceDiscovery
from ceilometer.polling import manager as polling
from tests.support.telemetry_conf import prepared

from bigiron.plugins.ceilometer.pollsters import PowerVMPollster

EXAMPLES = Path(__file__).parents[4] / "examples" / "telemetry"


@pytest.fixture
def agent(tmp_path: Path) -> polling.AgentManager:
    text = (EXAMPLES / "ceilometer.conf").read_text()
    text = text.replace("/etc/ceilometer/polling.yaml", str(EXAMPLES / "polling.yaml"))
    path = tmp_path / "ceilometer.conf"
    path.write_text(text.replace("enable_prometheus_exporter = true", "enable_prometheus_exporter = false"))
    return polling.AgentManager(0, prepared(path), ["powervm"])


def test_it_loads_every_pollster_and_the_discovery(agent: polling.AgentManager) -> None:
    ours = {one.name for one in agent.extensions if isinstance(one.obj, PowerVMPollster)}
    assert {one.name for one in agent.extensions} - ours == {"disk.root.size", "disk.ephemeral.size"}
    assert len(ours) > 30
    (discovery,) = agent.discoveries
    assert discovery.name == "local_instances" and isinstance(discovery.obj, InstanceDiscovery)
    assert discovery.obj.method == "naive"
    assert {one.obj.default_discovery for one in agent.extensions} == {"local_instances"}


def test_the_example_polls_what_it_says(agent: polling.AgentManager) -> None:
    agent.polling_manager = polling.PollingManager(agent.conf)
    (source,) = agent.polling_manager.sources
    polled = {one.name for one in agent.extensions if source.support_meter(one.name)}
    assert {
        "cpu",
        "power.state",
        "network.incoming.packets.drop",
        "disk.device.read.bytes",
        "powervm.cpu.wait",
    } <= polled
    assert source.interval % 30 == 0


def test_the_example_says_where_the_service_is(agent: polling.AgentManager) -> None:
    source = next(one.obj for one in agent.extensions if one.name == "cpu").source
    options = source._options()
    assert (options.rest_host, options.rest_username, options.hostname) == (
        "novalink1.example.org", "padmin", "power1",
    )  # fmt: skip
    assert options.rest_cacert == "/etc/ssl/certs/novalink1.pem"
