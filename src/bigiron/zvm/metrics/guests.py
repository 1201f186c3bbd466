"""Which userid a server has, for who has not made it: found by the mark in its directory entry, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from bigiron.complaints import Complaints
from bigiron.errors import NotFound, PlatformError
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guests

_READERS = 8


class Finder(Protocol):
    """Knows the userids of instances."""

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        """Userids by instance uuid, of those that have one on this host. Raises PlatformError."""
        ...


class KnownGuests:
    """Those that nova-compute knows."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        found = {guest.instance: guest.userid for guest in self._guests.all()}
        return {one: found[one.lower()] for one in instances if one.lower() in found}


class MarkedGuests:
    """Those in the connector's list, by their mark, or, if they were adopted and have none, by Nova's name for them."""

    def __init__(self, api: Api, complaints: Complaints) -> None:
        self._api = api
        self._complaints = complaints
        self._marks: dict[str, str | None] = {}
        """What the directory entry of each userid was found to say."""

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        """One request, and another for each userid that was not there before; `instances` may have names as values."""
        present = set(self._api.known_userids())
        self._marks = {userid: mark for userid, mark in self._marks.items() if userid in present}
        names = instances if isinstance(instances, Mapping) else {}
        found = self._known(instances, names)
        if len(found) < len(instances) and (new := present - self._marks.keys()):
            with ThreadPoolExecutor(min(_READERS, len(new)), thread_name_prefix="directory") as pool:
                list(pool.map(self._look, sorted(new)))
            found = self._known(instances, names)
        return found

    def _known(self, instances: Collection[str], names: Mapping[str, str]) -> Mapping[str, str]:
        marked = {mark: userid for userid, mark in self._marks.items() if mark is not None}
        unmarked = {userid for userid, mark in self._marks.items() if mark is None}
        found = {}
        for one in instances:
            name = names.get(one, "").upper()
            userid = marked.get(one.lower()) or (name if name in unmarked else None)
            if userid is not None:
                found[one] = userid
        return found

    def _look(self, userid: str) -> None:
        try:
            self._marks[userid] = self._api.entry(userid).instance
        except NotFound:
            return
        except PlatformError as error:
            self._complaints.tell(f"entry {userid}", f"{error.message} Its server has no figures until then.")
            return
        self._complaints.well(f"entry {userid}", f"The directory entry of {userid} can be read again")
