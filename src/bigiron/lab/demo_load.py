"""The demo's look at a server's processors: its load is raised on the platform, and OpenStack's diagnostics show it.

Simulated time is advanced between two looks, so that nobody has to wait for the platform's next sample.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import requests
from openstack.connection import Connection
from rich.console import Group
from rich.panel import Panel
from rich.table import Table

from bigiron.lab.demo_platform import Platform
from bigiron.lab.errors import LabError

BLOCKS = "▁▂▃▄▅▆▇█"
_STEP_S = 30
"""Between two samples of PowerVM's long-term monitor."""
_LOOKS = 3
_FRESH_S = 20.0
"""How long a figure may take to change: a Cloud Connector keeps what it knows for some seconds."""
_AGAIN_S = 0.3
_TIMEOUT_S = 30.0
_PROFILES = ("idle", "steady")
_KEYS = {"powervm": "partition", "zvm": "userid"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, and what carries it on the platform whose control address this is."""

    server: str
    guest: str
    platform: str
    control: str

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = requests.request(method, self.control + path, json=body, timeout=_TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise LabError(f"the simulator at {self.control} failed to answer {path}: {error}") from error
        return answer.json() if answer.content else None

    def set_load(self, profile: str) -> None:
        """Give the guest another load."""
        self._ask("POST", "/load", {_KEYS[self.platform]: self.guest, "profile": profile})

    def monitor(self, on: bool) -> bool:
        """Have an administrator switch PowerVM's long-term monitor on or off; whether it was on. z/VM always counts."""
        if self.platform != "powervm":
            return True
        before = bool(self._ask("GET", "/monitor")["long_term"])
        self._ask("POST", "/monitor", {"long_term": on})
        return before

    def clock(self, **change: float) -> float:
        """Change the simulated time; the speed that it had."""
        before = float(self._ask("GET", "/clock")["scale"])
        self._ask("POST", "/clock", change)
        return before

    def hold(self) -> float:
        """Have simulated time stand still, unless requests cost some: they would never end. The speed that it had."""
        speed = float(self._ask("GET", "/clock")["scale"])
        if self._ask("GET", "/latency")["profile"] == "none":
            self.clock(scale=0)
        return speed

    def measured_at(self) -> float:
        """When what the platform tells now was measured: PowerVM takes a sample twice a minute."""
        now = float(self._ask("GET", "/clock")["now"])
        return now // _STEP_S * _STEP_S if self.platform == "powervm" else now


def subject(platform: Platform, server_id: str) -> Subject:
    """A server of the demo."""
    guest = platform.guest_of(server_id)
    if "userid" in guest:
        return Subject(server_id, guest["userid"], "zvm", platform.url)
    return Subject(server_id, guest["name"], "powervm", platform.url)


def watch(cloud: Connection, subject: Subject) -> dict[str, list[float]]:
    """How many processors the server kept busy, under each load, look by look; leaves the platform as it was."""
    was_on = subject.monitor(True)
    speed = subject.hold()
    try:
        return {profile: _under(cloud, subject, profile) for profile in _PROFILES}
    finally:
        subject.set_load(_PROFILES[0])
        subject.clock(scale=speed)
        subject.monitor(was_on)


def _under(cloud: Connection, subject: Subject, profile: str) -> list[float]:
    subject.set_load(profile)
    # The first sample of a monitor that was off comes with the next half minute, and the one after it is a whole one.
    subject.clock(advance=2 * _STEP_S)
    looks = [_look(cloud, subject, 0.0)]
    for _ in range(_LOOKS):
        subject.clock(advance=_STEP_S)
        looks.append(_look(cloud, subject, looks[-1][1]))
    return [(now[1] - before[1]) / (now[0] - before[0]) for before, now in pairwise(looks)]


def _look(cloud: Connection, subject: Subject, before: float) -> tuple[float, float]:
    """When it was measured, and the seconds of processor time in the server's diagnostics, once they are others."""
    deadline = time.monotonic() + _FRESH_S
    while True:
        at = subject.measured_at()
        # Before microversion 2.48 the driver's own words are shown, which have all processors in one figure.
        answer = cloud.compute.get(f"/servers/{subject.server}/diagnostics", microversion="2.1")
        answer.raise_for_status()
        used = answer.json().get("cpu_used_ns", 0) / 1e9
        if used not in (0.0, before):
            return at, used
        if time.monotonic() > deadline:
            raise LabError(
                f"the diagnostics of server {subject.server} show no processor time that grows: see "
                "`bigiron lab logs nova-compute`"
            )
        time.sleep(_AGAIN_S)


def sparkline(values: Sequence[float], top: float) -> str:
    """A line of blocks, each as high as its value is of the greatest."""
    last = len(BLOCKS) - 1
    return "".join(BLOCKS[round(last * min(1.0, value / top)) if top > 0 else 0] for value in values)


def panel(subject: Subject, looks: dict[str, list[float]]) -> Panel:
    """The line, and what it says."""
    top = max(value for values in looks.values() for value in values)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row(*(sparkline(values, top) for values in looks.values()))
    table.add_row(*(f"{profile}: {values[-1]:.2f}" for profile, values in looks.items()))
    told = f"processors that {subject.guest} keeps busy, from the server's diagnostics every {_STEP_S} s"
    return Panel(Group(told, table), expand=False)
