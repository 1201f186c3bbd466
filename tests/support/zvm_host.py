"""A simulated z/VM underneath the real Cloud Connector, with the platform started on it, and what it then has."""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support import steps as runner
from tests.support.images import BytesImage

from bigiron.hypervisor import CONFIG_DRIVE, Step, Values
from bigiron.journal import Call
from bigiron.model import DiskRole, DiskSpec, FixedAddress, GuestSpec, NicSpec
from bigiron.sim.zvm import documents, overview
from bigiron.sim.zvm.audit import audit
from bigiron.sim.zvm.server import Settings, Simulator
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.platform import Zvm

SYSTEM = Path(__file__).parents[2] / "examples" / "systems" / "zvm.yaml"
CYLINDERS = 100
CLOCK_SCALE = 10.0
"""The connector's own pauses, as the 15 s of a shutdown, pass as much faster."""
CONTENT = bytes(range(256)) * 64


def disk_image(content: bytes = CONTENT, cylinders: int = CYLINDERS, kind: str = "CKD", unit: str = "CYL") -> bytes:
    """A disk image in z/VM's own format, not compressed."""
    size = f"{cylinders} {unit}"
    return f"xCAT {kind} Disk Image:{size:>16} HLen: 0055 GZIP: 0".encode().ljust(512) + content


@dataclass
class World:
    """A simulator, and where the platform keeps its ledger."""

    simulator: Simulator
    folder: Path
    options: ZvmOptions
    before: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    image: BytesImage = field(default_factory=lambda: BytesImage(disk_image(), distro="rhel9.4"))
    lost_uploads: int = 0
    """Uploads whose answer was lost: only the answer says where the file is, so nobody can wipe it by REST."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def platform(self, **options: Any) -> Zvm:
        """The platform, not started."""
        return Zvm(replace(self.options, **options), journal=self._note)

    @contextlib.contextmanager
    def started(self, **options: Any) -> Iterator[Zvm]:
        platform = self.platform(**options)
        platform.start()
        try:
            yield platform
        finally:
            platform.stop()

    def _note(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def kinds(self) -> Counter[str]:
        """How many requests there were of each kind, the userids in their paths left out."""
        return Counter(f"{call.method} {_template(call.path)}" for call in self.calls)

    # Guests to make

    def spec(self, **fields: Any) -> GuestSpec:
        """A guest with a root disk from the image."""
        number = uuid.uuid4()
        values: dict[str, Any] = {
            "uuid": str(number),
            "name": f"instance-{number.hex[:8]}",
            "memory_mb": 1024,
            "vcpus": 1,
            "disks": (DiskSpec(DiskRole.ROOT, 1, self.image),),
        }
        return GuestSpec(**{**values, **fields})

    def nic(self, number: int = 1) -> NicSpec:
        """A port with a fixed address."""
        fixed = FixedAddress(f"10.0.0.{number + 4}", "10.0.0.0/24", "10.0.0.1", ("10.0.0.2",))
        return NicSpec(str(uuid.uuid4()), f"02:00:00:00:00:{number:02x}", "zvm", fixed=fixed)

    def spawn(self, platform: Zvm, spec: GuestSpec) -> GuestSpec:
        platform.check(spec)
        self.run(platform.spawn_steps(spec), spec)
        return spec

    def run(self, steps: Any, spec: GuestSpec) -> None:
        own: list[Step] = [runner.NicsReady(spec)]
        if spec.config_drive:
            own.append(BuildDrive(self.folder, spec))
        runner.run([*steps, *own], parallel=4)

    def run_plain(self, steps: Any) -> None:
        """Steps that need nothing of a plug-in's."""
        plain: list[Step] = list(steps)
        runner.run(plain)

    # What z/VM has

    def guests(self) -> dict[str, dict[str, Any]]:
        """Every userid as the simulator shows it."""
        with self.simulator.system.lock:
            self.simulator.system.settle()
            return {each["userid"]: each for each in overview.guests(self.simulator.system)}

    def guest(self, spec: GuestSpec) -> dict[str, Any]:
        """The one userid with the instance's mark."""
        mark = f"NOVA:{spec.uuid.upper()}"
        (found,) = [each for each in self.guests().values() if mark in each["comments"]]
        with self.simulator.system.lock:
            return {**found, **overview.files(self.simulator.system, found["userid"])}

    def wait_until_up(self, spec: GuestSpec) -> dict[str, Any]:
        """Until the guest's Linux is up: its boot takes the simulator half a second."""
        system = self.simulator.system
        deadline = time.monotonic() + 60
        with system.lock:
            while not self._is_up(self.userid(spec)):
                assert time.monotonic() < deadline, f"the guest of {spec.name} does not come up"
                system.changed.wait(0.05)
        return self.guest(spec)

    def _is_up(self, userid: str) -> bool:
        system = self.simulator.system
        system.settle()
        machine = system.state.running.get(userid)
        return machine is not None and machine.phase == "up"

    def userid(self, spec: GuestSpec) -> str:
        mark = f"* NOVA:{spec.uuid.upper()}"
        entries = self.simulator.system.state.entries.values()
        (found,) = [entry.userid for entry in entries if mark in entry.lines]
        return str(found)

    def state(self) -> dict[str, Any]:
        """The directory, what runs, grants and spool, without what only counts."""
        with self.simulator.system.lock:
            self.simulator.system.settle()
            state = copy.deepcopy(self.simulator.system.to_state())
        for name in ("time", "revision"):
            state.pop(name, None)
        return {"guests": self.guests(), "switches": self._switches()}

    def _switches(self) -> Any:
        with self.simulator.system.lock:
            return overview.switches(self.simulator.system)

    def audit(self) -> list[Any]:
        with self.simulator.system.lock:
            self.simulator.system.settle()
            return list(audit(self.simulator.system))

    def check_clean(self, kept: Collection[str] = ()) -> None:
        """Nothing is left: the audit is empty and z/VM has what it had; of the connector's files only what stays, which
        are the images that guests were made from, `kept` among them."""
        assert self.audit() == []
        assert self.state() == self.before
        left = self.images_left() - {"bigiron-blank", self.image.id, *kept}
        assert left == set(), left
        files = (self.simulator.layout.files / "imported").glob("*")
        unwiped = [file for file in files if file.stat().st_size > 1024]
        assert len(unwiped) == self.lost_uploads, unwiped

    def images_left(self) -> set[str]:
        return {path.name for path in self.simulator.layout.images.glob("netboot/*/*")}


