"""A picture of simulated networks: partitions above, VLANs as lines across, network bridges below.

Several systems are drawn side by side. A VLAN that a bridge carries is one line over all systems, because a physical
network joins them; one that no bridge carries ends at its system's edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import svg

_BOX_WIDTH, _BOX_HEIGHT = 150, 46
_GAP, _MARGIN, _ROW = 14, 24, 26
_LABEL_WIDTH = 170
_PALETTE = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#0a7d8c", "#57606a")
_STATES = {"running": "#dafbe1", "error": "#ffebe9"}
_OTHER_STATE = "#f6f8fa"
_BRIDGE = "#ddf4ff"
_INK, _FAINT = "#1f2328", "#656d76"

Vlan = tuple[str, int]
"""The virtual switch's name and the VLAN's number."""


@dataclass(frozen=True, slots=True)
class System:
    """One simulated system: its name, and what its control address answers at /guests and /networks."""

    name: str
    partitions: Sequence[Mapping[str, Any]]
    bridges: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Box:
    """A partition or a Shared Ethernet Adapter, with the VLANs that it takes part in."""

    title: str
    detail: str
    colour: str
    vlans: tuple[Vlan, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """One system's place in the picture."""

    name: str
    left: float
    width: float
    guests: tuple[_Box, ...]
    bridges: tuple[_Box, ...]

    @property
    def right(self) -> float:
        return self.left + self.width

    def used(self) -> set[Vlan]:
        return {vlan for box in (*self.guests, *self.bridges) for vlan in box.vlans}


def picture(systems: Iterable[System]) -> str:
    """The SVG document."""
    columns = list(_columns(systems))
    shared = {vlan for column in columns for box in column.bridges for vlan in box.vlans}
    guests = {vlan for column in columns for box in column.guests for vlan in box.vlans}
    vlans = sorted(guests | shared)
    top = _MARGIN + 24 + _BOX_HEIGHT + _ROW
    rows = {vlan: top + number * _ROW for number, vlan in enumerate(vlans)}
    below = top + len(vlans) * _ROW + _ROW / 2
    width = max((column.right for column in columns), default=_LABEL_WIDTH) + _MARGIN
    height = below + _BOX_HEIGHT + _MARGIN
    elements: list[svg.Element] = [svg.Rect(width=width, height=height, fill="white")]
    elements += _lines(columns, rows, shared)
    for column in columns:
        elements.append(_text(column.name, column.left, _MARGIN, size=15, weight="bold"))
        elements += _boxes(column.guests, column.left, _MARGIN + 12, rows, down=True)
        # Aside, so that no line from below runs over one from above.
        elements += _boxes(column.bridges, column.left + 2 * _GAP, below, rows, down=False)
    return str(svg.SVG(width=width, height=height, viewBox=svg.ViewBoxSpec(0, 0, width, height), elements=elements))


def _columns(systems: Iterable[System]) -> Iterator[_Column]:
    left: float = _MARGIN + _LABEL_WIDTH
    for system in systems:
        guests = tuple(_guest(one) for one in system.partitions if one["adapters"])
        bridges = tuple(_sea(bridge, sea) for bridge in system.bridges for sea in bridge["seas"])
        width = max(len(guests), len(bridges), 1) * (_BOX_WIDTH + _GAP) + 2 * _GAP
        yield _Column(system.name, left, width, guests, bridges)
        left += width + 2 * _GAP


def _guest(entry: Mapping[str, Any]) -> _Box:
    adapters = [(a["switch"], number) for a in entry["adapters"] for number in (a["vlan"], *a["tagged"])]
    colour = _STATES.get(entry["state"], _OTHER_STATE)
    return _Box(entry["name"], entry["state"], colour, tuple(dict.fromkeys(adapters)))


def _sea(bridge: Mapping[str, Any], sea: Mapping[str, Any]) -> _Box:
    role = "" if len(bridge["seas"]) == 1 else "primary" if sea["primary"] else "standby"
    vlans = tuple((bridge["switch"], number) for number in sea["vlans"])
    return _Box(f"{sea['device']} of {sea['vios']}", f"SEA {role}".strip(), _BRIDGE, vlans)


def _lines(columns: Sequence[_Column], rows: Mapping[Vlan, float], shared: set[Vlan]) -> Iterator[svg.Element]:
    end = max((column.right for column in columns), default=0) - _GAP
    for vlan, y in rows.items():
        switch, number = vlan
        yield _text(f"{switch} {number}", _MARGIN, y + 4, size=12, fill=_colour(number))
        if vlan in shared:
            yield _line(_MARGIN + _LABEL_WIDTH - _GAP, y, end, y, number, width=4)
            continue
        for column in columns:
            if vlan in column.used():
                yield _line(column.left, y, column.right - _GAP, y, number, width=2, dashed=True)


def _boxes(
    boxes: Sequence[_Box], left: float, top: float, rows: Mapping[Vlan, float], *, down: bool
) -> Iterator[svg.Element]:
    """The boxes, each with a line to every VLAN of its own; the lines go down, or up from a bridge."""
    for number, box in enumerate(boxes):
        x = left + number * (_BOX_WIDTH + _GAP)
        step = _BOX_WIDTH / (len(box.vlans) + 1)
        edge = top + _BOX_HEIGHT if down else top
        for place, vlan in enumerate(box.vlans, 1):
            at = x + place * step
            yield _line(at, edge, at, rows[vlan], vlan[1], width=2)
            yield svg.Circle(cx=at, cy=rows[vlan], r=4, fill=_colour(vlan[1]))
        described: list[svg.Element] = [svg.Title(text=f"{box.title}, {box.detail}")]
        yield svg.Rect(
            x=x, y=top, width=_BOX_WIDTH, height=_BOX_HEIGHT, rx=5, fill=box.colour, stroke=_FAINT, elements=described
        )
        yield _text(_short(box.title), x + 8, top + 19, size=12)
        yield _text(box.detail, x + 8, top + 36, size=11, fill=_FAINT)


def _line(
    x1: float, y1: float, x2: float, y2: float, number: int, *, width: float, dashed: bool = False
) -> svg.Element:
    return svg.Line(
        x1=x1, y1=y1, x2=x2, y2=y2, stroke=_colour(number), stroke_width=width,
        stroke_dasharray=[6, 4] if dashed else None,
    )  # fmt: skip


def _text(
    text: str, x: float, y: float, *, size: float, fill: str = _INK, weight: Literal["bold"] | None = None
) -> svg.Element:
    return svg.Text(text=text, x=x, y=y, font_size=size, font_family="sans-serif", fill=fill, font_weight=weight)


def _short(title: str) -> str:
    return title if len(title) <= 21 else f"{title[:20]}…"


def _colour(number: int) -> str:
    return _PALETTE[number % len(_PALETTE)]
