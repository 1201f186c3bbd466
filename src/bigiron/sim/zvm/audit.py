"""What is inconsistent or left over on a simulated z/VM: an empty list means that it is clean."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from bigiron.sim.zvm.model import directory, fcp
from bigiron.sim.zvm.model.system import System

Finding = dict[str, str]


def audit(system: System) -> list[Finding]:
    """Every finding as {kind, object, detail}; the caller holds the system's lock."""
    return [finding for check in _CHECKS for finding in check(system)]


def _finding(kind: str, name: str, detail: str) -> Finding:
    return {"kind": kind, "object": name, "detail": detail}


def _grants(system: System) -> Iterator[Finding]:
    for switch in system.state.vswitches.values():
        for userid in switch.grants:
            if userid not in system.state.entries:
                yield _finding("orphan-grant", f"{switch.name}/{userid}", f"{userid} is not in the directory")


def _nicdefs(system: System) -> Iterator[Finding]:
    for entry in system.state.entries.values():
        for nic in directory.nics(entry):
            if nic.lan and nic.lan not in system.state.vswitches:
                yield _finding("nic-without-switch", f"{entry.userid}/{nic.vdev}", f"{nic.lan} does not exist")


def _macs(system: System) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for entry in system.state.entries.values():
        for nic in directory.nics(entry):
            place = f"{entry.userid}/{nic.vdev}"
            if nic.mac_id and nic.mac_id in seen:
                yield _finding("doubled-mac", place, f"{seen[nic.mac_id]} has MACID {nic.mac_id} as well")
            seen.setdefault(nic.mac_id, place)


def _locks(system: System) -> Iterator[Finding]:
    for entry in system.state.entries.values():
        if entry.locked:
            yield _finding("locked-entry", entry.userid, "its directory entry is still locked")


def _links(system: System) -> Iterator[Finding]:
    for link in system.state.links.values():
        yield _finding("linked-disk", f"{link.userid}/{link.vdev}", f"the connector still has it as {link.device}")


def _spool(system: System) -> Iterator[Finding]:
    for file in system.spool.files:
        if file.owner == system.state.connector:
            what = f"{file.name}.{file.type}" if file.name else f"console of {file.origin}"
            yield _finding("left-over-spool-file", f"{file.number:04d}", f"{what} is in the connector's reader")
        elif file.owner not in system.state.entries:
            yield _finding("orphan-spool-file", f"{file.number:04d}", f"its owner {file.owner} is gone")


def _names(system: System) -> Iterator[Finding]:
    for name, userids in system.state.names.items():
        for userid in userids:
            if userid not in system.state.entries:
                yield _finding("orphan-name", f"{name}/{userid}", f"{userid} is not in the directory")


def _devices(system: System) -> Iterator[Finding]:
    for device in system.state.fcp:
        holders = fcp.holders(system, device)
        if len(holders) > 1:
            yield _finding("shared-fcp-device", device, f"it is dedicated to {', '.join(holders)}")


def _extents(system: System) -> Iterator[Finding]:
    ends: dict[str, list[tuple[int, int, str]]] = {}
    for entry in system.state.entries.values():
        for disk in directory.minidisks(entry):
            if not disk.virtual:
                part = (disk.start, disk.start + disk.size, f"{entry.userid}/{disk.vdev}")
                ends.setdefault(disk.volume, []).append(part)
    for volume, parts in ends.items():
        parts.sort()
        for (_, end, first), (start, _, second) in itertools.pairwise(parts):
            if start < end:
                yield _finding("overlapping-minidisks", volume, f"{first} and {second}")


def _machines(system: System) -> Iterator[Finding]:
    for userid in system.state.running:
        if userid not in system.state.entries:
            yield _finding("machine-without-entry", userid, "it is logged on and not in the directory")


_CHECKS: tuple[Callable[[System], Iterator[Finding]], ...] = (
    _grants, _nicdefs, _macs, _locks, _links, _spool, _names, _devices, _extents, _machines,
)  # fmt: skip
