"""A world with one made-up kind of object, enough to drive the whole REST front without the PowerVM model."""

from __future__ import annotations

import threading
import uuid as uuidlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lxml import etree

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.control import Control, mount_kernel
from bigiron.sim.kernel.faults import FaultPlan
from bigiron.sim.kernel.journal import Journal
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.powervm.errors import Conflict, JobFailed
from bigiron.sim.powervm.events import EventHub
from bigiron.sim.powervm.files import Files
from bigiron.sim.powervm.jobs import Jobs
from bigiron.sim.powervm.latency import PROFILES
from bigiron.sim.powervm.numbers import Numbers
from bigiron.sim.powervm.resource import JobRun, Resource, Update
from bigiron.sim.powervm.rest.app import RestApp
from bigiron.sim.powervm.rest.atom import UOM, Builder
from bigiron.sim.powervm.rest.services import Services
from bigiron.sim.powervm.session import Flavour, Sessions

SYSTEM_UUID = "c5d782c7-44e4-3086-ad15-b16fb039d63b"


@dataclass
class Thing:
    uuid: str
    name: str
    state: str = "not activated"
    secret: str = "hidden"
    version: int = 0


@dataclass
class TinyWorld:
    """What the front asks of a World, and nothing more."""

    lock: Any = field(default_factory=threading.RLock)
    revision: int = 0
    base_url: str = ""
    things: list[Thing] = field(default_factory=list)
    uploads: list[tuple[Any, bytes]] = field(default_factory=list)
    subscribers: list[Callable[[str, str, str], None]] = field(default_factory=list)

    def settle(self) -> None:
        pass

    def check_upload(self, record: Any) -> None:
        pass

    def changed(self, kind: str, thing: Thing, detail: str = "") -> None:
        self.revision += 1
        thing.version = self.revision
        for callback in self.subscribers:
            callback(kind, f"LogicalPartition/{thing.uuid}", detail)


class Systems(Resource):
    type = "ManagedSystem"
    parents = frozenset({""})

    def instances(self, world: Any, parent: Any) -> list[Any]:
        return [SimpleNamespace(uuid=SYSTEM_UUID)]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: Any, obj: Any, groups: frozenset[str]) -> etree._Element:
        build = Builder(self.type, "uom", obj.uuid, 1)
        build.value(build.root, "SystemName", "tiny")
        return build.root


class Things(Resource):
    """Partitions with a name, a state and one element that only the Advanced group shows."""

    type = "LogicalPartition"
    parents = frozenset({"", "ManagedSystem"})
    groups = frozenset({"Advanced"})
    searches = {"PartitionName": lambda thing: thing.name}

    def __init__(self) -> None:
        self.jobs = {"PowerOn": self.power_on, "Break": self.broken}
        self.rendered = 0

    def instances(self, world: Any, parent: Any) -> list[Any]:
        return list(world.things)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: Any, obj: Any, groups: frozenset[str]) -> etree._Element:
        self.rendered += 1
        build = Builder(self.type, "uom", obj.uuid, 1)
        if "Advanced" in groups:
            build.value(build.root, "Secret", obj.secret)
        build.value(build.root, "PartitionName", obj.name)
        build.value(build.root, "PartitionState", obj.state)
        return build.root

    def create(self, world: Any, parent: Any, body: Update) -> Any:
        name = body.element.findtext(f"{{{UOM}}}PartitionName") or ""
        if any(thing.name == name for thing in world.things):
            raise Conflict(f"The name {name} is taken.")
        thing = Thing(str(uuidlib.uuid4()).upper(), name)
        world.things.append(thing)
        world.changed("ADD_URI", thing)
        return thing

    def update(self, world: Any, parent: Any, obj: Any, body: Update) -> Any:
        obj.name = body.element.findtext(f"{{{UOM}}}PartitionName")
        world.changed("MODIFY_URI", obj, "Name")
        return obj

    def delete(self, world: Any, parent: Any, obj: Any) -> None:
        world.things.remove(obj)
        world.changed("DELETE_URI", obj)

    def quick(self, world: Any, obj: Any) -> dict[str, Any]:
        return {"UUID": obj.uuid, "PartitionState": obj.state, "PartitionID": 5}

    def power_on(self, world: Any, target: Any, parameters: Any) -> JobRun:
        if target.state == "running":
            raise JobFailed("HSCL3681 The partition is on already.")

        def finish() -> dict[str, str]:
            target.state = "running"
            world.changed("MODIFY_URI", target, "PartitionState")
            return {"bootmode": parameters.get("bootmode", "")}

        undo = (lambda: None) if parameters.get("undo") else None
        return JobRun(float(parameters.get("seconds", 0)), finish, undo)

    def broken(self, world: Any, target: Any, parameters: Any) -> JobRun:
        return JobRun(0.0, lambda: {"never": str(1 / 0)})


class TinySimulator:
    """The front on a tiny world, serving on free ports of the loopback address."""

    def __init__(
        self, directory: Path, *, flavour: Flavour = Flavour.NOVALINK, tls: Any = None, events: int = 100
    ) -> None:
        self.clock = Clock()
        self.world = TinyWorld()
        self.things = Things()
        self.latency = Latency(self.clock, PROFILES, "none")
        self.faults, self.journal = FaultPlan(), Journal()
        self.sessions = Sessions(directory / "s", flavour, lambda: {"padmin": "pad<min>"}, self.clock.now, 3600)
        self.jobs = Jobs(self.clock, self.world.lock, Numbers(self.clock.milliseconds()))
        self.events = EventHub(Numbers(self.clock.milliseconds()), events)
        self.files = Files(directory / "u", self.deliver, lambda: None, [])
        self.world.subscribers.append(
            lambda kind, path, detail: self.events.publish(kind, f"{self.url}/rest/api/uom/{path}", detail) and None
        )
        services = Services(
            self.world, {"LogicalPartition": self.things, "ManagedSystem": Systems()}, self.clock, self.latency,
            self.sessions, self.jobs, self.events, self.files, flavour,
        )  # fmt: skip
        self.rest = HttpServer(("127.0.0.1", 0), RestApp(services, self.faults, self.journal), threads=100, tls=tls)
        control = Control()
        mount_kernel(control, self.clock, self.latency, self.faults, self.journal)
        self.control = HttpServer(("127.0.0.1", 0), control, threads=2)

    @property
    def url(self) -> str:
        return self.rest.url

    def deliver(self, record: Any, path: Path) -> None:
        self.world.uploads.append((record, path.read_bytes()))
        path.unlink()

    def add(self, name: str) -> Thing:
        with self.world.lock:
            thing = Thing(str(uuidlib.uuid4()).upper(), name)
            self.world.things.append(thing)
            self.world.changed("ADD_URI", thing)
        return thing

    def __enter__(self) -> TinySimulator:
        self.rest.bind()
        self.control.bind()
        self.world.base_url = self.url
        self.jobs.start()
        self.rest.start()
        self.control.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.events.close()
        self.clock.close()
        self.rest.stop()
        self.control.stop()
        self.jobs.stop()