class BuildDrive(Step):
    """Makes a config drive with the plug-in's own code."""

    name = "build config drive"
    provides = CONFIG_DRIVE

    def __init__(self, folder: Path, spec: GuestSpec) -> None:
        self._path = folder / f"{spec.uuid}.iso"
        self._spec = spec

    def execute(self, values: Values) -> Path:
        # Not with the others: Nova's options and Neutron's are not to be had in one process, whose tests come here too.
        from bigiron.plugins.nova import configdrive

        meta = json.dumps({"uuid": self._spec.uuid, "hostname": self._spec.name, "name": self._spec.name})
        configdrive.write_iso(self._path, [("openstack/latest/meta_data.json", meta)])
        return self._path


def _template(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    if len(parts) > 2 and parts[1] in ("guests", "images") and parts[2] != "nics":
        parts[2] = "*"
    if len(parts) > 4 and parts[3] == "nic":
        parts[4] = "*"
    return "/".join(parts)


@contextlib.contextmanager
def serve(
    folder: Path,
    settings: Settings | None = None,
    connector_options: dict[str, dict[str, Any]] | None = None,
    **options: Any,
) -> Iterator[World]:
    """A simulated z/VM with its connector, started; `connector_options` are its zvmsdk.conf's, by section."""
    document = documents.read(SYSTEM)
    if connector_options:
        document.setdefault("connector", {})["options"] = connector_options
    with Simulator(document, folder / "sim", settings or Settings(clock_scale=CLOCK_SCALE)) as simulator:
        values: dict[str, Any] = {
            "cloud_connector_url": simulator.url,
            "token_path": str(simulator.layout.token),
            "connector_image_repository": str(simulator.layout.images),
            "state_path": folder / "state",
            "call_timeout_s": 60.0,
            "deploy_timeout_s": 120.0,
            "power_poll_s": 0.0,
        }
        world = World(simulator, folder, ZvmOptions(**{**values, **options}))
        world.before = world.state()
        yield world
