"""Which userid a server has, for who has not made it, and its disks: by its directory entry, read once for a logon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bigiron.complaints import Complaints
from bigiron.errors import NotFound, PlatformError
from bigiron.model import DiskCapacity
from bigiron.zvm import disks
from bigiron.zvm.api import Api
from bigiron.zvm.directory import Minidisk
from bigiron.zvm.guests import Guests

_READERS = 8


class Finder(Protocol):
    """Knows the userids of instances, and what their directory entries say of their disks."""

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        """Userids by instance uuid, of those that have one on this host. Raises PlatformError."""
        ...

    def disks(self, userid: str) -> tuple[DiskCapacity, ...]:
        """The sizes of the guest's disks, as far as they are known."""
        ...

    def look_again(self, userids: Collection[str] | None = None) -> None:
        """What is known of these guests, or of all, may not hold any more."""
        ...


class KnownGuests:
    """Those that nova-compute knows."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        found = {guest.instance: guest.userid for guest in self._guests.all()}
        return {one: found[one.lower()] for one in instances if one.lower() in found}

    def disks(self, userid: str) -> tuple[DiskCapacity, ...]:
        """None: Nova asks for the sizes of a server's disks apart."""
        return ()

    def look_again(self, userids: Collection[str] | None = None) -> None:
        """The list is always as it is now."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a directory entry was found to say."""

    instance: str | None
    disks: tuple[DiskCapacity, ...]


class MarkedGuests:
    """Those in the connector's list, by their mark, or, if they were adopted and have none, by Nova's name for them."""

    def __init__(self, api: Api, complaints: Complaints) -> None:
        self._api = api
        self._complaints = complaints
        self._known: dict[str, _Known] = {}
        """By userid."""
        self._fresh: set[str] = set()
        """Those that were looked at in the last reading."""

    def find(self, instances: Collection[str]) -> Mapping[str, str]:
        """One request, and another for each userid that was not there before; `instances` may have names as values."""
        present = set(self._api.known_userids())
        self._known = {userid: known for userid, known in self._known.items() if userid in present}
        self._fresh.clear()
        names = instances if isinstance(instances, Mapping) else {}
        found = self._found(instances, names)
        if len(found) < len(instances) and (new := present - self._known.keys()):
            self._look(new)
            found = self._found(instances, names)
        return found

    def disks(self, userid: str) -> tuple[DiskCapacity, ...]:
        known = self._known.get(userid)
        return known.disks if known is not None else ()

    def look_again(self, userids: Collection[str] | None = None) -> None:
        """Of these one more request each, but for those that were just looked at; of all, with the next reading."""
        if userids is None:
            self._known.clear()
        elif stale := set(userids) & self._known.keys() - self._fresh:
            self._look(stale)

    def _found(self, instances: Collection[str], names: Mapping[str, str]) -> Mapping[str, str]:
        marked = {one.instance: userid for userid, one in self._known.items() if one.instance is not None}
        unmarked = {userid for userid, one in self._known.items() if one.instance is None}
        found = {}
        for one in instances:
            name = names.get(one, "").upper()
            userid = marked.get(one.lower()) or (name if name in unmarked else None)
            if userid is not None:
                found[one] = userid
        return found

    def _look(self, userids: Collection[str]) -> None:
        with ThreadPoolExecutor(min(_READERS, len(userids)), thread_name_prefix="directory") as pool:
            troubles = [one for one in pool.map(self._read, sorted(userids)) if one is not None]
        until = "A server that is not found for that has no figures until then."
        self._complaints.judge("entries", troubles, until, "Directory entries can be read again")

    def _read(self, userid: str) -> str | None:
        """Returns what went wrong."""
        try:
            entry = self._api.entry(userid)
        except NotFound:
            self._known.pop(userid, None)
            return None
        except PlatformError as error:
            return error.message
        self._known[userid] = _Known(entry.instance, tuple(map(_capacity, entry.minidisks)))
        self._fresh.add(userid)
        return None


def _capacity(disk: Minidisk) -> DiskCapacity:
    """A minidisk has all of its extent from the beginning."""
    size = disks.size_bytes(disk.device, disk.units)
    return DiskCapacity(disk.vdev, size, size)
