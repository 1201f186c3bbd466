"""A guest's entry in the user directory, as SMAPI's Image_Query_DM shows it: what of it matters here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bigiron import naming
from bigiron.errors import PlatformError

_UNITS_MB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
_DEFINED_CPU = re.compile(r"^COMMAND\s+DEF(?:INE)?\s+CPU\s+([0-9A-F]+)", re.IGNORECASE)
_CPU = re.compile(r"^CPU\s+([0-9A-F]+)", re.IGNORECASE)
_COUPLED = re.compile(
    r"^NICDEF\s+(?P<vdev>[0-9A-F]+)\s(?:.*\s)?LAN\s+SYSTEM\s+(?P<switch>\S+)(?:.*?\sVLAN\s+(?P<vlan>\d+))?",
    re.IGNORECASE,
)
_MACHINE = re.compile(r"^MACHINE\s+\S+\s+(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Minidisk:
    """A disk of the entry: its virtual device number, and its size in the units of its type (cylinders, blocks)."""

    vdev: str
    device: str
    units: int


@dataclass(frozen=True, slots=True)
class Coupling:
    """What a network adapter is connected to: a virtual switch, and the adapter's own VLAN where it has one."""

    switch: str
    vlan: int | None = None

    def __str__(self) -> str:
        return self.switch if self.vlan is None else f"VLAN {self.vlan} of {self.switch}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry.

    Processors come from two kinds of statements: those that the guest was made with (`COMMAND DEFINE CPU`) and those
    that resizes add (`CPU`). Server 1.6.3 adds and takes away only the latter.
    """

    userid: str
    instance: str | None
    """The instance uuid in our mark, or None where there is none."""
    memory_mb: int
    max_memory_mb: int
    max_cpus: int
    made_cpus: frozenset[int]
    added_cpus: frozenset[int]
    minidisks: tuple[Minidisk, ...] = ()
    nics: tuple[str, ...] = ()
    """Virtual device numbers of the network adapters."""
    couplings: Mapping[str, Coupling] = field(default_factory=dict)
    """By the device numbers of those adapters that are coupled."""

    @property
    def vcpus(self) -> int:
        """Processors that the guest has when it starts."""
        return len(self.made_cpus | self.added_cpus) or 1


def parse(userid: str, lines: Sequence[str]) -> Entry:
    """The entry from its lines; raises PlatformError for what is no entry."""
    statements = [line.strip() for line in lines if line.strip()]
    memory, most = _memory(userid, statements)
    return Entry(
        userid=userid.upper(),
        instance=next((uuid for line in statements if (uuid := naming.zvm_marked_instance(line))), None),
        memory_mb=memory,
        max_memory_mb=most,
        max_cpus=max((int(found.group(1)) for line in statements if (found := _MACHINE.match(line))), default=1),
        made_cpus=_addresses(_DEFINED_CPU, statements),
        added_cpus=_addresses(_CPU, statements),
        minidisks=tuple(_minidisks(statements)),
        nics=_nics(statements),
        couplings=_couplings(statements),
    )


def _memory(userid: str, statements: Sequence[str]) -> tuple[int, int]:
    for line in statements:
        words = line.split()
        if words[0].upper() in ("USER", "IDENTITY") and len(words) >= 5:
            return megabytes(words[3]), megabytes(words[4])
    raise PlatformError(f"The directory entry of {userid} has no USER statement that says its memory.")


def megabytes(size: str) -> int:
    """Megabytes of a size as the directory writes it: `2048M`, `2G`."""
    unit = _UNITS_MB.get(size[-1:].upper())
    if unit is None or not size[:-1].isdigit():
        raise PlatformError(f"The size {size!r} in a directory entry makes no sense.")
    return round(int(size[:-1]) * unit)


def _addresses(statement: re.Pattern[str], statements: Sequence[str]) -> frozenset[int]:
    return frozenset(int(found.group(1), 16) for line in statements if (found := statement.match(line)))


def _minidisks(statements: Sequence[str]) -> list[Minidisk]:
    """`MDISK vdev type start size volume ...`, and `MDISK vdev FB-512 V-DISK size`."""
    found = []
    for line in statements:
        words = line.split()
        if words[0].upper() != "MDISK" or len(words) < 5:
            continue
        size = words[4]
        found.append(Minidisk(vdev(words[1]), words[2], int(size) if size.isdigit() else 0))
    return found


def _nics(statements: Sequence[str]) -> tuple[str, ...]:
    """An adapter may have several NICDEF statements: its type, its MAC, and what it is coupled to."""
    numbers = [vdev(line.split()[1]) for line in statements if line.upper().startswith("NICDEF ")]
    return tuple(dict.fromkeys(numbers))


def _couplings(statements: Sequence[str]) -> dict[str, Coupling]:
    """`NICDEF vdev ... LAN SYSTEM switch [VLAN number]`, in one statement of the adapter or the last of several."""
    found = {}
    for line in statements:
        if (match := _COUPLED.match(line)) is not None:
            vlan = match["vlan"]
            found[vdev(match["vdev"])] = Coupling(match["switch"].upper(), int(vlan) if vlan else None)
    return found


def vdev(number: str) -> str:
    """A virtual device number in the form that is used here: four digits, in lower case."""
    return number.lower().zfill(4)
