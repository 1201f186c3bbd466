"""Takes this host's compute service out of scheduling while the platform does not answer, and puts it back.

Nova's own sign of it is a disabled service, with the trait COMPUTE_STATUS_DISABLED on its resource provider. What an
operator has disabled stays disabled.
"""

from __future__ import annotations

import threading
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

REASON = "AUTO: the platform's REST service does not answer"
"""Why the service is disabled, and the mark by which it is known to be our doing."""

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0


class Availability:
    """The compute service's record of one host, changed from a thread of its own: Nova may be slow to answer, or away
    just when the platform is."""

    def __init__(self, virtapi: Any, host: str, first_pause_s: float = _FIRST_PAUSE_S) -> None:
        self._virtapi = virtapi
        self._host = host
        self._first_pause_s = first_pause_s
        self._changed = threading.Condition()
        self._wanted: bool | None = None
        """What is still to be recorded."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bigiron-availability", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def changed(self, reachable: bool) -> None:
        """The platform answers again, or does not any more."""
        with self._changed:
            self._wanted = reachable
            self._changed.notify_all()

    def stop(self) -> None:
        """Change nothing more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _run(self) -> None:
        pause = self._first_pause_s
        while (reachable := self._next()) is not None:
            if self._record(reachable):
                pause = self._first_pause_s
            elif self._again(reachable, pause):
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _next(self) -> bool | None:
        """What is to be recorded, or None to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._wanted is not None)
            reachable, self._wanted = self._wanted, None
            return None if self._stopping else reachable

    def _again(self, reachable: bool, pause: float) -> bool:
        """Wait before that is tried again; False where the platform has changed in the meantime."""
        with self._changed:
            if self._wanted is not None:
                return False
            self._wanted = reachable
            return not self._changed.wait_for(lambda: self._stopping or self._wanted is not reachable, pause)

    def _record(self, reachable: bool) -> bool:
        """Try to record it; returns whether that is done with."""
        try:
            self._change(nova_context.get_admin_context(), reachable)
        except exception.ComputeHostNotFound:
            LOG.debug("host %s is new: it has no compute service yet", self._host)
        except Exception:  # The end of a thread's work: nobody else would ever say so.
            LOG.exception(
                "the compute service of host %s could not be %s; that is tried again", self._host, _word(reachable)
            )
            return False
        return True

    def _change(self, context: Any, reachable: bool) -> None:
        service = objects.Service.get_by_compute_host(context, self._host)
        if service.disabled is not reachable:
            # As it should be already.
            return
        if reachable and service.disabled_reason != REASON:
            LOG.info("the compute service of host %s stays disabled: %s", self._host, service.disabled_reason)
            return
        service.disabled = not reachable
        service.disabled_reason = None if reachable else REASON
        service.save()
        for node in objects.ComputeNodeList.get_all_by_host(context, self._host):
            self._virtapi.update_compute_provider_status(context, node.uuid, enabled=reachable)
        LOG.warning("the compute service of host %s is %s", self._host, _word(reachable))


def _word(reachable: bool) -> str:
    return "enabled again" if reachable else "disabled: the platform does not answer"
