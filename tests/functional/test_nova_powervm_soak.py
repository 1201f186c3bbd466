"""Hundreds of servers on one host, made, used and deleted side by side for minutes while requests to it fail at random.

BIGIRON_SOAK_SECONDS sets how long (600), BIGIRON_SOAK_SERVERS how many servers there are to be (500),
BIGIRON_SOAK_WORKERS how many are worked on at once (32) and BIGIRON_SOAK_SEED which faults and operations; a failure
names its seed, and build/soak.log has the log. The simulator runs in a process of its own, so that what this process
grows by is Nova's and the driver's.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import random
import re
import secrets
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import fixtures
import psutil
import pytest
from nova import context, exception
from sqlalchemy.exc import OperationalError
from tests.functional import base
from tests.functional.powervm import PowerVMCloud
from tests.functional.remote import RemoteSimulator
from tests.functional.test_nova_powervm_calls import START_BOUND

from bigiron.lab import litedb
from bigiron.sim.kernel.faults import Action, Fault
from bigiron.sim.powervm.model.partition import RMC_ACTIVE

SECONDS = float(os.environ.get("BIGIRON_SOAK_SECONDS", "600"))
SERVERS = int(os.environ.get("BIGIRON_SOAK_SERVERS", "500"))
WORKERS = int(os.environ.get("BIGIRON_SOAK_WORKERS", "32"))
SEED = os.environ.get("BIGIRON_SOAK_SEED") or secrets.token_hex(4)
LOG_FILE = Path("build/soak.log")
LOOK_EVERY_S = 0.3
STUCK_S = 300
LEFTOVERS_S = 180
MOST_RECORDED = 50
MOST_MORE_HELD = 300
"""Objects, and entries of their containers: a leak of one for each operation would be more."""
MOST_MORE_RSS = 0.1
"""Of the whole process, in which the log, the notifications and the databases are kept out of memory."""
MOST_MORE_BLOCKS = 0.03

ALLOCATIONS_FOR_A_RESHAPE = (
    "nova.scheduler.client.report.SchedulerReportClient.get_allocations_for_provider_tree"
)  # fmt: skip
NETWORK = base.SeaNeutron.network_1["id"]
STATUS = {
    "active": "ACTIVE", "stopped": "SHUTOFF", "rescued": "RESCUED", "resized": "VERIFY_RESIZE", "error": "ERROR"
}  # fmt: skip
"""Nova's vm_state in the words of its API."""
RUNNING = {"ACTIVE", "RESCUED"}
POSSIBLE = {
    "ACTIVE": (
        "stop", "soft reboot", "hard reboot", "resize", "rescue", "snapshot", "attach", "attach", "detach", "delete"
    ),
    "SHUTOFF": ("start", "start", "resize", "snapshot", "delete"),
    "RESCUED": ("unrescue", "unrescue", "delete"),
    "VERIFY_RESIZE": ("confirm", "revert"),
}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "stop": {"os-stop": None},
    "start": {"os-start": None},
    "soft reboot": {"reboot": {"type": "SOFT"}},
    "hard reboot": {"reboot": {"type": "HARD"}},
    "unrescue": {"unrescue": None},
    "confirm": {"confirmResize": None},
    "revert": {"revertResize": None},
}

ApiError = base.api_client.OpenStackApiException


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request that can be made to fail."""

    method: str
    template: str
    if_match: bool


@dataclass(slots=True)
class Worker:
    """The servers of one thread, and what it did with them."""

    number: int
    rng: random.Random
    limit: int
    servers: list[dict[str, Any]] = field(default_factory=list)
    ports: dict[str, list[str]] = field(default_factory=dict)
    """Ports that were attached to a server, by its id."""
    done: Counter[str] = field(default_factory=Counter)
    made: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    threads: Counter[str]
    objects: Counter[str]
    rss: int
    blocks: int
    """Of memory that Python's objects take: free of what allocators and threads keep."""


