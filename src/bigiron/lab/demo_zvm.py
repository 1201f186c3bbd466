"""A simulated z/VM as the demo and the tests look at it: directory entries, minidisks, adapters, readers."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from bigiron.lab.demo_platform import Inventory, Platform


class ZVM(Platform):
    """Its guests are virtual machines, marked by a comment in their directory entry."""

    __slots__ = ()

    def guest_of(self, server_id: str) -> dict[str, Any]:
        """Return the userid that carries this server's mark."""
        mark = f"NOVA:{server_id.upper()}"
        for guest in self.ask("/guests"):
            if mark in guest["comments"]:
                return dict(guest)
        raise self.missing(server_id, "userid")

    def name_of(self, guest: dict[str, Any]) -> str:
        """Return the userid."""
        return f"userid {guest['userid']}"

    def console(self, guest: dict[str, Any]) -> str:
        """Return everything that a guest's console has shown."""
        return str(self.ask(f"/consoles/{guest['userid']}")["text"])

    def boots(self, guest: dict[str, Any]) -> float:
        """Return how often the console shows the beginning of a boot: an operating system restarts without a logoff."""
        return self.console(guest).count("Linux version")

    def inventory(self) -> Inventory:
        """Return userids, minidisks, adapters, reader files, grants and what is coupled."""
        guests, switches = self.ask("/guests"), self.ask("/vswitches")
        return Inventory(
            {
                "userid": frozenset(guest["userid"] for guest in guests),
                "minidisk": _devices(guests, "disks"),
                "adapter": _devices(guests, "nics"),
                "reader file": frozenset(f"{guest['userid']} {file}" for guest in guests for file in guest["reader"]),
                "grant": frozenset(f"{switch['name']} {userid}" for switch in switches for userid in switch["grants"]),
                "coupled adapter": frozenset(
                    f"{switch['name']} {each['userid']} {each['vdev']}"
                    for switch in switches for each in switch["coupled"]
                ),
            }
        )  # fmt: skip

    def picture(self, guest: dict[str, Any]) -> RenderableType:
        """Return directory entry, minidisks, adapters, reader and config drive of one guest."""
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        processors = f"{len(guest['cpus'])} virtual processors"
        table.add_row("userid", f"{guest['userid']}, {processors}, {guest['memory_mb']} MB, {guest['state']}")
        table.add_row("directory entry", escape("\n".join(guest["entry"])))
        for disk in guest["disks"]:
            table.add_row("minidisk", _disk(disk))
        for nic in guest["nics"]:
            table.add_row("NIC", _nic(nic))
        for switch in self.ask("/vswitches"):
            if guest["userid"] in switch["grants"]:
                table.add_row("virtual switch", f"{switch['name']} is granted to {guest['userid']}")
        table.add_row("reader", "\n".join(guest["reader"]) or "empty: the activation engine has processed all of it")
        drive = self.ask(f"/guests/{guest['userid']}")["config_drive"] or {}
        found = drive.get("meta_data", {}).get("hostname", "none")
        table.add_row("config drive", f"{drive.get('label', '')} for {found}")
        return table


def _devices(guests: list[dict[str, Any]], kind: str) -> frozenset[str]:
    return frozenset(f"{guest['userid']} {device['vdev']}" for guest in guests for device in guest[kind])


def _disk(disk: dict[str, Any]) -> str:
    held = disk["os"] or disk["filesystem"] or "nothing"
    unit = "cylinders" if disk["type"] == "3390" else "blocks"
    return (
        f"{disk['vdev']}: {disk['size']} {unit} of {disk['type']} ({disk['gigabytes']:g} GB) on {disk['volume']} from "
        f"{disk['start']}, holds {held}"
    )


def _nic(nic: dict[str, Any]) -> str:
    vlans = f" with VLAN {', '.join(map(str, nic['vlans']))}" if nic["vlans"] else ""
    coupled = f"coupled to {nic['coupled']}{vlans}" if nic["coupled"] else "not coupled"
    return f"{nic['vdev']}: {nic['mac']}, {coupled}"
