"""The simulated system as one object: finding, naming and announcing; the rules live in the modules beside it."""

from __future__ import annotations

import shutil
import threading
import uuid as uuidlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from bigiron.sim.powervm.errors import NotFound
from bigiron.sim.powervm.model import entity
from bigiron.sim.powervm.model.entity import Entity
from bigiron.sim.powervm.model.network import NetworkBridge, VirtualSwitch
from bigiron.sim.powervm.model.partition import RMC_ACTIVE, RMC_INACTIVE, Lpar, Partition, Vios
from bigiron.sim.powervm.model.state import State
from bigiron.sim.powervm.model.storage import Content
from bigiron.sim.powervm.model.system import ManagedSystem

Subscriber = Callable[[str, str, str], None]
PowerHook = Callable[[Lpar, bool], None]
ShutdownHook = Callable[[Lpar], None]


class Clock(Protocol):
    """The simulation's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class Upload(Protocol):
    """A File as a client declared it."""

    @property
    def filename(self) -> str: ...

    @property
    def file_type(self) -> str: ...

    @property
    def vios_uuid(self) -> str | None: ...

    @property
    def target_udid(self) -> str | None: ...

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str | None: ...


class World:
    """One managed system with everything on it. Whoever reads or changes it holds `lock`."""

    def __init__(self, state: State, clock: Clock) -> None:
        self.state = state
        self.clock = clock
        self.lock = threading.RLock()
        self.power_hooks: list[PowerHook] = []
        self.shutdown_hooks: list[ShutdownHook] = []
        """Called when the operating system of a partition is asked to stop."""
        self.vterm_hooks: list[ShutdownHook] = []
        """Called when a client asks to close a partition's virtual terminal."""
        self.vterm_checks: list[Callable[[Lpar], bool]] = []
        """Whether a partition's virtual terminal is open, which keeps the partition from being deleted."""
        self.power_seconds = 0.0
        """How long a power job takes; the latency profile sets it."""
        self.rmc_seconds = 0.0
        """How long after the start RMC becomes active."""
        self.vnet_aware = False
        """Whether clients change VLANs through virtual networks and load groups, as on an HMC."""
        self.media_dir = Path("media")
        self.base_url = "http://localhost:12080"
        """What hrefs begin with."""
        self._subscribers: list[Subscriber] = []
        self._released: set[str] = set()
        self._partitions: dict[str, Partition] = {}
        self._index()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], clock: Clock) -> World:
        """A new world as the system document describes it; raises documents.DocumentError."""
        from bigiron.sim.powervm.model.genesis import build  # genesis places its objects through a World

        return build(document, clock)

    @classmethod
    def from_state(cls, state: Mapping[str, Any], clock: Clock) -> World:
        """The world that `to_state` wrote."""
        from bigiron.sim.powervm.model.power import settle_interrupted  # power acts on a World

        world = cls(entity.load(State, state), clock)
        settle_interrupted(world)
        return world

    def to_state(self) -> dict[str, Any]:
        """Everything, as JSON-able values."""
        return dict(entity.dump(self.state))

    def replace_state(self, state: Mapping[str, Any]) -> None:
        """Take another state in place, as a control client's PUT /state asks; every object counts as changed."""
        from bigiron.sim.powervm.model.power import settle_interrupted  # power acts on a World

        revision = self.revision
        self.state = entity.load(State, state)
        self.state.revision = max(revision, self.state.revision) + 1
        self._index()
        for obj in self._addressable():
            obj.version = self.state.revision
        settle_interrupted(self)
        self._announce("CACHE_CLEARED", "", "")

    # -- announcing ---------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Grows with each change of anything."""
        return self.state.revision

    def subscribe(self, callback: Subscriber) -> None:
        """Have `callback(event type, path, detail)` called for each change, under the lock."""
        self._subscribers.append(callback)

    def touch(self, *objects: Entity) -> None:
        """Note that the rendering of these objects changed, with no event."""
        self.state.revision += 1
        for obj in objects:
            obj.version = self.state.revision

    def touch_clusters(self, partition: Partition) -> None:
        """The clusters of a VIOS show its name, and whether it is up."""
        self.touch(*(c for c in self.state.clusters if partition.uuid in c.nodes))

    def changed(self, obj: Entity, detail: str = "Other", parent: Entity | None = None) -> None:
        """Note a change of an object and tell the subscribers."""
        self.touch(obj)
        self._announce("MODIFY_URI", _path(obj, parent), detail)

    def added(self, obj: Entity, parent: Entity | None = None) -> None:
        """Note a new object."""
        self.touch(obj)
        self._announce("ADD_URI", _path(obj, parent), "")

    def removed(self, obj: Entity, parent: Entity | None = None) -> None:
        """Note that an object is gone."""
        self.touch()
        self._announce("DELETE_URI", _path(obj, parent), "")

    def _announce(self, event_type: str, path: str, detail: str) -> None:
        for callback in self._subscribers:
            callback(event_type, path, detail)

    # -- naming -------------------------------------------------------------------------------------------------

    def next_serial(self) -> int:
        """A number never given before in this world."""
        self.state.serial += 1
        return self.state.serial

    def new_uuid(self, kind: str) -> str:
        """A fresh uuid, the same ones again when the same things are done to the same document."""
        return str(uuidlib.uuid5(uuidlib.UUID(self.system.uuid), f"{kind}/{self.next_serial()}"))

    def derived_uuid(self, *names: object) -> str:
        """The uuid of something that has no state of its own, such as the client end of a pair."""
        return str(uuidlib.uuid5(uuidlib.UUID(self.system.uuid), "/".join(map(str, names))))

    def new_hex(self, digits: int) -> str:
        """A fresh unique hexadecimal string for udids and the like."""
        text = uuidlib.uuid5(uuidlib.UUID(self.system.uuid), f"hex/{self.next_serial()}").hex
        return (text * (digits // 32 + 1))[:digits]

    def href(self, *steps: str, service: str = "uom") -> str:
        """The full address of `Type, uuid[, Child, uuid]`."""
        return f"{self.base_url}/rest/api/{service}/{'/'.join(steps)}"

    # -- finding ------------------------------------------------------------------------------------------------

    @property
    def system(self) -> ManagedSystem:
        return self.state.system

    @property
    def lpars(self) -> list[Lpar]:
        return self.state.lpars

    @property
    def vioses(self) -> list[Vios]:
        return self.state.vioses

    @property
    def partitions(self) -> Iterator[Partition]:
        """LPARs and VIOSes."""
        yield from self.state.vioses
        yield from self.state.lpars

    def partition(self, uuid: str) -> Partition | None:
        return self._partitions.get(uuid.upper())

    def partition_by_id(self, number: int) -> Partition | None:
        return next((p for p in self.partitions if p.id == number), None)

    def vios(self, uuid: str) -> Vios:
        found = self.partition(uuid)
        if not isinstance(found, Vios):
            raise NotFound(f"There is no VirtualIOServer {uuid}.")
        return found

    def switch(self, number: int) -> VirtualSwitch:
        found = next((s for s in self.state.switches if s.id == number), None)
        if found is None:
            raise NotFound(f"There is no virtual switch with id {number}.")
        return found

    def bridge_of(self, switch_id: int) -> NetworkBridge | None:
        return next((b for b in self.state.bridges if b.switch_id == switch_id), None)

    @property
    def management(self) -> Partition | None:
        """The partition that NovaLink runs in."""
        return next((p for p in self.partitions if p.management), None)

    def insert(self, partition: Partition) -> None:
        """Put a new partition in its place."""
        (self.state.vioses if isinstance(partition, Vios) else self.state.lpars).append(partition)  # type: ignore[arg-type]
        self._partitions[partition.uuid.upper()] = partition

    def forget(self, partition: Partition) -> None:
        """Take a partition out."""
        self.state.lpars = [p for p in self.state.lpars if p is not partition]
        self._partitions.pop(partition.uuid.upper(), None)

    def _index(self) -> None:
        self._partitions = {p.uuid.upper(): p for p in self.partitions}

    def _addressable(self) -> Iterator[Entity]:
        state = self.state
        yield from (state.system, state.console, state.pcm)
        yield from state.processor_pools
        yield from state.switches
        yield from state.networks
        yield from state.bridges
        yield from state.clusters
        for pool in state.pools:
            yield pool
            for tier in pool.tiers:
                yield tier
                yield from tier.units
        for partition in self.partitions:
            yield partition
            yield from partition.adapters
        for lpar in self.lpars:
            yield from lpar.vnics
        for adapter in state.sriov:
            for port in adapter.ports:
                yield from port.logical
        for vios in self.vioses:
            yield from vios.groups
            yield from vios.trunks
        for bridge in state.bridges:
            for sea in bridge.seas:
                yield from sea.trunks

    # -- time ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let what is due by now happen; called before each request and by the server's clock thread."""
        now = self.clock.now()
        for partition in self.partitions:
            if partition.rmc_due is not None and partition.rmc_due <= now:
                partition.rmc_due = None
                partition.rmc = RMC_ACTIVE if partition.is_on else RMC_INACTIVE
                self.touch_clusters(partition)
                self.changed(partition, "RMCState")

    # -- uploads ------------------------------------------------------------------------------------------------

    def check_upload(self, record: Upload) -> None:
        """Refuse, before its bytes come, a File that could never be placed."""
        from bigiron.sim.powervm.model.uploads import check  # uploads changes storage through the World

        check(self, record)

    def file_uploaded(self, record: Upload, path: Path) -> None:
        """Take the bytes of a finished upload: an ISO becomes optical media, an image the content of its target."""
        from bigiron.sim.powervm.model.uploads import receive  # uploads changes storage through the World

        receive(self, record, path)

    def store(self, path: Path) -> str:
        """Move a file below the media directory and return its name there."""
        name = self.new_hex(24)
        self.media_dir.mkdir(parents=True, exist_ok=True)
        shutil.move(path, self.media_dir / name)
        return name

    def release(self, content: Content | None) -> None:
        """Give up the file behind something that is gone now, unless something else shares it.

        It stays on disk until a state without it is saved: an older one may be loaded before.
        """
        if content is not None and not any(c.file == content.file for c in self._contents()):
            self._released.add(content.file)

    def released(self) -> frozenset[str]:
        """The files given up so far, which a state written now does not name."""
        return frozenset(self._released)

    def remove_files(self, names: frozenset[str]) -> None:
        """Delete files that were given up, now that no saved state names them."""
        for name in names - {c.file for c in self._contents()}:
            (self.media_dir / name).unlink(missing_ok=True)
        self._released -= names

    def sweep_files(self) -> None:
        """Delete what no state came to name before an earlier simulator ended."""
        if self.media_dir.is_dir():
            known = {c.file for c in self._contents()}
            for path in self.media_dir.iterdir():
                if path.name not in known:
                    path.unlink()

    def _contents(self) -> Iterator[Content]:
        for pool in self.state.pools:
            yield from (u.content for u in pool.units if u.content)
        for vios in self.vioses:
            for group in vios.groups:
                yield from (d.content for d in group.disks if d.content)
                yield from (m.content for m in (group.repository.media if group.repository else []) if m.content)


def _path(obj: Entity, parent: Entity | None) -> str:
    own = f"{obj.KIND}/{obj.uuid}"
    return f"{parent.KIND}/{parent.uuid}/{own}" if parent is not None else own
