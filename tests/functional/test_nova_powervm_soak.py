"""Many servers made, used and deleted at once for a long time, while requests to the platform fail at random.

BIGIRON_SOAK_SECONDS sets how long (600), BIGIRON_SOAK_SEED which faults and operations; a failure names its seed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import re
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
from nova import context
from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.sim.kernel.faults import Action, Fault

SECONDS = float(os.environ.get("BIGIRON_SOAK_SECONDS", "600"))
SEED = os.environ.get("BIGIRON_SOAK_SEED") or secrets.token_hex(4)
WORKERS = 4
SERVERS_EACH = 7
POLL_S = 0.2
STUCK_S = 120
LEFTOVERS_S = 180
MOST_MORE_HELD = 300
"""Objects, and entries of their containers: a leak of one for each operation would be more."""
MOST_RSS_PER_OPERATION = 1 << 20
"""Of the whole process, where Nova's database is in memory and the fixtures and pytest each keep the whole log."""

BOUNDED = re.compile(r"bigiron\.sim\.(powervm\.(rest\.renderings|rest\.atom|jobs|session)|kernel\.(journal|serving))\.")
"""The simulator keeps the last of these: up to a limit of their own, for some time, or one for each of its threads."""

STATUS = {"running": "ACTIVE", "not activated": "SHUTOFF"}
ACTIONS: dict[str, dict[str, Any]] = {
    "stop": {"os-stop": None},
    "start": {"os-start": None},
    "soft reboot": {"reboot": {"type": "SOFT"}},
    "hard reboot": {"reboot": {"type": "HARD"}},
}
POSSIBLE = {"ACTIVE": ("stop", "soft reboot", "hard reboot", "delete"), "SHUTOFF": ("start", "start", "delete")}

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

    rng: random.Random
    servers: list[dict[str, Any]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    made: int = 0


class Soak(PowerVMCloud):
    """On a shared storage pool; each server has a port, the management adapter and a config drive."""

    @pytest.mark.full
    @pytest.mark.long
    @pytest.mark.timeout(int(SECONDS) + 2 * STUCK_S + 2 * LEFTOVERS_S + 300)
    def test_many_servers_under_faults(self) -> None:
        self.flavor_id = self.make_flavor(memory_mb=512)
        self.workers = [Worker(random.Random(f"{SEED} worker {number}")) for number in range(WORKERS)]
        self.fired: Counter[str] = Counter()
        try:
            self.soak()
        except BaseException as error:
            error.add_note(f"BIGIRON_SOAK_SEED={SEED}; operations {self.done()}; faults {dict(self.fired)}")
            raise

    def soak(self) -> None:
        kinds = self.kinds_of_one_life()
        # Pools of threads grow to their size and caches fill; what grows from then on is a leak.
        self.run_under_faults(kinds, SECONDS / 5)
        self.end_all()
        threads, held, rss, done = self.threads(), held_by_ours(), psutil.Process().memory_info().rss, self.done()
        self.run_under_faults(kinds, SECONDS * 4 / 5)
        self.end_all()
        operations = (self.done() - done).total()
        more_threads, more_held = self.threads() - threads, held_by_ours() - held
        more_rss = psutil.Process().memory_info().rss - rss
        print(f"seed {SEED}: {dict(self.done())}, faults {dict(self.fired)}")
        print(f"for {operations} operations {more_rss >> 10} KB more; threads {threads.total()}, more: {more_threads}")
        print(f"held {held.total()}, more: {more_held.most_common(8)}")
        assert self.fired.total() >= operations / 20, "hardly any fault fired"
        assert not more_threads, more_threads
        assert more_held.total() <= MOST_MORE_HELD, more_held.most_common(8)
        assert more_rss <= MOST_RSS_PER_OPERATION * operations, f"{more_rss >> 10} KB for {operations} operations"

    # Work

    def kinds_of_one_life(self) -> list[Kind]:
        """Every kind of request that a server's life is made of."""
        self.simulator.journal.clear()
        worker = self.workers[0]
        self.create(worker)
        (server,) = worker.servers
        for action in ("soft reboot", "stop", "start", "hard reboot"):
            self.act(worker, server, action)
        self.remove(worker, server)
        assert not worker.servers
        entries = self.simulator.journal.entries()
        assert all(entry.status < 400 for entry in entries if entry.method != "GET")
        found = {Kind(entry.method, entry.template, entry.if_match) for entry in entries}
        return sorted(found, key=lambda kind: (kind.method, kind.template, kind.if_match))

    def run_under_faults(self, kinds: list[Kind], seconds: float) -> None:
        """Let the workers work and requests fail for so long; afterwards nothing is under way and no fault planned."""
        end = time.monotonic() + seconds
        errors: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised again below, where the test can fail
                errors.append(error)

        jobs: list[Callable[[], None]] = [lambda worker=worker: self.work(worker, end) for worker in self.workers]
        jobs.append(lambda: self.plan_faults(kinds, end))
        threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 2 * STUCK_S)
            assert errors or not thread.is_alive(), "a worker does not end"
        self.simulator.faults.clear()
        if errors:
            raise errors[0]

    def work(self, worker: Worker, end: float) -> None:
        while time.monotonic() < end:
            if len(worker.servers) < SERVERS_EACH:
                self.create(worker)
                continue
            server = worker.rng.choice(worker.servers)
            status = self.idle(server)["status"]
            action = worker.rng.choice(POSSIBLE.get(status, ("delete",)))
            if action == "delete":
                self.remove(worker, server)
            else:
                self.act(worker, server, action)

    def plan_faults(self, kinds: list[Kind], end: float) -> None:
        """A few faults at a time; those that found no request in two seconds are dropped."""
        rng = random.Random(f"{SEED} faults {self.fired.total()}")
        while (left := end - time.monotonic()) > 0:
            for _ in range(rng.randint(2, 6)):
                self.simulator.faults.add(self.random_fault(rng, kinds))
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

    def create(self, worker: Worker) -> None:
        worker.made += 1
        name = f"soak-{self.workers.index(worker)}-{worker.made}"
        server = self.boot(name, flavor_id=self.flavor_id, config_drive=True, expected=None)
        worker.servers.append(server)
        deadline = time.monotonic() + STUCK_S
        while (current := self.idle(server))["status"] not in ("ACTIVE", "ERROR"):
            assert time.monotonic() < deadline, f"server {name} stays {current['status']}"
        worker.done[f"create: {current['status']}"] += 1

    def act(self, worker: Worker, server: dict[str, Any], action: str) -> None:
        try:
            self.api.post_server_action(server["id"], ACTIONS[action])
        except ApiError as error:
            # Nova found out about the server's power in between.
            if error.response.status_code != 409:
                raise
            return
        worker.done[f"{action}: {self.idle(server)['status']}"] += 1

    def remove(self, worker: Worker, server: dict[str, Any]) -> None:
        """Delete a server; one whose delete failed is kept for another try."""
        self.api.delete_server(server["id"])
        deadline = time.monotonic() + STUCK_S
        with contextlib.suppress(base.api_client.OpenStackApiNotFoundException):
            while True:
                current = self.admin_api.get_server(server["id"])
                if current["status"] == "ERROR" and current["OS-EXT-STS:task_state"] is None:
                    worker.done["delete: ERROR"] += 1
                    return
                assert time.monotonic() < deadline, f"server {server['name']} is not deleted: {current}"
                time.sleep(POLL_S)
        worker.done["delete: gone"] += 1
        worker.servers.remove(server)

    def idle(self, server: dict[str, Any]) -> dict[str, Any]:
        """The server once Nova is done with it."""
        deadline = time.monotonic() + STUCK_S
        while True:
            current = dict(self.admin_api.get_server(server["id"]))
            if current["OS-EXT-STS:task_state"] is None and current["status"] != "BUILD":
                return current
            assert time.monotonic() < deadline, f"server {server['name']} is stuck: {current}"
            time.sleep(POLL_S)

    # Between the runs

    def end_all(self) -> None:
        """Nova and the platform agree on every server, every server deletes, and nothing is left."""
        servers = [server for worker in self.workers for server in worker.servers]
        self.compute.manager._sync_power_states(context.get_admin_context())
        for server in servers:
            self.check_agreed(server)
        for worker in self.workers:
            for server in list(worker.servers):
                self.remove(worker, server)
            assert not worker.servers, f"without faults every server deletes: {worker.servers}"
        # The driver itself tries again to undo a build that it could not undo at once.
        deadline = time.monotonic() + LEFTOVERS_S
        while self.leftovers() and time.monotonic() < deadline:
            time.sleep(1)
        self.check_nothing_left()
        self.simulator.journal.clear()

    def check_agreed(self, server: dict[str, Any]) -> None:
        deadline = time.monotonic() + STUCK_S
        while (current := self.idle(server))["status"] != "ERROR":
            state = self.lpar_of(server)["state"]
            if STATUS.get(state) == current["status"]:
                return
            assert time.monotonic() < deadline, f"{server['name']} is {current['status']}, its partition {state}"
            time.sleep(POLL_S)

    def done(self) -> Counter[str]:
        return sum((worker.done for worker in self.workers), Counter())

    @staticmethod
    def threads() -> Counter[str]:
        """How many threads there are of each name, but for the pools, which have a size, and for short work."""
        gc.collect()
        return Counter(
            re.sub(r"\d+", "#", thread.name)
            for thread in threading.enumerate()
            if not (
                thread.name.startswith(("writer ", "bigiron-step")) or type(thread).__module__.startswith("futurist")
            )
        )


def held_by_ours() -> Counter[str]:
    """How many objects of ours and pypowervm's are alive, by class, with the entries of the containers they hold."""
    gc.collect()
    held: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        name_of_kind = f"{kind.__module__}.{kind.__qualname__}"
        if not name_of_kind.startswith(("bigiron.", "pypowervm.")) or BOUNDED.match(name_of_kind):
            continue
        names = [*getattr(each, "__dict__", ()), *getattr(kind, "__slots__", ())]
        values = [getattr(each, name, None) for name in names]
        held[name_of_kind] += 1 + sum(len(value) for value in values if isinstance(value, (dict, list, set, deque)))
    return held
