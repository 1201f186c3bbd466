"""`python -m bigiron.lab.charts`: a page with charts of what the lab's servers use, from the exporters of its agents.

The drawing is Plotly's, whose script comes with its Python package: the page loads nothing from elsewhere.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter, defaultdict, deque
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

_EVERY_S = 1.0
"""When a counter was measured is known as exactly, and so is how fast it grew in 30 s."""
_TIMEOUT_S = 5.0
_KEPT = 2000
_UNCHANGED_S = 90.0
"""An exporter shows what the last poll brought: a counter that is there for so long has been measured again."""
_STEADY_S = 30.0
"""How often a gauge that does not change is drawn."""
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
    Chart("Processors at work", "", (Line("ceilometer_cpu", 1e-9),)),
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

_DASHES = ("solid", "dot")
"""Of a server's lines in one chart."""
Point = tuple[float, float]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class History:
    """What the exporters have told, as lines to draw; used by the reader's thread and by those that answer."""

    def __init__(self, charts: Sequence[Chart] = CHARTS) -> None:
        self._charts = charts
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], Point] = {}
        self._rates: dict[tuple[str, str], float] = {}
        self._dated: set[tuple[str, str]] = set()
        """The counters of whose last value it is known when it came."""
        self._names: dict[str, str] = {}
        """Of servers, by their uuids."""
        self._points: dict[tuple[str, str], deque[Point]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def add(self, page: str, at: float) -> None:
        """Take an exporter's page that was read at a time."""
        wanted = {line.meter for chart in self._charts for line in chart.lines}
        values: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        names = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples if family.name in wanted else ():
                server, name = _server(sample.labels)
                names[server] = name
                values[family.name][server][sample.labels["resource"]] = sample.value
        with self._lock:
            self._names |= names
            for chart in self._charts:
                for line in chart.lines:
                    for server, found in values.get(line.meter, {}).items():
                        self._note(line, server, found, at)
            self._forget(at)

    def _forget(self, now: float) -> None:
        """What has had no samples for long."""
        for line in [key for key, points in self._points.items() if now - points[-1][0] >= _FORGOTTEN_S]:
            del self._points[line]
        for counter in [key for key, (at, _value) in self._last.items() if now - at >= _FORGOTTEN_S]:
            del self._last[counter]
            self._rates.pop(counter, None)
            self._dated.discard(counter)
        shown = {server for _meter, server in self._points}
        self._names = {server: name for server, name in self._names.items() if server in shown}

    def _note(self, line: Line, server: str, found: Mapping[str, float], at: float) -> None:
        key = line.meter, server
        if line.counter:
            measured = [self._measure(line.meter, resource, value, at) for resource, value in found.items()]
            if any(measured):
                rates = (self._rates.get((line.meter, resource), 0.0) for resource in found)
                self._points[key].append((at, line.scale * sum(rates)))
            return
        points, value = self._points[key], line.scale * sum(found.values())
        if not points or points[-1][1] != value or at - points[-1][0] >= _STEADY_S:
            points.append((at, value))

    def _measure(self, meter: str, resource: str, value: float, at: float) -> bool:
        """Note how fast a counter has grown since it was last measured; whether it has been measured since."""
        key = meter, resource
        before = self._last.get(key)
        if before is not None and before[1] == value and 0 <= at - before[0] < _UNCHANGED_S:
            return False
        self._last[key] = (at, value)
        if before is None or at <= before[0]:
            # The clock was set back, and how long ago it was measured before is not known.
            return False
        dated, grown = key in self._dated, value - before[1]
        self._dated.add(key)
        # When the value was measured that was there at first nobody knows.
        if grown < 0 or (grown > 0 and not dated):
            self._rates.pop(key, None)
            return False
        self._rates[key] = grown / (at - before[0])
        return True

    def drawn(self, now: float) -> list[dict[str, Any]]:
        """The charts with their lines, as the page draws them."""
        with self._lock:
            return [
                {"title": chart.title, "unit": chart.unit, "lines": list(self._lines(chart, now))}
                for chart in self._charts
            ]

    def _lines(self, chart: Chart, now: float) -> Iterator[dict[str, Any]]:
        names = _told_apart({server: self._names[server] for _meter, server in self._points})
        for number, line in enumerate(chart.lines):
            for (meter, server), points in sorted(self._points.items(), key=lambda item: names[item[0][1]]):
                if meter == line.meter and now - points[-1][0] < _FORGOTTEN_S:
                    stamps = [datetime.fromtimestamp(at, UTC).isoformat() for at, _ in points]
                    yield {
                        "name": names[server] + line.suffix, "server": server, "dash": _DASHES[number], "x": stamps,
                        "y": [value for _, value in points],
                    }  # fmt: skip


def _told_apart(labels: Mapping[str, str]) -> dict[str, str]:
    """What to call servers, by their uuids: by their names, with the beginning of the uuid where two have one name."""
    shared = Counter(labels.values())
    return {uuid: name if shared[name] == 1 else f"{name} ({uuid[:8]})" for uuid, name in labels.items()}


def _server(labels: Mapping[str, str]) -> tuple[str, str]:
    """Of which server a sample is, and its name: resources have its uuid in their ids, and `name:...` as their name."""
    resource = labels["resource"]
    found = _UUID.search(resource)
    uuid = found.group() if found else resource
    return uuid, labels.get("resource_name", "").partition(":")[0] or uuid


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
                answer = requests.get(exporter, timeout=_TIMEOUT_S)
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
