"""What the simulated platform says about itself, asked at its control address and shown beside OpenStack's view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bigiron.lab.errors import LabError

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Inventory:
    """The names of everything on the platform that an operation could leave behind."""

    partitions: frozenset[str]
    disks: frozenset[str]
    media: frozenset[str]
    mappings: frozenset[str]
    adapters: frozenset[str]

    def left_from(self, before: Inventory) -> list[str]:
        """Return what is here and was not there before."""
        return sorted(
            f"{kind} {name}"
            for kind in ("partitions", "disks", "media", "mappings", "adapters")
            for name in getattr(self, kind) - getattr(before, kind)
        )


@dataclass(frozen=True, slots=True)
class Platform:
    """The control address of one simulated system."""

    url: str

    def ask(self, path: str) -> Any:
        """Return the JSON answer to a GET."""
        try:
            answer = requests.get(self.url + path, timeout=_ANSWER_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise LabError(
                f"the simulator at {self.url} failed to answer {path} ({error}): see `bigiron lab logs sim`"
            ) from error
        return answer.json()

    def partition_of(self, server_id: str) -> dict[str, Any]:
        """Return the partition that carries this server's mark."""
        for guest in self.ask("/guests"):
            if server_id in (guest["description"] or ""):
                return dict(guest)
        raise LabError(
            f"no partition on the platform is marked as server {server_id}: see `bigiron lab logs nova-compute`"
        )

    def console(self, partition: str) -> str:
        """Return everything that a partition's console has shown."""
        return str(self.ask(f"/consoles/{partition}")["text"])

    def await_boot(self, server_id: str, hostname: str, seconds: float) -> dict[str, Any]:
        """Wait until the guest has taken its name from the config drive; return its partition."""
        deadline = time.monotonic() + seconds
        while True:
            partition = self.partition_of(server_id)
            if partition["hostname"] == hostname:
                return partition
            if time.monotonic() > deadline:
                raise LabError(
                    f"partition {partition['name']} has not booted within {seconds:.0f} s: {partition['guest']}"
                )
            time.sleep(_POLL_SECONDS)

    def inventory(self) -> Inventory:
        """Return what is on the platform now; cached images are meant to stay and are left out."""
        state = self.ask("/state")
        groups = [group for vios in state["vioses"] for group in vios["groups"]]
        units = [unit for pool in state["pools"] for tier in pool["tiers"] for unit in tier["units"]]
        repositories = [group["repository"] for group in groups if group["repository"]]
        owners = state["lpars"] + state["vioses"]
        return Inventory(
            partitions=frozenset(lpar["name"] for lpar in state["lpars"]),
            disks=frozenset(unit["name"] for unit in units if unit["type"] != "VirtualIO_Image")
            | frozenset(disk["name"] for group in groups for disk in group["disks"]),
            media=frozenset(media["name"] for repository in repositories for media in repository["media"]),
            mappings=frozenset(
                f"{vios['name']} {server['name']}" for vios in state["vioses"] for server in vios["servers"]
            ),
            adapters=frozenset(adapter["mac"] for owner in owners for adapter in owner["adapters"]),
        )


def picture(platform: Platform, partition: dict[str, Any]) -> RenderableType:
    """Return the platform's own view of one guest: partition, storage, adapters, bridges."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("LPAR", f"{partition['name']} (id {partition['id']}, {partition['uuid']})")
    table.add_row(
        "", f"{partition['processors']} vCPU, {partition['memory_mb']} MB, {partition['state']}, RMC {partition['rmc']}"
    )
    table.add_row("mark", str(partition["description"]))
    for kind in ("disks", "optical"):
        for device in partition[kind]:
            table.add_row("disk mapping" if kind == "disks" else "optical medium", _device(device))
    for adapter in partition["adapters"]:
        table.add_row("NIC", f"{adapter['mac']}, VLAN {adapter['vlan']} on {adapter['switch']}, slot {adapter['slot']}")
    table.add_row("SEA", "\n".join(_bridges(platform.ask("/networks"))))
    return table


def _device(device: dict[str, Any]) -> str:
    size = f"{device['gigabytes']:g} GB" if device["gigabytes"] >= 1 else f"{device['gigabytes'] * 2**20:.0f} KB"
    return f"{device['name']} ({size} {device['kind']} of {device['vios']}), slot {device['slot']}"


def _bridges(networks: list[dict[str, Any]]) -> Iterator[str]:
    for network in networks:
        for sea in network["seas"]:
            vlans = ", ".join(map(str, sea["vlans"]))
            yield f"{sea['device']} of {sea['vios']} on {network['switch']} carries VLAN {vlans}"


def console_panel(text: str, lines: int, title: str) -> RenderableType:
    """Return the end of a console in a frame."""
    shown = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return Panel(
        Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in shown)), title=title, title_align="left"
    )
