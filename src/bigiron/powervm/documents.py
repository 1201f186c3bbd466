"""Reads and writes whole documents of partitions."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from pypowervm import util
from pypowervm.wrappers.logical_partition import LPAR

from bigiron.powervm.connection import Connection
from bigiron.powervm.errors import Stale, translated
from bigiron.powervm.partition import Lpar

_STALE_TRIES = 4


class Partitions:
    """Reads and writes whole documents of partitions: LogicalPartition, with its etag."""

    def __init__(self, connection: Connection) -> None:
        self._adapter = connection.adapter
        self._mirror = connection.mirror

    def read(self, lpar: Lpar) -> LPAR:
        with translated(f"Reading LPAR {lpar.name}"):
            return LPAR.get(self._adapter, uuid=lpar.uuid)

    def change(self, lpar: Lpar, edit: Callable[[LPAR], LPAR], known: LPAR | None = None) -> None:
        """Write what `edit` makes of the partition's document, read anew and again where others have changed it.

        `known` is the document where it is still what it was when it was read. Raises Stale in the end.
        """
        for attempt in itertools.count(1):
            before, known = known or self.read(lpar), None
            try:
                self.write(lpar, edit(before), before)
            except Stale:
                if attempt == _STALE_TRIES:
                    raise
            else:
                return

    def write(self, lpar: Lpar, document: LPAR, known: LPAR) -> Lpar:
        """Make the partition what the document says, unless it has changed since `known` was read: raises Stale."""
        path = util.dice_href(known.href, include_fragment=False)
        with self._mirror.working(lpar.uuid):
            with translated(f"Changing LPAR {lpar.name}"):
                written = LPAR.wrap(self._adapter.update_by_path(document, known.etag, path))
            return self._mirror.wrote(written)
