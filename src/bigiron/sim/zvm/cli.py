"""`bigiron sim zvm`: serve one simulated z/VM, with the real Cloud Connector on it, until it is told to stop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from bigiron.sim.kernel.serving import is_loopback, parse_address
from bigiron.sim.zvm.connector.presence import IN_PROCESS, PROGRAMS
from bigiron.sim.zvm.latency import PROFILES


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    try:
        return parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_folder = click.Path(path_type=Path, file_okay=False)


@click.command(name="zvm")
@click.option("--system", required=True, type=_file, help="System document (YAML) that describes the simulated z/VM.")
@click.option("--state", required=True, type=_folder, help="Directory for the state; one that is there goes on.")
@click.option("--listen", metavar="HOST:PORT", callback=_address, default="127.0.0.1:12090", show_default=True,
              help="Address of the Cloud Connector's REST API; port 0 takes a free one.")  # fmt: skip
@click.option("--control", metavar="HOST:PORT", callback=_address, default="127.0.0.1:0", show_default=True,
              help="Address of the JSON control interface.")  # fmt: skip
@click.option("--tls-cert", type=_file, help="Certificate chain (PEM) to serve HTTPS with.")
@click.option("--tls-key", type=_file, help="Key (PEM) of the certificate.")
@click.option("--connector", type=_folder, envvar="BIGIRON_ZVM_CONNECTOR",
              help="Virtual environment of the Cloud Connector.  [default: the one inside bigiron's]")  # fmt: skip
@click.option("--answer", type=click.Choice([IN_PROCESS, PROGRAMS]), default=IN_PROCESS, show_default=True,
              help="Answer the server's commands inside its process, or through programs in its PATH.")  # fmt: skip
@click.option("--latency", type=click.Choice(sorted(PROFILES)), default="none", show_default=True,
              help="What commands cost in time.")  # fmt: skip
@click.option("--clock-scale", type=click.FloatRange(min=0), default=1.0, show_default=True,
              help="Simulated seconds per second; the server's own waiting passes in simulated time.")  # fmt: skip
@click.option("--reset", is_flag=True, help="Forget the state in the directory and start anew.")
@click.option("-v", "--verbose", is_flag=True, help="Log more to standard error.")
def zvm(system: Path, state: Path, tls_cert: Path | None, tls_key: Path | None, verbose: bool, **options: Any) -> None:
    """Run the z/VM Cloud Connector on a simulated z/VM.

    Prints `ready URL` on standard output when it serves, and ends on SIGTERM or SIGINT with its state saved. The file
    endpoints.json in the state directory names the addresses and the file of the admin token while it runs.
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
    _serve(system, state, (tls_cert, tls_key) if tls_cert and tls_key else None, options)


def _serve(system: Path, state: Path, tls: tuple[Path, Path] | None, options: dict[str, Any]) -> None:
    # Imported late, so that --help is quick.
    from bigiron.sim.kernel.signals import EndSignals
    from bigiron.sim.kernel.statedir import StateError
    from bigiron.sim.zvm import documents
    from bigiron.sim.zvm.connector.layout import NoConnector
    from bigiron.sim.zvm.connector.processes import ConnectorFailed
    from bigiron.sim.zvm.server import Settings, Simulator

    told = EndSignals()
    try:
        simulator = Simulator(documents.read(system), state, Settings(tls=tls, **options))
        simulator.start()
    except (documents.DocumentError, StateError, NoConnector, ConnectorFailed) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error}; check --listen, --control and --state") from error
    try:
        click.echo(f"ready {simulator.url}")
        told.wait()
    finally:
        simulator.stop()
