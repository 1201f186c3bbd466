"""The content of a disk as z/VM's tools keep it in an image: of an ECKD disk its tracks, of an FBA disk its blocks.

An ECKD disk is read here in either of the two ways in which Linux shows one: as blocks of 4096 bytes, where it has the
compatible disk layout (CDL) that dasdfmt makes, or as whole tracks (`raw_track_access`). What is written is the stream
of tracks that the connector's `ckddecode` writes back to a disk: for each, how many records it has, how long their keys
and their data are, and these.
"""

from __future__ import annotations

import enum
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from bigiron.errors import InvalidSpec
from bigiron.zvm.header import Header

BLOCK = 4096
TRACKS = 15
"""Of a cylinder of a 3390 disk."""
_RECORDS = 12
"""Of 4096 bytes, on a track of a 3390 disk."""
_TRACK = _RECORDS * BLOCK
_CYLINDER = TRACKS * _TRACK
_SECTOR = 512

_RAW_TRACK = 65536
_RECORD_ZERO = 16
_COUNT = struct.Struct(">HHBBH")
"""Cylinder, track and number of a record, and the lengths of its key and its data."""
_END = 0xFF
# The first three records of a volume, key and data: what it is IPLed by, and its label. Linux shows each in a block.
_LABELS = ((4, 24), (4, 144), (4, 80))
_DIRECTORY = (44, 96)
"""Each record of the second track, which holds the volume's table of contents."""
_IPL1, _VOL1 = "IPL1".encode("cp037"), "VOL1".encode("cp037")

Record = tuple[bytes, bytes]


class Layout(enum.Enum):
    """How a file or device shows a disk."""

    BLOCKS = "an ECKD disk in blocks, with the compatible disk layout"
    RAW = "an ECKD disk in raw tracks"
    FIXED = "an FBA disk"


def recognise(beginning: bytes) -> Layout | None:
    """The layout of an ECKD disk by its first bytes; None for what may be an FBA disk or nothing at all."""
    if beginning[:4] == _IPL1 and beginning[2 * BLOCK : 2 * BLOCK + 4] == _VOL1:
        return Layout.BLOCKS
    if beginning[:8] == _COUNT.pack(0, 0, 0, 0, 8) and beginning[_RECORD_ZERO + 4 : _RECORD_ZERO + 6] == b"\1\4":
        return Layout.RAW
    return None


def size(layout: Layout, length: int, name: str) -> Header:
    """What an image's header says of a disk of that many bytes; raises InvalidSpec for a part of a disk."""
    unit = {Layout.BLOCKS: _CYLINDER, Layout.RAW: TRACKS * _RAW_TRACK, Layout.FIXED: _SECTOR}[layout]
    if not length or length % unit:
        what = "blocks" if layout is Layout.FIXED else "cylinders"
        raise InvalidSpec(
            f"{name} has {length} bytes, which are no whole {what} of {layout.value}: copy the whole disk, such as "
            "/dev/dasdb, and not a partition of it"
        )
    return Header(length // unit, "BLK" if layout is Layout.FIXED else "CYL")


def content(layout: Layout, stream: BinaryIO, name: str) -> Iterator[bytes]:
    """What follows the header in an image, in pieces; raises InvalidSpec for a track that cannot be read."""
    if layout is Layout.FIXED:
        return iter(lambda: stream.read(1 << 20), b"")
    return _from_raw(stream, name) if layout is Layout.RAW else _from_blocks(stream)


def _from_blocks(stream: BinaryIO) -> Iterator[bytes]:
    first = stream.read(_TRACK)
    blocks = [first[at : at + BLOCK] for at in range(0, _TRACK, BLOCK)]
    labels = [_split(block, *lengths) for block, lengths in zip(blocks, _LABELS, strict=False)]
    yield _encoded([*labels, *((b"", block) for block in blocks[len(_LABELS) :])])
    second = stream.read(_TRACK)
    yield _encoded([_split(second[at : at + BLOCK], *_DIRECTORY) for at in range(0, _TRACK, BLOCK)])
    plain = _lengths([(0, BLOCK)] * _RECORDS)
    while track := stream.read(_TRACK):
        yield plain + track


def _split(block: bytes, key: int, data: int) -> Record:
    return block[:key], block[key : key + data]


def _from_raw(stream: BinaryIO, name: str) -> Iterator[bytes]:
    for number in itertools.count():
        track = stream.read(_RAW_TRACK)
        if not track:
            return
        yield _encoded(list(_records(track, f"track {number} of {name}")))


def _records(track: bytes, what: str) -> Iterator[Record]:
    """The records of a raw track after its record zero."""
    at = _RECORD_ZERO
    while at + _COUNT.size <= len(track):
        _, _, number, key, data = _COUNT.unpack_from(track, at)
        if number == _END:
            return
        at += _COUNT.size
        yield track[at : at + key], track[at + key : at + key + data]
        at += key + data
    raise InvalidSpec(f"{what} has no end: it was not read with raw_track_access")


def _encoded(records: Sequence[Record]) -> bytes:
    lengths = _lengths([(len(key), len(data)) for key, data in records])
    return lengths + b"".join(itertools.chain.from_iterable(records))


def _lengths(records: Sequence[tuple[int, int]]) -> bytes:
    """How many records there are; then for each run of equal keys, and of equal data, how many and how long."""
    keys = b"".join(bytes((count, length)) for count, length in _runs(key for key, _ in records))
    data = b"".join(struct.pack(">BH", count, length) for count, length in _runs(data for _, data in records))
    return bytes((len(records),)) + keys + data


def _runs(lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    for length, group in itertools.groupby(lengths):
        yield len(list(group)), length
