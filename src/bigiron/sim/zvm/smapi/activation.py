"""Logging on and off, pausing, and the console: Image_Activate, Image_Deactivate, Image_Pause, Image_Console_Get."""

from __future__ import annotations

from collections.abc import Iterable

from bigiron.sim.zvm.errors import CpError, SmapiError
from bigiron.sim.zvm.model import power
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.smapi.protocol import DONE, Call


def activate(system: System, call: Call) -> Iterable[str]:
    """Image_Activate: 200/4 no such userid, 200/8 logged on already, 200/16 still logging off."""
    power.log_on(system, call.target)
    return DONE


def deactivate(system: System, call: Call) -> Iterable[str]:
    """Image_Deactivate: 200/12 not logged on, 200/16 logging off already."""
    power.log_off(system, call.target)
    return DONE


def pause(system: System, call: Call) -> Iterable[str]:
    """Image_Pause: PAUSE=YES stops the virtual processors, PAUSE=NO has them go on."""
    machine = system.running(call.target)
    wanted = call.needed("PAUSE").upper()
    if wanted not in ("YES", "NO"):
        raise SmapiError(8, 3003, f"PAUSE={wanted} is neither YES nor NO")
    machine.paused = wanted == "YES"
    system.touch()
    return DONE


def console(system: System, call: Call) -> Iterable[str]:
    """Image_Console_Get: what was printed since the last time goes to the caller's reader, class T. 8/8 nothing."""
    entry = system.entry(call.target)
    text = system.console(entry.userid).take()
    if not text:
        raise SmapiError(8, 8, "No console output is available")
    try:
        system.spool.add(
            system.state.connector, entry.userid, "T", "CON", ("", ""), text.encode(), system.clock.now()
        )  # fmt: skip
    except CpError as error:
        raise SmapiError(396, error.number, error.message) from error
    system.touch()
    return DONE
