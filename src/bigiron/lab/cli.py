"""`bigiron lab`: commands that start, show, stop and remove a one-machine OpenStack."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bigiron.lab import configs, lifecycle, spec, status, tempest
from bigiron.lab.errors import LabError, explained
from bigiron.lab.paths import LabPaths, default_root, typed
from bigiron.lab.progress import Board, Quiet, Reporter


def _explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show a LabError as a sentence and end with status 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            with explained():
                return command(*args, **kwargs)
        except LabError as error:
            raise click.ClickException(str(error)) from error

    return run


@contextmanager
def _reporting(title: str, as_json: bool) -> Iterator[Reporter]:
    if as_json:
        yield Quiet()
        return
    with Board(Console(stderr=True), title) as board:
        yield board


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


@click.group(name="lab")
@click.option(
    "--dir", "root", type=click.Path(path_type=Path, file_okay=False), default=default_root, show_default="per user",
    help="Directory of the lab; everything it writes is in there.",
)  # fmt: skip
@click.pass_context
def lab(context: click.Context, root: Path) -> None:
    """Run a real OpenStack on this machine: no root, loopback addresses only."""
    # For what the commands called from here write: every file of a lab is its owner's alone.
    os.umask(0o077)
    context.obj = LabPaths(root.expanduser().absolute())


@lab.command()
@_json_option
@_explained
def prepare(as_json: bool) -> None:
    """Fill the cache (migrated databases, a broker), so that `up` takes seconds."""
    with _reporting("prepare", as_json) as report:
        lifecycle.prepare(report)
    if as_json:
        click.echo(json.dumps({"prepared": True}))


@lab.command()
@click.option(
    "--platform", type=click.Choice((*spec.PLATFORMS, spec.BOTH)),
    help="Platform of the compute hosts; powervm if nothing is chosen.",
)  # fmt: skip
@click.option(
    "--driver", type=click.Choice(("powervm", "fake")), help="Compute driver; fake is Nova's own and needs no platform."
)
@click.option(
    "--system", "systems", type=click.Path(dir_okay=False, exists=True), multiple=True,
    help="System document of a simulated system; once for each compute host that there is to be.",
)  # fmt: skip
@click.option("--latency", help="Latency profile of the simulated platform.")
@click.option(
    "--broker", "broker_url", metavar="URL", envvar="BIGIRON_BROKER_URL", show_envvar=True,
    help="Use this message broker, e.g. rabbit://user:password@host:5672/. Other users of the machine see the command "
    "line: better give a password through the variable.",
)  # fmt: skip
@click.option(
    "--telemetry/--no-telemetry", default=None,
    help="Run Ceilometer's polling agent for each host, with figures for Prometheus and a page with charts.",
)  # fmt: skip
@click.option(
    "--open-vswitch/--no-open-vswitch", default=None,
    help="Run an Open vSwitch and Neutron's agent for it on each PowerVM host, and have it carry the ports.",
)  # fmt: skip
@click.option("--debug/--no-debug", default=None, help="Let the services log at debug level.")
@click.option(
    "--set", "chosen", multiple=True, metavar="PROGRAM:GROUP.OPTION=VALUE",
    help="Set an option of a program, e.g. nova-compute:powervm.disk_driver=localdisk; replaces all set before.",
)  # fmt: skip
@_json_option
@click.pass_obj
@_explained
def up(paths: LabPaths, as_json: bool, chosen: tuple[str, ...], systems: tuple[str, ...], **wishes: Any) -> None:
    """Start the lab and wait until everything works; starts only what is missing when it runs already."""
    wishes["driver"] = spec.chosen_driver(wishes.pop("platform"), wishes["driver"])
    wishes["settings"] = configs.settings(chosen) if chosen else None
    wishes["systems"] = tuple(str(Path(system).absolute()) for system in systems) or None
    with _reporting("lab", as_json) as report:
        current = lifecycle.up(paths, lifecycle.Wishes(**wishes), report)
        rows = status.collect(paths)
    if as_json:
        click.echo(json.dumps(status.as_json(paths, rows)))
        return
    Console().print(status.table(paths, rows))
    if current.measured_hosts:
        click.echo(f"Charts of what servers use: {current.url('charts')}/")
    click.echo(
        f"OpenStack answers at {current.url('keystone')}/v3. To use it:\n"
        f'  eval "$({typed("bigiron")} lab --dir {paths.root} env)"\n  {typed("openstack")} server list'
    )


@lab.command()
@_json_option
@click.pass_obj
@_explained
def down(paths: LabPaths, as_json: bool) -> None:
    """Stop the lab; `up` continues where it stopped."""
    with _reporting("lab", as_json) as report:
        stopped = lifecycle.down(paths, report)
    click.echo(json.dumps({"stopped": stopped}) if as_json else "stopped" if stopped else "the lab was not running")


@lab.command()
@_json_option
@click.pass_obj
@_explained
def destroy(paths: LabPaths, as_json: bool) -> None:
    """Stop the lab and remove everything it wrote; nothing to do where there is none."""
    if not paths.spec.exists():
        click.echo(json.dumps({"removed": None}) if as_json else f"no lab in {paths.root}")
        return
    with _reporting("lab", as_json) as report:
        lifecycle.destroy(paths, report)
    click.echo(json.dumps({"removed": str(paths.root)}) if as_json else f"removed {paths.root}")


@lab.command(name="status")
@_json_option
@click.pass_context
@_explained
def status_(context: click.Context, as_json: bool) -> None:
    """Show every program; the exit status is 0 when all of them work."""
    paths: LabPaths = context.obj
    rows = status.collect(paths)
    summary = status.as_json(paths, rows)
    if as_json:
        click.echo(json.dumps(summary))
    elif rows:
        Console().print(status.table(paths, rows))
    else:
        click.echo(f"the lab in {paths.root} is stopped: start it with `bigiron lab up`")
    context.exit(0 if summary["working"] else 3)


@lab.command()
@click.argument("program", required=False)
@click.option("--lines", "-n", default=40, show_default=True, help="How many lines from the end.")
@click.pass_obj
@_explained
def logs(paths: LabPaths, program: str | None, lines: int) -> None:
    """Show the end of a program's log, or of every log."""
    spec.require(paths)
    names = [program] if program else sorted(path.stem for path in paths.logs.glob("*.log"))
    for name in names:
        if not program:
            click.echo(f"==> {paths.logs / name}.log <==")
        click.echo(lifecycle.tail(paths, name, lines))


