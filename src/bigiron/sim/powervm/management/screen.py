"""The picture of a console: a terminal emulator's screen drawn with a bitmap font, for the VNC server.

Colours are numbers of a palette of 16, one byte a pixel; a client's own pixel format is a matter of translation
(`PixelFormat`), not of drawing.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pyte
from PIL import Image, ImageDraw, ImageFont

COLUMNS, ROWS = 80, 24
CELL_WIDTH, CELL_HEIGHT = 6, 13
WIDTH, HEIGHT = COLUMNS * CELL_WIDTH, ROWS * CELL_HEIGHT

_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
_DIM = ((0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (192, 192, 192))
_BRIGHT = (
    (85, 85, 85),
    (255, 85, 85),
    (85, 255, 85),
    (255, 255, 85),
    (85, 85, 255),
    (255, 85, 255),
    (85, 255, 255),
    (255, 255, 255),
)
PALETTE = _DIM + _BRIGHT


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """RFB's PIXEL_FORMAT for true colour: bits a pixel, byte order, and each colour's greatest value and shift."""

    bits: int = 32
    big_endian: bool = False
    maxima: tuple[int, int, int] = (255, 255, 255)
    shifts: tuple[int, int, int] = (16, 8, 0)

    def pack(self) -> bytes:
        """The 16 bytes on the wire; the depth is what the colours need."""
        depth = sum(maximum.bit_length() for maximum in self.maxima)
        return struct.pack(">BBBBHHHBBBxxx", self.bits, depth, self.big_endian, True, *self.maxima, *self.shifts)

    @classmethod
    def unpack(cls, wire: bytes) -> PixelFormat:
        """Read a client's wish; raises ValueError for colour maps and for pixels that are not 8, 16 or 32 bits."""
        bits, _depth, big_endian, true_colour, *rest = struct.unpack(">BBBBHHHBBBxxx", wire)
        if not true_colour or bits not in (8, 16, 32):
            raise ValueError(
                f"pixel format with {bits} bits and true colour {true_colour} is not served; ask for "
                "true colour with 8, 16 or 32 bits"
            )
        return cls(bits, bool(big_endian), (rest[0], rest[1], rest[2]), (rest[3], rest[4], rest[5]))

    def translate(self, indexes: bytes) -> bytes:
        """Palette numbers, one byte a pixel, as pixels of this format."""
        size = self.bits // 8
        pixels = bytearray(len(indexes) * size)
        for position, table in enumerate(self._planes()):
            pixels[position::size] = indexes.translate(table)
        return bytes(pixels)

    def _planes(self) -> Iterator[bytes]:
        """For each byte of a pixel the table from palette number to that byte."""
        values = [
            sum((part * top // 255) << shift for part, top, shift in zip(colour, self.maxima, self.shifts, strict=True))
            for colour in PALETTE
        ]
        order = "big" if self.big_endian else "little"
        packed = [(value & ((1 << self.bits) - 1)).to_bytes(self.bits // 8, order) for value in values]  # type: ignore[arg-type]
        for position in range(self.bits // 8):
            yield bytes(entry[position] for entry in packed).ljust(256, b"\0")


class Screen:
    """A terminal of 80 by 24 characters; every line has a version, so that a viewer is sent only what changed."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream = pyte.Stream(self._screen)
        self._font = ImageFont.load_default_imagefont()
        self._versions = [1] * ROWS
        self._counter = itertools.count(2)
        self._cursor_row = 0

    def feed(self, text: str) -> None:
        """Show more of the console's text."""
        self._screen.dirty.clear()
        self._stream.feed(text)
        touched = self._screen.dirty | {self._cursor_row, self._screen.cursor.y}
        self._cursor_row = self._screen.cursor.y
        version = next(self._counter)
        for row in touched:
            self._versions[row] = version

    def versions(self) -> tuple[int, ...]:
        """The version of each line; a line that differs from what a viewer last saw must be drawn again."""
        return tuple(self._versions)

    def lines(self) -> list[str]:
        """The text on the screen, line by line, without trailing blanks."""
        return [line.rstrip() for line in self._screen.display]

    def draw(self, row: int) -> bytes:
        """One text line as palette numbers: WIDTH * CELL_HEIGHT bytes."""
        image = Image.new("P", (WIDTH, CELL_HEIGHT), 0)
        pen = ImageDraw.Draw(image)
        pen.fontmode = "1"
        for column, (ink, paper, text) in self._runs(row):
            left = column * CELL_WIDTH
            if paper:
                pen.rectangle((left, 0, left + len(text) * CELL_WIDTH - 1, CELL_HEIGHT - 1), fill=paper)
            if text.strip():
                pen.text((left, 1), text, font=self._font, fill=ink)
        return image.tobytes()

    def _runs(self, row: int) -> Iterator[tuple[int, tuple[int, int, str]]]:
        """Stretches of one line with the same colours: column, ink, paper, text."""
        line = self._screen.buffer[row]
        cursor = self._screen.cursor
        cells = []
        for column in range(COLUMNS):
            char = line[column]
            ink, paper = _colour(char.fg, 7, char.bold), _colour(char.bg, 0, False)
            at_cursor = row == cursor.y and column == cursor.x and not cursor.hidden
            if char.reverse is not at_cursor:
                ink, paper = paper, ink
            cells.append((ink, paper, _drawable(char.data)))
        column = 0
        for (ink, paper), run in itertools.groupby(cells, key=lambda cell: cell[:2]):
            text = "".join(cell[2] for cell in run)
            yield column, (ink, paper, text)
            column += len(text)


def _colour(name: str, default: int, bold: bool) -> int:
    """The palette number of one of pyte's colour names; colours beyond the sixteen are shown as the default."""
    number = _NAMES.index(name) if name in _NAMES else default
    return number + 8 if bold else number


def _drawable(data: str) -> str:
    """One character of the bitmap font, which has Latin-1 only."""
    if not data:
        return " "
    return data[0] if data[0].isprintable() and ord(data[0]) < 256 else "?"
