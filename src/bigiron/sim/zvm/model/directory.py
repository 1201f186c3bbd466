"""Entries of the CP user directory: statements as text, as DIRMAINT keeps them, and what they define."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model.values import Minidisk, Nic

_USERID = re.compile(r"[A-Z0-9@#$_+:-]{1,8}")
_VDEV = re.compile(r"[0-9A-F]{1,4}")
_SIZE = re.compile(r"(\d+)([KMGTE])?", re.IGNORECASE)
_MEGABYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2, "E": 1024**4}


@dataclass(frozen=True, slots=True)
class Entry:
    """One userid's entry."""

    userid: str
    lines: tuple[str, ...]
    locked: bool = False
    foreign: bool = False
    """Whether it came with the system document."""

    def statements(self, *keyword: str) -> Iterator[list[str]]:
        """The statements that begin with these words, each as its words."""
        for line in self.lines:
            words = line.split()
            if [word.upper() for word in words[: len(keyword)]] == list(keyword):
                yield words


def check_userid(userid: str) -> str:
    """The userid in capitals; SMAPI refuses what cannot be one."""
    name = userid.strip().upper()
    if not _USERID.fullmatch(name):
        raise SmapiError(8, 3003, f"{userid!r} is no userid: use one to eight letters, digits, @, # and $")
    return name


def device(text: str) -> str:
    """A virtual device number as four hexadecimal digits."""
    number = text.strip().upper()
    if not _VDEV.fullmatch(number):
        raise SmapiError(8, 3003, f"{text!r} is no device number: use up to four hexadecimal digits")
    return number.zfill(4)


