"""The compute service's start and end, and what they make of each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nova import exception, objects
from nova.virt import fake
from tests.support.memory import MemoryHypervisor
from tests.support.powervm_host import until

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


@pytest.fixture
def threads() -> Callable[[], set[threading.Thread]]:
    """Those that a test has left behind."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


def test_a_start_after_the_end_waits_for_no_platform(driver: Driver) -> None:
    driver.host.start_errors = [errors.Unavailable("the REST service does not answer")]
    driver.cleanup_host("power1")
    with pytest.raises(exception.HypervisorUnavailable, match="was stopped"):
        driver.init_host("power1")
    assert driver.host.started == 0


@pytest.mark.parametrize("when", ["start", "facts"])
def test_a_service_that_is_stopped_while_it_starts_leaves_nothing_running(
    driver: Driver, when: str, monkeypatch: pytest.MonkeyPatch, threads: Callable[[], set[threading.Thread]]
) -> None:
    step = getattr(driver.host, when)

    def stopped() -> Any:
        driver.cleanup_host("power1")
        return step()

    monkeypatch.setattr(driver.host, when, stopped)
    # Before Nova 34 the start goes on with its instances, which needs the platform.
    with pytest.raises((exception.HypervisorUnavailable, exception.VirtDriverNotReady)):
        driver.init_host("power1")
    assert driver.host.started == 1 and driver.host.stopped
    with pytest.raises(exception.VirtDriverNotReady):
        assert driver.started
    until(lambda: not threads())


def test_a_start_that_fails_late_leaves_nothing_running(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, threads: Callable[[], set[threading.Thread]]
) -> None:
    def facts() -> Any:
        raise errors.Busy("the host is not read yet")

    monkeypatch.setattr(driver.host, "facts", facts)
    with pytest.raises(errors.Busy):
        driver.init_host("power1")
    assert driver.host.stopped == 1
    with pytest.raises(exception.VirtDriverNotReady):
        assert driver.started
    until(lambda: not threads())
