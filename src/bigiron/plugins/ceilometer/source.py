"""Where the pollsters of a process get their figures: one connection, and one reading in each poll."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol

from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.model import GuestUsage

LOG = logging.getLogger(__name__)


class Link(Protocol):
    """A connection to a platform that tells what guests use."""

    def read(self, instances: Mapping[str, str]) -> Mapping[str, GuestUsage]:
        """The figures of these instances, given with Nova's names for them on the hypervisor. Raises PlatformError."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Source:
    """Connects when it is first asked: the service may be down when the agent starts."""

    def __init__(self, platform: str, opener: Callable[[], Link]) -> None:
        self._platform = platform
        self._opener = opener
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._closed = False
        self._in_trouble = False
        self._ends: set[int] = set()

    def usages(
        self, cache: MutableMapping[str, Any], instances: Mapping[str, str], manager: Any = None
    ) -> Mapping[str, GuestUsage]:
        """The figures of this poll, whose `cache` all its pollsters share: of each instance that is on the system.

        Nothing where the service does not answer; that is logged once, and once more when it is over. Nothing after
        the end, too: a poll that is under way then would connect again, and nobody would end that.
        """
        with self._lock:
            if self._closed:
                return {}
            self._end_with(manager)
            key = f"bigiron.{self._platform}"
            if key not in cache:
                cache[key] = self._read(instances)
            found: Mapping[str, GuestUsage] = cache[key]
            return found

    def close(self) -> None:
        """End the connection for good; safe to call twice."""
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _read(self, instances: Mapping[str, str]) -> Mapping[str, GuestUsage]:
        try:
            if self._link is None:
                self._link = self._opener()
            found = self._link.read(instances)
        except PlatformError as error:
            if not self._in_trouble:
                LOG.warning("There are no figures of %s guests until this is over: %s", self._platform, error)
            self._in_trouble = True
            return {}
        if self._in_trouble:
            LOG.info("There are figures of %s guests again", self._platform)
        self._in_trouble = False
        return found

    def _end_with(self, manager: Any) -> None:
        """Close before the agent's process ends, which tells its pollsters nothing and runs no exit handlers."""
        if manager is None or id(manager) in self._ends or not hasattr(manager, "terminate"):
            return
        self._ends.add(id(manager))
        terminate = manager.terminate

        def end() -> None:
            try:
                self.close()
            finally:
                terminate()

        manager.terminate = end


_sources: dict[tuple[int, str], tuple[cfg.ConfigOpts, Source]] = {}
_sources_lock = threading.Lock()


def source_of(conf: cfg.ConfigOpts, platform: str, opener: Callable[[cfg.ConfigOpts], Link]) -> Source:
    """The source of all pollsters of a platform that are configured alike: those of one agent."""
    with _sources_lock:
        found = _sources.get((id(conf), platform))
        if found is None:
            found = _sources[id(conf), platform] = (conf, Source(platform, lambda: opener(conf)))
        return found[1]
