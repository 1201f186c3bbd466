"""Minidisks and what is left in the pools: Image_Disk_* and Image_Volume_Space_Query_DM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory, pools
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import ECKD, FBA, Pool
from bigiron.sim.zvm.smapi.protocol import DONE, Call

_KINDS = {"3390": ECKD, "9336": FBA}


def create_dm(system: System, call: Call) -> Iterable[str]:
    """Image_Disk_Create_DM: 408/4 the device number is taken, 408/24 no room, 596/3541 no such group."""
    entry, vdev = system.editable(call.target), call.vdev()
    taken = {disk.vdev for disk in directory.minidisks(entry)} | directory.dedicated(entry).keys()
    if vdev in taken or directory.nic(entry, vdev):
        raise SmapiError(408, 4)
    pool = system.pool(call.required("r"))
    if _KINDS.get(call.required("t")) != pool.kind:
        raise SmapiError(408, 24, f"DASD group {pool.name} has no devices of type {call.option('t')}")
    size = call.required("z")
    if not size.isdigit() or int(size) < 1:
        raise SmapiError(8, 3003, f"{size!r} is no size of a minidisk")
    disk = pools.allocate(pool, vdev, int(size), call.option("m"), system.state.entries.values())
    system.put_entry(directory.with_line(entry, pools.statement(disk)))
    return DONE


def create(system: System, call: Call) -> Iterable[str]:
    """Image_Disk_Create: give a running machine a minidisk of its entry. 208/36, 204/4."""
    machine, vdev = system.running(call.target), call.vdev()
    if system.disk(machine.userid, vdev) is None:
        raise SmapiError(208, 36)
    if vdev in machine.disks:
        raise SmapiError(204, 4)
    machine.disks.append(vdev)
    system.touch()
    return DONE


def delete(system: System, call: Call) -> Iterable[str]:
    """Image_Disk_Delete: take a minidisk from a running machine. 208/36."""
    machine, vdev = system.running(call.target), call.vdev()
    if vdev not in machine.disks:
        raise SmapiError(208, 36)
    machine.disks.remove(vdev)
    system.touch()
    return DONE


def delete_dm(system: System, call: Call) -> Iterable[str]:
    """Image_Disk_Delete_DM: 208/36 there is none, 596/6831 it is in use."""
    entry, vdev = system.editable(call.target), call.vdev()
    if directory.minidisk(entry, vdev) is None:
        raise SmapiError(208, 36)
    machine = system.state.running.get(entry.userid)
    linked = any((link.userid, link.vdev) == (entry.userid, vdev) for link in system.state.links.values())
    if linked or (machine is not None and vdev in machine.disks):
        raise SmapiError(596, 6831)
    system.put_entry(directory.without_device(entry, "MDISK", vdev))
    return DONE


def query(system: System, call: Call) -> Iterable[str]:
    """Image_Disk_Query: the minidisks that a running machine has."""
    machine = system.running(call.target)
    wanted = call.keyword("vdasd_id", "ALL").upper()
    rdevs = {volume.label: volume.rdev for pool in system.state.pools.values() for volume in pool.volumes}
    lines: list[str] = []
    for vdev in sorted(machine.disks):
        disk = system.disk(machine.userid, vdev)
        if disk is None or wanted not in ("ALL", vdev):
            continue
        lines += [
            f"DASD VDEV: {vdev}",
            f"  RDEV: {rdevs.get(disk.volume, '0000')}",
            "  Access type: R/W",
            f"  Device type: {'9336' if disk.fixed_block else disk.device_type}",
            f"  Device size: {disk.size}",
            f"  Device units: {'Blocks' if disk.fixed_block else 'Cylinders'}",
            f"  Device volume label: {disk.volume or '(VDISK)'}",
            "",
        ]
    if not lines and wanted != "ALL":
        raise SmapiError(208, 36)
    return lines


def space(system: System, call: Call) -> Iterable[str]:
    """Image_Volume_Space_Query_DM: -q 1 what is defined, 2 free, 3 used; -e 1 by volume, 3 by group; -n names."""
    kind, entry_type = call.required("q"), call.required("e")
    names = {name.upper() for name in call.option("n", "*").split()}
    return list(_space(system, kind, entry_type, names))


def _space(system: System, kind: str, entry_type: str, names: set[str]) -> Iterator[str]:
    for pool in system.state.pools.values():
        if entry_type == "3" and "*" not in names and pool.name not in names:
            continue
        if kind == "1" and entry_type == "3":
            yield f"{pool.name} {' '.join(volume.label for volume in pool.volumes)}"
            continue
        yield from _volumes(system, pool, kind, names if entry_type == "1" else {"*"})


def _volumes(system: System, pool: Pool, kind: str, names: set[str]) -> Iterator[str]:
    entries = list(system.state.entries.values())
    for volume in pool.volumes:
        if "*" not in names and volume.label not in names:
            continue
        if kind == "1":
            yield f"{volume.label} {volume.device_type} {volume.size}"
        elif kind == "2":
            for gap in pools.free(volume, pool.kind, entries):
                yield f"{volume.label} {volume.device_type} {gap.start} {gap.size} {pool.name} {volume.label}"
        else:
            for part in pools.used(volume, entries):
                yield (
                    f"{volume.label} {volume.device_type} {part.start} {part.size} {part.end} {part.owner} {part.vdev} "
                    f"{pool.name} {volume.label}"
                )
