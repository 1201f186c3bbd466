"""One simulated PowerVM system in this process: its world, its REST and control addresses, its state on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request

from bigiron.sim.kernel import control as controls
from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import FaultPlan
from bigiron.sim.kernel.journal import Journal
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.kernel.statedir import StateDirectory
from bigiron.sim.kernel.steps import take_all
from bigiron.sim.kernel.store import Store
from bigiron.sim.kernel.ticker import Ticker
from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.events import EventHub
from bigiron.sim.powervm.files import Files
from bigiron.sim.powervm.jobs import Jobs
from bigiron.sim.powervm.latency import PROFILES
from bigiron.sim.powervm.management.ovs import Switch
from bigiron.sim.powervm.management.partition import ManagementPartition
from bigiron.sim.powervm.model import genesis
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.numbers import Numbers
from bigiron.sim.powervm.pcm.monitor import Monitor
from bigiron.sim.powervm.pcm.requests import MetricRequests
from bigiron.sim.powervm.resources import RESOURCES
from bigiron.sim.powervm.rest.app import RestApp
from bigiron.sim.powervm.rest.services import Services
from bigiron.sim.powervm.session import Flavour, Sessions

_REST_THREADS, _CONTROL_THREADS = 128, 8
_FOLDERS = ("media", "uploads", "sessions")
_TICK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """How a simulator serves."""

    listen: tuple[str, int] = ("127.0.0.1", 0)
    control: tuple[str, int] = ("127.0.0.1", 0)
    tls: tuple[Path, Path] | None = None
    flavour: Flavour = Flavour.NOVALINK
    latency: str = "none"
    reset: bool = False
    clock_scale: float = 1.0
    session_idle_seconds: float = 7200.0
    event_limit: int = 2000
    management: Path | None = None
    """Root of the management partition's file tree; by default a folder of the state directory."""
    ovsdb: str | None = None
    """Database of the Open vSwitch that the management partition's ports are put on; None only tells of them."""


