"""Makes and removes guests on a PowerVM platform as the compute driver does, and counts what that costs."""

from __future__ import annotations

import contextlib
import io
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bigiron import naming
from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, Step, Values, nic_plugged
from bigiron.model import DiskRole, DiskSpec, GuestSpec, NicSpec
from bigiron.plugins.nova import flows
from bigiron.plugins.nova.configdrive import write_iso
from bigiron.powervm.platform import PowerVM
from bigiron.powervm.session import Call

IMAGE_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True)
class BenchImage:
    """An image of zeros."""

    id: str = "9d0c3c9f-0d5f-4e0b-8f0a-2b6a0f3c1d11"
    name: str = "bench"
    size_bytes: int = IMAGE_BYTES
    sha256: str | None = None

    def open(self) -> BinaryIO:
        return io.BytesIO(bytes(self.size_bytes))


@dataclass
class Tally:
    """Counts the calls of a stretch of work; long polls for events and polls of jobs are left out."""

    calls: list[Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, call: Call) -> None:
        path = call.path.partition("?")[0]
        if call.method == "GET" and (path.endswith("/Event") or "/jobs/" in path):
            return
        with self._lock:
            self.calls.append(call)

    @contextlib.contextmanager
    def stretch(self) -> Iterator[list[Call]]:
        """The calls made while the block runs; the list is filled when it ends."""
        found: list[Call] = []
        with self._lock:
            begin = len(self.calls)
        yield found
        with self._lock:
            found.extend(self.calls[begin:])


def total_bytes(calls: list[Call], vios: bool) -> int:
    """Bytes both ways, of VIOS documents or of all the rest."""
    return sum(c.bytes_sent + c.bytes_received for c in calls if ("/VirtualIOServer" in c.path) is vios)


class Provide(Step):
    """Stands for the compute driver's own steps: the config drive is there, the network has answered."""

    def __init__(self, name: str, provides: object, needs: tuple[object, ...] = (), value: object = None) -> None:
        self.name = name
        self.provides = provides  # type: ignore[assignment]
        self.needs = needs  # type: ignore[assignment]
        self._value = value

    def execute(self, values: Values) -> object:
        return self._value


class Maker:
    """Makes guests with a NIC, a config drive and a disk from an image."""

    def __init__(self, platform: PowerVM, scratch: Path, parallel: int) -> None:
        self._platform = platform
        self._executor = ThreadPoolExecutor(max_workers=max(8, parallel * 6))
        self._iso = scratch / "config.iso"
        if not self._iso.exists():
            write_iso(self._iso, [("openstack/latest/meta_data.json", "{}")])

    def spawn(self) -> str:
        """Make one running guest; returns its instance uuid."""
        instance = str(uuid.uuid4())
        spec = _spec(instance)
        steps = [
            *self._platform.spawn_steps(spec),
            Provide("config drive", CONFIG_DRIVE, value=self._iso),
            Provide("network", NICS_READY, tuple(nic_plugged(nic) for nic in spec.nics)),
        ]
        self._platform.check(spec)
        flows.run(f"spawn {instance}", steps, self._executor)
        return instance

    def spawn_many(self, count: int) -> list[str]:
        """Make guests side by side."""
        with ThreadPoolExecutor(max_workers=count) as threads:
            return [f.result() for f in [threads.submit(self.spawn) for _ in range(count)]]

    def destroy_all(self, instances: list[str]) -> None:
        """Remove guests side by side."""
        with ThreadPoolExecutor(max_workers=16) as threads:
            list(threads.map(self._platform.destroy, instances))

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown()


def nics_of(instance: str) -> tuple[NicSpec, ...]:
    """The adapters of a guest made here."""
    mac = "fa:16:3e:" + ":".join(instance[i : i + 2] for i in (0, 2, 4))
    port = str(uuid.uuid5(uuid.UUID(instance), "port"))
    return (NicSpec(port, mac, naming.VIF_TYPE_PVM_SEA, vlan=100, physical_network="default"),)


def _spec(instance: str) -> GuestSpec:
    return GuestSpec(
        uuid=instance,
        name=naming.lpar_name(f"bench-{instance[:8]}"),
        memory_mb=1024,
        vcpus=1,
        disks=(DiskSpec(DiskRole.ROOT, 1, BenchImage()),),
        nics=nics_of(instance),
        config_drive=True,
    )