@lab.command()
@click.option("--user", type=click.Choice(("admin", "demo")), default="admin", show_default=True, help="As whom.")
@_json_option
@click.pass_obj
@_explained
def env(paths: LabPaths, user: str, as_json: bool) -> None:
    """Print shell exports with which `openstack` uses the lab: eval "$(bigiron lab env)"."""
    current = spec.require(paths)
    values = {
        "OS_AUTH_URL": current.url("keystone") + "/v3",
        "OS_USERNAME": user,
        "OS_PASSWORD": current.secrets[user],
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": spec.REGION,
        "OS_IDENTITY_API_VERSION": "3",
    }
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@lab.command(name="tempest")
@click.option("--slice", "name", type=click.Choice(sorted(tempest.SLICES)), default="smoke", show_default=True)
@click.option("--platform", type=click.Choice(spec.PLATFORMS), help="Whose servers; by default the lab's first.")
@click.option("--regex", default="", help="Run the tests that match this expression instead of a slice.")
@click.option("--concurrency", type=click.IntRange(1), default=2, show_default=True, help="Tests at the same time.")
@click.option("--timeout", "seconds", type=float, default=1800.0, show_default=True, help="Seconds for the whole run.")
@click.option("--configure-only", is_flag=True, help="Write tempest.conf and run nothing.")
@_json_option
@click.pass_context
@_explained
def tempest_(context: click.Context, name: str, platform: str | None, regex: str, concurrency: int, seconds: float,
             configure_only: bool, as_json: bool) -> None:  # fmt: skip
    """Run a slice of Tempest against the lab; the exit status is 0 when nothing failed."""
    paths: LabPaths = context.obj
    current = spec.require(paths)
    tested = tempest.tested_platform(current, platform)
    if configure_only:
        click.echo(str(tempest.prepare(paths, current, tested)))
        return
    result = tempest.run(paths, current, name, concurrency, seconds, tested, regex)
    if as_json:
        counts = {"passed": result.passed, "skipped": result.skipped, "failed": result.failed}
        click.echo(json.dumps({**counts, "output": str(result.output)}))
    else:
        click.echo(f"{result.passed} passed, {result.skipped} skipped, {result.failed} failed: {result.output}")
    context.exit(0 if result.good else 1)
