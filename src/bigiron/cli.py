"""The `bigiron` command: each sub-command lives in its own package and is imported only when it is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click
from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a sub-command is, and its help, so that showing it imports nothing; `extra` installs what it needs."""

    place: str
    help: str
    extra: str


COMMANDS = {
    "sim": _Entry("bigiron.sim.cli:sim", "Simulate a PowerVM or z/VM system.", "sim"),
    "lab": _Entry("bigiron.lab.cli:lab", "Run a real OpenStack on this one machine.", "lab"),
    "demo": _Entry("bigiron.lab.demo:demo", "Boot a server on a simulated PowerVM or z/VM, step by step.", "lab"),
    "image": _Entry("bigiron.zvm.cli:image", "Make disk images that a z/VM host can deploy.", "zvm"),
    "adopt": _Entry(
        "bigiron.plugins.nova.cli:adopt", "Mark partitions that an older driver created as Nova's.", "nova"
    ),
    "nova-link": _Entry(
        "bigiron.plugins.nova.cli:nova_link", "Place the driver beside the Nova that is installed.", "nova"
    ),
}


class LazyGroup(click.Group):
    """Imports a sub-command at its use and lists all of them without."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.place.partition(":")
        try:
            command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"`bigiron {cmd_name}` needs the module {error.name}: pip install 'bigiron[{entry.extra}]'"
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.place} is no command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column(style="bold cyan", no_wrap=True)
        table.add_column()
        for name, entry in COMMANDS.items():
            table.add_row(name, entry.help)
        console = Console(width=formatter.width)
        with formatter.section("Commands"), console.capture() as shown:
            console.print(table)
        formatter.write(shown.get())


@click.group(cls=LazyGroup)
@click.version_option(package_name="bigiron", prog_name="bigiron")
def main() -> None:
    """OpenStack on IBM Power: drivers, a simulated PowerVM system and a one-machine OpenStack to try them in."""
