"""Bring a lab up, down and away: prepare what is missing, start programs in order, wait until each one works."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bigiron.lab import broker, configs, database, health, novnc, openvswitch, seed, services, spec, supervise
from bigiron.lab.errors import LabError
from bigiron.lab.paths import LabPaths, cache_root
from bigiron.lab.progress import Reporter
from bigiron.lab.services import BOOTSTRAP, SEED, Program, check_connector, programs
from bigiron.lab.spec import LabSpec
from bigiron.lab.supervise import Supervisor

_POLL_SECONDS = 0.2
_STOP_SECONDS = 60.0
_TAIL_LINES = 25


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked `up` for; None leaves what the lab already has."""

    driver: str | None = None
    systems: tuple[str, ...] | None = None
    latency: str | None = None
    broker_url: str | None = None
    debug: bool | None = None
    telemetry: bool | None = None
    open_vswitch: bool | None = None
    settings: Mapping[str, str] | None = None

    def applied(self, current: LabSpec) -> LabSpec:
        """Return the spec with the wishes in it."""
        wanted = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        if len(wanted.get("systems", ())) != len(set(wanted.get("systems", ()))):
            raise LabError("a system document is given twice: each host manages a system of its own, with its own name")
        return replace(current, **wanted)


@contextmanager
def _locked(paths: LabPaths) -> Iterator[None]:
    paths.create()
    try:
        with FileLock(paths.lock, timeout=0):
            yield
    except Timeout as error:
        raise LabError(f"another `bigiron lab` command is changing {paths.root}: wait until it has ended") from error


def prepare(report: Reporter, *, with_broker: bool = True) -> None:
    """Fill the cache: migrated databases, and a broker and noVNC's web pages when they are not installed."""
    cache = cache_root()
    with ThreadPoolExecutor(3) as pool:
        waiting: dict[str, Future[Any]] = {"databases": pool.submit(database.template, cache)}
        pages = pool.submit(_pages, cache)
        if with_broker:
            waiting["rabbitmq"] = pool.submit(broker.obtain, cache)
        for name in waiting:
            report.begin(name)
        for name, future in waiting.items():
            future.result()
            report.done(name)
        if note := pages.result():
            report.fail("novnc", note)


def _pages(cache: Path) -> str:
    """Have noVNC's pages; what is missing without them where there are none."""
    try:
        novnc.obtain(cache)
    except LabError as error:
        return f"consoles have no web page: {error}"
    return ""


def up(paths: LabPaths, wishes: Wishes, report: Reporter) -> LabSpec:
    """Start the lab, or finish starting it; return its spec once every program works."""
    with _locked(paths):
        current = spec.load(paths) or LabSpec()
        wanted = wishes.applied(current)
        supervisor = supervise.connect(paths)
        if supervisor is not None and not all(state.alive for state in supervisor.states().values()):
            # Something failed or was never started: begin anew, with option files written anew.
            _stop(paths, report)
            supervisor = None
        if supervisor is None:
            supervise.end_survivors(paths, _STOP_SECONDS)
            wanted, supervisor, table = _launch(paths, wanted, report)
        elif wanted != current:
            raise LabError(f"the lab in {paths.root} runs with other options: stop it first with `bigiron lab down`")
        else:
            table = programs(paths, wanted, _broker(wanted), _switch(wanted))
        return _start_all(paths, wanted, supervisor, table, report)


def _launch(paths: LabPaths, wanted: LabSpec, report: Reporter) -> tuple[LabSpec, Supervisor, tuple[Program, ...]]:
    wanted.check_systems()
    if wanted.hosts_of("zvm"):
        check_connector()
    if wanted.platform_names:
        wanted = replace(wanted, platforms=_platforms(paths, wanted))
    if wanted.broker_url:
        broker.require(wanted.broker_url)
    switch = _switch(wanted)
    wanted = wanted.equipped()
    prepare(report, with_broker=not wanted.broker_url)
    spec.save(paths, wanted)
    database.install(database.template(cache_root()), paths.databases)
    configs.write(paths, wanted)
    own_broker = _broker(wanted)
    if own_broker is not None:
        folder = paths.data / "broker"
        broker.write_files(folder, wanted.ports["broker"], wanted.secrets["broker"], wanted.secrets["cookie"])
        broker.erlang_root(folder, own_broker)
    if switch:
        for host in wanted.switched_hosts:
            services.create_switch(paths, host, switch)
    table = programs(paths, wanted, own_broker, switch)
    return wanted, supervise.launch(paths, table), table


def _broker(wanted: LabSpec) -> broker.Binaries | None:
    """The lab's own broker, unless it has somebody else's."""
    return None if wanted.broker_url else broker.obtain(cache_root())


def _switch(wanted: LabSpec) -> openvswitch.Binaries | None:
    """The Open vSwitch of the hosts that have one."""
    return openvswitch.obtain(cache_root()) if wanted.switched_hosts else None


def _platforms(paths: LabPaths, wanted: LabSpec) -> tuple[str, ...]:
    """Return the digests of the system documents; refuse another one than a simulator's state was made from."""
    digests = tuple(spec.digest(host.document()) for host in wanted.hosts)
    for host, digest, old in zip(wanted.hosts, digests, wanted.platforms, strict=False):
        if digest != old and (paths.data / host.named("sim") / "state.json").exists():
            raise LabError(
                f"system document {host.document()} is not what the platform of this lab was made from: put the old "
                "one back, begin anew with `bigiron lab destroy` and `bigiron lab up`, or make another lab with --dir"
            )
    return digests


