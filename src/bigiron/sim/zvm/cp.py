"""CP commands, as the connector's Linux issues them with vmcp."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bigiron.sim.zvm.errors import CpError
from bigiron.sim.zvm.model.system import System


def run(system: System, command: str) -> str:
    """What CP responds to a command of the connector's userid. Raises CpError."""
    words = command.upper().split()
    if not words:
        raise CpError(1, "HCPCMD001E Unknown CP command: ")
    verb = {"Q": "QUERY"}.get(words[0], words[0])
    handler = _COMMANDS.get(verb)
    if handler is None:
        raise CpError(1, f"HCPCMD001E Unknown CP command: {words[0]}")
    return handler(system, words[1:])


def template(command: str) -> tuple[str, str]:
    """The kind of a command, such as QUERY USER, and the userid or number that it is about."""
    words = command.upper().split()
    verb = {"Q": "QUERY"}.get(words[0], words[0]) if words else ""
    if verb == "QUERY" and len(words) > 1:
        known = words[1] in ("USERID", "CPLEVEL", "CHPIDV", "CHPID", "USER")
        return (f"QUERY {words[1]}", " ".join(words[2:])) if known else ("QUERY", words[1])
    if verb in ("CHANGE", "TRANSFER", "PURGE"):
        return verb, words[-2] if verb == "TRANSFER" and len(words) > 5 else words[2] if len(words) > 2 else ""
    return verb, ""


def _query(system: System, words: Sequence[str]) -> str:
    state = system.state
    what = words[0] if words else ""
    if what == "USERID":
        return f"{state.connector:<8} AT {state.machine.name}\n"
    if what == "CPLEVEL":
        level = f"z/VM Version {state.machine.version} Release {state.machine.release}.0, service level 2301 (64-bit)"
        return f"{level}\nGenerated at 01/05/26 10:12:07 UTC\nIPL at {_date(state.ipl_time)} UTC\n"
    if what == "CHPIDV":
        return "CHPID Virtualization is off\n"
    if what == "CHPID" and len(words) > 1:
        pchids = {each.chpid: each.pchid for each in state.fcp.values()}
        if words[1] not in pchids:
            raise CpError(40, f"HCPQCH040E Channel path {words[1]} does not exist")
        return f"CHPID {words[1]} is PCHID {pchids[words[1]]}\n"
    name = words[1] if what == "USER" and len(words) > 1 else what
    return _query_user(system, name, by_name=what == "USER")


def _query_user(system: System, name: str, *, by_name: bool) -> str:
    machine = system.state.running.get(name)
    if machine is not None and machine.logging_off:
        raise CpError(361, f"HCPCQU361E LOGOFF/FORCE pending for user {name}")
    if machine is not None:
        return f"{name:<8} - DSC\n"
    if name not in system.state.entries and not by_name:
        raise CpError(3, f"HCPCQV003E Invalid option - {name}")
    raise CpError(45, f"HCPCQU045E {name} not logged on")


def _date(seconds: float) -> str:
    return time.strftime("%m/%d/%y %H:%M:%S", time.gmtime(seconds))


def _spool(_system: System, words: Sequence[str]) -> str:
    if words[:1] not in (["READER"], ["RDR"]):
        raise CpError(3, f"HCPCSP003E Invalid option - {' '.join(words)}")
    return ""


def _change(system: System, words: Sequence[str]) -> str:
    """CHANGE RDR number CLASS class."""
    if len(words) < 4 or words[0] not in ("RDR", "READER") or words[2] != "CLASS":
        raise CpError(26, "HCPCSU026E Operand missing or invalid")
    system.spool.change(system.spool.find(system.state.connector, words[1]), spool_class=words[3][:1])
    system.touch()
    return "0000001 FILE  CHANGED\n"


def _transfer(system: System, words: Sequence[str]) -> str:
    """TRANSFER * RDR number TO userid RDR."""
    if len(words) < 5 or words[0] != "*" or words[3] != "TO":
        raise CpError(26, "HCPTRN026E Operand missing or invalid")
    file = system.spool.find(system.state.connector, words[2])
    if words[4] not in system.state.entries:
        raise CpError(53, f"HCPTRN053E {words[4]} not in CP directory")
    system.spool.change(file, owner=words[4])
    system.touch()
    return f"RDR FILE {file.number:04d} SENT TO   {words[4]:<8} RDR AS  {file.number:04d} RECS 0001\n"


def _purge(system: System, words: Sequence[str]) -> str:
    """PURGE RDR number or ALL."""
    if len(words) < 2 or words[0] not in ("RDR", "READER"):
        raise CpError(26, "HCPCSU026E Operand missing or invalid")
    if words[1] == "ALL":
        count = system.spool.purge(system.state.connector)
    else:
        system.spool.remove(system.spool.find(system.state.connector, words[1]))
        count = 1
    system.touch()
    return f"{count:07d} FILE  PURGED\n"


_COMMANDS: dict[str, Callable[[System, Sequence[str]], str]] = {
    "QUERY": _query, "SPOOL": _spool, "CHANGE": _change, "TRANSFER": _transfer, "PURGE": _purge,
}  # fmt: skip
