"""What running machines use: Image_Performance_Query and System_Image_Performance_Query."""

from __future__ import annotations

from collections.abc import Iterable

from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine
from bigiron.sim.zvm.smapi.protocol import Call

_SAMPLES_PER_SECOND = 0.5
"""How often CP looks at what a virtual processor does."""


def named(system: System, call: Call) -> Iterable[str]:
    """System_Image_Performance_Query: of the userids of a name list, the last -T."""
    return _blocks(system, system.state.names.get(call.target, [call.target]))


def listed(system: System, call: Call) -> Iterable[str]:
    """Image_Performance_Query: of the userids that -T lists. Those that are not logged on are left out."""
    return _blocks(system, call.target.split())


def _blocks(system: System, userids: Iterable[str]) -> list[str]:
    lines: list[str] = []
    for userid in userids:
        machine = system.state.running.get(userid)
        if machine is not None and not machine.logging_off:
            lines += [f'{title}: "{value}"' for title, value in _figures(system, machine)]
            lines.append("")
    return lines


def _figures(system: System, machine: VirtualMachine) -> Iterable[tuple[str, object]]:
    """The fields of Diagnose X'2FC': times, memory and samples since the logon."""
    now = system.clock.now()
    elapsed, meter = now - machine.since, system.meter(machine)
    totals, cpus = meter.at(now), len(machine.cpus)
    samples = int(elapsed * _SAMPLES_PER_SECOND) * cpus
    in_use, delayed = (int(seconds * _SAMPLES_PER_SECOND) for seconds in (totals.used, totals.waited))
    memory = machine.memory_mb * 1024
    processors = system.state.machine.processors
    used_memory = int(memory * meter.phase(now).memory)
    return (
        ("Record version", 1), ("Guest flags", 0), ("Used CPU time", f"{int(totals.used * 1e6)} uS"),
        ("Elapsed time", f"{int(elapsed * 1e6)} uS"), ("Minimum memory", "0 KB"), ("Max memory", f"{memory} KB"),
        ("Shared memory", "0 KB"), ("Used memory", f"{used_memory} KB"),
        ("Active CPUs in CEC", processors), ("Logical CPUs in VM", processors),
        ("Guest CPUs", cpus), ("Minimum CPU count", cpus), ("Max CPU limit", 10000),
        ("Processor share", 100), ("Samples CPU in use", in_use), ("Samples CPU delay", delayed),
        ("Samples page wait", 0), ("Samples idle", max(0, samples - in_use - delayed)), ("Samples other", 0),
        ("Samples total", samples), ("Guest name", machine.userid),
    )  # fmt: skip
