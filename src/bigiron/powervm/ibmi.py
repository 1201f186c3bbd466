"""What only IBM i partitions need: where they load from, which they are told before their first start.

An IBM i partition has no boot list. Its document names, in TaggedIO, the virtual slot of its load source and of an
alternative, and what its console is; the keylock position and the IPL source say how it starts.
"""

from __future__ import annotations

from pypowervm.wrappers.base_partition import KeylockPos, TaggedIO
from pypowervm.wrappers.logical_partition import LPAR as LparDocument
from pypowervm.wrappers.logical_partition import IPLSrc
from pypowervm.wrappers.managed_system import System

from bigiron.errors import Unsupported
from bigiron.hypervisor import Step, Values, nic_plugged
from bigiron.model import GuestSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.documents import Partitions
from bigiron.powervm.keys import LPAR, MAPPED, RMC_NIC, TAGGED, disk_key
from bigiron.powervm.mapping import client_slot
from bigiron.powervm.partition import Lpar

START_PARAMETERS = {"iIPLsource": IPLSrc.B, "keylock": "norm"}
"""What the PowerOn job of an IBM i partition is told: load from the load source, attended by nobody."""

_CONSOLE = "HMC"


def check(name: str, system: System) -> None:
    """Raise Unsupported where the system cannot run IBM i with virtual devices only (restricted I/O)."""
    if not system.get_capability("ibmi_capable"):
        raise Unsupported(f"Guest {name} has an IBM i image, and system {system.system_name} cannot run IBM i.")
    if not system.get_capability("ibmi_restrictedio_capable"):
        raise Unsupported(
            f"Guest {name} has an IBM i image, and system {system.system_name} has no restricted I/O mode, without "
            "which an IBM i partition cannot use a VIOS alone. Update its firmware."
        )


def check_rescue(lpar: Lpar) -> None:
    """Raise Unsupported for an IBM i partition."""
    if lpar.os400:
        raise Unsupported(
            f"LPAR {lpar.name} runs IBM i, which loads from its load source and not from a disk named at its start: it "
            "cannot be rescued. Rebuild the server, or start its dedicated service tools at its console."
        )


class TagLoadSource(Step):
    """Names the adapters of the root disk as load sources, once nothing else changes the partition."""

    name = "tag load source"
    provides = TAGGED

    def __init__(self, connection: Connection, guest: GuestSpec) -> None:
        self.needs = (LPAR, disk_key(0), MAPPED, RMC_NIC, *map(nic_plugged, guest.nics))
        self._vioses = connection.vioses
        self._partitions = Partitions(connection)

    def execute(self, values: Values) -> None:
        lpar, disk = values[LPAR], values[disk_key(0)]
        slots = sorted(client_slot(self._vioses.document(vios), lpar.uuid, disk.backing) for vios in disk.vios_uuids)
        self._partitions.change(lpar, lambda document: tagged(document, slots[0], slots[:2][-1]))


def tagged(document: LparDocument, load_source: int, alternative: int) -> LparDocument:
    """The document with its load source and how it starts; changed in place, and its etag stays."""
    document.io_config.tagged_io = TaggedIO.bld(
        document.adapter, load_src=str(load_source), console=_CONSOLE, alt_load_src=str(alternative)
    )
    document.desig_ipl_src = IPLSrc.B
    document.keylock_pos = KeylockPos.NORMAL
    return document
