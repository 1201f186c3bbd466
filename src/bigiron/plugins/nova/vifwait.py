"""Waits for Neutron to report the ports up: from before the first adapter is made until after the last one is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from nova import exception
from oslo_log import log as logging

from bigiron.hypervisor import NICS_READY, Step, Values, nic_plugged
from bigiron.model import NicSpec

LOG = logging.getLogger(__name__)

_PLUGGED = "network-vif-plugged"


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
    ) -> None:
        self.needs = tuple(nic_plugged(nic) for nic in nics)
        self._instance = instance
        self._fatal = fatal
        self._timeout_s = timeout_s
        self._events = [(_PLUGGED, vif["id"]) for vif in network_info if not vif.get("active", True)]
        self._waiting: contextlib.ExitStack | None = None
        self._virtapi = virtapi

    def __enter__(self) -> VifWait:
        stack = contextlib.ExitStack()
        if self._events and self._timeout_s:
            stack.enter_context(
                self._virtapi.wait_for_instance_event(
                    self._instance, self._events, timeout=self._timeout_s, error_callback=self._port_failed
                )
            )
        self._waiting = stack
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        stack, self._waiting = self._waiting, None
        if stack is not None:
            # The step never ran. Nova's context manager ends without waiting when an error passes through it.
            stack.__exit__(kind, error, tb)

    def execute(self, values: Values) -> None:
        stack, self._waiting = self._waiting, None
        if stack is None:
            return
        try:
            stack.close()
        except exception.InstanceEventTimeout as error:
            ports = ", ".join(tag for _, tag in self._events)
            LOG.warning(
                "ports %s were not all reported up within %d s (vif_plugging_timeout); is the network agent running?",
                ports,
                self._timeout_s,
                instance=self._instance,
            )
            if self._fatal:
                raise exception.VirtualInterfaceCreateException() from error

    def _port_failed(self, event_name: str, instance: Any) -> bool:
        """Nova calls this when Neutron reports that a port could not be plugged."""
        LOG.error("Neutron reported a failure: %s", event_name, instance=instance)
        if self._fatal:
            raise exception.VirtualInterfaceCreateException()
        return True
