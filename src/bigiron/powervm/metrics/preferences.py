"""The monitor's preferences (ManagedSystemPcmPreference): switched on as far as needed, put back as they were found."""

from __future__ import annotations

import logging
import threading

from pypowervm.adapter import Adapter, Response
from pypowervm.wrappers.managed_system import System
from pypowervm.wrappers.monitor import PCM_SERVICE, PREFERENCES, PcmPref

from bigiron.errors import AuthError, NotFound, PlatformError, Unsupported
from bigiron.powervm.errors import Stale, translated

LOG = logging.getLogger(__name__)

_WANTED = {"ltm_enabled": True, "compute_ltm_enabled": False}
"""Long-term samples, of adapters too and not of processors only; all else stays as it is."""
_TRIES = 3
_LAST_S = 10.0
"""How long the end of the process waits for an answer."""


class Preferences:
    """Which samples the platform takes. Other programs may change that at any time."""

    def __init__(self, adapter: Adapter, system_uuid: str) -> None:
        self._adapter = adapter
        self._href = adapter.build_href(
            System.schema_type, root_id=system_uuid, child_type=PREFERENCES, service=PCM_SERVICE
        )
        self._path = (System.schema_type, system_uuid)
        self._lock = threading.Lock()
        self._found: dict[str, bool] = {}
        """What the flags were that we changed, or may have: an answer can be lost."""

    def switch_on(self) -> bool:
        """Have the samples taken that are needed; whether something had to be changed for that.

        Raises Unsupported, which says what to do, where the service or its user may not.
        """
        with self._lock, translated("Switching on the long-term monitor"):
            try:
                changed = self._set(_WANTED, self._found)
            except (AuthError, NotFound) as error:
                raise Unsupported(
                    f"The platform's long-term monitor cannot be switched on: {error} Allow the user of [powervm] "
                    "rest_username to collect performance data, or have an administrator switch long-term "
                    "monitoring on."
                ) from error
        if changed:
            LOG.info("The platform's long-term monitor was off and is switched on")
        return changed

    def put_back(self) -> None:
        """Make the flags that we changed what they were; what cannot be done is logged."""
        with self._lock:
            found, self._found = self._found, {}
            if not found:
                return
            try:
                with translated("Putting the long-term monitor's preferences back"):
                    self._set(found, {}, only_if=_WANTED, timeout=_LAST_S)
            except PlatformError as error:
                LOG.warning("The long-term monitor stays on: %s", error)

    def _set(
        self,
        flags: dict[str, bool],
        found: dict[str, bool],
        only_if: dict[str, bool] | None = None,
        timeout: float = -1,
    ) -> bool:
        """Set flags, those that are as in `only_if` where that is given; notes in `found` what they were before.

        Returns whether any had to be changed.
        """
        for attempt in range(_TRIES):
            with translated("Reading the long-term monitor's preferences"):
                answer: Response = self._adapter.read_by_href(self._href, timeout=timeout)
            (preference,) = PcmPref.wrap(answer)
            now = {name: bool(getattr(preference, name)) for name in flags}
            changed = {
                name: value
                for name, value in now.items()
                if value != flags[name] and (only_if is None or value == only_if[name])
            }
            if not changed:
                return False
            for name, value in changed.items():
                found.setdefault(name, value)
                setattr(preference, name, flags[name])
            try:
                self._update(preference, answer.etag, timeout)
            except Stale:
                if attempt == _TRIES - 1:
                    raise
                continue
            return True
        return False

    def _update(self, preference: PcmPref, etag: str | None, timeout: float) -> None:
        kind, uuid = self._path
        with translated("Changing the long-term monitor's preferences"):
            # The service has no address for the one entry: its feed is changed, under the feed's etag.
            self._adapter.update(
                preference.entry.element, etag, kind, root_id=uuid, child_type=PREFERENCES, service=PCM_SERVICE,
                timeout=timeout,
            )  # fmt: skip
