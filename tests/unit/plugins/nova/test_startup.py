"""Starting with the platform: waiting where that helps, saying what to change where it does not."""

from __future__ import annotations

import logging
import threading

import pytest
from nova import exception
from tests.support.memory import FACTS, MemoryHypervisor

from bigiron import errors
from bigiron.plugins.nova import startup


class NeverWaits(threading.Event):
    """An Event whose waits end at once, and are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return self.is_set()


def test_a_service_that_is_down_is_waited_for_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    host = MemoryHypervisor()
    host.start_errors = [errors.Unavailable("the REST service at hmc:12443 does not answer")] * 6
    clock = NeverWaits()
    with caplog.at_level(logging.WARNING):
        startup.start(host, 0, clock)
    assert host.started == 1
    assert clock.pauses == [1, 2, 4, 8, 15, 15]
    assert caplog.text.count("the REST service at hmc:12443 does not answer") == 6


@pytest.mark.parametrize(
    "error", [errors.Busy("HTTP 503"), errors.Timeout("no answer in time"), errors.PlatformError("HTTP 500")]
)
def test_a_service_that_is_still_coming_up_is_waited_for(error: errors.PlatformError) -> None:
    host = MemoryHypervisor()
    host.start_errors = [error]
    startup.start(host, 0, NeverWaits())
    assert host.started == 1


def test_waiting_ends_when_the_time_is_up() -> None:
    host = MemoryHypervisor()
    host.start_errors = [errors.Unavailable("the REST service does not answer")] * 99
    with pytest.raises(exception.HypervisorUnavailable, match="does not answer"):
        startup.start(host, 0.5, NeverWaits())


def test_waiting_ends_when_the_service_is_stopped() -> None:
    host = MemoryHypervisor()
    host.start_errors = [errors.Unavailable("down")] * 99
    stopping = NeverWaits()
    stopping.set()
    with pytest.raises(exception.HypervisorUnavailable, match="stopped"):
        startup.start(host, 0, stopping)


@pytest.mark.parametrize("error", [errors.AuthError("check rest_password"), errors.InvalidSpec("check cluster_name")])
def test_what_waiting_cannot_mend_ends_the_start_with_the_fix(error: errors.PlatformError) -> None:
    host = MemoryHypervisor()
    host.start_errors = [error]
    with pytest.raises(exception.InvalidConfiguration, match=error.message):
        startup.start(host, 0, NeverWaits())


def test_the_report_says_what_there_is_and_what_is_free() -> None:
    text = startup.report(FACTS)
    assert "PowerVM host power1 (9105-22A, ppc64le) is ready" in text
    assert "65536 MB in blocks of 256 MB, 8192 MB reserved, 57344 MB free" in text
    assert "processors 8.00, 1.00 reserved, 7.00 free" in text
    assert "disk 500 GB, 490 GB free" in text
