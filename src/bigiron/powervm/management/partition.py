"""Which partition of the system is the management partition, and whether this process runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bigiron.errors import Unsupported
from bigiron.powervm.connection import Connection

_LPARCFG = "proc/ppc64/lparcfg"


@dataclass(frozen=True, slots=True)
class Management:
    """The management partition: its uuid (upper case) and short id; `vios` says that it is itself a VIOS."""

    uuid: str
    id: int
    name: str
    vios: bool


def management_partition(connection: Connection) -> Management | None:
    """The system's management partition from what is known, or None where an HMC manages the system."""
    for lpar in connection.mirror.lpars():
        if lpar.management:
            return Management(lpar.uuid, lpar.id, lpar.name, vios=False)
    for vios in connection.vioses.all():
        if connection.vioses.last(vios.uuid).is_mgmt_partition:
            return Management(vios.uuid, vios.id, vios.name, vios=True)
    return None


def own_partition(connection: Connection, purpose: str) -> Management:
    """The management partition that this process runs in; raises Unsupported, saying what for, where it does not."""
    found = management_partition(connection)
    if found is None:
        raise Unsupported(
            f"{purpose} needs the NovaLink management partition, and system {connection.system.system_name} has none: "
            "an HMC manages it."
        )
    here = partition_id(connection.options.management_root)
    if here != found.id:
        where = f"partition {here}" if here is not None else "no partition of a Power system"
        raise Unsupported(
            f"{purpose} needs nova-compute to run in the management partition {found.name} (id {found.id}); it runs in "
            f"{where}. Run it there."
        )
    return found


def partition_id(root: Path) -> int | None:
    """The short id of the partition that runs this process, or None on another machine (/proc/ppc64/lparcfg)."""
    try:
        lines = (root / _LPARCFG).read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split("=", 1)[1]) for line in lines if line.startswith("partition_id=")), None)
