"""One simulated z/VM in this process, with the real Cloud Connector server in child processes on top of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Request

from bigiron.sim.kernel import control as controls
from bigiron.sim.kernel import load, ports
from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.faults import FaultPlan
from bigiron.sim.kernel.journal import Journal
from bigiron.sim.kernel.latency import Latency
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.kernel.statedir import StateDirectory
from bigiron.sim.kernel.steps import take_all
from bigiron.sim.kernel.store import Store
from bigiron.sim.kernel.ticker import Ticker
from bigiron.sim.zvm import overview
from bigiron.sim.zvm.audit import audit
from bigiron.sim.zvm.commands import SMAPI, Commands
from bigiron.sim.zvm.connector import layout as layouts
from bigiron.sim.zvm.connector import presence, records
from bigiron.sim.zvm.connector.gateway import Gateway
from bigiron.sim.zvm.connector.layout import Layout
from bigiron.sim.zvm.connector.processes import Addresses, Processes
from bigiron.sim.zvm.guest.boot import Guests
from bigiron.sim.zvm.latency import PROFILES
from bigiron.sim.zvm.linux import host
from bigiron.sim.zvm.model import genesis
from bigiron.sim.zvm.model.system import System

_CONTROL_THREADS = 8
_FOLDERS = ("dasd", "spool", "connector")
_TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """How a simulator serves."""

    listen: tuple[str, int] = ("127.0.0.1", 0)
    control: tuple[str, int] = ("127.0.0.1", 0)
    tls: tuple[Path, Path] | None = None
    latency: str = "none"
    reset: bool = False
    clock_scale: float = 1.0
    connector: Path | None = None
    """The Cloud Connector's virtual environment; by default the one that `make connector` makes."""
    answer: str = presence.IN_PROCESS
    """How the server's commands are answered: inside its process, or by programs in its PATH."""
    serve: bool = True
    """Whether to run the Cloud Connector at all."""


