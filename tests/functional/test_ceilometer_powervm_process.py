"""The polling agent as an operator starts it, with its exporter for Prometheus, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import requests
from tests.functional.telemetry import guest
from tests.support.powervm_host import DOCUMENT, serve, until
from tests.support.telemetry_conf import TinyCloud, instance_uuid, write_files

from bigiron.lab import ports

_WAIT_S = 120


def scraped(port: int, meter: str, name: str) -> float | None:
    """A server's value on the exporter's page."""
    try:
        page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except requests.RequestException:
        return None
    wanted = re.compile(rf'^{meter}{{.*resource="{instance_uuid(name)}".*}} (\S+)$', re.MULTILINE)
    found = wanted.search(page)
    return float(found.group(1)) if found else None


def test_prometheus_sees_a_guest_at_work_and_the_monitor_is_put_back(tmp_path: Path) -> None:
    document = {**DOCUMENT, "partitions": [guest("web", "steady"), guest("db")]}
    with serve(tmp_path, document) as host, TinyCloud(["web", "db"]) as cloud:
        host.simulator.clock.set_scale(30)
        port = ports.choose(["exporter"], {})["exporter"]
        path = write_files(
            tmp_path, host.options, cloud, interval=4, enable_notifications="false", enable_prometheus_exporter="true",
            prometheus_listen_addresses=f"127.0.0.1:{port}", batch_size=5000,
        )  # fmt: skip
        program = str(Path(sys.executable).with_name("ceilometer-polling"))
        log = (tmp_path / "agent.log").open("w")
        command = [program, "--polling-namespaces", "powervm", "--config-file", str(path)]
        with log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as agent:
            try:
                until(lambda: bool(scraped(port, "ceilometer_cpu", "web")), _WAIT_S)
                first = scraped(port, "ceilometer_cpu", "web") or 0.0
                until(lambda: (scraped(port, "ceilometer_cpu", "web") or 0.0) > first, _WAIT_S)
                until(lambda: scraped(port, "ceilometer_power_state", "db") == 1, _WAIT_S)
                assert host.world.state.pcm.long_term
            finally:
                agent.send_signal(signal.SIGTERM)
                ended = agent.wait(60)
        assert ended == 0, (tmp_path / "agent.log").read_text()
        assert not host.world.state.pcm.long_term, "as it was found"
        assert "Traceback" not in (tmp_path / "agent.log").read_text()
