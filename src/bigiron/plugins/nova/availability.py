"""Takes this host's compute service out of scheduling while the platform does not answer, and puts it back.

Nova's own sign of it is a disabled service, with the trait COMPUTE_STATUS_DISABLED on its resource provider. What an
operator has disabled stays disabled.
"""

from __future__ import annotations

import concurrent.futures
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

REASON = "AUTO: the platform's REST service does not answer"
"""Why the service is disabled, and the mark by which it is known to be our doing."""


class Availability:
    """The compute service's record of one host, changed from a thread of its own: Nova may be slow to answer."""

    def __init__(self, virtapi: Any, host: str) -> None:
        self._virtapi = virtapi
        self._host = host
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="bigiron-availability")

    def changed(self, reachable: bool) -> None:
        """The platform answers again, or does not any more."""
        self._pool.submit(self._record, reachable)

    def stop(self) -> None:
        """Change nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _record(self, reachable: bool) -> None:
        try:
            self._change(nova_context.get_admin_context(), reachable)
        except exception.ComputeHostNotFound:
            LOG.debug("host %s is new: it has no compute service yet", self._host)
        except Exception:  # The end of a thread's work: nobody else would ever say so.
            LOG.exception("the compute service of host %s could not be %s", self._host, _word(reachable))

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
