"""What every part of the platform works on: the session's adapter, the system's facts, the mirror and the writers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pypowervm.adapter import Adapter
from pypowervm.wrappers.managed_system import System

if TYPE_CHECKING:
    from bigiron.powervm.events import EventLoop
    from bigiron.powervm.ledger import Ledger
    from bigiron.powervm.mirror import LparMirror
    from bigiron.powervm.options import PowerVMOptions
    from bigiron.powervm.session import PowerVMSession
    from bigiron.powervm.vios import ViosDocuments


@dataclass(frozen=True, slots=True)
class Connection:
    """A started connection to one managed system; `connect.connect` makes it, `close` ends it."""

    options: PowerVMOptions
    session: PowerVMSession
    adapter: Adapter
    system: System
    """The managed system as read at start: uuid, mtms, limits and capabilities; its free capacity is out of date."""
    events: EventLoop
    mirror: LparMirror
    vioses: ViosDocuments
    ledger: Ledger

    @property
    def system_uuid(self) -> str:
        return str(self.system.uuid)

    def close(self) -> None:
        """Stop the threads and log off; safe to call twice."""
        self.events.stop()
        self.mirror.stop()
        self.session.close()
