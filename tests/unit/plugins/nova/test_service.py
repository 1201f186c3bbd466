"""The compute service's start and end, and what they make of each other."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nova import exception, objects
from nova.virt import fake
from tests.support.memory import MemoryHypervisor

from bigiron import errors
from bigiron.hypervisor import Step, Values
from bigiron.plugins.nova import flows
from bigiron.plugins.nova.driver import BigironDriver


class Driver(BigironDriver):
    """A driver of a platform in memory."""

    def __init__(self, host: MemoryHypervisor, folder: Path) -> None:
        super().__init__(fake.FakeVirtAPI())
        self.host = host
        self.folder = folder

    def make_hypervisor(self) -> MemoryHypervisor:
        return self.host

    def image_folder(self) -> Path:
        return self.folder

    def start_timeout_s(self) -> float:
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    def new(*_args: Any) -> Any:
        raise exception.ComputeHostNotFound(host="power1")

    monkeypatch.setattr(objects.Service, "get_by_compute_host", new)
    monkeypatch.setattr(objects.InstanceList, "get_by_host", lambda *_args: [])
    return Driver(MemoryHypervisor(), tmp_path)


class Full(ThreadPoolExecutor):
    """All its threads are at work when a step is handed over, and until the service has ended."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(1)
        self._driver = driver
        self._ended = threading.Event()
        super().submit(self._ended.wait)

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        queued = super().submit(*args, **kwargs)
        self._driver.cleanup_host("power1")
        self._ended.set()
        return queued


class Asks(Step):
    """Needs the platform."""

    name = "asks"

    def __init__(self, host: MemoryHypervisor) -> None:
        self._host = host

    def execute(self, values: Values) -> None:
        if self._host.stopped:
            raise errors.Unavailable("the platform is not started")


def test_an_operation_whose_step_still_waits_ends_with_the_service(driver: Driver) -> None:
    driver.init_host("power1")
    pool = Full(driver)
    driver._started = replace(driver.started, executor=pool)
    raised: list[BaseException] = []

    def operate() -> None:
        try:
            flows.run("spawn web", [Asks(driver.host)], pool)
        except errors.Unavailable as error:
            raised.append(error)

    operation = threading.Thread(target=operate, daemon=True)
    operation.start()
    operation.join(10)
    assert not operation.is_alive()
    assert raised and driver.host.stopped
