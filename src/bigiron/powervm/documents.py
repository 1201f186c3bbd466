"""Reads and writes whole documents of partitions."""

from __future__ import annotations

from pypowervm import util
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import translated
from bigiron.powervm.partition import Lpar


class Partitions:
    """Reads and writes whole documents of partitions: LogicalPartition, with its etag."""

    def __init__(self, connection: Connection) -> None:
        self._adapter = connection.adapter
        self._mirror = connection.mirror

    def read(self, lpar: Lpar) -> LPAR:
        with translated(f"Reading LPAR {lpar.name}"):
            return LPAR.get(self._adapter, uuid=lpar.uuid)

    def write(self, lpar: Lpar, document: LPAR, known: LPAR) -> Lpar:
        """Make the partition what the document says, unless it has changed since `known` was read: raises Stale."""
        path = util.dice_href(known.href, include_fragment=False)
        with self._mirror.working(lpar.uuid):
            with translated(f"Changing LPAR {lpar.name}"):
                written = LPAR.wrap(self._adapter.update_by_path(document, known.etag, path))
            return self._mirror.wrote(written)
