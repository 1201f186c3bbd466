"""Programs of Linux that show files or hardware: hexdump, scp, lschp and zhypinfo."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bigiron.sim.zvm.connector.presence import mapped
from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.model.system import System

_ROW = 16
_WITH_VALUE = {"-c", "-D", "-F", "-i", "-J", "-l", "-o", "-P", "-S", "-X"}
"""Options of scp whose value may be the next word."""


def hexdump(arguments: Sequence[str], root: Path) -> str:
    """hexdump -C -n COUNT FILE."""
    words = list(arguments)
    count = int(words[words.index("-n") + 1]) if "-n" in words else None
    path = words[-1]
    try:
        with Path(mapped(path, str(root))).open("rb") as stream:
            data = stream.read() if count is None else stream.read(count)
    except OSError as error:
        raise ToolError(1, f"hexdump: {path}: {error.strerror}\n") from error
    return "".join(_rows(data))


def _rows(data: bytes) -> Iterator[str]:
    """The canonical display: a run of equal rows is shown once, then as a star."""
    before, starred = None, False
    for at in range(0, len(data), _ROW):
        row = data[at : at + _ROW]
        if row == before and len(row) == _ROW:
            if not starred:
                yield "*\n"
            starred = True
            continue
        before, starred = row, False
        left, right = (" ".join(f"{byte:02x}" for byte in half) for half in (row[:8], row[8:]))
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{at:08x}  {left:<23}  {right:<23}  |{shown}|\n"
    if data:
        yield f"{len(data):08x}\n"


def scp(arguments: Sequence[str], root: Path) -> str:
    """Copy a file; whatever host is named, its files are those of this machine."""
    words = [word for word in arguments if word]
    names: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith("-"):
            skip = word in _WITH_VALUE
        else:
            names.append(word.partition(":")[2] if ":" in word else word)
    if len(names) != 2:
        raise ToolError(1, "usage: scp [options] source target\n")
    try:
        shutil.copyfile(mapped(names[0], str(root)), mapped(names[1], str(root)))
    except OSError as error:
        raise ToolError(1, f"scp: {names[0]}: {error.strerror}\n") from error
    return ""


def lschp(system: System, arguments: Sequence[str]) -> str:
    """The channel paths of FCP devices, with their physical channels."""
    wanted = {word.upper() for word in arguments if not word.startswith("-")}
    pchids = {device.chpid: device.pchid for device in system.state.fcp.values()}
    rows = [
        f"0.{c.lower()}   1     1     25    -    -       {p.lower()}"
        for c, p in pchids.items()
        if c in (wanted or pchids)
    ]
    rule = "==========================================="
    return "\n".join(["CHPID  Vary  Cfg.  Type  Cmg  Shared  PCHID", rule, *rows, ""])


def zhypinfo(system: System) -> str:
    """The layers of hypervisors, as JSON."""
    facts = system.state.machine
    layers = {
        "Layer 0": {
            "layer_type_num": "1", "layer_type": "CEC", "layer_name": facts.cpc, "sequence_code": facts.cpc_serial,
            "manufacturer": "IBM", "type": facts.cpc_type,
        },
        "Layer 1": {"layer_type_num": "2", "layer_type": "LPAR", "layer_name": facts.lpar},
        "Layer 2": {
            "layer_type": "z/VM-hypervisor", "layer_name": facts.name,
            "control_program_id": f"z/VM    {facts.version}.{facts.release}.0",
        },
    }  # fmt: skip
    return json.dumps(layers) + "\n"


def sysinfo(system: System) -> str:
    """/proc/sysinfo of the connector's Linux."""
    facts = system.state.machine
    return (
        f"Manufacturer:         IBM\nType:                 {facts.cpc_type}\nModel:                400\n"
        f"Sequence Code:        {facts.cpc_serial}\n\n"
        f"LPAR Number:          1\nLPAR Name:            {facts.lpar}\n"
        f"LPAR CPUs Total:      {facts.processors + facts.standby_processors}\n"
        f"LPAR CPUs Configured: {facts.processors}\nLPAR CPUs Standby:    {facts.standby_processors}\n\n"
        f"VM00 Name:            {system.state.connector}\n"
        f"VM00 Control Program: z/VM    {facts.version}.{facts.release}.0\nVM00 CPUs Total:      2\n"
    )
