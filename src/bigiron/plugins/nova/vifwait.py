"""Waits for the ports of a guest: from before the first adapter is made until after the last one is.

Two sources say that a port is up. Neutron's event reaches Nova in any case, but Neutron gathers its events for a second
or two. The platform's network agent may answer at once that the port is wired; the guest then need not wait longer.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent import futures
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from nova import exception
from oslo_log import log as logging

from bigiron.hypervisor import NICS_READY, Step, Values, nic_plugged
from bigiron.model import NicSpec

LOG = logging.getLogger(__name__)

_PLUGGED = "network-vif-plugged"


class Wires:
    """Hears of the ports that the network agent has wired, and tells those who wait for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[set[str], futures.Future[None]]] = []

    def ready(self, port: str) -> None:
        """The port is wired; called by the platform."""
        with self._lock:
            for missing, _ in self._waiting:
                missing.discard(port)
            done = [entry for entry in self._waiting if not entry[0]]
            self._waiting = [entry for entry in self._waiting if entry[0]]
        for _, future in done:
            future.set_result(None)

    def all_of(self, ports: Collection[str]) -> futures.Future[None]:
        """What is done once each of the ports was wired, from now on."""
        future: futures.Future[None] = futures.Future()
        with self._lock:
            self._waiting.append((set(ports), future))
        return future

    def forget(self, future: futures.Future[None]) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._waiting = [entry for entry in self._waiting if entry[1] is not future]


class _Abandoned(Exception):
    """The operation failed before there was anything to wait for."""


class VifWait(Step):
    """Entered before an operation's steps start, as events may come as soon as an adapter exists; itself the step
    that waits once all adapters do.

    With `fatal`, a port that is not up in time or that failed raises VirtualInterfaceCreateException; else the guest
    starts all the same, as Nova's vif_plugging_is_fatal asks. A time-out of 0 waits for nothing.
    """

    name = "wait for the network"
    provides = NICS_READY

    def __init__(
        self,
        virtapi: Any,
        instance: Any,
        network_info: Iterable[Mapping[str, Any]],
        nics: Iterable[NicSpec],
        timeout_s: int,
        fatal: bool,
        wires: Wires,
    ) -> None:
        self.needs = tuple(nic_plugged(nic) for nic in nics)
        self._instance = instance
        self._fatal = fatal
        self._timeout_s = timeout_s
        self._ports = [vif["id"] for vif in network_info if not vif.get("active", True)] if timeout_s else []
        self._virtapi = virtapi
        self._wires = wires
        self._wired: futures.Future[None] = futures.Future()
        self._told: futures.Future[None] = futures.Future()
        self._adapters_made = threading.Event()
        self._abandoned = False

    def __enter__(self) -> VifWait:
        if self._ports:
            self._wired = self._wires.all_of(self._ports)
            expecting: futures.Future[None] = futures.Future()
            threading.Thread(target=self._hear, args=(expecting,), name="bigiron-vif-wait", daemon=True).start()
            expecting.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._wires.forget(self._wired)
        if not self._adapters_made.is_set():
            # The step never ran: nobody waits for these ports.
            self._abandoned = True
            self._adapters_made.set()

    def execute(self, values: Values) -> None:
        self._adapters_made.set()
        if not self._ports:
            return
        futures.wait((self._wired, self._told), return_when=futures.FIRST_COMPLETED)
        if self._told.done():
            self._told.result()

    def _hear(self, expecting: futures.Future[None]) -> None:
        """Wait for Neutron's events, in a thread of its own: Nova must be waiting for them even after the guest is not,
        or it would take them for unexpected ones."""
        try:
            with self._expected():
                expecting.set_result(None)
                self._adapters_made.wait()
                if self._abandoned:
                    raise _Abandoned
        except _Abandoned:
            return
        except exception.InstanceEventTimeout as error:
            self._timed_out(error)
        except Exception as error:  # noqa: BLE001 - raised again in whoever waits
            (self._told if expecting.done() else expecting).set_exception(error)
        else:
            self._told.set_result(None)

    def _expected(self) -> AbstractContextManager[None]:
        waiting: AbstractContextManager[None] = self._virtapi.wait_for_instance_event(
            self._instance,
            [(_PLUGGED, port) for port in self._ports],
            timeout=self._timeout_s,
            error_callback=self._port_failed,
        )
        return waiting

    def _timed_out(self, error: Exception) -> None:
        LOG.warning(
            "ports %s were not all reported up within %d s (vif_plugging_timeout); is the network agent running?",
            ", ".join(self._ports),
            self._timeout_s,
            instance=self._instance,
        )
        if self._fatal:
            failure = exception.VirtualInterfaceCreateException()
            failure.__cause__ = error
            self._told.set_exception(failure)
        else:
            self._told.set_result(None)

    def _port_failed(self, event_name: str, instance: Any) -> bool:
        """Nova calls this when Neutron reports that a port could not be plugged, and when it gives up waiting."""
        if self._wired.done():
            LOG.debug("no longer waited for: %s", event_name, instance=instance)
            return True
        LOG.error("Neutron reported a failure: %s", event_name, instance=instance)
        if self._fatal:
            raise exception.VirtualInterfaceCreateException()
        return True
