"""`bigiron demo`: start the lab and follow one server through its life, on OpenStack's side and on the platform's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from bigiron.lab import demo_roles, health, lifecycle, spec
from bigiron.lab.demo_roles import NAME, Role
from bigiron.lab.demo_scenario import Scenario, Stage
from bigiron.lab.errors import LabError, explained
from bigiron.lab.paths import LabPaths, default_root, typed
from bigiron.lab.progress import Board


@click.command(name="demo")
@click.option(
    "--dir", "root", type=click.Path(path_type=Path, file_okay=False), default=default_root, show_default="per user",
    help="Directory of the lab.",
)  # fmt: skip
@click.option(
    "--platform", type=click.Choice((*spec.PLATFORMS, spec.BOTH)),
    help="Platform of the server; both shows one of each in one cloud.  [default: powervm]",
)  # fmt: skip
@click.option(
    "--system", "systems", type=click.Path(dir_okay=False, exists=True), multiple=True,
    help="System document of a simulated system; once for each compute host that there is to be.",
)  # fmt: skip
@click.option(
    "--driver", type=click.Choice(("powervm", "fake")), help="Compute driver; fake shows OpenStack without a platform."
)
@click.option("--latency", help="Latency profile of the simulated platform.")
def demo(root: Path, platform: str | None, systems: tuple[str, ...], driver: str | None, latency: str | None) -> None:
    """Boot a server on a simulated PowerVM or z/VM system through a real OpenStack, step by step."""
    os.umask(0o077)
    paths = LabPaths(root.expanduser().absolute())
    console = Console()
    begun = time.monotonic()
    documents = tuple(str(Path(system).absolute()) for system in systems) or None
    try:
        with explained():
            wishes = lifecycle.Wishes(driver=spec.chosen_driver(platform, driver), systems=documents, latency=latency)
            with Board(console, "start") as board:
                current = lifecycle.up(paths, wishes, board)
            roles = demo_roles.roles(current)
            Scenario(paths, health.connection(current), roles, Stage(console)).run()
    except LabError as error:
        raise click.ClickException(str(error)) from error
    console.print(f"\n[bold]Done in {time.monotonic() - begun:.0f} s.[/bold] The cloud goes on running.\n")
    console.print(_guide(paths, roles[-1]), soft_wrap=True)


def _guide(paths: LabPaths, role: Role) -> str:
    """Return what to type next."""
    chosen = "" if paths.root == default_root() else f" --dir {paths.root}"
    lab, openstack = f"{typed('bigiron')} lab{chosen}", typed("openstack")
    return escape(
        "To use it:\n"
        f'  eval "$({lab} env)"\n'
        f"  {openstack} server create --image {role.name} --flavor {role.name} --network {NAME} --key-name {NAME} "
        "--wait mine\n"
        f"  {openstack} server list\n"
        f"  {lab} status\n"
        f"  {lab} logs {role.compute}\n"
        "To stop it (`up` continues), or to remove it:\n"
        f"  {lab} down\n"
        f"  {lab} destroy"
    )
