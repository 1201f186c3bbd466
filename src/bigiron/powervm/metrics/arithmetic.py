"""The sums behind the figures: pure functions and running totals, so that every unit can be proved without a platform.

The hypervisor counts processor time in ticks of the time base, whatever the processors' clock is.
"""

from __future__ import annotations

from dataclasses import dataclass

NS = 1_000_000_000
TIMEBASE_HZ = 512_000_000.0
"""Of every Power processor that runs PowerVM, where a sample does not say."""
_WIDTHS = (32, 64)
_MEASURED_S = 25.0
_TOLERANCE = 0.1
"""Times in whole seconds are off by 4 % over the shortest stretch that is measured."""
_PAGE = 4096
_MIB = 1 << 20


def frequency(declared: float | None, ticks: float = 0.0, seconds: float = 0.0) -> float:
    """Ticks of the time base in a second: what the sample declares, unless that contradicts what was measured.

    `ticks` passed in `seconds`, which are whole ones; 0 where there is nothing to measure with.
    """
    expected = declared if declared is not None and declared > 0 else TIMEBASE_HZ
    if ticks <= 0 or seconds < _MEASURED_S:
        return expected
    measured = ticks / seconds
    return measured if abs(measured / expected - 1) > _TOLERANCE else expected


def nanoseconds(cycles: float, hertz: float) -> int:
    """Ticks of the time base as nanoseconds of one processor: a busy dedicated core makes 1e9 in a second."""
    return int(cycles * NS / hertz)


class Timebase:
    """How fast a system's time base runs: as its samples declare, unless two stretches in a row say otherwise.

    One alone may have had the system's clock set in it.
    """

    def __init__(self) -> None:
        self._measured: float | None = None
        self._suspected: float | None = None

    def measure(self, declared: float | None, ticks: float, seconds: float) -> None:
        """Take how many ticks passed in a stretch."""
        if ticks <= 0 or seconds < _MEASURED_S:
            return
        expected = self.hertz(declared)
        measured = frequency(expected, ticks, seconds)
        suspected, self._suspected = self._suspected, None
        if measured == expected:
            return
        if suspected is not None and frequency(suspected, ticks, seconds) == suspected:
            # It holds from then on: the next measurement would differ by a little.
            self._measured = measured
        else:
            self._suspected = measured

    def hertz(self, declared: float | None) -> float:
        """Ticks in a second."""
        return self._measured or frequency(declared)


class Ticks:
    """A growing count of ticks as nanoseconds, which do not jump when the time base turns out to be another."""

    def __init__(self) -> None:
        self._hertz = 0.0
        self._told = 0.0
        # Whole numbers as long as those are counted: a year's ticks are more than a float tells apart.
        self._before: float = 0
        self._ticks: float = 0

    def passed(self, ticks: float, hertz: float) -> int:
        """All that has passed, of which what is new by this frequency."""
        if self._hertz and hertz != self._hertz:
            self._told, self._before = self._ns(self._ticks), self._ticks
        self._hertz, self._ticks = hertz, ticks
        return int(self._ns(ticks))

    def _ns(self, ticks: float) -> float:
        return self._told + (ticks - self._before) * NS / self._hertz


def used_cycles(capped: float, uncapped: float, idle: float, donated: float) -> float:
    """What a partition has used of what was dispatched to it; who got the cycles that it gave away counts them."""
    return max(0.0, capped + uncapped - idle - donated)


def grown(before: float, now: float) -> float:
    """By how much a total has grown; one that has become smaller began anew, and is itself what was added."""
    return now - before if now >= before else now


def used_mb(total_mb: float, available_percent: float) -> float:
    """Memory in use, from how much of it is available."""
    return total_mb * (1 - min(100.0, max(0.0, available_percent)) / 100)


def pages_mb(pages: float) -> float:
    """Pages of a partition's paging space in MiB."""
    return pages * _PAGE / _MIB


@dataclass(slots=True)
class _Kept:
    raw: int
    offset: int
    epoch: int


class Totals:
    """Counters of one guest that only grow while it runs, whatever happens to who counts them.

    A counter that falls has wrapped when it was near its end and its owner has not begun anew since (`epoch`, such as
    how often a VIOS was started); else it began at 0 again, and what it had is kept.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def add(self, name: str, raw: int, epoch: int = 0) -> int:
        """Take a counter's next reading; returns its total."""
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = _Kept(raw, 0, epoch)
        elif raw < kept.raw:
            kept.offset += kept.raw if epoch != kept.epoch else _lost(kept.raw)
        kept.raw, kept.epoch = raw, epoch
        return kept.offset + raw


def _lost(raw: int) -> int:
    """What a counter's fall from this value took away."""
    width = next((1 << bits for bits in _WIDTHS if raw < 1 << bits), raw)
    return width if raw >= width // 2 else raw
