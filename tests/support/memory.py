"""A small Hypervisor in memory, for what the Nova plug-in does above the platform; real platforms are simulated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bigiron import errors
from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, Hypervisor, Key, Step, Values, nic_plugged
from bigiron.model import CpuStats, GuestEvent, GuestSpec, GuestState, HostFacts, NicSpec, PowerState

DEFINED: Key[None] = Key("defined")

FACTS = HostFacts(
    hostname="power1",
    hypervisor="PowerVM",
    version=8,
    architecture="ppc64le",
    model="9105-22A",
    memory_mb=65536,
    memory_reserved_mb=8192,
    memory_used_mb=0,
    memory_unit_mb=256,
    processors=8.0,
    processors_reserved=1.0,
    processors_used=0.0,
    processors_per_vcpu=0.1,
    max_vcpus_per_guest=64,
    disk_gb=500,
    disk_used_gb=10,
    guests=0,
    traits=frozenset({"CUSTOM_POWERVM"}),
)


class MemoryHypervisor(Hypervisor):
    """Keeps guests in dictionaries; `fail` names a step whose execution raises."""

    def __init__(self) -> None:
        self.guests_by_uuid: dict[str, GuestState] = {}
        self.half_made: set[str] = set()
        self.nics: dict[str, list[NicSpec]] = {}
        self.drives: dict[str, bytes] = {}
        self.images: dict[str, bytes] = {}
        self.specs: dict[str, GuestSpec] = {}
        self.fail: dict[str, Exception] = {}
        self.start_errors: list[Exception] = []
        self.refusal: Exception | None = None
        self.on_plug: Callable[[str, NicSpec], None] = lambda uuid, nic: None
        self.started = 0
        self.stopped = 0
        self.callbacks: list[Callable[[GuestEvent], None]] = []
        self.calls: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        if self.start_errors:
            raise self.start_errors.pop(0)
        self.started += 1

    def stop(self) -> None:
        self.stopped += 1

    def subscribe(self, callback: Callable[[GuestEvent], None]) -> None:
        self.callbacks.append(callback)

    def facts(self) -> HostFacts:
        return FACTS

    def cpu_stats(self) -> CpuStats:
        return CpuStats(kernel_ns=1, idle_ns=2, user_ns=3, iowait_ns=0, frequency_mhz=4000)

    def uptime(self) -> str:
        return "up 3 days"

    def guests(self) -> Sequence[GuestState]:
        return list(self.guests_by_uuid.values())

    def guest(self, uuid: str, fresh: bool = False) -> GuestState:
        self.calls.append(("guest", uuid, fresh))
        if fresh and (error := self.fail.get("guest")):
            raise error
        if uuid not in self.guests_by_uuid:
            raise errors.NotFound(f"no guest {uuid}")
        return self.guests_by_uuid[uuid]

    def is_made(self, uuid: str) -> bool:
        return uuid in self.guests_by_uuid and uuid not in self.half_made

    def is_half_made(self, uuid: str) -> bool:
        return uuid in self.half_made

    def check(self, spec: GuestSpec, replacing: bool = False) -> None:
        if self.refusal:
            raise self.refusal

    def spawn_steps(self, spec: GuestSpec) -> Sequence[Step]:
        self.specs[spec.uuid] = spec
        steps: list[Step] = [_Define(self, spec), _Copy(self, spec), *(_Plug(self, spec, nic) for nic in spec.nics)]
        if spec.config_drive:
            steps.append(_Upload(self, spec))
        steps.append(_Start(self, spec))
        return steps

    def destroy(self, uuid: str, keep_disks: bool = False) -> bool:
        self.calls.append(("destroy", uuid, keep_disks))
        if error := self.fail.get("destroy"):
            raise error
        with self._lock:
            was_there = self.guests_by_uuid.pop(uuid, None) is not None
            for held in (self.nics, self.drives, self.images):
                held.pop(uuid, None)
        return was_there

    def adopt(self, instances: Iterable[tuple[str, str]]) -> Sequence[str]:
        return [uuid for uuid, _ in instances]

    def power_on(self, uuid: str) -> None:
        self.set_power(uuid, PowerState.RUNNING)

    def power_off(self, uuid: str, timeout_s: int = 0) -> None:
        self.calls.append(("power_off", uuid, timeout_s))
        self.set_power(uuid, PowerState.STOPPED)

    def reboot(self, uuid: str, hard: bool) -> None:
        self.calls.append(("reboot", uuid, hard))
        self.set_power(uuid, PowerState.RUNNING)

    def is_rescued(self, uuid: str) -> bool:
        return False

    def rescue_steps(self, spec: GuestSpec) -> Sequence[Step]:
        raise errors.Unsupported("no rescue in memory")

    def unrescue_steps(self, uuid: str) -> Sequence[Step]:
        raise errors.Unsupported("no rescue in memory")

    def attach(self, uuid: str, nic: NicSpec) -> None:
        if error := self.fail.get("attach"):
            raise error
        self.plug(uuid, nic)

    def detach(self, uuid: str, nic: NicSpec) -> None:
        if error := self.fail.get("detach"):
            raise error
        self.unplug(uuid, nic)

    def plug(self, uuid: str, nic: NicSpec) -> None:
        self.guest(uuid)
        self.nics.setdefault(uuid, []).append(nic)
        self.on_plug(uuid, nic)

    def unplug(self, uuid: str, nic: NicSpec) -> None:
        self.guest(uuid)
        self.nics[uuid] = [one for one in self.nics.get(uuid, []) if one.mac != nic.mac]

    def set_power(self, uuid: str, power: PowerState) -> None:
        """Change the state and tell those who follow the platform's events."""
        guest = self.guest(uuid)
        if error := self.fail.get("power"):
            raise error
        self.guests_by_uuid[uuid] = GuestState(uuid, guest.name, power)
        for callback in self.callbacks:
            callback(GuestEvent(uuid, power))

    def nothing_left(self) -> bool:
        return not (self.guests_by_uuid or self.nics or self.drives or self.images)


