"""A simulated z/VM in tables, and as the picture of networks wants it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

_STYLES = {"on": "green", "off": "dim", "paused": "yellow"}
_UNTAGGED = 1
"""The VLAN that the picture shows for a switch that knows none."""

Guest = Mapping[str, Any]


def tables(guests: Iterable[Guest], switches: Iterable[Mapping[str, Any]]) -> Iterator[Table]:
    """Userids with state, adapters and minidisks; virtual switches with grants and what is coupled."""
    yield _userids(list(guests))
    yield _switches(list(switches))


def _userids(guests: list[Guest]) -> Table:
    table = Table(title=f"{len(guests)} userid(s)", title_justify="left", show_lines=True)
    for heading in ("userid", "state", "guest", "adapters: device, mac, switch, VLAN", "disks", "reader"):
        table.add_column(heading, overflow="fold")
    for one in guests:
        name = Text(one["userid"])
        name.append(f"\n{len(one['cpus'])} CPU, {one['memory_mb']} MB", style="dim")
        for comment in one["comments"]:
            name.append(f"\n{comment}", style="dim")
        state = Text(one["state"], style=_STYLES.get(one["state"], ""))
        if one["locked"]:
            state.append("\nentry locked", style="red")
        guest = "\n".join(filter(None, (one["guest"], one["hostname"])))
        table.add_row(
            name, state, guest, "\n".join(map(_nic, one["nics"])),
            "\n".join([*map(_disk, one["disks"]), *_devices(one)]), "\n".join(one["reader"]),
        )  # fmt: skip
    return table


def _nic(nic: Mapping[str, Any]) -> str:
    vlans = ", ".join(map(str, nic["vlans"]))
    switch = nic["coupled"] or (f"({nic['lan']})" if nic["lan"] else "-")
    return f"{nic['vdev']} {nic['mac']} {switch} {vlans}".rstrip()


def _disk(disk: Mapping[str, Any]) -> str:
    holds = disk["os"] or disk["filesystem"]
    return f"{disk['vdev']} {disk['gigabytes']:g} GB on {disk['volume']}" + (f", {holds}" if holds else "")


def _devices(guest: Guest) -> Iterator[str]:
    for vdev, rdev in sorted(guest["devices"].items()):
        yield f"{vdev} is device {rdev}"


def _switches(switches: list[Mapping[str, Any]]) -> Table:
    title = f"{len(switches)} virtual switch(es)"
    table = Table("switch", "devices", "VLANs", "granted", "coupled", title=title, title_justify="left")
    for switch in switches:
        granted = [f"{name} {', '.join(map(str, vlans))}".strip() for name, vlans in switch["grants"].items()]
        coupled = [f"{each['userid']} {each['vdev']}" for each in switch["coupled"]]
        kind = f"aware, default {switch['vlan'] or 'none'}" if switch["aware"] else "unaware"
        table.add_row(switch["name"], ", ".join(switch["rdevs"]), kind, "\n".join(granted), "\n".join(coupled))
    return table


def partitions(guests: Iterable[Guest]) -> list[dict[str, Any]]:
    """The userids as the picture of networks takes partitions: an adapter for each that is coupled."""
    return [
        {
            "name": one["userid"],
            "state": "running" if one["state"] == "on" else one["state"],
            "adapters": [
                {"switch": nic["coupled"], "vlan": (nic["vlans"] or [_UNTAGGED])[0], "tagged": nic["vlans"][1:]}
                for nic in one["nics"]
                if nic["coupled"]
            ],
        }
        for one in guests
    ]


def bridges(switches: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The virtual switches that have a real device, as the picture of networks takes bridges."""
    return [
        {
            "switch": switch["name"],
            "seas": [{"device": switch["rdevs"][0], "vios": switch["name"], "primary": True, "vlans": _vlans(switch)}],
        }
        for switch in switches
        if switch["rdevs"]
    ]


def _vlans(switch: Mapping[str, Any]) -> list[int]:
    if not switch["aware"]:
        return [_UNTAGGED]
    used = {vlan for each in switch["coupled"] for vlan in each["vlans"]}
    used |= {vlan for vlans in switch["grants"].values() for vlan in vlans}
    return sorted(used | ({switch["vlan"]} if switch["vlan"] else set()))
