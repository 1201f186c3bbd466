"""`bigiron sim powervm`: serve one simulated PowerVM system until it is told to stop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from bigiron.sim.kernel.heap import share_one_heap
from bigiron.sim.kernel.serving import is_loopback, parse_address
from bigiron.sim.powervm.latency import PROFILES
from bigiron.sim.powervm.session import Flavour


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    try:
        return parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(name="powervm")
@click.option("--system", required=True, type=_file, help="System document (YAML) that describes the simulated system.")
@click.option(
    "--state", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the state; a state that is there is resumed.",
)  # fmt: skip
@click.option(
    "--listen",
    metavar="HOST:PORT",
    callback=_address,
    default="127.0.0.1:12080",
    show_default=True,
    help="REST address; port 0 takes a free one.",
)
@click.option(
    "--control",
    metavar="HOST:PORT",
    callback=_address,
    default="127.0.0.1:0",
    show_default=True,
    help="Address of the JSON control interface.",
)
@click.option("--tls-cert", type=_file, help="Certificate chain (PEM) to serve HTTPS with.")
@click.option("--tls-key", type=_file, help="Key (PEM) of the certificate.")
@click.option("--flavour", type=click.Choice([f.name.lower() for f in Flavour]), default="novalink", show_default=True,
              help="Management console to simulate: NovaLink (session files) or HMC (passwords only).")  # fmt: skip
@click.option(
    "--latency",
    type=click.Choice(sorted(PROFILES)),
    default="none",
    show_default=True,
    help="What requests cost in time.",
)
@click.option(
    "--clock-scale", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Simulated seconds per second."
)
@click.option(
    "--management", type=click.Path(path_type=Path, file_okay=False),
    help="Root of the management partition's files (mkvterm, rmvterm, /proc).  [default: management, below --state]",
)  # fmt: skip
@click.option(
    "--ovsdb", metavar="ADDRESS",
    help="Put the management partition's ports on the Open vSwitch with this database, e.g. unix:/tmp/ovs/db.sock.",
)  # fmt: skip
@click.option("--reset", is_flag=True, help="Forget the state in the directory and start anew.")
@click.option("-v", "--verbose", is_flag=True, help="Log more to standard error.")
def powervm(
    system: Path, state: Path, tls_cert: Path | None, tls_key: Path | None, verbose: bool, flavour: str, **options: Any
) -> None:
    """Serve the PowerVM REST API of a simulated system.

    Prints `ready URL` on standard output when it serves, and ends on SIGTERM or SIGINT with its state saved. The file
    endpoints.json in the state directory names both addresses while it runs.
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    for name in ("listen", "control"):
        if not is_loopback(options[name][0]):
            logging.warning(
                "--%s %s can be reached from other machines: the simulator guards nothing", name, options[name][0]
            )
    _serve(system, state, (tls_cert, tls_key) if tls_cert and tls_key else None, Flavour.named(flavour), options)


def _serve(system: Path, state: Path, tls: tuple[Path, Path] | None, flavour: Flavour, options: dict[str, Any]) -> None:
    # Imported late, so that --help is quick.
    from bigiron.sim.kernel.signals import EndSignals
    from bigiron.sim.kernel.statedir import StateError
    from bigiron.sim.powervm import documents
    from bigiron.sim.powervm.management.ovs import SwitchError
    from bigiron.sim.powervm.server import Settings, Simulator

    share_one_heap()
    told = EndSignals()
    settings = Settings(tls=tls, flavour=flavour, **options)
    try:
        simulator = Simulator(documents.read(system), state, settings)
        simulator.start()
    except (documents.DocumentError, StateError, SwitchError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error}; check --listen, --control, --management and --state") from error
    try:
        click.echo(f"ready {simulator.url}")
        told.wait()
    finally:
        simulator.stop()
