"""Troubles that last are told once, and once more when they have ended: a poll a minute must not fill the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

LOG = logging.getLogger(__name__)


class Complaints:
    """What has been complained of and not got well since, by its subject."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def tell(self, subject: str, message: str) -> None:
        """Warn, unless the subject is in trouble already; the message may differ from look to look."""
        with self._lock:
            if subject in self._told:
                return
            self._told.add(subject)
        LOG.warning("%s", message)

    def judge(self, subject: str, troubles: Sequence[str], until: str, well: str) -> None:
        """Tell of several things that were tried together: of the first trouble and how many more there were, and what
        that means until it is over; or that all is well."""
        if not troubles:
            self.well(subject, well)
            return
        more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
        self.tell(subject, f"{troubles[0]}{more} {until}")

    def well(self, subject: str, message: str) -> None:
        """The subject works; says so where it did not."""
        with self._lock:
            if subject not in self._told:
                return
            self._told.discard(subject)
        LOG.info("%s", message)
