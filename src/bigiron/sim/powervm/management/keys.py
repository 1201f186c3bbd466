"""From a VNC client's key events to what a serial terminal would send."""

from __future__ import annotations

_RETURN, _KEYPAD_ENTER = 0xFF0D, 0xFF8D
_CONTROL = frozenset({0xFFE3, 0xFFE4})
_SPECIAL = {
    _RETURN: "\r",
    _KEYPAD_ENTER: "\r",
    0xFF08: "\x7f",
    0xFF09: "\t",
    0xFF1B: "\x1b",
    0xFFFF: "\x1b[3~",
    0xFF50: "\x1b[H",
    0xFF51: "\x1b[D",
    0xFF52: "\x1b[A",
    0xFF53: "\x1b[C",
    0xFF54: "\x1b[B",
    0xFF57: "\x1b[F",
    0xFF55: "\x1b[5~",
    0xFF56: "\x1b[6~",
}
_UNICODE = 0x01000000


class Keyboard:
    """Keeps which control keys are held; everything else is the character that the X keysym stands for."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def event(self, keysym: int, pressed: bool) -> str:
        """The characters that this event sends to the guest: none for releases and modifiers."""
        if keysym in _CONTROL:
            (self._held.add if pressed else self._held.discard)(keysym)
            return ""
        if not pressed:
            return ""
        if keysym in _SPECIAL:
            return _SPECIAL[keysym]
        char = _character(keysym)
        if self._held and char and "@" <= char.upper() <= "_":
            return chr(ord(char.upper()) & 0x1F)
        return char


def _character(keysym: int) -> str:
    """Latin-1 keysyms are their own code; newer ones carry a Unicode code point."""
    if 0x20 <= keysym <= 0x7E or 0xA0 <= keysym <= 0xFF:
        return chr(keysym)
    if _UNICODE < keysym <= _UNICODE + 0x10FFFF:
        return chr(keysym - _UNICODE)
    return ""
