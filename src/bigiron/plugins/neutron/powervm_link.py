"""What the PowerVM agents have of the platform in common: the connection, and the answer to who waits for adapters."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.plugins import powervm_rest
from bigiron.powervm.network.link import NetworkLink, open_link
from bigiron.powervm.options import PowerVMOptions
from bigiron.powervm.session import Journal

LOG = logging.getLogger(__name__)

_MAX_PARALLEL = 8


class Connected(Protocol):
    """The platform side of an agent that has passed its start-up checks."""

    @property
    def link(self) -> NetworkLink: ...


def link(options: cfg.ConfigOpts, stopping: threading.Event, journal: Journal | None) -> NetworkLink:
    """Connect to the system that [powervm] names; raises PlatformError."""
    return open_link(PowerVMOptions(**powervm_rest.values(options), max_parallel=_MAX_PARALLEL), journal, stopping)


def announcer(host: Connected) -> Callable[[Sequence[str]], None]:
    """What tells waiting guests over the platform that their ports carry traffic; what it cannot do it logs."""

    def announce(ports: Sequence[str]) -> None:
        try:
            host.link.announce_wired(ports)
        except PlatformError as error:
            LOG.warning("Who waits for ports %s hears of them later, from Neutron: %s", ", ".join(ports), error)

    return announce
