"""What a simulated platform says about itself, asked at its control address and shown beside OpenStack's view."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from bigiron.lab.errors import LabError

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Inventory:
    """The names of everything on the platform that an operation could leave behind, by their kind."""

    names: Mapping[str, frozenset[str]]

    def left_from(self, before: Inventory) -> list[str]:
        """Return what is here and was not there before."""
        return sorted(f"{kind} {name}" for kind, names in self.names.items() for name in names - before.names[kind])


@dataclass(frozen=True, slots=True)
class Platform(ABC):
    """The control address of one simulated system; its port has the name of its program and `_control`."""

    url: str
    sim: str = "sim"

    def ask(self, path: str) -> Any:
        """Return the JSON answer to a GET."""
        try:
            answer = requests.get(self.url + path, timeout=_ANSWER_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise LabError(
                f"the simulator at {self.url} failed to answer {path} ({error}): see `bigiron lab logs {self.sim}`"
            ) from error
        return answer.json()

    @abstractmethod
    def guest_of(self, server_id: str) -> dict[str, Any]:
        """Return what carries this server's mark, with its `hostname` and its `state`."""

    @abstractmethod
    def name_of(self, guest: dict[str, Any]) -> str:
        """Return what it is called on the platform."""

    @abstractmethod
    def console(self, guest: dict[str, Any]) -> str:
        """Return everything that a guest's console has shown."""

    @abstractmethod
    def boots(self, guest: dict[str, Any]) -> float:
        """Return a figure that grows with each boot of a guest."""

    @abstractmethod
    def inventory(self) -> Inventory:
        """Return what is on the platform now; cached images are meant to stay and are left out."""

    @abstractmethod
    def picture(self, guest: dict[str, Any]) -> RenderableType:
        """Return the platform's own view of one guest."""

    def missing(self, server_id: str, what: str) -> LabError:
        """Return what to say where nothing is marked as the server."""
        compute = self.sim.replace("sim", "nova-compute")
        return LabError(f"no {what} on the platform is marked as server {server_id}: see `bigiron lab logs {compute}`")

    def await_boot(self, server_id: str, hostname: str, seconds: float) -> dict[str, Any]:
        """Wait until the guest has taken its name from the config drive; return it."""
        deadline = time.monotonic() + seconds
        while True:
            guest = self.guest_of(server_id)
            if guest["hostname"] == hostname and guest["guest"] == "up":
                return guest
            if time.monotonic() > deadline:
                raise LabError(f"{self.name_of(guest)} has not booted within {seconds:.0f} s: {guest['guest']}")
            time.sleep(_POLL_SECONDS)


def console_panel(text: str, lines: int, title: str) -> RenderableType:
    """Return the end of a console in a frame."""
    shown = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return Panel(
        Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in shown)), title=title, title_align="left"
    )
