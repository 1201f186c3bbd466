"""`bigiron sim show`, `topology` and `console`: look at running simulators through their control addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bigiron.sim import topology as drawing
from bigiron.sim.powervm.management.endpoint import Simulator, Unreachable
from bigiron.sim.zvm import show as zvm

_PLAIN_WIDTH = 150
_FOLLOW_S = 20.0
_STYLES = {"running": "green", "not activated": "dim", "error": "red", "active": "green", "inactive": "dim"}


def _simulator(control: str | None, state: Path | None) -> Simulator:
    if control is not None:
        return Simulator(control)
    if state is None:
        raise click.UsageError("name the simulator: --control URL, or --state DIR of a running one")
    try:
        return Simulator.of_tree(state)
    except Unreachable as error:
        raise click.ClickException(str(error)) from error


def _ask(simulator: Simulator, path: str) -> Any:
    try:
        status, answer = simulator.ask("GET", path)
    except Unreachable as error:
        raise click.ClickException(str(error)) from error
    if status != 200:
        raise click.ClickException(str(answer.get("error", answer)))
    return answer


control_option = click.option("--control", metavar="URL", help="Control address of the simulator.")
state_option = click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="State directory of the simulator, while it runs."
)


@click.command(name="show")
@click.argument("partitions", nargs=-1, metavar="[PARTITION]...")
@control_option
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def show(partitions: tuple[str, ...], control: str | None, state: Path | None, as_json: bool) -> None:
    """Show a simulated system: partitions with state, adapters, disks and media, and the VLANs of its bridges.

    PARTITIONs are ids, uuids or names, of z/VM userids; without any, all are shown.
    """
    simulator = _simulator(control, state)
    is_zvm = _is_zvm(simulator)
    guests, networks = _ask(simulator, "/guests"), _ask(simulator, "/vswitches" if is_zvm else "/networks")
    if partitions:
        guests = [one for one in guests if _names(one) & {name.upper() for name in partitions}]
        if missing := [name for name in partitions if not any(name.upper() in _names(one) for one in guests)]:
            raise click.ClickException(f"there is no partition {', '.join(missing)}; `bigiron sim show` lists them")
    if as_json:
        names = ("userids", "vswitches") if is_zvm else ("partitions", "networks")
        click.echo(json.dumps(dict(zip(names, (guests, networks), strict=True)), indent=2))
        return
    screen = Console(soft_wrap=False)
    if not screen.is_terminal:
        screen.width = _PLAIN_WIDTH
    for table in zvm.tables(guests, networks) if is_zvm else (_partition_table(guests), _network_table(networks)):
        screen.print(table)


@click.command(name="topology")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True))
@click.option("--control", "controls", metavar="URL", multiple=True, help="Control address of a simulator; repeatable.")
@click.option(
    "--state", "states", type=click.Path(path_type=Path, file_okay=False), multiple=True,
    help="State directory of a simulator, while it runs; repeatable.",
)  # fmt: skip
def topology(file: Path, controls: tuple[str, ...], states: tuple[Path, ...]) -> None:
    """Draw the networks of one or more simulated systems as an SVG picture to FILE, or to - for standard output.

    It shows the partitions or userids, the VLANs of their adapters, and the Shared Ethernet Adapters or virtual
    switches that carry these.
    """
    simulators = [_simulator(url, None) for url in controls] + [_simulator(None, folder) for folder in states]
    if not simulators:
        raise click.UsageError("name the simulators: --control URL, or --state DIR of a running one")
    systems = [_drawn(one) for one in simulators]
    with click.open_file(str(file), "w", encoding="utf-8") as out:
        out.write(drawing.picture(systems) + "\n")


@click.command(name="console")
@click.argument("partition")
@control_option
@state_option
@click.option("--follow", "-f", is_flag=True, help="Go on printing what is printed, until interrupted.")
@click.option("--since", type=click.IntRange(min=0), default=0, help="Begin at this character of the console's text.")
def console(partition: str, control: str | None, state: Path | None, follow: bool, since: int) -> None:
    """Print the console of PARTITION (id, uuid or name, of z/VM a userid)."""
    simulator = _simulator(control, state)
    excerpt = _ask(simulator, f"/consoles/{partition}?since={since}")
    click.echo(excerpt["text"], nl=not follow and not excerpt["text"].endswith("\n"))
    while follow:
        excerpt = _ask(simulator, f"/consoles/{partition}?since={excerpt['end']}&wait={_FOLLOW_S}")
        click.echo(excerpt["text"], nl=False)


def _is_zvm(simulator: Simulator) -> bool:
    return bool(_ask(simulator, "/system").get("platform") == "zvm")


def _drawn(simulator: Simulator) -> drawing.System:
    """A simulated system as the picture takes it."""
    name, guests = _ask(simulator, "/system")["name"], _ask(simulator, "/guests")
    if not _is_zvm(simulator):
        return drawing.System(name, guests, _ask(simulator, "/networks"))
    return drawing.System(name, zvm.partitions(guests), zvm.bridges(_ask(simulator, "/vswitches")))


def _names(entry: dict[str, Any]) -> set[str]:
    if "userid" in entry:
        return {entry["userid"]}
    return {str(entry["id"]), entry["uuid"].upper(), entry["name"].upper()}


def _partition_table(guests: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{len(guests)} partition(s)", title_justify="left", show_lines=True)
    for heading in ("id", "partition", "state", "guest", "adapters: mac, VLAN, switch", "storage"):
        table.add_column(heading, overflow="fold")
    for one in guests:
        name = Text(one["name"])
        name.append(f"\n{one['processors']} vCPU, {one['memory_mb']} MB", style="dim")
        if one["description"]:
            name.append(f"\n{one['description']}", style="dim")
        state = Text(one["state"], style=_STYLES.get(one["state"], ""))
        state.append(f"\nRMC {one['rmc']}", style=_STYLES.get(one["rmc"], ""))
        guest = "\n".join(filter(None, (one["guest"], one["hostname"])))
        table.add_row(
            str(one["id"]), name, state, guest, "\n".join(_adapter_lines(one)), "\n".join(_storage_lines(one))
        )
    return table


def _adapter_lines(entry: dict[str, Any]) -> Iterator[str]:
    for adapter in entry["adapters"]:
        tagged = f" + {_ranges(adapter['tagged'])}" if adapter["tagged"] else ""
        yield f"{adapter['mac']} {adapter['vlan']}{tagged} {adapter['switch']}"


def _storage_lines(entry: dict[str, Any]) -> Iterator[str]:
    """One line for each device; a disk that several VIOSes serve is one disk with several paths."""
    paths: dict[tuple[str, str, float], list[str]] = {}
    for disk in entry["disks"]:
        paths.setdefault((disk["name"], disk["kind"], disk["gigabytes"]), []).append(disk["vios"])
    for (name, kind, gigabytes), vioses in paths.items():
        origin = f"{kind} of {', '.join(vioses)}" if all(vioses) else "its own"
        yield f"{name}, {gigabytes:g} GB ({origin})"
    for drive in entry["optical"]:
        yield f"{drive['name']}, optical ({'media' if drive['media'] else 'no media'}, {drive['vios']})"


def _network_table(networks: list[dict[str, Any]]) -> Table:
    table = Table("switch", "SEA", "VLANs", title=f"{len(networks)} network bridge(s)", title_justify="left")
    for bridge in networks:
        for sea in bridge["seas"]:
            role = "" if len(bridge["seas"]) == 1 else " (primary)" if sea["primary"] else " (standby)"
            table.add_row(bridge["switch"], f"{sea['device']} of {sea['vios']}{role}", _ranges(sea["vlans"]))
    return table


def _ranges(numbers: list[int]) -> str:
    """Numbers in order, runs of three and more as first-last."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(str(number) for number in run) for run in parts
    )
