"""The system itself: processors, storage, the cluster, and name lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.smapi.protocol import DONE, Call

_PAGE_KB = 4
_CP_MB = 1024
"""What CP itself keeps in storage."""


def processors(system: System, _call: Call) -> Iterable[str]:
    """System_Processor_Query."""
    machine = system.state.machine
    lines = ["Partition mode: Z/VM", "", "ADDRESS STATUS TYPE CORE_ID"]
    for address in range(machine.processors + machine.standby_processors):
        status = "MASTER-PROCESSOR" if address == 0 else "ALTERNATE" if address < machine.processors else "STANDBY"
        lines.append(f"{address:04X} {status} IFL {address:04X}")
    return lines


def information(system: System, _call: Call) -> Iterable[str]:
    """System_Information_Query, its lines with the storage and with the IPL; of the latter only that is read."""
    machine = system.state.machine
    ipl = datetime.fromtimestamp(system.state.ipl_time, UTC)
    return [
        f"STORAGE=TOTAL={machine.memory_mb // 1024}G CONFIGURED={machine.memory_mb // 1024}G RESERVED=0 INC=1G "
        f"STANDBY={machine.standby_mb // 1024}G",
        f"SYSTEM={machine.name} VERSION={machine.version} RELEASE={machine.release} SERVICE=2301 ARCHITECTURE=64-BIT "
        f"IPL_TIME={ipl:%H:%M:%S} IPL_DATE={ipl:%Y-%m-%d} IPL_TIME_ZONE=UTC",
    ]


def performance(system: System, _call: Call) -> Iterable[str]:
    """System_Performance_Information_Query: the storage in use, in pages."""
    used = _CP_MB + sum(machine.memory_mb for machine in system.state.running.values())
    return [f"MEMORY_IN_USE={used * 1024 // _PAGE_KB}"]


def cluster(_system: System, _call: Call) -> Iterable[str]:
    """SSI_Query: this system is in no cluster."""
    raise SmapiError(4, 3008)


def add_name(system: System, call: Call) -> Iterable[str]:
    """Name_List_Add."""
    names = system.state.names.setdefault(call.target, [])
    if call.required("n").upper() not in names:
        names.append(call.option("n").upper())
    system.touch()
    return DONE


def remove_name(system: System, call: Call) -> Iterable[str]:
    """Name_List_Remove; a list that is empty is gone."""
    names = system.state.names.get(call.target)
    if names is None:
        raise SmapiError(4, 4)
    if call.required("n").upper() in names:
        names.remove(call.option("n").upper())
    if not names:
        del system.state.names[call.target]
    system.touch()
    return DONE


def query_names(system: System, call: Call) -> Iterable[str]:
    """Name_List_Query: 4/4 no such list."""
    if call.target not in system.state.names:
        raise SmapiError(4, 4)
    return system.state.names[call.target]


def destroy_names(system: System, call: Call) -> Iterable[str]:
    """Name_List_Destroy: 4/4 no such list."""
    if system.state.names.pop(call.target, None) is None:
        raise SmapiError(4, 4)
    system.touch()
    return DONE


def purge_reader(system: System, call: Call) -> Iterable[str]:
    """System_RDR_File_Manage with spoolids=all: purge a userid's reader."""
    entry = system.entry(call.target)
    wanted = call.needed("spoolids")
    for file in system.spool.reader(entry.userid):
        if wanted.lower() == "all" or str(file.number) in wanted.split():
            system.spool.remove(file)
    system.touch()
    return DONE
