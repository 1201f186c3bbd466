"""A small ECKD disk in the ways in which Linux shows one, and what z/VM's `ckddecode` makes of an image's tracks."""

from __future__ import annotations

import struct

BLOCK, RECORDS, TRACKS, RAW_TRACK = 4096, 12, 15, 65536
CYLINDERS = 2
_LABELS = ((4, 24), (4, 144), (4, 80))


def _payload(number: int) -> bytes:
    return bytes((number * 7 + at) % 251 for at in range(BLOCK))


def blocks(cylinders: int = CYLINDERS) -> bytes:
    """What dd reads of a disk with the compatible disk layout; what is no record's is 0xE5, as Linux fills it in."""
    found = [_payload(number) for number in range(cylinders * TRACKS * RECORDS)]
    for number, (word, (key, data)) in enumerate(zip(("IPL1", "IPL2", "VOL1"), _LABELS, strict=True)):
        text = word.encode("cp037") + found[number][: key + data - 4]
        found[number] = text.ljust(BLOCK, b"\xe5")
    for number in range(RECORDS, 2 * RECORDS):
        found[number] = found[number][:140].ljust(BLOCK, b"\xe5")
    return b"".join(found)


def raw_tracks(cylinders: int = CYLINDERS) -> bytes:
    """The same disk with `raw_track_access`: each track with the counts of its records and a fence at its end."""
    disk = blocks(cylinders)
    return b"".join(_track(number, disk) for number in range(cylinders * TRACKS))


def _track(number: int, disk: bytes) -> bytes:
    place = divmod(number, TRACKS)
    track = struct.pack(">HHBBH", *place, 0, 0, 8) + bytes(8)
    for record in range(RECORDS):
        key, data = (44, 96) if number == 1 else _LABELS[record] if number == 0 and record < 3 else (0, BLOCK)
        at = (number * RECORDS + record) * BLOCK
        track += struct.pack(">HHBBH", *place, record + 1, key, data) + disk[at : at + key + data]
    return (track + b"\xff" * 12).ljust(RAW_TRACK, b"\0")


def decoded(stream: bytes) -> bytes:
    """The raw tracks that are written to a disk from the tracks of an image."""
    tracks, at = [], 0
    while at < len(stream):
        count = stream[at]
        keys, at = _expanded(stream, at + 1, count, "BB")
        data, at = _expanded(stream, at, count, ">BH")
        place = divmod(len(tracks), TRACKS)
        track = struct.pack(">HH", *place) + bytes((0, 0, 0, 8)) + bytes(8)
        for number, (key, length) in enumerate(zip(keys, data, strict=True), 1):
            track += struct.pack(">HHBBH", *place, number, key, length) + stream[at : at + key + length]
            at += key + length
        tracks.append((track + b"\xff" * 12).ljust(RAW_TRACK, b"\0"))
    return b"".join(tracks)


def _expanded(stream: bytes, at: int, records: int, form: str) -> tuple[list[int], int]:
    found: list[int] = []
    while len(found) < records:
        count, value = struct.unpack_from(form, stream, at)
        at += struct.calcsize(form)
        found += [value] * count
    return found, at
