"""Starting the platform with nova-compute: waits for it where waiting can help, and reports what it found."""

from __future__ import annotations

import threading
import time

from nova import exception
from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import Hypervisor
from bigiron.model import HostFacts

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0


def start(hypervisor: Hypervisor, timeout_s: float, stopping: threading.Event) -> None:
    """Start the platform, waiting while it does not answer; 0 waits for ever.

    Raises InvalidConfiguration, with the option and the fix in its message, where waiting cannot help, and
    HypervisorUnavailable when the time is up.
    """
    begun = time.monotonic()
    pause = _FIRST_PAUSE_S
    while True:
        try:
            hypervisor.start()
            return
        except (errors.AuthError, errors.InvalidSpec, errors.Unsupported) as error:
            LOG.error("nova-compute cannot start: %s", error)
            raise exception.InvalidConfiguration(error.message) from error
        except errors.PlatformError as error:
            # A service that comes up takes logons before it answers for its resources, and gives errors for them.
            waited = time.monotonic() - begun
            if timeout_s and waited + pause > timeout_s:
                LOG.error("nova-compute cannot start: %s", error)
                raise exception.HypervisorUnavailable(error.message) from error
            LOG.warning("waiting for the platform since %.0f s: %s", waited, error)
        if stopping.wait(pause):
            raise exception.HypervisorUnavailable("nova-compute was stopped while it waited for the platform")
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def report(facts: HostFacts) -> str:
    """What the host is and has, for the log of a start."""
    free_memory_mb = facts.memory_mb - facts.memory_reserved_mb - facts.memory_used_mb
    free_processors = facts.processors - facts.processors_reserved - facts.processors_used
    lines = [
        f"{facts.hypervisor} host {facts.hostname} ({facts.model}, {facts.architecture}) is ready:",
        f"memory {facts.memory_mb} MB in blocks of {facts.memory_unit_mb} MB, {facts.memory_reserved_mb} MB reserved, "
        f"{free_memory_mb} MB free",
        f"processors {facts.processors:.2f}, {facts.processors_reserved:.2f} reserved, {free_processors:.2f} free",
        f"disk {facts.disk_gb} GB, {facts.disk_gb - facts.disk_used_gb} GB free",
        f"instances {facts.guests}",
        *(f"{name} {value}" for name, value in sorted(facts.details.items())),
    ]
    return "\n  ".join(lines)
