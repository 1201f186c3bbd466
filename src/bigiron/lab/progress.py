"""Show what the lab is doing: a live table on a terminal, one line per event elsewhere, nothing for `--json`."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Reporter(Protocol):
    """What a long operation tells about itself."""

    def begin(self, name: str) -> None:
        """Something was started."""

    def done(self, name: str, note: str = "") -> None:
        """It works."""

    def fail(self, name: str, note: str) -> None:
        """It does not."""


class Quiet:
    """Say nothing."""

    def begin(self, name: str) -> None:
        """Ignore it."""

    def done(self, name: str, note: str = "") -> None:
        """Ignore it."""

    def fail(self, name: str, note: str) -> None:
        """Ignore it."""


class Board:
    """Elapsed times per step, live on a terminal. Use it as a context manager."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._rows: dict[str, tuple[float, float | None, str, bool]] = {}
        self._started = time.monotonic()
        self._live = (
            Live(console=console, get_renderable=self._table, refresh_per_second=8) if console.is_terminal else None
        )

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._live:
            self._live.stop()

    def begin(self, name: str) -> None:
        """Show a step as running, with its time counting."""
        self._rows[name] = (time.monotonic(), None, "", True)

    def done(self, name: str, note: str = "") -> None:
        """Show a step as finished."""
        self._end(name, note, good=True)

    def fail(self, name: str, note: str) -> None:
        """Show a step as failed."""
        self._end(name, note, good=False)

    def elapsed(self) -> float:
        """Return the seconds since the board was made."""
        return time.monotonic() - self._started

    def _end(self, name: str, note: str, *, good: bool) -> None:
        now = time.monotonic()
        begun = self._rows.get(name, (now, None, "", True))[0]
        self._rows[name] = (begun, now, note, good)
        if not self._live:
            word = "ok" if good else "FAILED"
            self._console.print(f"{self._title}: {name} {word} {now - begun:.1f} s {note}".rstrip(), markup=False)

    def _table(self) -> Table:
        table = Table(title=f"{self._title}  {self.elapsed():.0f} s", title_justify="left", box=None, pad_edge=False)
        for heading in ("", "", "seconds", ""):
            table.add_column(heading, justify="right" if heading else "left")
        for name, (begun, ended, note, good) in self._rows.items():
            mark = Spinner("dots") if ended is None else Text("✓", "green") if good else Text("✗", "red")
            table.add_row(mark, name, f"{(ended or time.monotonic()) - begun:.1f}", note)
        return table
