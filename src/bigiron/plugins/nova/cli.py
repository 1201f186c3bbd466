"""`bigiron adopt` and `bigiron nova-link`: what an operator runs once when moving to this driver."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bigiron.hypervisor import Hypervisor

SHIMS = {
    "bigiron/__init__.py": (
        '"""Nova imports compute drivers from nova.virt only: `compute_driver = bigiron.PowerVMDriver` lands here, '
        "or ZVMDriver.\n\n"
        "Each is imported when it is asked for: what one platform needs is not installed for the other.\n"
        '"""\n'
        "\n"
        "from typing import Any\n"
        "\n\n"
        "def __getattr__(name: str) -> Any:\n"
        '    if name == "PowerVMDriver":\n'
        "        from bigiron.plugins.nova.powervm import PowerVMDriver\n"
        "\n"
        "        return PowerVMDriver\n"
        '    if name == "ZVMDriver":\n'
        "        from bigiron.plugins.nova.zvm import ZVMDriver\n"
        "\n"
        "        return ZVMDriver\n"
        "    raise AttributeError(name)\n"
    ),
    "powervm/__init__.py": ('"""Keeps the name under which existing PowerVM clouds load their compute driver."""\n'),
    "powervm/driver.py": (
        '"""`compute_driver = powervm.driver.PowerVMDriver`, as existing PowerVM clouds have it, lands here."""\n'
        "\n"
        "from bigiron.plugins.nova.powervm import PowerVMDriver as PowerVMDriver\n"
    ),
}
"""The modules of nova.virt through which Nova finds the driver, by their path in it."""


@click.command("nova-link")
@click.option("--check", is_flag=True, help="Only say what is there, and fail where something is missing.")
def nova_link(check: bool) -> None:
    """Place the driver's entry modules beside the Nova that is imported.

    Needed only where Nova comes from a distribution's packages and bigiron does not live in the same directory.
    """
    found = _found_elsewhere()
    if found:
        click.echo(f"{found}: Nova finds the driver there; there is nothing to do")
        return
    missing = False
    for name, text in SHIMS.items():
        path = _nova_virt() / name
        if path.exists() and path.read_text() == text:
            click.echo(f"{path}: in place")
        elif path.exists() and "bigiron" not in path.read_text():
            raise click.ClickException(f"{path} is another driver's and is left alone; remove it first")
        elif check:
            click.echo(f"{path}: missing")
            missing = True
        else:
            _place(path, text)
    if missing:
        raise click.ClickException("run `bigiron nova-link` as the owner of these directories")


def _nova_virt() -> Path:
    spec = importlib.util.find_spec("nova.virt")
    if spec is None or not spec.submodule_search_locations:
        raise click.ClickException("Nova is not installed for this Python; install it, or run its Python's bigiron")
    return Path(next(iter(spec.submodule_search_locations)))


def _found_elsewhere() -> str | None:
    """Where Nova finds the driver already, if that is not beside Nova itself."""
    spec = importlib.util.find_spec("nova.virt.bigiron")
    if spec is None or spec.origin is None or _nova_virt() in Path(spec.origin).parents:
        return None
    return spec.origin


def _place(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written ({error.strerror}); run this as its owner") from error
    click.echo(f"{path}: placed")


@click.command()
@click.option(
    "--config-file",
    "config_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    default=("/etc/nova/nova.conf",),
    show_default=True,
    help="nova.conf of this compute host; may be repeated.",
)
@click.option(
    "--instance",
    "named",
    multiple=True,
    metavar="UUID=NAME",
    help="Adopt this instance, given with the name of its partition, instead of asking Nova's conductor.",
)
@click.option("--dry-run", is_flag=True, help="Only list the instances that would be looked for.")
def adopt(config_files: tuple[str, ...], named: tuple[str, ...], dry_run: bool) -> None:
    """Mark the partitions, or z/VM guests, that an older driver made as this cloud's.

    Asks Nova for the instances of this host and marks the partition of each that has no mark yet. What Nova does not
    know is never touched. On z/VM the mark is kept in state_path: run this as nova-compute's user. Stop nova-compute
    before and start it after. The exit status is 1 when an
    instance could not be adopted.
    """
    pairs = [_pair(text) for text in named]
    nova_conf = _read_nova_conf(config_files)
    instances = pairs or _instances_of(nova_conf)
    if dry_run:
        for uuid, name in instances:
            click.echo(f"{uuid} {name}")
        return
    marked, refused = _mark(nova_conf, instances)
    for uuid in marked:
        click.echo(f"{uuid}: adopted")
    if refused:
        raise click.ClickException(f"not adopted, for the reasons given above: {', '.join(refused)}")


def _pair(text: str) -> tuple[str, str]:
    uuid, separator, name = text.partition("=")
    if not (uuid and separator and name):
        raise click.BadParameter(f"{text!r} is not of the form UUID=NAME", param_hint="--instance")
    return uuid, name


def _read_nova_conf(config_files: tuple[str, ...]) -> Any:
    # Nova and the platform are imported when a command runs, so that `bigiron --help` needs neither.
    from nova import config, objects

    objects.register_all()
    files = [argument for name in config_files for argument in ("--config-file", name)]
    config.parse_args(["bigiron-adopt", *files])
    import nova.conf

    from bigiron.plugins.nova import conf, zvm_conf

    conf.register(nova.conf.CONF)
    zvm_conf.register(nova.conf.CONF)
    return nova.conf.CONF


def _instances_of(nova_conf: Any) -> list[tuple[str, str]]:
    """The instances that Nova has on this host, asked of the conductor as nova-compute does."""
    import oslo_messaging
    from nova import context, objects
    from nova.conductor import rpcapi
    from nova.objects import base

    base.NovaObject.indirection_api = rpcapi.ConductorAPI()
    try:
        found = objects.InstanceList.get_by_host(context.get_admin_context(), nova_conf.host)
    except oslo_messaging.MessagingException as error:
        raise click.ClickException(
            f"Nova's conductor does not answer ({error}); check transport_url, or name each --instance"
        ) from error
    return [(instance.uuid, instance.name) for instance in found]


def _mark(nova_conf: Any, instances: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The instances marked now, and those that are not ours even so."""
    from bigiron import errors
    from bigiron.plugins.nova.options import OptionError

    try:
        platform = _platform(nova_conf)
        with contextlib.ExitStack() as stack:
            stack.callback(platform.stop)
            platform.start()
            marked = list(platform.adopt(instances))
            ours = {guest.uuid for guest in platform.guests()}
            return marked, [uuid for uuid, _name in instances if uuid.lower() not in ours]
    except (errors.PlatformError, OptionError) as error:
        raise click.ClickException(str(error)) from error


def _platform(nova_conf: Any) -> Hypervisor:
    """The platform of the compute driver that nova.conf names; PowerVM where it names none of ours."""
    if str(nova_conf.compute_driver or "").endswith("ZVMDriver"):
        from bigiron.plugins.nova import zvm_conf
        from bigiron.zvm.platform import Zvm

        return Zvm(replace(zvm_conf.to_options(nova_conf), power_poll_s=0.0))
    from bigiron.plugins.nova import conf
    from bigiron.powervm.platform import PowerVM

    # Consoles are nova-compute's.
    return PowerVM(replace(conf.to_options(nova_conf), console_recorder=False, vnc_host="", serial_host=""))
