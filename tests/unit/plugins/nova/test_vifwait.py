"""Waiting for ports: expected before the first adapter, awaited after the last, and given up as Nova's options say.

The network agent's own word ends the wait before Neutron's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception

from bigiron.hypervisor import NICS_READY, Values, nic_plugged
from bigiron.model import NicSpec
from bigiron.plugins.nova.vifwait import VifWait, Wires

NIC = NicSpec(id="port-1", mac="fa:16:3e:00:00:01", vif_type="pvm_sea")
INSTANCE = SimpleNamespace(uuid="instance")
LONG_S = 20


class Virtapi:
    """Nova's side: notes what is expected, waits for `events`, and fails the wait when told to."""

    def __init__(self, failure: Exception | None = None, failed_port: bool = False) -> None:
        self.failure = failure
        self.failed_port = failed_port
        self.expected: list[Any] = []
        self.events = threading.Event()
        self.events.set()
        self.waited = False
        self.aborted = False
        self.ended = threading.Event()

    @contextlib.contextmanager
    def wait_for_instance_event(
        self, instance: Any, events: Any, timeout: int = 300, error_callback: Any = None
    ) -> Iterator[None]:
        self.expected = list(events)
        try:
            yield
            assert self.events.wait(LONG_S)
            self.waited = True
            if self.failed_port:
                error_callback("network-vif-plugged-port-1", instance)
            if self.failure:
                raise self.failure
        finally:
            self.aborted = not self.waited
            self.ended.set()


def wait_for(
    virtapi: Virtapi, active: bool = False, timeout_s: int = 300, fatal: bool = True, wires: Wires | None = None
) -> VifWait:
    return VifWait(virtapi, INSTANCE, [{"id": "port-1", "active": active}], [NIC], timeout_s, fatal, wires or Wires())


def test_it_waits_after_every_adapter_and_before_power_on() -> None:
    step = wait_for(Virtapi())
    assert step.needs == (nic_plugged(NIC),)
    assert step.provides is NICS_READY


def test_ports_that_are_not_up_are_expected_before_and_awaited_in_the_step() -> None:
    virtapi = Virtapi()
    with wait_for(virtapi) as step:
        assert virtapi.expected == [("network-vif-plugged", "port-1")]
        assert not virtapi.waited
        step.execute(Values({}))
        assert virtapi.waited


@pytest.mark.parametrize(("active", "timeout_s"), [(True, 300), (False, 0)])
def test_nothing_is_awaited_of_a_port_that_is_up_or_without_a_time_out(active: bool, timeout_s: int) -> None:
    virtapi = Virtapi()
    with wait_for(virtapi, active, timeout_s) as step:
        step.execute(Values({}))
    assert virtapi.expected == []


def test_a_port_that_stays_down_fails_the_build_when_that_is_fatal() -> None:
    with (
        pytest.raises(exception.VirtualInterfaceCreateException),
        wait_for(Virtapi(exception.InstanceEventTimeout())) as step,
    ):
        step.execute(Values({}))


def test_a_port_that_stays_down_is_passed_over_when_that_is_not_fatal() -> None:
    virtapi = Virtapi(exception.InstanceEventTimeout(), failed_port=True)
    with wait_for(virtapi, fatal=False) as step:
        step.execute(Values({}))
    assert virtapi.waited


def test_a_port_that_neutron_reports_failed_fails_the_build() -> None:
    with pytest.raises(exception.VirtualInterfaceCreateException), wait_for(Virtapi(failed_port=True)) as step:
        step.execute(Values({}))


def test_an_operation_that_fails_before_the_step_ends_the_wait_at_once() -> None:
    virtapi = Virtapi()
    with pytest.raises(RuntimeError, match="no disk"), wait_for(virtapi):
        raise RuntimeError("no disk")
    assert virtapi.ended.wait(LONG_S)
    assert virtapi.aborted
    assert not virtapi.waited


def test_the_agents_word_ends_the_wait_while_nova_still_expects_neutrons() -> None:
    virtapi, wires = Virtapi(), Wires()
    virtapi.events.clear()
    with wait_for(virtapi, wires=wires) as step:
        wires.ready("port-9")
        wires.ready("port-1")
        step.execute(Values({}))
    assert not virtapi.ended.is_set()
    virtapi.events.set()
    assert virtapi.ended.wait(LONG_S)
    assert virtapi.waited


def test_the_agents_word_on_another_port_ends_no_wait() -> None:
    virtapi, wires = Virtapi(), Wires()
    virtapi.events.clear()
    with wait_for(virtapi, wires=wires) as step:
        wires.ready("port-9")
        waiting = threading.Thread(target=step.execute, args=(Values({}),))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        virtapi.events.set()
        waiting.join(LONG_S)
    assert virtapi.waited


def test_what_nova_gives_up_after_the_agents_word_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    virtapi, wires = Virtapi(failed_port=True), Wires()
    virtapi.events.clear()
    with wait_for(virtapi, wires=wires) as step:
        wires.ready("port-1")
        step.execute(Values({}))
    virtapi.events.set()
    assert virtapi.ended.wait(LONG_S)
    assert "Neutron reported a failure" not in caplog.text
