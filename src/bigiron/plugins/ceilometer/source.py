"""Where the pollsters of a process get their figures: one connection, and one reading in each poll."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any

from oslo_config import cfg

from bigiron.errors import PlatformError
from bigiron.model import GuestUsage
from bigiron.plugins.ceilometer import conf as options
from bigiron.powervm.metrics.link import MetricsLink, open_metrics
from bigiron.powervm.options import PowerVMOptions

LOG = logging.getLogger(__name__)

_CACHED = "bigiron.powervm"


class Source:
    """Connects when it is first asked: the service may be down when the agent starts."""

    def __init__(
        self, options: Callable[[], PowerVMOptions], opener: Callable[[PowerVMOptions], MetricsLink] = open_metrics
    ) -> None:
        self._options = options
        self._opener = opener
        self._lock = threading.Lock()
        self._link: MetricsLink | None = None
        self._in_trouble = False
        self._ends: set[int] = set()

    def usages(
        self, cache: MutableMapping[str, Any], instances: Collection[str], manager: Any = None
    ) -> Mapping[str, GuestUsage]:
        """The figures of this poll, whose `cache` all its pollsters share: of each instance that is on the system.

        Nothing where the service does not answer; that is logged once, and once more when it is over.
        """
        with self._lock:
            self._end_with(manager)
            if _CACHED not in cache:
                cache[_CACHED] = self._read(instances)
            found: Mapping[str, GuestUsage] = cache[_CACHED]
            return found

    def close(self) -> None:
        """End the connection; safe to call twice."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _read(self, instances: Collection[str]) -> Mapping[str, GuestUsage]:
        try:
            if self._link is None:
                self._link = self._opener(self._options())
            found = self._link.usages.read(instances)
        except PlatformError as error:
            if not self._in_trouble:
                LOG.warning("There are no figures of PowerVM guests until this is over: %s", error)
            self._in_trouble = True
            return {}
        if self._in_trouble:
            LOG.info("There are figures of PowerVM guests again")
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


_sources: dict[int, tuple[cfg.ConfigOpts, Source]] = {}
_sources_lock = threading.Lock()


def source_of(conf: cfg.ConfigOpts) -> Source:
    """The source of all pollsters that are configured alike: those of one agent."""
    with _sources_lock:
        found = _sources.get(id(conf))
        if found is None:
            found = _sources[id(conf)] = (conf, Source(lambda: options.to_options(conf)))
        return found[1]
