"""What a poll of Ceilometer's agent costs on a host with 500 guests: calls, seconds, and memory over many polls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import psutil
import requests
from ceilometer import service
from oslo_config import cfg

from benchmarks.guests import Tally
from benchmarks.host import SimulatedHost, resident_instances, simulated_host
from bigiron.plugins.ceilometer.powervm import PowerVMPollster
from bigiron.plugins.ceilometer.source import Source
from bigiron.powervm.metrics.link import open_metrics

SIZE = 500
POLLS = 100
_STEP_S = 120


def run() -> dict[str, float]:
    """`first` reads what identifies each guest's adapters; `steady` is any later poll of all meters."""
    figures: dict[str, float] = {}
    with simulated_host(residents=SIZE) as host:
        tally = Tally()
        source = Source("PowerVM", lambda: open_metrics(host.options(), tally))
        pollsters, servers = _pollsters(source), _servers()
        _poll(pollsters, servers)  # connects, and switches the monitor on
        _advance(host)
        for name in ("first", "steady"):
            _advance(host)
            began = time.monotonic()
            with tally.stretch() as calls:
                samples = _poll(pollsters, servers)
            figures[f"ceilometer.poll.{name}.seconds.{SIZE}"] = round(time.monotonic() - began, 2)
            figures[f"ceilometer.poll.{name}.calls.{SIZE}"] = len(calls)
        figures[f"ceilometer.poll.samples.{SIZE}"] = samples
        figures[f"ceilometer.poll.memory_growth_mb.{POLLS}"] = _growth(host, pollsters, servers)
        source.close()
    return figures


def _growth(host: SimulatedHost, pollsters: Sequence[Any], servers: Sequence[Any]) -> float:
    """By how much this process grows in as many polls, after some to warm up."""
    process = psutil.Process()
    before = 0
    for number in range(POLLS + POLLS // 10):
        if number == POLLS // 10:
            before = process.memory_info().rss
        _advance(host)
        _poll(pollsters, servers)
    return round((process.memory_info().rss - before) / 2**20, 1)


def _advance(host: SimulatedHost) -> None:
    requests.post(f"{host.control}/clock", json={"advance": _STEP_S}, timeout=60).raise_for_status()


def _poll(pollsters: Sequence[Any], servers: Sequence[Any]) -> int:
    """How many samples one poll of every meter gives."""
    cache: dict[str, Any] = {}
    return sum(len(list(pollster.get_samples(None, cache, servers))) for pollster in pollsters)


def _pollsters(source: Source) -> list[Any]:
    conf = service.prepare_service(["ceilometer-polling"], config_files=[], conf=cfg.ConfigOpts())
    found = [point.load() for point in entry_points(group="ceilometer.poll.powervm")]
    made = [kind(conf) for kind in found if issubclass(kind, PowerVMPollster)]
    for pollster in made:
        pollster.source = source
    return made


def _servers() -> list[Any]:
    """The guests as the discovery gives them."""
    flavor = {"id": "f", "name": "m1.tiny", "vcpus": 1, "ram": 2048, "disk": 20, "ephemeral": 0}
    return [
        SimpleNamespace(
            id=uuid, name=uuid, flavor=flavor, image=None, tenant_id="p", user_id="u", hostId="h", status="ACTIVE",
            metadata={},
            **{"OS-EXT-SRV-ATTR:instance_name": f"instance-{number:08x}", "OS-EXT-SRV-ATTR:host": "power1"},
        )
        for number, uuid in enumerate(resident_instances(SIZE))
    ]  # fmt: skip
