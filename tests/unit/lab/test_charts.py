"""The page with charts: what becomes of the exporters' figures, and that it needs nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ceilometer.polling import prom_exporter
from werkzeug.test import Client

from bigiron.lab import charts, ports
from bigiron.lab.charts import History, Page, Reader

WEB = "1a4f17b8-8776-4189-8f2e-b5c7913f1fd1"


def sample(meter: str, name: str, volume: float, resource: str = "") -> dict[str, Any]:
    """As an agent hands it to its exporter."""
    return {
        "counter_name": meter, "counter_volume": volume, "counter_unit": "ns", "resource_id": resource or f"{name}-id",
        "project_id": "p", "user_id": "u",
        "resource_metadata": {"display_name": name, "name": f"instance-{name}", "host": "h"},
    }  # fmt: skip


@pytest.fixture
def page() -> Iterator[Any]:
    """Makes an exporter's page with Ceilometer's own code."""
    from prometheus_client import generate_latest

    def made(*samples: dict[str, Any]) -> str:
        for meter in {one["counter_name"] for one in samples}:
            prom_exporter.purge_stale_metrics(meter)
        prom_exporter.collect_metrics(samples)
        return generate_latest(prom_exporter.CEILOMETER_REGISTRY).decode()

    yield made
    for meter in ("cpu", "memory.usage", "network.incoming.bytes"):
        prom_exporter.purge_stale_metrics(meter)


def lines(history: History, title: str, now: float = 1000.0) -> dict[str, list[float]]:
    (chart,) = [one for one in history.drawn(now) if one["title"] == title]
    return {line["name"]: line["y"] for line in chart["lines"]}


def test_a_counter_is_drawn_as_how_fast_it_grows(page: Any) -> None:
    """From the first change on: the value before that may have been there for long."""
    history = History()
    for at, volume in ((899.0, 0.5e9), (900.0, 1e9), (905.0, 1e9), (930.0, 16e9), (960.0, 16e9), (990.0, 76e9)):
        history.add(page(sample("cpu", "web", volume), sample("cpu", "db", volume / 2)), at)
    assert lines(history, "Processors at work") == {"web": [0.5, 1.0], "db": [0.25, 0.5]}


def test_a_counter_that_began_anew_leaves_a_gap(page: Any) -> None:
    history = History()
    for at, volume in ((870.0, 40e9), (900.0, 50e9), (930.0, 1e9), (960.0, 16e9)):
        history.add(page(sample("cpu", "web", volume)), at)
    assert lines(history, "Processors at work") == {"web": [0.5]}


def test_a_clock_that_is_set_back_leaves_a_gap(page: Any) -> None:
    history = History()
    for at, volume in ((870.0, 40e9), (900.0, 50e9), (930.0, 65e9), (930.0, 66e9), (600.0, 80e9), (630.0, 95e9)):
        history.add(page(sample("cpu", "web", volume)), at)
    assert lines(history, "Processors at work") == {"web": [0.5, 0.5]}


def test_a_counter_that_does_not_grow_is_drawn_as_that(page: Any) -> None:
    """Its value does not say whether it was measured again; how long the exporter shows it does."""
    history = History()
    for at in range(600, 800, 5):
        history.add(page(sample("cpu", "web", 1e9)), float(at))
    assert lines(history, "Processors at work") == {"web": [0.0, 0.0]}


def test_an_adapter_that_rests_does_not_hide_one_that_works(page: Any) -> None:
    history = History()
    for step in range(8):
        moved = [sample("network.incoming.bytes", "web", 30e6 * (step if number else 0), f"i-{WEB}-{number}")
                 for number in range(2)]  # fmt: skip
        history.add(page(*moved), 600.0 + 30 * step)
    assert set(lines(history, "Network")["web in"]) == {1.0}


def test_servers_of_one_name_are_told_apart(page: Any) -> None:
    history = History()
    both = [sample("memory.usage", "web", float(number), f"{number}{WEB[1:]}") for number in (1, 2)]
    history.add(page(*both), 990.0)
    assert lines(history, "Memory in use") == {"web (1a4f17b8)": [1.0], "web (2a4f17b8)": [2.0]}
    history.add(page(sample("memory.usage", "db", 3.0)), 1900.0)
    assert lines(history, "Memory in use", now=1900.0) == {"db": [3.0]}
    assert len(history._points) == len(history._names) == 1, "nothing is kept of servers long gone"


def test_adapters_which_have_names_of_their_own_are_their_servers(page: Any) -> None:
    history = History()
    for at, volume in ((899.0, 0.0), (900.0, 1e6), (930.0, 31e6)):
        adapters = [
            sample("network.incoming.bytes", "web", volume, f"i-{WEB}-02:00:00:00:00:0{number}") for number in range(2)
        ]
        for number, one in enumerate(adapters):
            one["resource_metadata"]["name"] = f"02:00:00:00:00:0{number}"
        history.add(page(*adapters), at)
    assert lines(history, "Network") == {"web in": [2.0]}


def test_a_servers_adapters_are_added_up(page: Any) -> None:
    history = History()
    for at, volume in ((899.0, 0.0), (900.0, 1e6), (930.0, 31e6)):
        history.add(
            page(*(sample("network.incoming.bytes", "web", volume, f"i-{WEB}-{number}") for number in range(2))), at
        )
    assert lines(history, "Network") == {"web in": [2.0]}


def test_a_gauge_is_drawn_as_it_is(page: Any) -> None:
    history = History()
    history.add(page(sample("memory.usage", "web", 512.0)), 990.0)
    assert lines(history, "Memory in use") == {"web": [512.0]}
    assert lines(history, "Memory in use", now=2000.0) == {}, "gone"


def test_an_exporter_that_does_not_answer_is_named() -> None:
    port = ports.choose(["exporter"], {})["exporter"]
    reader = Reader(History(), [f"http://127.0.0.1:{port}/metrics"])
    reader.read()
    assert reader.missing == [f"http://127.0.0.1:{port}/metrics"]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    history = History()
    client = Client(Page(history, Reader(history, [])))
    html = client.get("/").text
    assert re.findall(r'(?:src|href)="([^"]+)"', html) == ["/plotly.js"] and "//" not in html.replace("<!", "")
    script = client.get("/plotly.js")
    assert script.content_type.startswith("text/javascript") and "Plotly" in script.text and len(script.data) > 1 << 20
    data = client.get("/data").get_json()
    assert [chart["title"] for chart in data["charts"]] == [chart.title for chart in charts.CHARTS]
    assert client.get("/other").status_code == 404


def test_what_cannot_be_read_is_tried_again(page: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    history = History()
    reader = Reader(history, ["http://127.0.0.1:1/metrics"], now=lambda: 990.0)
    answers = iter([requests.ConnectionError("no"), page(sample("memory.usage", "web", 5.0))])

    def get(_url: str, timeout: float) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        found = requests.Response()
        found.status_code, found._content = 200, answer.encode()
        return found

    monkeypatch.setattr(requests, "get", get)
    reader.read()
    assert reader.missing
    reader.read()
    assert not reader.missing and lines(history, "Memory in use") == {"web": [5.0]}
