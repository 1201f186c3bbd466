"""The polling agent as an operator starts it, with its exporter for Prometheus."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from tests.support.powervm_host import until
from tests.support.telemetry_conf import TinyCloud, instance_uuid, write_files

from bigiron.powervm.options import PowerVMOptions
from bigiron.sim.kernel import ports
from bigiron.zvm.options import ZvmOptions

_WAIT_S = 120
_END_S = 60


@dataclass(frozen=True)
class Exporter:
    """What Prometheus would see."""

    port: int

    def values(self, meter: str, name: str) -> list[float]:
        """Of a server's resources; nothing while the exporter does not answer."""
        try:
            page = requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except requests.RequestException:
            return []
        wanted = re.compile(rf'^{meter}{{.*resource="[^"]*{instance_uuid(name)}.*}} (\S+)$', re.MULTILINE)
        return [float(value) for value in wanted.findall(page)]

    def wait(self, meter: str, name: str, above: float = 0.0) -> float:
        """Until the meter shows more than that; returns what it shows."""
        found: list[float] = []

        def shown() -> bool:
            found[:] = [value for value in self.values(meter, name) if value > above]
            return bool(found)

        until(shown, _WAIT_S)
        return found[0]


@contextlib.contextmanager
def agent(folder: Path, namespace: str, options: PowerVMOptions | ZvmOptions, cloud: TinyCloud) -> Iterator[Exporter]:
    """The program with files that an operator would write; it must end in peace, and leave no traceback in its log."""
    # The program binds the port seconds from now; its server sets SO_REUSEADDR, as Python's HTTP servers do.
    held = ports.hold("127.0.0.1")
    port = ports.number(held)
    path = write_files(
        folder, options, cloud, interval=4, enable_notifications="false", enable_prometheus_exporter="true",
        prometheus_listen_addresses=f"127.0.0.1:{port}", batch_size=5000,
    )  # fmt: skip
    program = str(Path(sys.executable).with_name("ceilometer-polling"))
    command = [program, "--polling-namespaces", namespace, "--config-file", str(path)]
    written = folder / "agent.log"
    with held, written.open("w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            yield Exporter(port)
        finally:
            process.send_signal(signal.SIGTERM)
            ended = process.wait(_END_S)
    assert ended == 0, written.read_text()
    assert "Traceback" not in written.read_text()