def _start_all(
    paths: LabPaths, wanted: LabSpec, supervisor: Supervisor, table: Sequence[Program], report: Reporter
) -> LabSpec:
    """Start each program as soon as those it needs work; the slowest chain decides how long it takes."""
    checks = health.Health(paths, wanted)
    waiting = {each.name: each for each in table}
    started: dict[str, float] = {}
    pids: dict[str, int] = {}
    with _Steps(paths, wanted, report) as steps:
        while waiting:
            steps.advance()
            for each in waiting.values():
                if each.name not in started and steps.ready.issuperset(each.after):
                    started[each.name] = time.monotonic()
                    report.begin(each.name)
                    supervisor.start(each.name)
            states = supervisor.states()
            for name in [name for name in waiting if name in started]:
                each = waiting[name]
                restarted = states[name].pid and pids.setdefault(name, states[name].pid) != states[name].pid
                if states[name].alive and checks.works(each.check, states[name].started):
                    report.done(name, f"127.0.0.1:{wanted.ports[each.port]}" if each.port else "")
                    steps.ready.add(name)
                    del waiting[name]
                elif states[name].failed or restarted:
                    _give_up(paths, supervisor, name, f"ended while it was starting {states[name].message}", report)
                elif time.monotonic() - started[name] > each.deadline:
                    _give_up(paths, supervisor, name, f"did not work within {each.deadline:.0f} s", report)
            time.sleep(_POLL_SECONDS)
    if wanted.seeded != steps.fingerprint:
        wanted = replace(wanted, seeded=steps.fingerprint)
        spec.save(paths, wanted)
    return wanted


class _Steps:
    """The steps that are no processes: run beside the programs' start, once per set of endpoints."""

    def __init__(self, paths: LabPaths, wanted: LabSpec, report: Reporter) -> None:
        self.fingerprint = hashlib.sha256(
            repr((wanted.url("keystone"), sorted(wanted.endpoints.items()), spec.SECRET_NAMES)).encode()
        ).hexdigest()
        self.ready: set[str] = set()
        self._report = report
        self._pool = ThreadPoolExecutor(1)
        self._running: dict[str, Future[None]] = {}
        self._todo: dict[str, tuple[str, Callable[[], None]]] = {
            BOOTSTRAP: ("", lambda: seed.bootstrap(paths, wanted)),
            SEED: ("keystone", lambda: seed.seed(wanted)),
        }
        if wanted.seeded == self.fingerprint:
            self.ready |= self._todo.keys()
            self._todo.clear()

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def advance(self) -> None:
        """Start the steps that can run, and take note of those that have ended."""
        for name, (after, run) in list(self._todo.items()):
            if not after or after in self.ready:
                self._report.begin(name)
                self._running[name] = self._pool.submit(run)
                del self._todo[name]
        for name, future in list(self._running.items()):
            if future.done():
                del self._running[name]
                future.result()
                self._report.done(name)
                self.ready.add(name)


def _give_up(paths: LabPaths, supervisor: Supervisor, name: str, what: str, report: Reporter) -> None:
    report.fail(name, what)
    supervisor.stop([name], _STOP_SECONDS)
    log = paths.logs / f"{name}.log"
    raise LabError(f"{name} {what}; the end of {log}:\n{tail(paths, name, _TAIL_LINES)}")


def tail(paths: LabPaths, name: str, lines: int) -> str:
    """Return the last lines of a program's log."""
    log = paths.logs / f"{name}.log"
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        known = ", ".join(sorted(path.stem for path in paths.logs.glob("*.log"))) or "none"
        raise LabError(f"there is no log of {name} in {paths.logs}: programs with a log are {known}") from error
    return "\n".join(text.splitlines()[-lines:])


def down(paths: LabPaths, report: Reporter) -> bool:
    """Stop every program and the supervisor; tell whether anything was running."""
    spec.require_any(paths)
    with _locked(paths):
        return _stop(paths, report)


_OUTER = (
    "nova-compute",
    "neutron-sea-agent",
    "neutron-sriov-agent",
    "neutron-zvm-agent",
    "neutron-openvswitch-agent",
    "ceilometer-polling",
    "charts",
)


def _stop(paths: LabPaths, report: Reporter, *, gently: bool = True) -> bool:
    supervisor = supervise.connect(paths)
    if supervisor is None:
        return supervise.end_survivors(paths, _STOP_SECONDS)
    report.begin("stopping")
    pid = supervisor.pid()
    if gently:
        # The guests' side first, so that nothing reports to a control plane that has gone; the broker last.
        names = supervisor.states().keys()
        outer = {name for name in names if name.startswith(_OUTER)}
        base = {name for name in names if name.startswith(("broker", "sim", "keystone", "ovs"))}
        for level in (outer, names - outer - base, base):
            supervisor.stop(level, _STOP_SECONDS)
    else:
        supervisor.kill()
    supervisor.shutdown()
    if not supervise.await_end(pid, _STOP_SECONDS):
        raise LabError(
            f"supervisord (pid {pid}) did not end within {_STOP_SECONDS:.0f} s: see {paths.run}/supervisord.log"
        )
    report.done("stopping")
    return True


def destroy(paths: LabPaths, report: Reporter) -> None:
    """Stop the lab and remove everything it wrote; a directory that is no lab is refused."""
    spec.require_any(paths)
    with _locked(paths):
        _stop(paths, report, gently=False)
        shutil.rmtree(paths.root)
