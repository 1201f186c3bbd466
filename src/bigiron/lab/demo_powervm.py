"""A simulated PowerVM system as the demo and the tests look at it: partitions, storage, adapters, bridges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from bigiron.lab.demo_platform import Inventory, Platform


class PowerVM(Platform):
    """Its guests are partitions, marked in their description."""

    __slots__ = ()

    def guest_of(self, server_id: str) -> dict[str, Any]:
        """Return the partition that carries this server's mark."""
        for guest in self.ask("/guests"):
            if server_id in (guest["description"] or ""):
                return dict(guest)
        raise self.missing(server_id, "partition")

    def name_of(self, guest: dict[str, Any]) -> str:
        """Return the partition's name."""
        return f"partition {guest['name']}"

    def console(self, guest: dict[str, Any]) -> str:
        """Return everything that a partition's console has shown."""
        return str(self.ask(f"/consoles/{guest['uuid']}")["text"])

    def boots(self, guest: dict[str, Any]) -> float:
        """Return when a partition was last started, in the platform's time."""
        return float(next(lpar["started"] for lpar in self.ask("/state")["lpars"] if lpar["uuid"] == guest["uuid"]))

    def inventory(self) -> Inventory:
        """Return partitions, disks, optical media, mappings and adapters."""
        state = self.ask("/state")
        groups = [group for vios in state["vioses"] for group in vios["groups"]]
        units = [unit for pool in state["pools"] for tier in pool["tiers"] for unit in tier["units"]]
        repositories = [group["repository"] for group in groups if group["repository"]]
        owners = state["lpars"] + state["vioses"]
        return Inventory(
            {
                "partition": frozenset(lpar["name"] for lpar in state["lpars"]),
                "disk": frozenset(unit["name"] for unit in units if unit["type"] != "VirtualIO_Image")
                | frozenset(disk["name"] for group in groups for disk in group["disks"]),
                "medium": frozenset(media["name"] for repository in repositories for media in repository["media"]),
                "mapping": frozenset(
                    f"{vios['name']} {server['name']}" for vios in state["vioses"] for server in vios["servers"]
                ),
                "adapter": frozenset(adapter["mac"] for owner in owners for adapter in owner["adapters"]),
            }
        )

    def picture(self, guest: dict[str, Any]) -> RenderableType:
        """Return partition, storage, adapters and bridges of one guest."""
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("LPAR", f"{guest['name']} (id {guest['id']}, {guest['uuid']})")
        table.add_row("", f"{guest['processors']} vCPU, {guest['memory_mb']} MB, {guest['state']}, RMC {guest['rmc']}")
        table.add_row("mark", str(guest["description"]))
        for kind in ("disks", "optical"):
            for device in guest[kind]:
                table.add_row("disk mapping" if kind == "disks" else "optical medium", _device(device))
        for each in guest["adapters"]:
            table.add_row("NIC", f"{each['mac']}, VLAN {each['vlan']} on {each['switch']}, slot {each['slot']}")
        table.add_row("SEA", "\n".join(_bridges(self.ask("/networks"))))
        return table


def _device(device: dict[str, Any]) -> str:
    size = f"{device['gigabytes']:g} GB" if device["gigabytes"] >= 1 else f"{device['gigabytes'] * 2**20:.0f} KB"
    return f"{device['name']} ({size} {device['kind']} of {device['vios']}), slot {device['slot']}"


def _bridges(networks: list[dict[str, Any]]) -> Iterator[str]:
    for network in networks:
        for sea in network["seas"]:
            vlans = ", ".join(map(str, sea["vlans"]))
            yield f"{sea['device']} of {sea['vios']} on {network['switch']} carries VLAN {vlans}"
