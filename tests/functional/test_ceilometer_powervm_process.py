"""The polling agent of PowerVM in a process of its own: what Prometheus sees, and how it ends."""

from __future__ import annotations

from pathlib import Path

from tests.functional.telemetry import guest
from tests.functional.telemetry_process import agent
from tests.support.powervm_host import DOCUMENT, serve
from tests.support.telemetry_conf import TinyCloud


def test_prometheus_sees_a_guest_at_work_and_the_monitor_is_put_back(tmp_path: Path) -> None:
    document = {**DOCUMENT, "partitions": [guest("web", "steady"), guest("db")]}
    with serve(tmp_path, document) as host, TinyCloud(["web", "db"]) as cloud:
        host.simulator.clock.set_scale(30)
        with agent(tmp_path, "powervm", host.options, cloud) as exporter:
            first = exporter.wait("ceilometer_cpu", "web")
            exporter.wait("ceilometer_cpu", "web", above=first)
            assert exporter.wait("ceilometer_power_state", "db") == 1
            assert host.world.state.pcm.long_term
        assert not host.world.state.pcm.long_term, "as it was found"
