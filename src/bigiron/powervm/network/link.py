"""The network agent's connection to a system: the session and the event stream, and nothing kept in memory.

`connect.connect` is the compute side's: it keeps every LPAR and VIOS current, which an agent has no use for.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from pypowervm.adapter import Adapter
from pypowervm.helpers.vios_busy import vios_busy_retry_helper

from bigiron.powervm.connect import log_on, only_system
from bigiron.powervm.events import EventLoop
from bigiron.powervm.network.vif_events import post_wired
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Journal, PowerVMSession


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """A started connection; `open_link` makes it, `close` ends it."""

    session: PowerVMSession
    adapter: Adapter
    events: EventLoop
    system_uuid: str
    system_name: str

    def announce_wired(self, ports: Collection[str]) -> None:
        """Tell the compute side, over the platform's event stream, that the adapters of these ports carry traffic."""
        post_wired(self.adapter, self.system_uuid, ports)

    def close(self) -> None:
        """Stop the event thread and log off; safe to call twice."""
        self.events.stop()
        self.session.close()


def open_link(
    options: PowerVMOptions, journal: Journal | None = None, stopping: threading.Event | None = None
) -> NetworkLink:
    """Log on and subscribe to events; waits and raises as `connect.connect` does."""
    session = log_on(options, journal, stopping or threading.Event())
    adapter = Adapter(session, helpers=[vios_busy_retry_helper])
    events = EventLoop(adapter)
    try:
        # Subscribed before anything is read, so that no change can fall in between.
        events.start()
        system = only_system(adapter)
    except BaseException:
        events.stop()
        session.close()
        raise
    return NetworkLink(session, adapter, events, str(system.uuid), str(system.system_name))
