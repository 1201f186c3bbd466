"""The console's text buffer, the emulated screen and the keys."""

import threading

import pytest

from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.management.keys import Keyboard
from bigiron.sim.powervm.management.screen import CELL_HEIGHT, ROWS, WIDTH, PixelFormat, Screen


def test_a_reader_gets_what_came_after_its_number() -> None:
    console = Console()
    console.write("one\n")
    first = console.read()
    console.write("two\n")
    assert (first.start, first.end, first.text) == (0, 4, "one\n")
    assert console.read(first.end).text == "two\n"
    assert console.read(console.end).text == ""


def test_old_text_is_dropped_but_numbers_stay() -> None:
    console = Console(limit=5)
    console.write("abcd")
    console.write("efgh")
    excerpt = console.read(0)
    assert (excerpt.start, excerpt.end, excerpt.text) == (3, 8, "defgh")
    assert console.read(6).text == "gh"
    assert console.read(99).text == ""


def test_a_waiting_reader_wakes_on_a_write() -> None:
    console = Console()
    got = []
    reader = threading.Thread(target=lambda: got.append(console.wait(0, 30).text))
    reader.start()
    console.write("x")
    reader.join(10)
    assert got == ["x"]


def test_listeners_are_told_until_they_stop() -> None:
    console, calls = Console(), []
    stop = console.listen(lambda: calls.append(console.end))
    console.write("ab")
    stop()
    console.write("cd")
    assert calls == [2]


def test_only_touched_lines_get_a_new_version() -> None:
    screen = Screen()
    screen.feed("first\n")
    before = screen.versions()
    screen.feed("second")
    changed = [row for row in range(ROWS) if screen.versions()[row] != before[row]]
    assert screen.lines()[:2] == ["first", "second"]
    assert changed == [1]


def test_text_is_drawn_in_its_colour() -> None:
    screen = Screen()
    screen.feed("plain\n\x1b[31mred\x1b[0m\n")
    plain, red, empty = (set(screen.draw(row)) for row in (0, 1, 5))
    assert (plain, red, empty) == ({0, 7}, {0, 1}, {0})
    assert 7 in set(screen.draw(2)), "the cursor is shown"


@pytest.mark.parametrize(
    ("pixels", "white"),
    [
        (PixelFormat(), b"\xc0\xc0\xc0\x00"),
        (PixelFormat(32, True, shifts=(16, 8, 0)), b"\x00\xc0\xc0\xc0"),
        (PixelFormat(16, False, (31, 63, 31), (11, 5, 0)), (23 << 11 | 47 << 5 | 23).to_bytes(2, "little")),
        (PixelFormat(8, False, (7, 7, 3), (0, 3, 6)), bytes([5 | 5 << 3 | 2 << 6])),
    ],
)
def test_pixels_are_translated_to_what_the_client_wants(pixels: PixelFormat, white: bytes) -> None:
    assert PixelFormat.unpack(pixels.pack()) == pixels
    assert pixels.translate(bytes([7, 0])) == white + bytes(pixels.bits // 8)
    assert len(pixels.translate(Screen().draw(3))) == WIDTH * CELL_HEIGHT * pixels.bits // 8


def test_a_colour_map_is_refused() -> None:
    with pytest.raises(ValueError, match="true colour"):
        PixelFormat.unpack(b"\x08\x08\x00\x00" + bytes(12))


def test_keys_become_what_a_terminal_sends() -> None:
    keyboard = Keyboard()
    assert [keyboard.event(code, True) for code in (0x61, 0xFF0D, 0xFF52, 0xE9, 0x010020AC)] == [
        "a",
        "\r",
        "\x1b[A",
        "é",
        "€",
    ]
    assert keyboard.event(0x61, False) == ""
    assert keyboard.event(0xFFE3, True) == ""
    assert keyboard.event(0x63, True) == "\x03"
    keyboard.event(0xFFE3, False)
    assert keyboard.event(0x63, True) == "c"
    assert keyboard.event(0xFFE1, True) == "", "shift alone sends nothing"
