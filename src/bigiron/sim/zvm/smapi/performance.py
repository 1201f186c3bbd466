"""What running machines use: Image_Performance_Query and System_Image_Performance_Query."""

from __future__ import annotations

from collections.abc import Iterable

from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.virtual_machine import BOOTING, VirtualMachine
from bigiron.sim.zvm.smapi.protocol import Call

_IDLE, _BOOTING = 0.02, 0.9
"""The part of its processors that a guest uses."""
_SAMPLES_PER_SECOND = 0.5
_USED_MEMORY = 0.15


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


def cpu_seconds(machine: VirtualMachine, now: float) -> float:
    """The processor time of a machine since its logon."""
    load = _BOOTING if machine.phase == BOOTING else _IDLE
    return (now - machine.since) * len(machine.cpus) * load


def _figures(system: System, machine: VirtualMachine) -> Iterable[tuple[str, object]]:
    now = system.clock.now()
    elapsed, used = now - machine.since, cpu_seconds(machine, now)
    samples = int(elapsed * _SAMPLES_PER_SECOND)
    in_use, delayed = int(samples * _IDLE), samples // 100
    memory = machine.memory_mb * 1024
    processors = system.state.machine.processors
    used_memory = int(memory * _USED_MEMORY)
    return (
        ("Record version", 1), ("Guest flags", 0), ("Used CPU time", f"{int(used * 1e6)} uS"),
        ("Elapsed time", f"{int(elapsed * 1e6)} uS"), ("Minimum memory", "0 KB"), ("Max memory", f"{memory} KB"),
        ("Shared memory", "0 KB"), ("Used memory", f"{used_memory} KB"),
        ("Active CPUs in CEC", processors), ("Logical CPUs in VM", processors),
        ("Guest CPUs", len(machine.cpus)), ("Minimum CPU count", len(machine.cpus)), ("Max CPU limit", 10000),
        ("Processor share", 100), ("Samples CPU in use", in_use), ("Samples CPU delay", delayed),
        ("Samples page wait", 0), ("Samples idle", samples - in_use - delayed), ("Samples other", 0),
        ("Samples total", samples), ("Guest name", machine.userid),
    )  # fmt: skip
