"""Which MAC an adapter has that statistics know by its device number: read once for each logon of its guest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from bigiron.complaints import Complaints
from bigiron.errors import PlatformError
from bigiron.zvm.api import Api

_READERS = 8


class AdapterNames:
    """MACs, in lower case with colons, by userid and device number."""

    def __init__(self, api: Api, complaints: Complaints) -> None:
        self._api = api
        self._complaints = complaints
        self._known: dict[str, Mapping[str, str]] = {}

    def of(self, wanted: Mapping[str, Collection[str]], began_anew: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """Of these device numbers by userid; nothing of what could not be read. An adapter that was added to a running
        guest may get another MAC when that is logged on again."""
        self._known = {u: macs for u, macs in self._known.items() if u in wanted and u not in began_anew}
        missing = [userid for userid, vdevs in wanted.items() if not set(vdevs) <= self._known.get(userid, {}).keys()]
        if missing:
            with ThreadPoolExecutor(min(_READERS, len(missing)), thread_name_prefix="adapter names") as pool:
                troubles = [one for one in pool.map(self._read, missing) if one is not None]
            until = "What goes through them is left out until then."
            self._complaints.judge("adapters", troubles, until, "Network adapters can be read again")
        return self._known

    def _read(self, userid: str) -> str | None:
        """Returns what went wrong."""
        try:
            adapters = self._api.adapters(userid)
        except PlatformError as error:
            return error.message
        self._known[userid] = {
            str(one["adapter_address"]).upper().zfill(4): str(one["mac_address"]).lower()
            for one in adapters
            if one.get("adapter_address") and one.get("mac_address")
        }
        return None
