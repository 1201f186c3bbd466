"""The user directory: Image_Create_DM and what else changes or shows entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bigiron.sim.zvm.errors import BadCall, SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.smapi.protocol import DONE, Call

_DVHOPT = "*DVHOPT LNK0 LOG1 RCM1 SMS0 NPW1 LNGAMENG PWC20261101 CRC\xc2\xb4"
"""DIRMAINT's own control record, the last of every entry."""


def _text(call: Call) -> str:
    try:
        return Path(call.required("f")).read_text()
    except OSError as error:
        raise BadCall(f"ERROR: Failed to open file {call.option('f')}: {error.strerror}") from error


def _checked(system: System, userid: str, text: str) -> tuple[str, ...]:
    lines = directory.parse(userid, text)
    for name in directory.profiles(Entry(userid, lines)):
        if name not in system.state.profiles:
            raise SmapiError(436, 4, f"Profile {name} included not found")
    return lines


def create(system: System, call: Call) -> Iterable[str]:
    """Image_Create_DM: 400/8 exists, 436/4 no such profile."""
    userid = directory.check_userid(call.target)
    if userid in system.state.entries:
        raise SmapiError(400, 8)
    system.put_entry(Entry(userid, _checked(system, userid, _text(call))))
    return DONE


def replace_entry(system: System, call: Call) -> Iterable[str]:
    """Image_Replace_DM: the entry must be locked by Image_Lock_DM before (400/24), and no longer is afterwards."""
    entry = system.entry(call.target)
    if not entry.locked:
        raise SmapiError(400, 24)
    system.put_entry(replace(entry, lines=_checked(system, entry.userid, _text(call)), locked=False))
    return DONE


def query(system: System, call: Call) -> Iterable[str]:
    """Image_Query_DM: the entry's statements."""
    return [*system.entry(call.target).lines, _DVHOPT]


def names(system: System, _call: Call) -> Iterable[str]:
    """Image_Name_Query_DM: every userid and profile."""
    return sorted(system.state.entries)


def lock(system: System, call: Call) -> Iterable[str]:
    """Image_Lock_DM: 400/12 when it is locked already."""
    system.put_entry(replace(system.editable(call.target), locked=True))
    return DONE


def unlock(system: System, call: Call) -> Iterable[str]:
    """Image_Unlock_DM: 400/24 when it is not locked."""
    entry = system.entry(call.target)
    if not entry.locked:
        raise SmapiError(400, 24)
    system.put_entry(replace(entry, locked=False))
    return DONE


def delete(system: System, call: Call) -> Iterable[str]:
    """Image_Delete_DM: 596/6831 while a minidisk of the userid is in use, as it is while the userid is logged on."""
    entry = system.editable(call.target)
    if entry.userid in system.state.running or any(k.userid == entry.userid for k in system.state.links.values()):
        raise SmapiError(596, 6831)
    system.remove_entry(entry.userid)
    return DONE


def update_definition(system: System, call: Call) -> Iterable[str]:
    """Image_Definition_Update_DM: CPU, COMMAND_DEFINE_CPU and SHARE statements."""
    entry = system.editable(call.target)
    for value in call.all("CPU"):
        address = _cpu_address(value)
        entry = directory.without(entry, lambda words, a=address: words[:2] == ["CPU", a])  # type: ignore[misc]
        entry = directory.with_line(entry, f"CPU {address}")
    for value in call.all("COMMAND_DEFINE_CPU"):
        address = _cpu_address(value)
        entry = directory.without(entry, lambda words, a=address: words[:4] == ["COMMAND", "DEFINE", "CPU", a])  # type: ignore[misc]
        entry = directory.with_line(entry, f"COMMAND DEFINE CPU {address} TYPE IFL")
    if share := call.keyword("SHARE"):
        entry = directory.replaced(entry, "SHARE", f"SHARE {share.replace('=', ' ')}")
    system.put_entry(entry)
    return DONE


def delete_definition(system: System, call: Call) -> Iterable[str]:
    """Image_Definition_Delete_DM: 8/4 where there is no such statement."""
    entry = system.editable(call.target)
    for keyword, words in (("CPU", ["CPU"]), ("COMMAND_DEFINE_CPU", ["COMMAND", "DEFINE", "CPU"])):
        for value in call.all(keyword):
            doomed = [*words, _cpu_address(value)]
            changed = directory.without(entry, lambda found, d=doomed: found[: len(d)] == d)  # type: ignore[misc]
            if changed.lines == entry.lines and keyword == "CPU":
                raise SmapiError(8, 4)
            entry = changed
    system.put_entry(entry)
    return DONE


def _cpu_address(value: str) -> str:
    """CPUADDR=02 TYPE=IFL names processor 02."""
    words = dict(word.partition("=")[::2] for word in value.upper().split())
    if not words.get("CPUADDR"):
        raise SmapiError(8, 3003, f"{value!r} names no CPUADDR")
    return words["CPUADDR"].zfill(2)


def set_ipl(system: System, call: Call) -> Iterable[str]:
    """Image_IPL_Set_DM."""
    entry = system.editable(call.target)
    line = f"IPL {call.required('s')}"
    line += f" LOADPARM {call.option('l')}" if call.option("l") else ""
    line += f" PARM {call.option('p')}" if call.option("p") else ""
    system.put_entry(directory.replaced(entry, "IPL", line))
    return DONE


def delete_ipl(system: System, call: Call) -> Iterable[str]:
    """Image_IPL_Delete_DM."""
    system.put_entry(directory.without(system.editable(call.target), lambda words: words[0] == "IPL"))
    return DONE


def define_loaddev(system: System, call: Call) -> Iterable[str]:
    """Image_SCSI_Characteristics_Define_DM: the LOADDEV statements."""
    entry = directory.without(system.editable(call.target), lambda words: words[0] == "LOADDEV")
    for letter, operand in (("p", "PORTNAME"), ("l", "LUN"), ("b", "BOOTPROG"), ("k", "BR_LBA")):
        if value := call.option(letter):
            entry = directory.with_line(entry, f"LOADDEV {operand} {value}")
    system.put_entry(entry)
    return DONE
