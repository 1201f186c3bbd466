"""The volume groups of the VIOSes, each with one writer that all operations share."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pypowervm.wrappers.storage import VG
from pypowervm.wrappers.virtual_io_server import VIOS

from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.vios import Vios
from bigiron.powervm.writer import DocumentWriter

COPY_TIMEOUT_S = 3600.0
"""How long an update of a group may take: the VIOS answers it once the disks that are copies of images are copied."""


@dataclass(frozen=True, slots=True)
class Group:
    """One volume group of one VIOS."""

    vios: Vios
    uuid: str
    name: str
    writer: DocumentWriter[VG]
    has_repository: bool
    """Whether it held a media repository when it was read first."""

    @property
    def label(self) -> str:
        return f"volume group {self.name} of VIOS {self.vios.name}"

    def fresh(self) -> VG:
        """The group read now."""
        self.writer.invalidate()
        return self.writer.document()


class VolumeGroups:
    """The groups of every VIOS that has been up since the start, read once for each VIOS."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._groups: dict[str, list[Group]] = {}

    def active(self) -> Sequence[Group]:
        """The groups of the VIOSes that are up."""
        serving = self._connection.vioses.active()
        with self._lock:
            found: list[Group] = []
            for vios in serving:
                if vios.uuid not in self._groups:
                    self._groups[vios.uuid] = self._load(vios)
                found += self._groups[vios.uuid]
            return found

    def unread(self) -> Sequence[str]:
        """The names of the VIOSes whose groups are not known, because they have not been up since the start."""
        with self._lock:
            return [vios.name for vios in self._connection.vioses.all() if vios.uuid not in self._groups]

    def named(self, name: str) -> Sequence[Group]:
        """The groups of that name on the VIOSes that are up."""
        return [group for group in self.active() if group.name == name]

    def _load(self, vios: Vios) -> list[Group]:
        with translated(f"Reading the volume groups of VIOS {vios.name}"):
            feed = VG.get(self._connection.adapter, parent_type=VIOS, parent_uuid=vios.uuid)
        return [
            Group(
                vios,
                uuid=str(wrapper.uuid),
                name=str(wrapper.name),
                writer=self._writer(vios, wrapper),
                has_repository=len(wrapper.vmedia_repos) > 0,
            )
            for wrapper in feed
        ]

    def _writer(self, vios: Vios, wrapper: VG) -> DocumentWriter[VG]:
        adapter = self._connection.adapter
        name = f"volume group {wrapper.name} of VIOS {vios.name}"
        uuid = wrapper.uuid
        path = adapter.build_path(
            "uom", VIOS.schema_type, root_id=vios.uuid, child_type=VG.schema_type, child_id=uuid, xag=[]
        )

        def read() -> VG:
            with translated(f"Reading {name}"):
                return VG.wrap(adapter.read_by_path(path))

        def write(document: VG) -> VG:
            with translated(f"Updating {name}"):
                patience = max(COPY_TIMEOUT_S, adapter.session.timeout)
                return VG.wrap(adapter.update_by_path(document, document.etag, path, timeout=patience))

        return DocumentWriter(name, read, write, wrapper)