class Simulator:
    """Built, it holds its state directory; started, it serves; stopped, it has saved everything.

    Raises StateError when the directory belongs to another system or to another running simulator, and NoConnector when
    the Cloud Connector is not installed.
    """

    def __init__(self, document: Mapping[str, Any], state_dir: Path, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state_dir = Path(state_dir).absolute()
        environment = self.settings.connector or layouts.default_environment()
        if self.settings.serve:
            layouts.check(environment)
        self.clock = Clock(self.settings.clock_scale)
        self.latency = Latency(self.clock, PROFILES, self.settings.latency)
        self.faults = FaultPlan(late=(SMAPI,))
        self.journal = Journal()
        self.control = controls.Control()
        self.layout = Layout(self.state_dir / "connector", environment.absolute())
        self._saved_revision = -1
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
            self.system = genesis.build(document, self.clock, self.state_dir)
        else:
            self.clock.begin_at(float(state.get("time", 0.0)))
            with self._directory.of_this_version():
                self.system = System.from_state(state["system"], self.clock, self.state_dir)
        self.guests = Guests(self.system)
        self._store = Store(self._directory.state, self._dump)
        self._options = dict(document.get("connector", {}).get("options", {}))
        self.layout.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.commands = Commands(
            self.system, self.clock, self.latency, self.faults, self.journal, self.layout.root
        )  # fmt: skip
        self._gateway: Gateway | None = None
        self._processes: Processes | None = None
        self._held = contextlib.ExitStack()
        """The ports of the server, which stay ours while it is away."""
        self._control = HttpServer(self.settings.control, self.control, threads=_CONTROL_THREADS)
        self._ticker = Ticker(self.state_dir.name, _TICK_SECONDS, self._is_unsaved, self._store.touch)
        self._apply_latency()
        self._mount()

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of the Cloud Connector's REST API."""
        return self.addresses.url

    @property
    def control_url(self) -> str:
        """The control address."""
        return self._control.url

    @property
    def token(self) -> str:
        """The shared secret that the server gives tokens for."""
        return self.layout.token.read_text()

    def start(self) -> None:
        """Serve; returns when both addresses answer.

        Raises OSError when an address is taken or a folder cannot be written, and ConnectorFailed when the server does
        not come up; everything has ended then, and the directory is free again.
        """
        try:
            self._serve()
        except BaseException as error:
            take_all(self._end, self._directory.close, after=error)
            raise

    def _serve(self) -> None:
        self._control.bind()
        self._store.start()
        self._ticker.start()
        self._control.start()
        listen = self.settings.listen
        port = ports.number(self._held.enter_context(ports.hold("127.0.0.1")))
        rest = listen[0], ports.number(self._held.enter_context(ports.hold(*listen)))
        tls = (
            (str(self.settings.tls[0].absolute()), str(self.settings.tls[1].absolute())) if self.settings.tls else None
        )
        self.addresses = Addresses(rest, ("127.0.0.1", port), tls)
        self._prepare(port)
        self._gateway = Gateway(self.layout.socket, self.commands, self.clock, self.faults, self.journal)
        self._gateway.start()
        if self.settings.serve:
            self._processes = Processes(self.layout, self.addresses, self.settings.answer)
            self._processes.start()
        self._directory.publish(
            rest=self.url, control=self.control_url, token=str(self.layout.token),
            programs=str(self.layout.programs), socket=str(self.layout.socket),
        )  # fmt: skip

    def _prepare(self, port: int) -> None:
        with self.system.lock:
            pool = next(iter(self.system.state.pools.values()))
            profile = self.system.state.profiles[0]
            sysinfo = host.sysinfo(self.system)
        layouts.prepare(self.layout, port, f"{pool.kind}:{pool.name}", profile, self._options, sysinfo)

    def stop(self) -> None:
        """End serving and save; nothing happens when it has been stopped before."""
        if self._directory.closed:
            return
        take_all(self._end, self._store.stop, self._directory.withdraw, self._directory.close)

    def _end(self) -> None:
        """End every process and thread, as far as it was started."""
        take_all(
            self._ticker.stop, self.clock.close, self._end_processes, self._held.close, self._end_gateway,
            self._control.stop, self._store.end,
        )  # fmt: skip

    def _end_processes(self) -> None:
        if self._processes is not None:
            self._processes.close()

    def _end_gateway(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()
            if self.layout.socket.parent != self.layout.folder:
                self.layout.socket.parent.rmdir()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- state ----------------------------------------------------------------------------------------------------

    def _dump(self) -> dict[str, Any]:
        with self.system.lock:
            self._saved_revision = self.system.revision
            return {"document": self._directory.digest, "time": self.clock.now(), "system": self.system.to_state()}

    def _is_unsaved(self) -> bool:
        with self.system.lock:
            self.system.settle()
            return self.system.revision != self._saved_revision

    # -- control --------------------------------------------------------------------------------------------------

    def _mount(self) -> None:
        controls.mount_kernel(self.control, self.clock, self.latency, self.faults, self.journal)
        self.control.mount("system", GET=self._get_system)
        self.control.mount("audit", GET=lambda _: self.findings())
        self.control.mount("state", GET=lambda _: self._locked(System.to_state))
        self.control.mount("guests", GET=self._get_guests)
        self.control.mount("vswitches", GET=lambda _: self._locked(overview.switches))
        self.control.mount("consoles", GET=self._get_console)
        self.control.mount("load", GET=self._get_loads, POST=self._set_load)
        self.control.mount("connector", GET=self._get_connector, POST=self._set_connector)
        self.latency.subscribe(self._apply_latency)

    def _apply_latency(self) -> None:
        self.system.boot_seconds = self.latency.seconds("guest_boot")
        self.system.shutdown_seconds = self.latency.seconds("guest_shutdown")
        self.system.logoff_seconds = self.latency.seconds("logoff")

    def _locked(self, ask: Any) -> Any:
        with self.system.lock:
            self.system.settle()
            return ask(self.system)

    def findings(self) -> list[dict[str, str]]:
        """What is inconsistent or left over, on the z/VM and in the server's databases."""
        with self.system.lock:
            self.system.settle()
            entries = self.system.state.entries
            foreign = {userid for userid, entry in entries.items() if entry.foreign}
            found, known = audit(self.system), set(entries)
        return found + records.audit(self.layout.databases, known, foreign)

    def _get_system(self, _request: Request) -> Any:
        with self.system.lock:
            machine = self.system.state.machine
            return {
                "platform": "zvm",
                "name": machine.name,
                "lpar": machine.lpar,
                "connector": self.system.state.connector,
            }

    def _get_guests(self, request: Request) -> Any:
        userid = request.path.strip("/").partition("/")[2].upper()
        if not userid:
            return self._locked(overview.guests)
        with self.system.lock:
            self.system.settle()
            if userid not in self.system.state.entries:
                raise NotFound(f"there is no userid {userid}; GET /guests lists them")
            entry = self.system.state.entries[userid]
            return {**overview.guest(self.system, entry), **overview.files(self.system, userid)}

    def _get_loads(self, _request: Request) -> Any:
        with self.system.lock:
            entries, loads = self.system.state.entries, self.system.state.loads
            return {"profiles": list(load.PROFILES), "loads": {u: loads.get(u, load.IDLE) for u in sorted(entries)}}

    def _set_load(self, request: Request) -> Any:
        wish = controls.body(request)
        if not isinstance(wish, dict) or not {"userid", "profile"} <= set(wish):
            raise BadRequest('POST {"userid": <userid>, "profile": <name>}')
        userid, profile = str(wish["userid"]).upper(), str(wish["profile"])
        with self.system.lock:
            self.system.settle()
            if userid not in self.system.state.entries:
                raise NotFound(f"there is no userid {userid}; GET /guests lists them")
            self.system.set_load(userid, profile)
        return {"userid": userid, "profile": profile}

    def _get_console(self, request: Request) -> Any:
        userid = request.path.strip("/").partition("/")[2].upper()
        since, wait = request.args.get("since", 0, int), request.args.get("wait", 0.0, float)
        with self.system.lock:
            self.system.settle()
            if userid not in self.system.state.entries:
                raise NotFound(f"there is no userid {userid}; GET /guests lists them")
            if wait > 0:
                self.system.changed.wait_for(lambda: self.system.console(userid).end > since, wait)
            start, text = self.system.console(userid).read(since)
            return {"start": start, "end": start + len(text), "text": text}

    def _get_connector(self, _request: Request) -> Any:
        return {"url": self.url, "processes": self._processes.states() if self._processes else {}}

    def _set_connector(self, request: Request) -> Any:
        """Stop the server, start it again, or both: what a client sees of it when it is down."""
        wanted = controls.body(request).get("action")
        if self._processes is None or wanted not in ("stop", "start", "restart"):
            raise ValueError("action is stop, start or restart, of a Cloud Connector that this simulator runs")
        if wanted != "start":
            self._processes.halt()
        if wanted != "stop":
            self._processes.resume()
        return self._get_connector(request)
