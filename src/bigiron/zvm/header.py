"""The 512 bytes before the disk in a z/VM disk image: of which kind the disk is, and how large.

The connector reads them by column: 20 bytes of words, 12 of a number, a blank, and the unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bigiron.errors import InvalidSpec

HEADER_BYTES = 512
_FIELDS = re.compile(rb"^xCAT (CKD|FBA) (?:Disk|Part) Image: *(\d+) (CYL|BLK)")


@dataclass(frozen=True, slots=True)
class Header:
    """The disk that an image was taken from: `units` cylinders of an ECKD disk or blocks of an FBA disk."""

    units: int
    unit: str

    @property
    def unit_bytes(self) -> int:
        return 737280 if self.unit == "CYL" else 512

    @property
    def size_gb(self) -> float:
        return self.units * self.unit_bytes / 2**30

    @property
    def pool_kind(self) -> str:
        """The kind of disk pool that can hold it."""
        return "ECKD" if self.unit == "CYL" else "FBA"


def parse(name: str, beginning: bytes) -> Header:
    """The header at the beginning of an image; raises InvalidSpec for what is no z/VM disk image."""
    found = _FIELDS.match(beginning[:HEADER_BYTES])
    if found is None:
        raise InvalidSpec(
            f"Image {name} is no z/VM disk image: it does not begin with the header that creatediskimage writes. Take "
            "an image from a z/VM guest (a snapshot, or creatediskimage on the Cloud Connector's host)."
        )
    return Header(int(found.group(2)), found.group(3).decode())


def of_text(text: str) -> Header:
    """The same from the connector's list of images (`3338:CYL`)."""
    units, _, unit = text.partition(":")
    return Header(int(units), unit or "CYL")


def write(units: int, unit: str = "CYL", compression: int = 0) -> bytes:
    """A header of one's own, blank to its end; with a compression level the disk follows as gzip makes it."""
    kind = "CKD" if unit == "CYL" else "FBA"
    return f"xCAT {kind} Disk Image:{units:>12} {unit} HLen: 0055 GZIP: {compression}".encode().ljust(HEADER_BYTES)
