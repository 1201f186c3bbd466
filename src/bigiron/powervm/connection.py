"""What every part of the platform works on: the session's adapter, the system's facts, the mirror and the writers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pypowervm.adapter import Adapter
from pypowervm.wrappers.managed_system import System

from bigiron.powervm.errors import translated

if TYPE_CHECKING:
    from bigiron.powervm.events import EventLoop
    from bigiron.powervm.ledger import Ledger
    from bigiron.powervm.mirror import LparMirror
    from bigiron.powervm.options import PowerVMOptions
    from bigiron.powervm.session import PowerVMSession
    from bigiron.powervm.vios import ViosDocuments


class SystemDocument:
    """The managed system as last read."""

    def __init__(self, system: System) -> None:
        self._system = system

    @property
    def last(self) -> System:
        """Without a remote call."""
        return self._system

    def refresh(self) -> None:
        """Read it again: what the hypervisor holds of the memory grows with the partitions, and operators activate
        processors and memory while the system runs."""
        with translated("Reading the managed system"):
            self._system = self._system.refresh()


@dataclass(frozen=True, slots=True)
class Connection:
    """A started connection to one managed system; `connect.connect` makes it, `close` ends it."""

    options: PowerVMOptions
    session: PowerVMSession
    adapter: Adapter
    document: SystemDocument
    events: EventLoop
    mirror: LparMirror
    vioses: ViosDocuments
    ledger: Ledger

    @property
    def system(self) -> System:
        """The managed system: uuid, mtms, limits and capabilities; its free capacity is out of date."""
        return self.document.last

    @property
    def system_uuid(self) -> str:
        return str(self.system.uuid)

    def close(self) -> None:
        """Stop the threads and log off; safe to call twice."""
        self.events.stop()
        self.mirror.stop()
        self.session.close()
