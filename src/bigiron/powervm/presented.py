"""What a guest is presented by which VIOS, and the writes that change it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.powervm.connection import Connection
from bigiron.powervm.mapping import AddMappings, Backing, RemoveMappings, Together
from bigiron.powervm.partition import Lpar


@dataclass(frozen=True, slots=True)
class Presented:
    """A device and a VIOS that presents it to the guest."""

    vios_uuid: str
    backing: Backing


def exchange(
    connection: Connection, lpar: Lpar, owner: str, add: Collection[Presented], remove: Collection[Presented]
) -> Sequence[VIOS]:
    """Present some devices and take away others, with one write for each VIOS; returns the VIOSes as written."""
    added: defaultdict[str, list[Backing]] = defaultdict(list)
    removed: defaultdict[str, list[Backing]] = defaultdict(list)
    for one in add:
        added[one.vios_uuid].append(one.backing)
    for one in remove:
        removed[one.vios_uuid].append(one.backing)

    def change(vios: str) -> Together:
        gone = removed[vios]
        return Together(
            owner,
            (
                # First what is added: an adapter that carries something stays where it is.
                AddMappings(owner, lpar.uuid, tuple(added[vios])),
                RemoveMappings(owner, lpar.uuid, only=lambda backing: any(one.same(backing) for one in gone)),
            ),
        )

    return list(connection.vioses.write_all({vios: change(vios) for vios in {*added, *removed}}).values())
