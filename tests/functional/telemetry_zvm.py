"""The real polling agent with the namespace zvm, against the real Cloud Connector on a simulated z/VM."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ceilometer.polling import manager as polling
from tests.support import zvm_host
from tests.support.simulator import ControlClient
from tests.support.telemetry_conf import Captured, TinyCloud, instance_uuid, prepared, write_files

from bigiron.model import GuestSpec
from bigiron.plugins.ceilometer.zvm import ZvmPollster
from bigiron.sim.zvm.model.load import Meter, Totals
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine
from bigiron.zvm.platform import Zvm

VSWITCH = "VSWFLAT"


@dataclass
class Telemetry:
    """An agent with its z/VM, whose time stands still, and its cloud."""

    world: zvm_host.World
    platform: Zvm
    specs: dict[str, GuestSpec]
    cloud: TinyCloud
    agent: polling.AgentManager
    tasks: Sequence[polling.PollingTask]
    captured: Captured
    asked: list[str] = field(default_factory=list)
    """Paths of the agent's requests to the connector."""

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.world.simulator.control_url)

    def pass_time(self, seconds: float) -> None:
        self.control.clock(advance=seconds)

    def load(self, name: str, profile: str) -> None:
        self.control.ask("POST", "/load", {"userid": self.userid(name), "profile": profile})

    def poll(self) -> list[dict[str, Any]]:
        """The samples of one poll of everything."""
        self.captured.samples.clear()
        self.asked.clear()
        for task in self.tasks:
            task.poll_and_notify()
        return list(self.captured.samples)

    # What z/VM says

    def userid(self, name: str) -> str:
        return self.world.userid(self.specs[name])

    def machine(self, name: str) -> VirtualMachine:
        return self.world.simulator.system.state.running[self.userid(name)]

    def meter(self, name: str) -> Meter:
        with self.world.simulator.system.lock:
            return self.world.simulator.system.meter(self.machine(name))

    def totals(self, name: str) -> Totals:
        return self.meter(name).at(self.world.simulator.clock.now())


def couple(platform: Zvm, userid: str) -> None:
    """Connect a guest's adapter to the virtual switch, which is the network agent's work."""
    api = platform.parts.api
    api.grant(VSWITCH, userid, "Letting the guest couple")
    api.couple(userid, "1000", VSWITCH, None, True, "Coupling the guest")


@contextlib.contextmanager
def telemetry(folder: Path, names: Sequence[str], cache_interval: int) -> Iterator[Telemetry]:
    """An agent, not yet connected, and servers with one processor more for each that run; the first has an adapter."""
    logging.getLogger("bigiron").setLevel(logging.INFO)
    options = {"monitor": {"cache_interval": cache_interval}}
    with (
        zvm_host.serve(folder, connector_options=options) as world,
        world.started() as platform,
        TinyCloud(names) as cloud,
    ):
        specs = {}
        for number, name in enumerate(names, 1):
            nics = (world.nic(),) if number == 1 else ()
            specs[name] = world.spec(uuid=instance_uuid(name), name=f"instance-{name}", vcpus=number, nics=nics)
            world.spawn(platform, specs[name])
            world.wait_until_up(specs[name])
        couple(platform, world.userid(specs[names[0]]))
        clock = world.simulator.clock
        scale = clock.scale
        clock.set_scale(0)
        with polled(folder, world, cloud) as (agent, captured):
            tasks = list(agent.setup_polling_tasks().values())
            found = Telemetry(world, platform, specs, cloud, agent, tasks, captured)
            watch(agent, found.asked)
            yield found
        clock.set_scale(scale)
        for spec in specs.values():
            platform.destroy(spec.uuid)
        world.check_clean()


@contextlib.contextmanager
def polled(folder: Path, world: zvm_host.World, cloud: TinyCloud) -> Iterator[tuple[polling.AgentManager, Captured]]:
    """An agent that sends its samples here."""
    agent = polling.AgentManager(0, prepared(write_files(folder, world.options, cloud)), ["zvm"])
    captured = agent.notifier = Captured()
    agent.polling_manager = polling.PollingManager(agent.conf)
    try:
        yield agent, captured
    finally:
        agent.terminate()


def watch(agent: polling.AgentManager, asked: list[str]) -> None:
    """Note what the agent asks of the connector."""
    source = next(one.obj for one in agent.extensions if isinstance(one.obj, ZvmPollster)).source
    opener = source._opener

    def opened() -> Any:
        link = opener()
        link.connector.journal = lambda call: asked.append(call.path.partition("?")[0])
        return link

    source._opener = opened