class Looker:
    """Reads the states of all servers from Nova's databases, for all who wait for one of them.

    A look at one server through the API costs as much as a step of its build.
    """

    def __init__(self, read: Callable[[], dict[str, tuple[str, str | None]]], each_time: Callable[[], None]) -> None:
        self._read = read
        self._each_time = each_time
        self._changed = threading.Condition()
        self._begun = 0
        self._seen = 0
        self._states: dict[str, tuple[str, str | None]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looker", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)

    def wait(self, server: dict[str, Any], holds: Callable[[str, str | None], bool]) -> str:
        """Wait for a state, read after now, that is as wanted; returns the status, and says when it never comes."""
        deadline = time.monotonic() + STUCK_S
        with self._changed:
            needed = self._begun + 1
            while True:
                state, task = self._states.get(server["id"], ("building", None))
                if self._error:
                    raise AssertionError("the servers' states cannot be read") from self._error
                if self._seen >= needed and holds(state, task):
                    return STATUS.get(state, state.upper())
                left = deadline - time.monotonic()
                assert left > 0, f"server {server['name']} is stuck: {state}, {task}"
                self._changed.wait(left)

    def statuses(self, servers: Iterable[dict[str, Any]]) -> dict[str, str]:
        """The statuses of servers that are idle, by their ids, read after now."""
        for server in servers:
            self.wait(server, lambda _state, _task: True)
            break
        with self._changed:
            return {server["id"]: STATUS.get(self._states[server["id"]][0], "?") for server in servers}

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            with self._changed:
                self._begun += 1
                number = self._begun
            states: dict[str, tuple[str, str | None]] = {}
            try:
                states = self._read()
                self._each_time()
            except OperationalError:
                # A busy SQLite: there will be another look.
                continue
            except BaseException as error:  # noqa: BLE001 - raised in those who wait
                self._error = error
            with self._changed:
                self._seen, self._states = number, states
                self._changed.notify_all()


class Soak(PowerVMCloud):
    """On a shared storage pool; each server has a port, the management adapter and a config drive."""

    options = {
        "disk_driver": "ssp",
        "rest_timeout": 120,
        # Each costs a process of the simulated management partition.
        "console_recorder": SERVERS <= MOST_RECORDED,
    }

    def edit_system(self, document: dict[str, Any]) -> dict[str, Any]:
        document["system"] |= {"memory_mb": 4 << 20, "processors": 400}
        document["clusters"][0]["tiers"][0]["capacity_gb"] = 100_000
        return document

    def start_simulator(self, settings: Any) -> Any:
        simulator = RemoteSimulator(self.document, self.scratch / "sim")
        self.addCleanup(simulator.stop)
        return simulator

    def state(self) -> dict[str, Any]:
        return self.simulator.state()

    def audit(self) -> list[Any]:
        return self.simulator.audit()

    idle_pause_s = 1

    def before_services(self) -> None:
        # At each claim, under a lock, Nova asks placement for the allocations of every server of the host, one request
        # each, and uses the answer only when a driver reshapes, as ours does not here: 4 s for each of 500 servers.
        self.useFixture(fixtures.MonkeyPatch(ALLOCATIONS_FOR_A_RESHAPE, lambda *_: {}))
        self.flags(allow_resize_to_same_host=True, max_concurrent_builds=WORKERS, max_concurrent_snapshots=WORKERS)
        super().before_services()

    def after_services(self) -> None:
        super().after_services()
        self.rescue_image_id = self.upload_image(b"rescue disk " * 1024, name="rescue")
        self.flavors = [self.make_flavor(memory_mb=memory_mb, disk_gb=1) for memory_mb in (512, 768)]
        self.looker = Looker(self.states, self.notifier.reset)

    @pytest.mark.full
    @pytest.mark.long
    @pytest.mark.timeout(int(2 * SECONDS) + 4 * STUCK_S + LEFTOVERS_S + 300)
    def test_many_servers_under_faults(self) -> None:
        self.workers = [
            Worker(number, random.Random(f"{SEED} worker {number}"), len(range(number, SERVERS, WORKERS)))
            for number in range(WORKERS)
        ]
        self.fired: Counter[str] = Counter()
        self.looker.start()
        try:
            with logged_to(LOG_FILE):
                self.soak()
        except BaseException as error:
            error.add_note(f"BIGIRON_SOAK_SEED={SEED}; operations {self.done()}; faults {dict(self.fired)}")
            raise
        finally:
            self.looker.stop()

    def soak(self) -> None:
        kinds = self.kinds_of_one_life()
        # Pools of threads grow to their size and caches fill; what grows from then on is a leak.
        first = self.work_for_a_third(kinds)
        before, done = self.work_for_a_third(kinds), self.done()
        after, operations = self.work_for_a_third(kinds), (self.done() - done).total()
        print(f"seed {SEED}: {dict(self.done())}, faults {dict(self.fired)}")
        print("memory (MB, Python's blocks):", [(each.rss >> 20, each.blocks) for each in (first, before, after)])
        print(f"threads {before.threads.total()}, more: {after.threads - before.threads}")
        print(f"held {before.objects.total()}, more: {(after.objects - before.objects).most_common(8)}")
        self.check_agreed()
        self.check_calls_per_host()
        self.end_all()
        assert self.fired.total() >= operations / 50, "hardly any fault fired"
        assert not after.threads - before.threads, after.threads - before.threads
        more = after.objects - before.objects
        assert more.total() <= MOST_MORE_HELD, more.most_common(8)
        assert after.rss <= before.rss * (1 + MOST_MORE_RSS), f"{before.rss} bytes, then {after.rss}"
        assert after.blocks <= before.blocks * (1 + MOST_MORE_BLOCKS), f"{before.blocks} blocks, then {after.blocks}"

    # Work

    def work_for_a_third(self, kinds: list[Kind]) -> Held:
        """Returns what is held after it, with all servers there."""
        self.run_under_faults(kinds, SECONDS / 3)
        self.fill()
        return held()

    def kinds_of_one_life(self) -> list[Kind]:
        """Every kind of request that a server's life is made of."""
        self.simulator.journal.clear()
        worker = self.workers[0]
        self.create(worker)
        (server,) = worker.servers
        self.wait_until(lambda: self.lpar_of(server)["rmc"] == RMC_ACTIVE, "the guest's RMC connection")
        actions = (
            "attach", "detach", "snapshot", "soft reboot", "rescue", "unrescue", "resize", "revert", "resize",
            "confirm", "stop", "start", "hard reboot",
        )  # fmt: skip
        for action in actions:
            self.act(worker, server, action)
        self.remove(worker, server)
        assert not worker.servers
        assert not [name for name in worker.done if name.endswith(("ERROR", "refused"))], worker.done
        entries = self.simulator.journal.entries()
        assert all(entry.status < 400 for entry in entries if entry.method != "GET")
        found = {Kind(entry.method, entry.template, entry.if_match) for entry in entries}
        return sorted(found, key=lambda kind: (kind.method, kind.template, kind.if_match))

    def run_under_faults(self, kinds: list[Kind], seconds: float) -> None:
        """Let the workers work and requests fail for so long; afterwards nothing is under way and no fault planned."""
        end = time.monotonic() + seconds
        planner = threading.Thread(target=self.plan_faults, args=(kinds, end), daemon=True)
        planner.start()
        side_by_side((lambda worker=worker: self.work(worker, end) for worker in self.workers), seconds + 2 * STUCK_S)
        planner.join(STUCK_S)
        assert not planner.is_alive()
        self.simulator.faults.clear()

    def work(self, worker: Worker, end: float) -> None:
        while time.monotonic() < end:
            if not worker.servers or (len(worker.servers) < worker.limit and worker.rng.random() < 0.8):
                self.create(worker)
                continue
            server = worker.rng.choice(worker.servers)
            action = worker.rng.choice(POSSIBLE.get(self.idle(server), ("delete",)))
            if action == "delete":
                self.remove(worker, server)
            else:
                self.act(worker, server, action)

    def plan_faults(self, kinds: list[Kind], end: float) -> None:
        """A few faults at a time; those that found no request in two seconds are dropped."""
        rng = random.Random(f"{SEED} faults {self.fired.total()}")
        while (left := end - time.monotonic()) > 0:
            self.simulator.faults.add(*(self.random_fault(rng, kinds) for _ in range(rng.randint(2, 6))))
            time.sleep(min(left, rng.uniform(0.5, 2.0)))
            for fault in self.simulator.faults.faults():
                self.fired[fault.action] += fault.fired
            self.simulator.faults.clear()

    @staticmethod
    def random_fault(rng: random.Random, kinds: list[Kind]) -> Fault:
        kind = rng.choice(kinds)
        actions = [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER, Action.HANG, Action.BUSY]
        if kind.if_match:
            actions.append(Action.STALE)
        return Fault(
            method=kind.method,
            path=kind.template,
            action=rng.choice(actions),
            nth=rng.randint(1, 4),
            # 401: the service has forgotten the session.
            status=rng.choice((500, 500, 500, 401)),
            seconds=rng.uniform(0.1, 1.0),
        )

    def create(self, worker: Worker) -> str:
        worker.made += 1
        name = f"soak-{worker.number}-{worker.made}"
        server = self.boot(name, flavor_id=self.flavors[0], config_drive=True, expected=None)
        worker.servers.append(server)
        status = self.idle(server)
        worker.done[f"create: {status}"] += 1
        return status

    def act(self, worker: Worker, server: dict[str, Any], action: str) -> None:
        asking = getattr(self, f"ask_{action}", None)
        try:
            if asking is not None:
                asking(worker, server)
            else:
                self.api.post_server_action(server["id"], BODIES[action])
        except ApiError as error:
            # Nova found out about the server's power in between; it attaches while the caller waits, also what is to be
            # detached later.
            code = error.response.status_code
            if code != 409 and not (action in ("attach", "detach") and code in (400, 500)):
                raise
            worker.done[f"{action}: refused"] += 1
            return
        if action == "confirm":
            # Nova says nothing of a confirmation that is under way.
            self.looker.wait(server, lambda state, _task: state != "resized")
        worker.done[f"{action}: {self.idle(server)}"] += 1
        if action == "snapshot":
            self.drop_images(f"of {server['id']}")

    def ask_resize(self, _worker: Worker, server: dict[str, Any]) -> None:
        small = self.admin_api.get_server(server["id"])["flavor"]["ram"] == 512
        self.api.post_server_action(server["id"], {"resize": {"flavorRef": self.flavors[1 if small else 0]}})

    def ask_rescue(self, _worker: Worker, server: dict[str, Any]) -> None:
        self.api.post_server_action(server["id"], {"rescue": {"rescue_image_ref": self.rescue_image_id}})

    def ask_snapshot(self, _worker: Worker, server: dict[str, Any]) -> None:
        self.api.post_server_action(server["id"], {"createImage": {"name": f"of {server['id']}"}})

    def drop_images(self, name: str) -> None:
        """A snapshot that failed may have left no image."""
        for image_id in [image["id"] for image in list(self.glance.images.values()) if image["name"] == name]:
            with contextlib.suppress(exception.ImageNotFound):
                self.glance.delete(None, image_id)

    def ask_attach(self, worker: Worker, server: dict[str, Any]) -> None:
        made = self.api.attach_interface(server["id"], {"interfaceAttachment": {"net_id": NETWORK}})
        worker.ports.setdefault(server["id"], []).append(made.body["interfaceAttachment"]["port_id"])

    def ask_detach(self, worker: Worker, server: dict[str, Any]) -> None:
        ports = worker.ports.get(server["id"])
        if not ports:
            self.ask_attach(worker, server)
            return
        self.api.detach_interface(server["id"], ports.pop())

    def remove(self, worker: Worker, server: dict[str, Any]) -> None:
        """Delete a server; one whose delete failed is kept for another try."""
        self.api.delete_server(server["id"])
        gone = self.looker.wait(server, lambda state, task: state == "deleted" or (state == "error" and task is None))
        worker.done[f"delete: {gone}"] += 1
        if gone != "ERROR":
            worker.servers.remove(server)
            worker.ports.pop(server["id"], None)

    def idle(self, server: dict[str, Any]) -> str:
        """The server's status once Nova is done with it."""
        return self.looker.wait(server, lambda state, task: task is None and state != "building")

    def states(self) -> dict[str, tuple[str, str | None]]:
        """Each server's vm_state and task_state; that of a deleted one is `deleted`."""
        found = {}
        for uuid, state, task, deleted in self.rows("SELECT uuid, vm_state, task_state, deleted FROM instances"):
            found[uuid] = ("deleted", None) if deleted else (state or "building", task)
        return found

    # Between the runs

    def fill(self) -> None:
        """Without faults every operation works: each worker has as many servers as it should, none in ERROR."""
        side_by_side((lambda worker=worker: self.fill_one(worker) for worker in self.workers), 4 * STUCK_S)
        assert sum(len(worker.servers) for worker in self.workers) == SERVERS
        self.simulator.journal.clear()

    def fill_one(self, worker: Worker) -> None:
        for server in list(worker.servers):
            if self.idle(server) == "ERROR":
                self.remove(worker, server)
                assert server not in worker.servers, f"{server['name']} does not delete"
        while len(worker.servers) < worker.limit:
            assert self.create(worker) == "ACTIVE", f"{worker.servers[-1]['name']} is in ERROR without a fault"

    def check_agreed(self) -> None:
        """Nova and the platform agree on every server, and every partition of ours is one's."""
        servers = {server["id"]: server for worker in self.workers for server in worker.servers}
        deadline = time.monotonic() + STUCK_S
        while differences := self.differences(servers):
            assert time.monotonic() < deadline, differences
            self.compute.manager._sync_power_states(context.get_admin_context())
            time.sleep(2)

    def differences(self, servers: dict[str, dict[str, Any]]) -> list[str]:
        lpars = {
            lpar["description"].removeprefix("openstack:"): lpar["state"]
            for lpar in self.state()["lpars"]
            if (lpar["description"] or "").startswith("openstack:")
        }
        found = [f"a partition of {uuid}, which is no server" for uuid in lpars.keys() - servers.keys()]
        for uuid, status in self.looker.statuses(servers.values()).items():
            server, state = servers[uuid], lpars.get(uuid)
            runs = {"running": True, "not activated": False}.get(str(state))
            if runs is None or (status != "VERIFY_RESIZE" and runs is not (status in RUNNING)):
                found.append(f"{server['name']} is {status}, its partition {state}")
        return found

    def check_calls_per_host(self) -> None:
        """What Nova does for all servers at once asks the platform about the host, not about each server."""
        admin = context.get_admin_context()
        self.until_quiet()
        self.compute.manager._sync_power_states(admin)
        self.wait_until(lambda: not self.compute.manager._syncs_in_progress, "the power sync ends")
        assert self.kinds().total() <= 2, self.kinds()
        self.simulator.journal.clear()
        self.grow_old()
        self.compute.manager.update_available_resource(admin)
        assert self.kinds().total() <= 2, self.kinds()
        self.compute.stop()
        self.simulator.journal.clear()
        began = time.monotonic()
        self.start_compute()
        print(f"nova-compute starts with {SERVERS} servers in {time.monotonic() - began:.0f} s: {self.kinds()}")
        assert self.kinds().total() <= START_BOUND, self.kinds()

    def until_quiet(self) -> None:
        """The guests are up and nothing is asked any more."""
        deadline = time.monotonic() + STUCK_S
        while True:
            self.simulator.journal.clear()
            time.sleep(2)
            if not self.calls():
                return
            assert time.monotonic() < deadline, self.kinds()

    def end_all(self) -> None:
        """Every server deletes, and nothing is left."""
        side_by_side((lambda worker=worker: self.remove_all(worker) for worker in self.workers), 4 * STUCK_S)
        # The driver itself tries again to undo a build that it could not undo at once.
        deadline = time.monotonic() + LEFTOVERS_S
        while self.leftovers() and time.monotonic() < deadline:
            time.sleep(1)
        self.check_nothing_left()

    def remove_all(self, worker: Worker) -> None:
        for server in list(worker.servers):
            self.remove(worker, server)
        assert not worker.servers, f"without faults every server deletes: {worker.servers}"

    def done(self) -> Counter[str]:
        return sum((worker.done for worker in self.workers), Counter())


def side_by_side(jobs: Iterable[Callable[[], None]], seconds: float) -> None:
    """Run the jobs, each in a thread; raises the first error."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, where the test can fail
            errors.append(error)

    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        assert errors or not thread.is_alive(), "a worker does not end"
    if errors:
        raise errors[0]


@contextlib.contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Have the log in a file of bounded size meanwhile: Nova's fixtures and pytest each keep all of it in memory."""
    path.parent.mkdir(exist_ok=True)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    handler = RotatingFileHandler(path, mode="w", maxBytes=64 << 20, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        handler.close()


def held() -> Held:
    """What this process holds now, without the memory that it could give back and what SQLite keeps of its files."""
    litedb.close_idle()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return Held(threads_by_name(), held_by_ours(), psutil.Process().memory_info().rss, sys.getallocatedblocks())


def threads_by_name() -> Counter[str]:
    """How many threads there are of each name, but for the pools, which have a size, and for short work."""
    return Counter(
        re.sub(r"\d+", "#", thread.name)
        for thread in threading.enumerate()
        if not (thread.name.startswith(("writer ", "bigiron-step")) or type(thread).__module__.startswith("futurist"))
    )


def held_by_ours() -> Counter[str]:
    """How many objects of ours and pypowervm's are alive, by class, with the entries of the containers they hold."""
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        name_of_kind = f"{kind.__module__}.{kind.__qualname__}"
        if not name_of_kind.startswith(("bigiron.", "pypowervm.")):
            continue
        names = [*getattr(each, "__dict__", ()), *getattr(kind, "__slots__", ())]
        values = [getattr(each, name, None) for name in names]
        found[name_of_kind] += 1 + sum(len(value) for value in values if isinstance(value, (dict, list, set, deque)))
    return found
