"""nova-compute dies in the middle of a spawn: when it is back, nothing of that build is left on the platform."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.functional import base
from tests.functional.powervm import PowerVMCloud

from bigiron.model import GuestSpec
from bigiron.plugins.nova import conf
from bigiron.plugins.nova.driver import BigironDriver
from bigiron.sim.kernel.faults import Action, Fault

ROOT = Path(__file__).parents[2]
HANG_S = 3.0


class Killed(PowerVMCloud):
    """The steps of the spawn run in a process that is killed, the rest of Nova lives on."""

    def spawn_in_child(self, instance: Any, spec: GuestSpec) -> None:
        """What Nova's spawn does here: runs the steps in a child, and never returns while the test needs that."""
        image = spec.disks[0].image
        assert image is not None
        path = self.scratch / f"{image.id}.raw"
        path.write_bytes(image.open().read())
        options = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(conf.to_options(base.CONF)).items()
        }
        request = {
            "options": options,
            "uuid": spec.uuid,
            "name": spec.name,
            "memory_mb": spec.memory_mb,
            "image_id": image.id,
            "image": str(path),
            "nics": [{**dataclasses.asdict(nic), "details": dict(nic.details)} for nic in spec.nics],
        }
        self.child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.support.spawner"],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(request))
        self.child.stdin.close()
        self.spawning.set()
        self.release.wait(120)
        raise AssertionError("the process that would raise this is dead")

    def test_what_a_killed_process_left_is_removed(self) -> None:
        for number, (method, template) in enumerate(
            (
                ("PUT", "/rest/api/uom/ManagedSystem/{uuid}/LogicalPartition"),
                ("PUT", "/rest/api/uom/LogicalPartition/{uuid}/ClientNetworkAdapter"),
                ("PUT", "/rest/api/uom/Tier/{uuid}/LogicalUnit"),
                ("POST", "/rest/api/uom/VirtualIOServer/{uuid}"),
                ("PUT", "/rest/api/uom/LogicalPartition/{uuid}/do/PowerOn"),
            )
        ):
            with self.subTest(f"killed at {method} {template}"):
                self.kill_at(number, method, template)

    def kill_at(self, number: int, method: str, template: str) -> None:
        self.spawning, self.release = threading.Event(), threading.Event()
        fault = self.simulator.faults.add(Fault(method=method, path=template, action=Action.HANG, seconds=HANG_S))
        original = BigironDriver._run_spawn
        BigironDriver._run_spawn = lambda driver, instance, spec, *_: self.spawn_in_child(instance, spec)  # type: ignore[method-assign]
        try:
            server = self.boot(f"web-{number}", config_drive=True, expected=None)
            assert self.spawning.wait(60)
            self.wait_until(lambda: self.fired(fault.id), f"{method} {template} in the child")
        finally:
            BigironDriver._run_spawn = original  # type: ignore[method-assign]
        self.child.kill()
        self.child.wait(10)
        # What the child had asked for still takes effect, as it does on a real system.
        self.wait_until(lambda: self.answered(template), "the request that hung is answered")
        self.simulator.faults.clear()
        self.compute.stop()
        self.start_compute()
        try:
            assert self.admin_api.get_server(server["id"])["status"] == "ERROR"
            self.check_nothing_left()
        finally:
            self.release.set()
        self.delete(server)
        self.delete(self.boot(f"next-{number}", config_drive=True))
        self.check_nothing_left()

    def fired(self, fault_id: int) -> bool:
        return any(fault.id == fault_id and fault.fired for fault in self.simulator.faults.faults())

    def answered(self, template: str) -> bool:
        return any(entry.template == template and entry.fault for entry in self.simulator.journal.entries())

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + base.SETTLE_S
        while not holds():
            if self.child.poll() not in (None, 0, -9) and self.child.stderr is not None:
                raise AssertionError(f"the child ended: {self.child.stderr.read()[-3000:]}")
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.02)
