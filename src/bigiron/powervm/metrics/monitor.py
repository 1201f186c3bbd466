"""The newest samples of the long-term monitor: each document is read once, and what fails takes no other with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pypowervm.adapter import Adapter
from pypowervm.tasks.monitor.util import query_ltm_feed

from bigiron.complaints import Complaints
from bigiron.errors import AuthError, NotFound, PlatformError, Unsupported
from bigiron.powervm.errors import translated
from bigiron.powervm.metrics import documents
from bigiron.powervm.metrics.documents import HypervisorSample, MemorySample, MemorySamples, ViosSample
from bigiron.powervm.metrics.preferences import Preferences

LOG = logging.getLogger(__name__)
T = TypeVar("T", HypervisorSample, MemorySamples, ViosSample)

PHYP, LPAR, VIOS = "phyp", "lpar", "vios_"
_LOOK_AGAIN_S = 60.0
_STOPPED_S = 180.0
_LATE_S = 120.0
"""A VIOS whose newest sample is so much older than the hypervisor's has stopped to give any: one takes 30 s."""


class NoSamples(Unsupported):
    """The monitor answers and has taken none, as at first when it has been switched on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest samples; None and nothing of what could not be read.

    `vioses` are by short id, `memory` by partition uuid (upper case).
    """

    hypervisor: HypervisorSample | None = None
    vioses: Mapping[int, ViosSample] = field(default_factory=dict)
    memory: Mapping[str, MemorySample] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Link:
    updated: str
    href: str


class LongTermMonitor:
    """Reads the feed of samples and the documents that are new in it; may be asked from many threads."""

    def __init__(
        self, adapter: Adapter, system_uuid: str, complaints: Complaints | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.complaints = complaints or Complaints()
        self._adapter = adapter
        self._system_uuid = system_uuid
        self._preferences = Preferences(adapter, system_uuid)
        self._now = now
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._kept: dict[str, tuple[str, Any]] = {}
        """The newest document of each category that could be read, with its address."""
        self._moved = ("", 0.0)
        """The newest sample of the hypervisor, and when it first was that."""

    def read(self, switch_on: bool = True) -> Reading:
        """The newest samples of everything: one request for the feed and one for each document that is new in it.

        Without `switch_on` a monitor that takes none is left so. Raises PlatformError where the service does not
        answer or has no samples; a document that fails is complained of, once, and left out.
        """
        with self._lock:
            links = self._newest(switch_on)
            sample = self._document(PHYP, links, documents.hypervisor)
            memory = self._document(LPAR, links, documents.memory)
            vioses = {}
            for category in sorted(one for one in links if one.startswith(VIOS)):
                vios = self._document(category, links, documents.vios)
                if vios is not None and self._is_recent(vios, sample):
                    vioses[int(category.removeprefix(VIOS))] = vios
            return Reading(sample, vioses, memory.partitions if memory else {})

    def hypervisor(self) -> HypervisorSample:
        """The hypervisor's newest sample, in two requests at most; raises Unsupported while there is none."""
        with self._lock:
            links = self._newest()
            if PHYP not in links:
                raise NoSamples("The platform's monitor has no samples of the hypervisor.")
            return self._fetch(PHYP, links[PHYP], documents.hypervisor)

    def close(self) -> None:
        """Put the monitor's preferences back as they were found."""
        self._preferences.put_back()

    # The feed

    def _newest(self, switch_on: bool = True) -> dict[str, _Link]:
        """The newest document of each category."""
        if switch_on and self._looked_at is None:
            self._switch_on()
        try:
            with translated("Reading the long-term monitor's feed"):
                feed = query_ltm_feed(self._adapter, self._system_uuid)
        except (AuthError, NotFound) as error:
            raise Unsupported(
                f"The REST service gives no performance data: {error} Allow the user of [powervm] rest_username to "
                "read them."
            ) from error
        links: dict[str, _Link] = {}
        for entry in feed:
            found = _Link(str(entry.updated), str(entry.link))
            if entry.category not in links or links[entry.category].updated < found.updated:
                links[str(entry.category)] = found
        if switch_on and self._has_stopped(links) and self._now() - (self._looked_at or 0.0) >= _LOOK_AGAIN_S:
            # Somebody may have switched it off since.
            self._switch_on()
        if PHYP in links:
            self._judge(links)
        if links:
            return links
        raise NoSamples("The platform's monitor has no samples yet; it takes one every 30 s.")

    def _has_stopped(self, links: Mapping[str, _Link]) -> bool:
        """Whether there are no samples, or no new one has come for longer than the platform takes for several."""
        newest = links[PHYP].href if PHYP in links else ""
        if newest and newest != self._moved[0]:
            self._moved = (newest, self._now())
        return not newest or self._now() - self._moved[1] >= _STOPPED_S

    def _judge(self, links: Mapping[str, _Link]) -> None:
        if self._has_stopped(links):
            self.complaints.tell(
                "stopped",
                f"The platform's monitor has taken no sample for {_STOPPED_S:.0f} s and more: what guests use is not "
                "known anew. Check the performance monitoring of the management console or NovaLink.",
            )
        else:
            self.complaints.well("stopped", "The platform's monitor takes samples again")

    def _switch_on(self) -> None:
        """Where that fails the feed may be there all the same: somebody else may have switched it on."""
        try:
            self._preferences.switch_on()
        except PlatformError as error:
            self.complaints.tell("preferences", error.message)
            if not isinstance(error, Unsupported):
                # It is tried again with the next reading.
                return
        else:
            self.complaints.well("preferences", "The long-term monitor's preferences are as they are needed")
        self._looked_at = self._now()

    # Documents

    def _document(
        self, category: str, links: Mapping[str, _Link], reader: Callable[[dict[str, Any]], T]
    ) -> T | None:  # fmt: skip
        """The newest document, None where there is none or it cannot be read."""
        link = links.get(category)
        if link is None:
            return None
        try:
            found = self._fetch(category, link, reader)
        except PlatformError as error:
            self.complaints.tell(category, f"{error.message} What it tells is left out until it can be read again.")
            return None
        self.complaints.well(category, f"The monitor's documents of {category} can be read again")
        self.complaints.judge(
            f"{category} in part",
            [f"The monitor's document of {category} makes no sense for {one}" for one in found.unreadable],
            "and that is left out until it does.",
            f"The monitor's documents of {category} make sense again",
        )
        return found

    def _fetch(self, category: str, link: _Link, reader: Callable[[dict[str, Any]], T]) -> T:
        known = self._kept.get(category)
        if known is not None and known[0] == link.href:
            kept: T = known[1]
            return kept
        name = link.href.rsplit("/", 1)[-1]
        with translated(f"Reading the monitor's document {name}"):
            text = self._adapter.read_by_href(link.href, xag=[]).body
        found = documents.read(text, name, reader)
        self._kept[category] = (link.href, found)
        return found

    def _is_recent(self, vios: ViosSample, sample: HypervisorSample | None) -> bool:
        subject = f"late {vios.name}"
        if sample is not None and sample.at - vios.at > _LATE_S:
            self.complaints.tell(
                subject,
                f"VIOS {vios.name} has given the monitor no sample for {sample.at - vios.at:.0f} s; what goes through "
                "its storage adapters is not known. Check that it runs and its RMC connection.",
            )
            return False
        self.complaints.well(subject, f"VIOS {vios.name} gives samples again")
        return True
