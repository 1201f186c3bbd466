"""`python -m bigiron.lab.charts`: a page with charts of what the lab's servers use, from the exporters of its agents.

The drawing is Plotly's, whose script comes with its Python package: the page loads nothing from elsewhere.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import click
import requests
from cheroot.wsgi import Server
from plotly.offline import get_plotlyjs
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Request, Response

from bigiron.lab.ports import LOOPBACK

_EVERY_S = 5.0
_KEPT = 2000
_FORGOTTEN_S = 900.0
"""A server that has had no samples for so long is shown no more."""


@dataclass(frozen=True, slots=True)
class Line:
    """One meter in a chart, by its name at the exporter; a counter is shown as how much it grows in a second."""

    meter: str
    scale: float = 1.0
    counter: bool = True
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Meters that belong together."""

    title: str
    unit: str
    lines: tuple[Line, ...]


CHARTS = (
    Chart("Processors at work", "processors", (Line("ceilometer_cpu", 1e-9),)),
    Chart("Memory in use", "MiB", (Line("ceilometer_memory_usage", counter=False),)),
    Chart(
        "Network", "MB/s",
        (Line("ceilometer_network_incoming_bytes", 1e-6, suffix=" in"),
         Line("ceilometer_network_outgoing_bytes", 1e-6, suffix=" out")),
    ),
    Chart(
        "Disks", "MB/s",
        (Line("ceilometer_disk_device_read_bytes", 1e-6, suffix=" read"),
         Line("ceilometer_disk_device_write_bytes", 1e-6, suffix=" written")),
    ),
)  # fmt: skip

Point = tuple[float, float]


class History:
    """What the exporters have told, as lines to draw; used by the reader's thread and by those that answer."""

    def __init__(self, charts: Sequence[Chart] = CHARTS) -> None:
        self._charts = charts
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Point] = {}
        self._points: dict[tuple[str, str], deque[Point]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def add(self, page: str, at: float) -> None:
        """Take an exporter's page that was read at a time."""
        values = _values(page, {line.meter for chart in self._charts for line in chart.lines})
        with self._lock:
            for chart in self._charts:
                for line in chart.lines:
                    for server, found in values.get(line.meter, {}).items():
                        self._note(line, server, found, at)

    def _note(self, line: Line, server: str, found: Mapping[str, float], at: float) -> None:
        points = self._points[line.meter, server]
        if not line.counter:
            points.append((at, line.scale * sum(found.values())))
            return
        rates = [rate for resource, value in found.items() if (rate := self._rate(line.meter, resource, value, at))]
        if rates:
            points.append((at, line.scale * sum(rates)))

    def _rate(self, meter: str, resource: str, value: float, at: float) -> float | None:
        """How fast a counter has grown since it was last measured; None where it has not been measured since."""
        before = self._last.get((meter, resource))
        if before is not None and before[1] == value:
            return None
        self._last[meter, resource] = (at, value)
        if before is None or value < before[1]:
            return None
        return (value - before[1]) / (at - before[0])

    def drawn(self, now: float) -> list[dict[str, Any]]:
        """The charts with their lines, as the page draws them."""
        with self._lock:
            return [
                {"title": chart.title, "unit": chart.unit, "lines": list(self._lines(chart, now))}
                for chart in self._charts
            ]

    def _lines(self, chart: Chart, now: float) -> Iterator[dict[str, Any]]:
        for line in chart.lines:
            for (meter, server), points in sorted(self._points.items()):
                if meter == line.meter and points and now - points[-1][0] < _FORGOTTEN_S:
                    stamps = [datetime.fromtimestamp(at, UTC).isoformat() for at, _ in points]
                    yield {"name": server + line.suffix, "x": stamps, "y": [value for _, value in points]}


def _values(page: str, meters: Iterable[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Values by meter, by server, and by resource."""
    wanted = set(meters)
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for family in text_string_to_metric_families(page):
        if family.name in wanted:
            for sample in family.samples:
                server = sample.labels.get("resource_name", "").partition(":")[0] or sample.labels["resource"]
                found[family.name][server][sample.labels["resource"]] = sample.value
    return found


class Reader:
    """Reads the exporters again and again, until it is stopped; one that does not answer is tried the next time."""

    def __init__(self, history: History, exporters: Sequence[str], now: Callable[[], float] = time.time) -> None:
        self._history = history
        self._exporters = exporters
        self._now = now
        self._stopping = threading.Event()
        self.missing: list[str] = []
        """Those that did not answer the last time."""

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            self.read()
            self._stopping.wait(_EVERY_S)

    def read(self) -> None:
        """Once, every exporter."""
        missing = []
        for exporter in self._exporters:
            try:
                answer = requests.get(exporter, timeout=_EVERY_S)
                answer.raise_for_status()
                self._history.add(answer.text, self._now())
            except (requests.RequestException, ValueError):
                missing.append(exporter)
        self.missing = missing

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()


class Page:
    """Answers a browser: the page, Plotly's script, and the lines to draw."""

    def __init__(self, history: History, reader: Reader) -> None:
        self._history = history
        self._reader = reader
        self._html = resources.files(__package__).joinpath("templates/charts.html.j2").read_text(encoding="utf-8")
        self._script = get_plotlyjs()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        match request.path:
            case "/":
                answer = Response(self._html, content_type="text/html; charset=utf-8")
            case "/plotly.js":
                answer = Response(self._script, content_type="text/javascript; charset=utf-8")
                answer.headers["Cache-Control"] = "max-age=86400"
            case "/data":
                data = {"charts": self._history.drawn(time.time()), "missing": self._reader.missing}
                answer = Response(json.dumps(data), content_type="application/json")
            case _:
                return NotFound()(environ, start_response)
        return answer(environ, start_response)


@click.command()
@click.option("--port", type=int, required=True, help="Where the page is, on the loopback address.")
@click.option("--exporter", "exporters", multiple=True, required=True, help="Address of an agent's /metrics.")
def main(port: int, exporters: tuple[str, ...]) -> None:
    """Serve charts of what servers use."""
    history = History()
    reader = Reader(history, exporters)
    server = Server((LOOPBACK, port), Page(history, reader), numthreads=4)
    threading.Thread(target=reader.run, name="exporters", daemon=True).start()
    try:
        server.safe_start()
    finally:
        reader.stop()


if __name__ == "__main__":
    main()
