"""What the SR-IOV agent reports, and when it reports as if it had started."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from oslo_config import cfg

from bigiron.plugins.neutron import bandwidth, conf, sriov_agent
from bigiron.plugins.neutron.service import Heartbeat
from bigiron.powervm.network.sriov import PhysicalPort


@pytest.fixture
def options() -> cfg.ConfigOpts:
    found = cfg.ConfigOpts()
    conf.register_sriov(found)
    found.register_opt(cfg.StrOpt("host", default="power1"))
    found([], project="neutron", default_config_files=[])
    return found


def _port(adapter: int, number: int) -> PhysicalPort:
    location = f"U78CB.001.WZS0485-P1-C{adapter}-T{number + 1}"
    return PhysicalPort(adapter, number, location, "prod", True, 0.02, 0.0, 0, 20, kbps=10_000_000)


def host(ports: int) -> Any:
    """A system with so many ports, whose names are as long as real ones."""
    found = tuple(_port(1 + n // 4, n % 4) for n in range(ports))
    link: Any = SimpleNamespace(system_name="server1")
    return sriov_agent.Host(link, None, found)  # type: ignore[arg-type]


@pytest.mark.parametrize(("ports", "reported"), [(4, 4), (20, 20), (30, 0)])
def test_a_report_fits_into_what_neutron_keeps_of_it(options: cfg.ConfigOpts, ports: int, reported: int) -> None:
    found = sriov_agent.configurations(options, host(ports))
    assert len(json.dumps({**found, "devices": 1000})) < 4095
    assert len(found["resource_provider_bandwidths"]) == reported
    assert len(found["bridge_mappings"]["prod"]) == len(bandwidth.links(found)) == ports


@pytest.mark.parametrize("capacity", [0.0, 0.03])
def test_a_default_capacity_that_no_port_gives_out_keeps_the_agent_from_starting(
    options: cfg.ConfigOpts, capacity: float
) -> None:
    options.set_override("vnic_vf_capacity", capacity, "AGENT")
    with pytest.raises(conf.BadMapping, match=rf"vnic_vf_capacity = {capacity:g} is no share .*multiple of 0\.02"):
        sriov_agent._check_capacity(options, host(2).ports)
    options.set_override("vnic_vf_capacity", 0.04, "AGENT")
    sriov_agent._check_capacity(options, host(2).ports)


class Server:
    """Takes reports, or fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.reports: list[Any] = []

    def report_state(self, context: Any, report: Any, use_call: bool) -> None:
        self.reports.append(report)
        if self.failures:
            self.failures -= 1
            raise OSError("no answer")

    def starts(self) -> list[bool]:
        return [bool(report.get("start_flag")) for report in self.reports]


def test_a_report_that_has_changed_is_passed_on_to_placement(options: cfg.ConfigOpts) -> None:
    cfg.CONF([], project="neutron", default_config_files=[])
    server, loop = Server(failures=1), SimpleNamespace(devices=3)
    beat = sriov_agent.heartbeat(options, host(1), loop, server)  # type: ignore[arg-type]
    for _ in range(3):
        beat.beat()
    assert server.starts() == [True, True, False], "the first report was lost"
    beat.update({"bridge_mappings": {}})
    beat.beat()
    beat.beat()
    assert server.starts()[3:] == [True, False]
    assert server.reports[-1]["configurations"] == {"bridge_mappings": {}, "devices": 3}
    assert isinstance(beat, Heartbeat)


def test_a_host_whose_bandwidth_is_not_reported_is_said(
    options: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        sriov_agent.heartbeat(options, host(40), SimpleNamespace(devices=0), Server())  # type: ignore[arg-type]
    assert "The 40 SR-IOV ports of system server1 are too many" in caplog.text