def megabytes(text: str) -> int:
    """A storage size such as 2G in megabytes."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise SmapiError(400, 0, f"{text!r} is no storage size")
    return int(int(match[1]) * _MEGABYTES[(match[2] or "M").upper()])


def parse(userid: str, text: str) -> tuple[str, ...]:
    """The statements of an entry as it is sent; its first one names the userid. Storage and class may be left out."""
    lines = tuple(line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("*DVHOPT"))
    first = lines[0].split() if lines else []
    if len(first) < 3 or first[0].upper() not in ("USER", "IDENTITY") or first[1].upper() != userid:
        raise SmapiError(400, 0, f"the entry of {userid} must begin with USER {userid} password storage maximum class")
    if sum(line.upper().startswith(("USER ", "IDENTITY ")) for line in lines) > 1:
        raise SmapiError(400, 40, "Multiple user statements")
    for size in first[3:5]:
        megabytes(size)
    return lines


# -- what an entry defines ----------------------------------------------------------------------------------------


def user(entry: Entry) -> list[str]:
    """The words of the USER statement."""
    return entry.lines[0].split()


def memory_mb(entry: Entry) -> int:
    """The storage that the virtual machine gets at logon: a megabyte where the entry says nothing."""
    said = user(entry)[3:4]
    return megabytes(said[0]) if said else 1


def reserved_mb(entry: Entry) -> int:
    """The storage that `COMMAND DEF STOR RESERVED` sets aside for later."""
    return sum(megabytes(words[4]) for words in entry.statements("COMMAND", "DEF", "STOR", "RESERVED"))


def standby_mb(entry: Entry) -> int:
    """The storage that is on standby from logon on: by `COMMAND DEF STOR INITIAL STANDBY REMAINDER` all up to the
    maximum of the USER statement."""
    remainder = any(words[4:6] == ["STANDBY", "REMAINDER"] for words in entry.statements("COMMAND", "DEF", "STOR"))
    said = user(entry)[4:5]
    return megabytes(said[0]) - memory_mb(entry) if remainder and said else 0


def profiles(entry: Entry) -> list[str]:
    """The profiles that the entry includes."""
    return [words[1].upper() for words in entry.statements("INCLUDE") if len(words) > 1]


def ipl_device(entry: Entry) -> str | None:
    """The device that IPL names; None where nothing is loaded at logon or a saved system is."""
    for words in entry.statements("IPL"):
        if len(words) > 1 and _VDEV.fullmatch(words[1].upper()):
            return words[1].upper().zfill(4)
    return None


def cpu_addresses(entry: Entry) -> list[str]:
    """The virtual processors at logon, from CPU and COMMAND DEFINE CPU statements; there is always one."""
    found = {words[1].upper() for words in entry.statements("CPU") if len(words) > 1}
    for words in entry.statements("COMMAND", "DEFINE", "CPU"):
        for word in words[3:]:
            if word.upper() == "TYPE":
                break
            found.add(word.upper())
    return sorted(found or {"00"})


def max_cpus(entry: Entry) -> int:
    """How many virtual processors MACHINE allows."""
    return next((int(words[2]) for words in entry.statements("MACHINE", "ESA") if len(words) > 2), 1)


def minidisks(entry: Entry) -> list[Minidisk]:
    """The MDISK statements, by device number."""
    found = []
    for words in entry.statements("MDISK"):
        vdev, kind = words[1].upper().zfill(4), words[2]
        if words[3].upper() == "V-DISK":
            found.append(Minidisk(vdev, kind, 0, int(words[4]), "", words[5] if len(words) > 5 else "MR"))
        elif words[3].isdigit():
            found.append(Minidisk(vdev, kind, int(words[3]), int(words[4]), words[5].upper(), words[6]))
    return sorted(found, key=lambda disk: disk.vdev)


def minidisk(entry: Entry, vdev: str) -> Minidisk | None:
    """The minidisk of that device number."""
    return next((disk for disk in minidisks(entry) if disk.vdev == vdev), None)


def nics(entry: Entry) -> list[Nic]:
    """The network adapters; several NICDEF statements of one device add up, the later ones decide."""
    found: dict[str, Nic] = {}
    for words in entry.statements("NICDEF"):
        vdev = words[1].upper().zfill(4)
        found[vdev] = _nic(found.get(vdev, Nic(vdev)), [word.upper() for word in words[2:]])
    return [found[vdev] for vdev in sorted(found)]


def nic(entry: Entry, vdev: str) -> Nic | None:
    """The network adapter of that device number."""
    return next((each for each in nics(entry) if each.vdev == vdev), None)


def _nic(adapter: Nic, words: Sequence[str]) -> Nic:
    rest = iter(words)
    for word in rest:
        if word == "MACID":
            adapter = replace(adapter, mac_id=next(rest, ""))
        elif word == "LAN":
            next(rest, "")  # the owner, SYSTEM
            adapter = replace(adapter, lan=next(rest, ""), vlan=None, port_type="")
        elif word == "VLAN":
            number = next(rest, "")
            adapter = replace(adapter, vlan=int(number) if number.isdigit() else None)
        elif word == "PORTTYPE":
            adapter = replace(adapter, port_type=next(rest, ""))
    return adapter


def dedicated(entry: Entry) -> dict[str, str]:
    """Real devices by virtual device number, from DEDICATE statements."""
    return {words[1].upper().zfill(4): words[2].upper().zfill(4) for words in entry.statements("DEDICATE")}


def loaddev(entry: Entry) -> dict[str, str]:
    """The operands of LOADDEV statements, such as PORTNAME and LUN."""
    return {words[1].upper()[:4]: words[2].upper() for words in entry.statements("LOADDEV") if len(words) > 2}


# -- changes: each returns a new entry ----------------------------------------------------------------------------


def with_line(entry: Entry, line: str) -> Entry:
    """The entry with one more statement."""
    return replace(entry, lines=(*entry.lines, line))


def without(entry: Entry, doomed: Callable[[list[str]], bool]) -> Entry:
    """The entry without the statements that `doomed` picks by their words (in capitals)."""
    kept = tuple(line for line in entry.lines if not doomed([word.upper() for word in line.split()]))
    return replace(entry, lines=kept)


def without_device(entry: Entry, keyword: str, vdev: str) -> Entry:
    """The entry without the statements of one kind that define this device."""
    return without(entry, lambda words: words[0] == keyword and len(words) > 1 and words[1].zfill(4) == vdev)


def uncoupled(entry: Entry, vdev: str) -> Entry:
    """The entry whose adapter is still defined but coupled to nothing."""
    adapter = nic(entry, vdev)
    assert adapter is not None
    line = f"NICDEF {vdev} TYPE QDIO" + (f" MACID {adapter.mac_id}" if adapter.mac_id else "")
    return with_line(without_device(entry, "NICDEF", vdev), line)


def replaced(entry: Entry, keyword: str, line: str) -> Entry:
    """The entry with `line` as its only statement of a kind."""
    return with_line(without(entry, lambda words: words[0] == keyword), line)
