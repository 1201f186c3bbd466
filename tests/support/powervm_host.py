"""A simulated PowerVM host over HTTP with the platform started on it, and questions about what it then has."""

from __future__ import annotations

import collections
import contextlib
import copy
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bigiron.model import DiskRole, DiskSpec, GuestSpec, ImageSource, NicSpec
from bigiron.powervm.connect import connect
from bigiron.powervm.connection import Connection
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.platform import PowerVM
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm import documents
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.server import Settings, Simulator

_SHARED_DISK = "01M0lCTTIxNDUxMjQ2MDA1MDc2ODAyODJBQjA0MzQwMDAwMDAwMDAwMDAw"
_NOBODY = "FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF"

DOCUMENT: dict[str, Any] = {
    "system": {
        "name": "power1",
        "machine": {"type": "9009", "model": "22A", "serial": "7812F40"},
        "memory_mb": 262144,
        "processors": 16,
    },
    "users": {"padmin": "padmin"},
    "switches": [{"name": "ETHERNET0"}, {"name": "MGMTSWITCH"}],
    "vioses": [
        {
            "name": "vios1", "memory_mb": 8192, "proc_units": 1, "vcpus": 2, "ethernet": ["ent0"],
            "volumes": [
                {"name": "hdisk0", "size_gb": 60}, {"name": "hdisk1", "size_gb": 40},
                {"name": "hdisk9", "size_gb": 500, "udid": _SHARED_DISK},
            ],
            "volume_groups": [
                {"name": "rootvg", "volumes": ["hdisk0"], "repository_gb": 1},
                {"name": "datavg", "volumes": ["hdisk1"]},
            ],
        },
        {
            "name": "vios2", "memory_mb": 8192, "proc_units": 1, "vcpus": 2, "ethernet": ["ent0"],
            "volumes": [
                {"name": "hdisk0", "size_gb": 60},
                {"name": "hdisk9", "size_gb": 500, "udid": _SHARED_DISK},
            ],
            "volume_groups": [{"name": "rootvg", "volumes": ["hdisk0"], "repository_gb": 1}],
        },
    ],
    "clusters": [
        {
            "name": "cluster1", "pool": "pool1", "nodes": ["vios1", "vios2"],
            "tiers": [{"name": "SYSTEM", "capacity_gb": 100}],
        }
    ],
    "bridges": [
        {
            "switch": "ETHERNET0", "pvid": 1,
            "adapters": [
                {"vios": "vios1", "device": "ent10", "backing": "ent0"},
                {"vios": "vios2", "device": "ent10", "backing": "ent0"},
            ],
        }
    ],
}  # fmt: skip


@dataclass
class Host:
    """A simulator and, where asked for, the platform on it."""

    simulator: Simulator
    options: PowerVMOptions

    @property
    def world(self) -> Any:
        return self.simulator.world

    @property
    def units(self) -> dict[str, Any]:
        """The shared storage pool's logical units by name."""
        return {unit.name: unit for pool in self.world.state.pools for unit in pool.units}

    def vios(self, name: str) -> Any:
        return next(vios for vios in self.world.vioses if vios.name == name)

    def group(self, vios: str, name: str) -> Any:
        return next(group for group in self.vios(vios).groups if group.name == name)

    def media(self, vios: str) -> list[str]:
        """The names of the optical media of a VIOS."""
        groups = self.vios(vios).groups
        return [medium.name for group in groups if group.repository for medium in group.repository.media]

    def mapped(self, vios: str, lpar_uuid: str) -> list[tuple[str, str]]:
        """(kind, key) of what a VIOS presents to a partition."""
        servers = self.vios(vios).servers
        wanted = lpar_uuid.upper()
        return [(t.kind, t.key) for s in servers if (s.client or "").upper() == wanted for t in s.targets]

    def lpar(self, lpar_uuid: str) -> Any:
        return next((lpar for lpar in self.world.state.lpars if lpar.uuid.upper() == lpar_uuid.upper()), None)

    def audit(self) -> list[Any]:
        with self.world.lock:
            return list(audit(self.world))

    def fault(self, method: str, path: str, action: Action = Action.ERROR, **more: Any) -> None:
        """Plan a fault; `path` is a template of the journal's."""
        self.simulator.faults.add(Fault(method, path, action, **more))

    def faults_fired(self) -> bool:
        return all(fault.fired for fault in self.simulator.faults.faults())

    def calls(self, work: Callable[[], object]) -> collections.Counter[str]:
        """What `work` asked the platform, as `METHOD template`; event polls are not counted."""
        self.simulator.journal.clear()
        work()
        return collections.Counter(
            f"{entry.method} {entry.template}"
            for entry in self.simulator.journal.entries()
            if not (entry.method == "GET" and entry.template.endswith("/Event"))
        )

    def connect(self, **options: Any) -> Connection:
        return connect(replace(self.options, **options))

    @contextlib.contextmanager
    def platform(self, **options: Any) -> Iterator[PowerVM]:
        platform = PowerVM(replace(self.options, **options))
        platform.start()
        try:
            yield platform
        finally:
            platform.stop()


@contextlib.contextmanager
def serve(folder: Path, document: dict[str, Any] | None = None, settings: Settings | None = None) -> Iterator[Host]:
    """A host as the document says, DOCUMENT where none is given."""
    checked = documents.validate(copy.deepcopy(document or DOCUMENT))
    with Simulator(checked, folder / "sim", settings or Settings()) as simulator:
        address, _, port = simulator.url.removeprefix("http://").partition(":")
        options = PowerVMOptions(
            rest_host=address,
            rest_port=int(port),
            rest_protocol="http",
            rest_username="padmin",
            rest_password="padmin",
            disk_driver="ssp",
            state_path=folder / "state",
            connect_timeout_s=10,
        )
        yield Host(simulator, options)


def guest_spec(image: ImageSource | None = None, **fields: Any) -> GuestSpec:
    """A guest with a root disk, one port and a config drive; `fields` replace what it has."""
    guest = str(uuid.uuid4())
    defaults: dict[str, Any] = {
        "uuid": guest,
        "name": f"web-{guest[:4]}",
        "memory_mb": 2048,
        "vcpus": 1,
        "disks": (DiskSpec(DiskRole.ROOT, 2, image),),
        "nics": (nic(),),
        "config_drive": True,
    }
    return GuestSpec(**{**defaults, **fields})


def nic(**fields: Any) -> NicSpec:
    """A port on VLAN 100."""
    port = str(uuid.uuid4())
    mac = "fa:16:3e:" + ":".join(port[i : i + 2] for i in (0, 2, 4))
    return NicSpec(**{"id": port, "mac": mac, "vif_type": "pvm_sea", "vlan": 100, **fields})


def until_read_up(simulator: Simulator) -> None:
    """Wait until the driver has read again what events have told of until now, for tests that count requests.

    A partition that does not exist is announced, which the driver asks for last: it goes by the uuid. Where it has more
    than eight to read it reads all in one, so this is not for changes of that many at once.
    """
    path = f"/rest/api/uom/LogicalPartition/{_NOBODY}"

    def asked() -> int:
        return sum(entry.path == path for entry in simulator.journal.entries())

    before = asked()
    simulator.events.publish("ADD_URI", f"{simulator.url}{path}")
    until(lambda: asked() > before)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition; fails the test when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
