"""The real polling agent of Ceilometer with our namespace, against a simulated system and a small cloud over HTTP."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ceilometer.polling import manager as polling
from tests.support.powervm_host import DOCUMENT, Host, serve
from tests.support.simulator import ControlClient
from tests.support.telemetry_conf import Captured, TinyCloud, instance_uuid, prepared, write_files

from bigiron import naming
from bigiron.sim.powervm.pcm.documents import usage
from bigiron.sim.powervm.pcm.facts import PartitionFacts
from bigiron.sim.powervm.pcm.monitor import Sample

PCM = "/rest/api/pcm/ManagedSystem/{uuid}"
FEED = f"{PCM}/RawMetrics/LongTermMonitor"
UOM = "/rest/api/uom"


def guest(name: str, load: str = "idle", **more: Any) -> dict[str, Any]:
    """A server's partition in a system document."""
    return {
        "name": name, "uuid": naming.lpar_uuid(instance_uuid(name)).lower(),
        "description": naming.mark(instance_uuid(name)), "memory_mb": 2048, "proc_units": 0.5, "vcpus": 2,
        "nics": [{"switch": "ETHERNET0", "vlan": 1}], "disks": [{"cluster": "cluster1", "size_gb": 10}],
        "load": load, **more,
    }  # fmt: skip


@dataclass
class Telemetry:
    """An agent with its system and its cloud."""

    host: Host
    cloud: TinyCloud
    agent: polling.AgentManager
    tasks: Sequence[polling.PollingTask]
    captured: Captured

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.host.simulator.control_url)

    def pass_time(self, seconds: float) -> None:
        self.control.clock(advance=seconds)

    def script(self, **wish: Any) -> None:
        """Spoil the monitor's samples; without a wish, no more."""
        self.control.ask("POST", "/pcm", wish)

    def poll(self) -> list[dict[str, Any]]:
        """The samples of one poll of everything."""
        self.captured.samples.clear()
        for task in self.tasks:
            task.poll_and_notify()
        return list(self.captured.samples)

    def calls(self) -> Counter[str]:
        """What one poll asks of the platform; long polls for events are not counted."""
        return self.host.calls(self.poll)

    # What the model says

    def newest(self) -> Sample:
        with self.host.world.lock:
            return self.host.simulator.monitor.samples()[-1]

    def facts(self, name: str) -> PartitionFacts:
        """A partition in the newest sample."""
        return next(one for one in self.newest().system.lpars if one.name == name)

    def busy(self, name: str) -> float:
        """How long the model says a partition kept a processor busy, by the newest sample, in seconds."""
        return usage(self.facts(name), self.newest().time).busy

    def partition(self, name: str) -> Any:
        return next(lpar for lpar in self.host.world.lpars if lpar.name == name)


def volumes(samples: Sequence[dict[str, Any]], meter: str, name: str) -> dict[str, float]:
    """A meter's values of one server, by resource id."""
    return {
        one["resource_id"]: one["counter_volume"]
        for one in samples
        if one["counter_name"] == meter and one["resource_metadata"]["instance_id"] == instance_uuid(name)
    }


def volume(samples: Sequence[dict[str, Any]], meter: str, name: str) -> float:
    """The value of a meter of which a server has one."""
    (found,) = volumes(samples, meter, name).values()
    return found


def meters(samples: Sequence[dict[str, Any]], name: str) -> set[str]:
    """The meters that a server has samples of."""
    return {one["counter_name"] for one in samples if one["resource_metadata"]["instance_id"] == instance_uuid(name)}


@contextlib.contextmanager
def telemetry(
    folder: Path, partitions: Sequence[dict[str, Any]], ready: Callable[[Host], None] | None = None, **document: Any
) -> Iterator[Telemetry]:
    """An agent that has connected and polled once, with a sample of the monitor; time stands still."""
    names = [one["name"] for one in partitions]
    logging.getLogger("bigiron").setLevel(logging.INFO)
    with (
        serve(folder, {**DOCUMENT, **document, "partitions": list(partitions)}) as host,
        TinyCloud(names) as cloud,
    ):
        clock = host.simulator.clock
        clock.set_scale(0)
        clock.advance(120 - clock.now() % 120)
        if ready is not None:
            ready(host)
        agent = polling.AgentManager(0, prepared(write_files(folder, host.options, cloud)), ["powervm"])
        captured = agent.notifier = Captured()
        agent.polling_manager = polling.PollingManager(agent.conf)
        tasks = list(agent.setup_polling_tasks().values())
        try:
            yield Telemetry(host, cloud, agent, tasks, captured)
        finally:
            agent.terminate()
