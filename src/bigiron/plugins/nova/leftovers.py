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
        self.removed(uuid)
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
            self._failed.discard(uuid)
            self._uuids.discard(uuid)

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
        try:
            self._hypervisor.destroy(uuid)
        except errors.PlatformError as error:
            LOG.info("instance %s: what its build left cannot be removed yet: %s", uuid, error)
            return False
        except Exception:
            # A thread that ends here would leave everything that fails from now on.
            LOG.exception("instance %s: what its build left could not be removed", uuid)
            return False
        finally:
            with self._changed:
                self._removing = ""
                self._changed.notify_all()
        LOG.info("instance %s: what its build left is removed", uuid)
        self.removed(uuid)
        return True
