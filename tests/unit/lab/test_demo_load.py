"""The demo's look at a server's processors, against a platform and a cloud that keep their words."""

from __future__ import annotations

import io
from json import dumps
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from rich.console import Console

from bigiron.lab import demo_load
from bigiron.lab.demo_load import Subject
from bigiron.lab.errors import LabError

SUBJECT = Subject("s1", "instance-1", "powervm", "http://control")


class World:
    """A clock, a monitor and a guest, as the control address has them."""

    def __init__(self) -> None:
        self.clock = {"now": 1000.0, "scale": 1.0}
        self.latency = {"profile": "none"}
        self.monitor = {"long_term": False}
        self.profile, self.used = "idle", 0.0
        self.history: list[Any] = []

    def request(self, method: str, url: str, json: Any, timeout: float) -> requests.Response:
        path = url.removeprefix("http://control")
        self.history.append((method, path, json))
        if path == "/load":
            self.profile = json["profile"]
        elif path == "/clock" and json:
            self.clock["scale"] = json.get("scale", self.clock["scale"])
            self.clock["now"] += json.get("advance", 0)
            self.used += json.get("advance", 0) * {"idle": 0.01, "steady": 0.3}[self.profile]
        elif path == "/monitor" and json:
            self.monitor |= json
        answer = requests.Response()
        answer.status_code = 200
        told = {"/clock": self.clock, "/monitor": self.monitor, "/latency": self.latency}
        answer._content = dumps(told.get(path, {})).encode()
        return answer

    def get(self, path: str, microversion: str) -> Any:
        assert (path, microversion) == ("/servers/s1/diagnostics", "2.1")
        figures = {"cpu_used_ns": int(self.used * 1e9)} if self.monitor["long_term"] else {}
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: figures)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(requests, "request", found.request)
    return found


def test_a_raised_load_shows_and_all_is_as_it_was(world: World) -> None:
    looks = demo_load.watch(SimpleNamespace(compute=world), SUBJECT)  # type: ignore[arg-type]
    assert looks == {"idle": pytest.approx([0.01] * 3), "steady": pytest.approx([0.3] * 3)}
    assert (world.profile, world.clock["scale"], world.monitor) == ("idle", 1.0, {"long_term": False})
    assert ("POST", "/load", {"partition": "instance-1", "profile": "steady"}) in world.history
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(demo_load.panel(SUBJECT, looks))
    text = console.export_text()
    assert "▁▁▁" in text and "███" in text and "idle: 0.01" in text and "steady: 0.30" in text
    assert "processors that instance-1 keeps busy, from the server's diagnostics every 30 s" in text


def test_a_guest_of_zvm_has_no_monitor(world: World) -> None:
    world.monitor["long_term"] = True
    demo_load.watch(SimpleNamespace(compute=world), Subject("s1", "NV1", "zvm", "http://control"))  # type: ignore[arg-type]
    assert not [path for _, path, _ in world.history if path == "/monitor"]
    assert ("POST", "/load", {"userid": "NV1", "profile": "steady"}) in world.history


def test_time_goes_on_where_requests_take_some(world: World) -> None:
    world.latency["profile"] = "realistic"
    looks = demo_load.watch(SimpleNamespace(compute=world), SUBJECT)  # type: ignore[arg-type]
    assert looks["steady"] == pytest.approx([0.3] * 3)
    assert ("POST", "/clock", {"scale": 0}) not in world.history


def test_figures_that_do_not_come_are_told_and_all_is_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_load, "_FRESH_S", 0.0)
    world.get = lambda *_args, **_more: SimpleNamespace(  # type: ignore[method-assign]
        raise_for_status=lambda: None, json=dict
    )
    with pytest.raises(LabError, match="show no processor time that grows"):
        demo_load.watch(SimpleNamespace(compute=world), SUBJECT)  # type: ignore[arg-type]
    assert (world.clock["scale"], world.monitor) == (1.0, {"long_term": False})


def test_a_line_is_as_high_as_its_values() -> None:
    assert demo_load.sparkline([0.0, 0.5, 1.0], 1.0) == "▁▅█"
    assert demo_load.sparkline([0.0], 0.0) == "▁"