class Simulator:
    """Built, it holds its state directory; started, it serves; stopped, it has saved everything.

    Raises StateError when the directory belongs to another system or to another running simulator.
    """

    def __init__(self, document: Mapping[str, Any], state_dir: Path, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state_dir = Path(state_dir).absolute()
        self.clock = Clock(self.settings.clock_scale)
        self.latency = Latency(self.clock, PROFILES, self.settings.latency)
        self.faults = FaultPlan()
        self.journal = Journal()
        self.control = controls.Control()
        self._saved_revision = -1
        self._unused: frozenset[str] = frozenset()
        with contextlib.ExitStack() as undo:
            undo.callback(self.clock.close)
            self._directory = StateDirectory(self.state_dir, document, _FOLDERS)
            undo.callback(self._directory.close)
            self._open(document)
            undo.pop_all()

    def _open(self, document: Mapping[str, Any]) -> None:
        if self.settings.reset:
            self._directory.forget()
        state = self._directory.load()
        if state is None:
            self.world = World.from_document(document, self.clock)
        else:
            with self._directory.of_this_version():
                self.clock.begin_at(float(state.get("time", 0.0)))
                self.world = World.from_state(state["world"], self.clock)
        self.world.vnet_aware = self.settings.flavour is Flavour.HMC
        self.world.media_dir = self.state_dir / "media"
        self.world.sweep_files()
        self._store = Store(self._directory.state, self._dump, self._saved)
        with self._directory.of_this_version():
            self.files = Files(
                self.state_dir / "uploads", self._deliver, self._store.touch,
                state["files"] if state is not None else [],
            )  # fmt: skip
            kept = None if state is None else state.get("monitor", {})
            self.monitor = Monitor(self.world, self._store.touch, kept, genesis.loads(document))
            started = self._first_number(state)
        self._event_numbers, self._job_numbers = Numbers(started), Numbers(started)
        self.events = EventHub(self._event_numbers, self.settings.event_limit)
        self.world.subscribe(self._announce)
        self.sessions = Sessions(
            self.state_dir / "sessions", self.settings.flavour, lambda: dict(self.world.state.users), self.clock.now,
            self.settings.session_idle_seconds,
        )  # fmt: skip
        self.jobs = Jobs(self.clock, self.world.lock, self._job_numbers)
        self.services = Services(
            self.world, RESOURCES, self.clock, self.latency, self.sessions, self.jobs, self.events, self.files,
            self.settings.flavour, due=(self.monitor.catch_up,),
        )  # fmt: skip
        metrics = MetricRequests(self.services, self.monitor)
        self._rest = HttpServer(
            self.settings.listen, RestApp(self.services, self.faults, self.journal, [metrics.route]),
            threads=_REST_THREADS, tls=self.settings.tls,
        )  # fmt: skip
        self._control = HttpServer(self.settings.control, self.control, threads=_CONTROL_THREADS)
        self._ticker = Ticker(self.state_dir.name, _TICK_SECONDS, self._is_unsaved, self._store.touch)
        self._apply_latency()
        self._mount()
        metrics.mount(self.control)
        ovs = Switch(self.settings.ovsdb) if self.settings.ovsdb else None
        self.management = ManagementPartition(self.world, self.control, ovs)

    def _first_number(self, state: Mapping[str, Any] | None) -> int:
        """The number of this life's first event and first job: later than all before, also where time stands still."""
        return max(self.clock.milliseconds(), int((state or {}).get("last_number", 0)) + 1)

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The REST address."""
        return self._rest.url

    @property
    def control_url(self) -> str:
        """The control address."""
        return self._control.url

    @property
    def management_root(self) -> Path:
        """Where the management partition's files and commands are."""
        return (self.settings.management or self.state_dir / "management").absolute()

    def start(self) -> None:
        """Serve; returns when both addresses answer.

        Raises OSError when an address is taken or a folder cannot be written; everything has ended then, and the
        directory is free again.
        """
        try:
            self._serve()
        except BaseException as error:
            take_all(self._end, self._directory.close, after=error)
            raise

    def _serve(self) -> None:
        self._rest.bind()
        self._control.bind()
        self.world.base_url = self.url
        self._store.start()
        self.jobs.start()
        self._ticker.start()
        self._rest.start()
        self._control.start()
        self.management.present(self.management_root, self.control_url)
        self._directory.publish(rest=self.url, control=self.control_url, management=str(self.management_root))

    def stop(self) -> None:
        """End serving, finish the jobs that were accepted, and save."""
        take_all(
            self._end, self._store.stop, self._directory.withdraw, self.sessions.expire_all, self._directory.close,
        )  # fmt: skip

    def _end(self) -> None:
        """End every thread, as far as it was started."""
        take_all(
            self._ticker.stop, self.management.disconnect, self.events.close, self.clock.close, self._rest.stop,
            self._control.stop, self.jobs.stop, self.management.stop, self._store.end,
        )  # fmt: skip

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- state ----------------------------------------------------------------------------------------------------

    def _dump(self) -> dict[str, Any]:
        with self.world.lock:
            self._saved_revision = self.world.revision
            self._unused = self.world.released()
            return {
                "document": self._directory.digest, "time": self.clock.now(),
                "last_number": max(self._event_numbers.last, self._job_numbers.last), "files": self.files.to_state(),
                "monitor": self.monitor.to_state(), "world": self.world.to_state(),
            }  # fmt: skip

    def _saved(self) -> None:
        with self.world.lock:
            self.world.remove_files(self._unused)

    def _is_unsaved(self) -> bool:
        with self.services.locked():
            return self.world.revision != self._saved_revision

    def _deliver(self, record: Any, path: Path) -> None:
        with self.world.lock:
            self.world.file_uploaded(record, path)

    def _announce(self, event_type: str, path: str, detail: str) -> None:
        self.events.publish(event_type, f"{self.world.base_url}/rest/api/uom/{path}" if path else "", detail)

    # -- control --------------------------------------------------------------------------------------------------

    def _mount(self) -> None:
        controls.mount_kernel(self.control, self.clock, self.latency, self.faults, self.journal)
        self.control.mount("audit", GET=self._audit)
        self.control.mount("state", GET=self._get_state, PUT=self._put_state)
        self.control.mount("sessions", DELETE=lambda _: {"ended": self.sessions.expire_all()})
        self.latency.subscribe(self._apply_latency)

    def _apply_latency(self) -> None:
        self.world.power_seconds = self.latency.seconds("power_job")
        self.world.rmc_seconds = self.latency.seconds("guest_boot")

    def _audit(self, _request: Request) -> Any:
        with self.services.locked() as world:
            return audit(world, self.files.records())

    def _get_state(self, _request: Request) -> Any:
        with self.services.locked() as world:
            return world.to_state()

    def _put_state(self, request: Request) -> None:
        state = controls.body(request)
        with self.services.locked() as world:
            world.replace_state(state)
