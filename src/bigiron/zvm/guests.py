"""Which guests are ours: userids claimed and given back, and the mark in the directory that everything hangs on.

The mark is the comment `* NOVA:<UUID>`. Server 1.6.3 drops the comments of a create on the way; there the mark goes
into the directory as a second line of the account, which is passed on as it is. The first line of it says what is so
without it: a guest is charged to its own userid.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from bigiron import naming
from bigiron.errors import Conflict, Foreign, InvalidSpec, NotFound, PlatformError, Timeout, Unavailable
from bigiron.model import GuestSpec
from bigiron.zvm import disks
from bigiron.zvm.api import Api
from bigiron.zvm.directory import Entry
from bigiron.zvm.errors import AWAY, Exists, Unreached
from bigiron.zvm.late import LateCreates
from bigiron.zvm.ledger import Ledger, LedgerEntry

LOG = logging.getLogger(__name__)

_READERS = 8
_GONE_S = 120.0
_DEFAULT_MAX_MEMORY_MB = 64 * 1024
_MAX_GB = 9999


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest of ours: the instance and the userid that runs it."""

    instance: str
    userid: str
    name: str
    distro: str
    memory_mb: int
    vcpus: int


class Guests:
    """The guests of one host that are ours."""

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self._api = api
        self._ledger = ledger
        self._options = api.connector.options
        self.late = LateCreates(self._options.state_path, self._remove_late)
        self._lock = threading.Lock()
        self._known: dict[str, Guest] = {}
        self._stopping = threading.Event()

    # What there is

    def load(self) -> None:
        """Read what the connector has and look for our mark in what the ledger does not know."""
        present = set(self._api.known_userids())
        recorded = {entry.userid: entry for entry in self._ledger.entries()}
        made = [entry for entry in recorded.values() if not entry.making]
        for entry in made:
            if entry.userid not in present:
                LOG.error(
                    "Guest %s (%s) is not in the Cloud Connector's list, so instance %s cannot be used: if z/VM has "
                    "the userid still, enter it again (action register_vm) and restart nova-compute",
                    entry.name, entry.userid, entry.instance,
                )  # fmt: skip
        found = [_of_entry(entry) for entry in made if entry.userid in present]
        prefix = self._options.userid_prefix.upper()
        unclaimed = present - set(recorded) - self.late.userids()
        unknown = sorted(userid for userid in unclaimed if userid.startswith(prefix))
        if unknown:
            with ThreadPoolExecutor(_READERS, thread_name_prefix="bigiron-directory") as pool:
                found += [guest for guest in pool.map(self._look, unknown) if guest is not None]
        with self._lock:
            self._known = {guest.instance: guest for guest in found}

    def _look(self, userid: str) -> Guest | None:
        """A guest that has our mark and is not in the ledger, which is lost then; it is entered again."""
        try:
            entry = self._api.entry(userid)
        except NotFound:
            return None
        except AWAY:
            raise
        except PlatformError as error:
            # One entry of another's must not keep the service down, and with it every server of the host.
            LOG.error("Userid %s is taken for another's: %s", userid, error)
            return None
        if entry.instance is None:
            return None
        record = LedgerEntry(
            entry.instance, userid, userid, making=False, memory_mb=entry.memory_mb, vcpus=entry.vcpus,
            disks=disks.of_entry(entry),
        )  # fmt: skip
        self._ledger.put(record)
        return _of_entry(record)

    def all(self) -> Sequence[Guest]:
        """Every guest of ours that is complete."""
        with self._lock:
            return list(self._known.values())

    def find(self, instance: str) -> Guest:
        """One guest of ours; raises NotFound."""
        with self._lock:
            guest = self._known.get(instance.lower())
        if guest is None:
            raise NotFound(f"Instance {instance} has no guest on this z/VM host.")
        return guest

    def is_known(self, instance: str) -> bool:
        """Whether the guest exists and its spawn has come to its end."""
        with self._lock:
            return instance.lower() in self._known

    def note(self, instance: str, **fields: Any) -> None:
        """Remember what an operation has changed of a guest."""
        self._ledger.change(instance, **fields)
        entry = self._ledger.find(instance)
        with self._lock:
            if entry is not None and instance.lower() in self._known:
                self._known[entry.instance] = _of_entry(entry)

    # A guest is made

    def check(self, spec: GuestSpec) -> None:
        """Raise InvalidSpec for a guest that cannot be made; asks nothing."""
        if spec.vcpus > self._options.max_cpu:
            raise InvalidSpec(
                f"Guest {spec.name} asks for {spec.vcpus} processors, and [zvm] max_cpu allows {self._options.max_cpu}."
            )
        self._max_memory(spec)

    def check_free(self, spec: GuestSpec) -> None:
        """Raise Conflict where the instance has a guest already; asks nothing."""
        if self.is_known(spec.uuid):
            raise Conflict(f"Instance {spec.uuid} has a guest already. Delete the server to remove it.")

    def create(self, spec: GuestSpec, disk_list: Sequence[Mapping[str, Any]]) -> Guest:
        """Make the directory entry with its disks, under the first userid that is free; marked and in the ledger."""
        instance = spec.uuid.lower()
        distro = disks.distro_of(spec)
        taken = {entry.userid for entry in self._ledger.entries() if entry.instance != instance} | self.late.userids()
        for userid in naming.userids(instance, self._options.userid_prefix):
            if userid in taken:
                continue
            record = LedgerEntry(instance, userid, spec.name, True, distro, spec.memory_mb, spec.vcpus)
            self._ledger.put(replace(record, unanswered=True))
            body = self._body(spec, userid, disk_list)
            undo = functools.partial(self._delete, userid, instance, adopted=False)
            try:
                made = self._api.create(userid, body, f"Making guest {spec.name} as {userid}", undo)
            except (Exists, Foreign):
                self._refuse_own(spec, userid)
                LOG.info("userid %s is another's; guest %s takes the next one", userid, spec.name)
                continue
            except PlatformError as error:
                self._ledger.change(instance, unanswered=_is_unanswered(error))
                if isinstance(error, NotFound):
                    raise InvalidSpec(f"{error.message} Check [zvm] user_profile and disk_pool.") from error
                raise
            self._ledger.change(instance, unanswered=False, disks=disks.held(spec, made))
            return _of_entry(record)
        self._ledger.drop(instance)
        raise Conflict(
            f"Guest {spec.name} finds no free userid that begins with {self._options.userid_prefix!r}. Choose another "
            "[zvm] userid_prefix, or a shorter one."
        )

    def _refuse_own(self, spec: GuestSpec, userid: str) -> None:
        try:
            entry = self._api.entry(userid)
        except NotFound:
            return
        if entry.instance == spec.uuid.lower():
            # Not this spawn's to undo.
            self._ledger.drop(spec.uuid)
            raise Conflict(f"Instance {spec.uuid} has a guest already, {userid}. Delete the server to remove it.")

    def _body(self, spec: GuestSpec, userid: str, disk_list: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        options, mark = self._options, naming.zvm_mark(spec.uuid)
        account = options.account or userid
        guest: dict[str, Any] = {
            "vcpus": spec.vcpus,
            "memory": spec.memory_mb,
            "max_cpu": options.max_cpu,
            "max_mem": self._max_memory(spec),
            "disk_list": list(disk_list),
        }
        if options.user_profile:
            guest["user_profile"] = options.user_profile
        if self._api.takes_comments:
            guest["comments"] = [mark]
            if options.account:
                guest["account"] = account
        else:
            guest["account"] = f"{account}\n* {mark}"
        return guest

    def _max_memory(self, spec: GuestSpec) -> str:
        most_mb = max(self._options.max_memory_mb or _DEFAULT_MAX_MEMORY_MB, spec.memory_mb)
        gigabytes = -(-most_mb // 1024)
        if gigabytes > _MAX_GB:
            raise InvalidSpec(
                f"Guest {spec.name} asks for {spec.memory_mb} MB of memory, and {_MAX_GB} GB is the most that the "
                "Cloud Connector can give."
            )
        return f"{gigabytes}g"

    def completed(self, guest: Guest) -> None:
        """The spawn has come to its end."""
        self._ledger.change(guest.instance, making=False)
        with self._lock:
            self._known[guest.instance] = guest

    # A guest goes

    def remove(self, instance: str) -> None:
        """Delete the guest, complete or not, and forget it; one that is gone already is no error. Raises Foreign."""
        record = self._ledger.find(instance)
        with self._lock:
            guest = self._known.get(instance.lower())
        userid = guest.userid if guest is not None else record.userid if record is not None else None
        if userid is not None:
            try:
                came = self._delete(userid, instance.lower(), adopted=record is not None and record.adopted)
                if record is not None and record.unanswered and not came:
                    self.late.note(userid, record.instance, record.name)
            except Foreign:
                if record is None or not record.making:
                    raise
                LOG.debug("userid %s is another's: a spawn of %s tried it and was ended", userid, record.name)
        self.forget(instance)

    def _remove_late(self, userid: str, instance: str) -> bool:
        """Remove a guest whose create had no effect when it was undone; False where it still has none."""
        try:
            self._api.entry(userid)
        except NotFound:
            return False
        return self._delete(userid, instance, adopted=False)

    def forget(self, instance: str) -> None:
        """The guest is gone."""
        with self._lock:
            self._known.pop(instance.lower(), None)
        self._ledger.drop(instance)

    def _delete(self, userid: str, instance: str, adopted: bool) -> bool:
        """Delete and look whether it is gone: the connector takes some failures for success, and the directory manager
        may still be at it when it answers. Returns whether there was one."""
        deadline = time.monotonic() + _GONE_S
        pause = 0.0
        while True:
            try:
                entry = self._api.entry(userid)
            except NotFound:
                if not pause:
                    # A delete that was cut off may have left it in the connector's own list.
                    self._api.delete(userid)
                return bool(pause)
            if entry.instance != instance and not (adopted and entry.instance is None):
                if pause:
                    return True
                self._refuse_foreign(entry, instance)
            if time.monotonic() > deadline:
                raise Timeout(
                    f"Guest {userid} is still in the directory {_GONE_S:.0f} s after it was deleted. The Cloud "
                    "Connector takes it for success that a disk in use cannot be deleted: see whether its own "
                    f"host has a disk of {userid} linked still (vmcp query virtual dasd), and detach that."
                )
            if pause and self._stopping.wait(pause):
                raise Unavailable(f"Guest {userid} is in the directory still, and nova-compute ends. Delete it again.")
            pause = min(max(0.5, 2 * pause), 10.0)
            try:
                self._api.delete(userid)
            except NotFound:
                self._delete_unlisted(userid)

    @staticmethod
    def _refuse_foreign(entry: Entry, instance: str) -> None:
        owner = f"belongs to instance {entry.instance}" if entry.instance else "has no mark of ours"
        raise Foreign(
            f"Userid {entry.userid} {owner} and is left alone. Instance {instance} seems to have had it: look at it, "
            f"and delete {entry.userid} by hand if nobody needs it."
        )

    def _delete_unlisted(self, userid: str) -> None:
        """Delete a guest that is in the directory but not in the connector's list, as after a crash between both.

        Its registration reports a failure for a guest without network adapters, and has entered it all the same.
        """
        try:
            self._api.register(userid, "unknown")
        except PlatformError as error:
            LOG.debug("registered, or gone: %s", error)
        try:
            self._api.delete(userid)
        except NotFound:
            LOG.debug("guest %s is gone", userid)

    # Adoption and left-overs

    def adopt(self, instances: Iterable[tuple[str, str]]) -> Sequence[str]:
        """Enter guests that the in-tree driver made: their userid is the instance's name. Returns the uuids entered."""
        present = set(self._api.known_userids())
        adopted = []
        for uuid, name in instances:
            userid = name.upper()
            if self._ledger.find(uuid) is not None or userid not in present:
                continue
            try:
                self._adopt(uuid.lower(), userid, name)
                adopted.append(uuid)
            except PlatformError as error:
                LOG.warning("Instance %s is not adopted: %s", uuid, error)
        return adopted

    def _adopt(self, instance: str, userid: str, name: str) -> None:
        entry = self._api.entry(userid)
        if entry.instance not in (None, instance):
            raise Foreign(f"Userid {userid} is instance {entry.instance}'s.")
        record = LedgerEntry(
            instance,
            userid,
            name,
            making=False,
            memory_mb=entry.memory_mb,
            vcpus=entry.vcpus,
            disks=disks.of_entry(entry),
            adopted=entry.instance is None,
        )
        self._ledger.put(record)
        with self._lock:
            self._known[instance] = _of_entry(record)

    def half_made(self) -> Sequence[str]:
        """Instances whose spawn was begun and neither completed nor undone."""
        return [entry.instance for entry in self._ledger.entries() if entry.making]

    def is_half_made(self, instance: str) -> bool:
        """Whether a spawn of the guest was begun here and neither completed nor undone."""
        entry = self._ledger.find(instance)
        return entry is not None and entry.making

    def stop(self) -> None:
        """End all waiting."""
        self._stopping.set()
        self.late.stop()


def _is_unanswered(error: PlatformError) -> bool:
    """Whether what was asked for may be done all the same."""
    return isinstance(error, Timeout | Unavailable) and not isinstance(error, Unreached)


def _of_entry(entry: LedgerEntry) -> Guest:
    return Guest(entry.instance, entry.userid, entry.name, entry.distro, entry.memory_mb, entry.vcpus)