class _MemoryStep(Step):
    def __init__(self, host: MemoryHypervisor, spec: GuestSpec) -> None:
        self.host = host
        self.spec = spec

    def execute(self, values: Values) -> Any:
        self.work(values)
        # Fails after its work is done, as a broken connection makes a platform's step do.
        if error := self.host.fail.get(self.name):
            raise error

    def work(self, values: Values) -> None:
        raise NotImplementedError


class _Define(_MemoryStep):
    name = "define"
    provides = DEFINED

    def work(self, values: Values) -> None:
        self.host.guests_by_uuid[self.spec.uuid] = GuestState(self.spec.uuid, self.spec.name, PowerState.STOPPED)

    def revert(self, values: Values) -> None:
        self.host.guests_by_uuid.pop(self.spec.uuid, None)


class _Copy(_MemoryStep):
    name = "copy"

    def work(self, values: Values) -> None:
        image = self.spec.disks[0].image
        assert image is not None
        with image.open() as stream:
            self.host.images[self.spec.uuid] = stream.read()

    def revert(self, values: Values) -> None:
        self.host.images.pop(self.spec.uuid, None)


class _Plug(_MemoryStep):
    needs = (DEFINED,)

    def __init__(self, host: MemoryHypervisor, spec: GuestSpec, nic: NicSpec) -> None:
        super().__init__(host, spec)
        self.nic = nic
        self.name = f"plug {nic.id}"
        self.provides = nic_plugged(nic)

    def work(self, values: Values) -> None:
        self.host.plug(self.spec.uuid, self.nic)

    def revert(self, values: Values) -> None:
        self.host.nics.pop(self.spec.uuid, None)


class _Upload(_MemoryStep):
    name = "upload"
    needs = (CONFIG_DRIVE, DEFINED)

    def work(self, values: Values) -> None:
        path: Path = values[CONFIG_DRIVE]
        self.host.drives[self.spec.uuid] = path.read_bytes()

    def revert(self, values: Values) -> None:
        self.host.drives.pop(self.spec.uuid, None)


class _Start(_MemoryStep):
    name = "start"
    needs = (DEFINED, NICS_READY)

    def work(self, values: Values) -> None:
        if self.spec.power_on:
            self.host.set_power(self.spec.uuid, PowerState.RUNNING)
