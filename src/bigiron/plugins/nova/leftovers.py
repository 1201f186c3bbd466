"""Removes what failed builds left while the platform could not be reached, once it can be.

Nova tries once and then takes the host from the instance, so that deleting the server does not reach this host.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from oslo_log import log as logging

from bigiron import errors
from bigiron.hypervisor import Hypervisor

LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0


class Leftovers:
    """The guests of failed builds that are still to be removed, and the thread that keeps trying."""

    def __init__(self, hypervisor: Hypervisor, first_pause_s: float = _FIRST_PAUSE_S) -> None:
        self._hypervisor = hypervisor
        self._first_pause_s = first_pause_s
        self._changed = threading.Condition()
        self._failed: set[str] = set()
        self._uuids: set[str] = set()
        self._removing = ""
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="bigiron-leftovers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what is left then is found again at the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(timeout=10)
            self._thread = None

    @contextlib.contextmanager
    def building(self, uuid: str) -> Iterator[None]:
        """A build: when it fails, what it leaves is ours to remove, even if Nova gives up, or, as with an unshelve,
        does not even try."""
        with self._changed:
            self._changed.wait_for(lambda: self._removing != uuid)
            # Before the lock is free: the thread would take what is left of the last build, and this one with it.
            self._forget(uuid)
        try:
            yield
        except BaseException:
            with self._changed:
                self._failed.add(uuid)
            if self._hypervisor.is_half_made(uuid):
                self.not_removed(uuid)
            raise

    def removed(self, uuid: str) -> None:
        """Nothing is left of this guest."""
        with self._changed:
            self._forget(uuid)

    def not_removed(self, uuid: str) -> None:
        """Something is left: if it is a failed build's, remove it as soon as the platform allows."""
        with self._changed:
            if uuid not in self._failed:
                return
            self._uuids.add(uuid)
            self._changed.notify_all()
        LOG.warning("instance %s: what its build left is removed when the platform allows", uuid)

    def _run(self) -> None:
        pause = self._first_pause_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._uuids)
                self._changed.wait_for(lambda: self._stopping, pause)
                if self._stopping:
                    return
                waiting = sorted(self._uuids)
            removed = [self._remove(uuid) for uuid in waiting]
            pause = self._first_pause_s if all(removed) else min(2 * pause, _LONGEST_PAUSE_S)

    def _remove(self, uuid: str) -> bool:
        with self._changed:
            if uuid not in self._uuids:
                # Removed or built anew while others were tried.
                return True
            self._removing = uuid
        removed = False
        try:
            self._hypervisor.destroy(uuid)
            removed = True
            LOG.info("instance %s: what its build left is removed", uuid)
        except errors.PlatformError as error:
            LOG.info("instance %s: what its build left cannot be removed yet: %s", uuid, error)
        except Exception:
            # A thread that ends here would leave everything that fails from now on.
            LOG.exception("instance %s: what its build left could not be removed", uuid)
        finally:
            with self._changed:
                self._removing = ""
                if removed:
                    # Together with the above: what is noted from then on, a new build has left.
                    self._forget(uuid)
                self._changed.notify_all()
        return removed

    def _forget(self, uuid: str) -> None:
        """Nothing is to be removed of this guest; called under the lock."""
        self._failed.discard(uuid)
        self._uuids.discard(uuid)
