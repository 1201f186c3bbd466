"""`bigiron image`: disk images in z/VM's own format, made from a disk and looked at."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from bigiron.errors import InvalidSpec
from bigiron.zvm import dasd, header
from bigiron.zvm.dasd import Layout
from bigiron.zvm.header import Header

_BEGINNING = 3 * dasd.BLOCK
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(name="image")
def image() -> None:
    """Make disk images that a z/VM host can deploy."""


@image.command(name="zvm")
@click.argument("disk", type=_file)
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--fba", is_flag=True, help="The disk is an FBA disk; ECKD disks are recognised by their volume label.",
)  # fmt: skip
@click.option("--compression", type=click.IntRange(0, 9), default=6, show_default=True, help="Of gzip; 0 is none.")
@click.option("--os-distro", metavar="NAME", help="Distribution with its version, such as rhel9.4 or ubuntu22.04.")
@click.option("--upload", metavar="NAME", help="Upload it to Glance under this name, with the openstack client.")
def zvm(disk: Path, target: Path, fba: bool, compression: int, os_distro: str | None, upload: str | None) -> None:
    """Make the image TARGET of the whole disk DISK, a device such as /dev/dasdb or a copy of one made with dd.

    The disk must not be in use. What has to be on it, and what the image is worth, is in the documentation.
    """
    if upload and not os_distro:
        raise click.UsageError("--upload needs --os-distro: a guest is configured by it")
    try:
        made = write(disk, target, compression, fba=fba)
    except InvalidSpec as error:
        raise click.ClickException(error.message) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or disk}: {error.strerror}") from error
    click.echo(f"{target}: {_words(made)}, {target.stat().st_size / 2**20:.1f} MiB")
    command = _upload(target, upload or target.stem, os_distro or "DISTRO")
    if upload:
        _run(command)
    else:
        click.echo(f"to upload it:\n  {shlex.join(command)}")


@image.command(name="show")
@click.argument("images", type=_file, nargs=-1, required=True)
def show(images: tuple[Path, ...]) -> None:
    """Say of which disk z/VM disk images are."""
    for path in images:
        try:
            with path.open("rb") as stream:
                found = header.parse(str(path), stream.read(header.HEADER_BYTES))
        except InvalidSpec as error:
            raise click.ClickException(error.message) from error
        click.echo(f"{path}: {_words(found)}")


def write(disk: Path, target: Path, compression: int, *, fba: bool = False) -> Header:
    """Make an image of a disk; return what its header says. Nothing is left where it fails."""
    with disk.open("rb") as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        layout = Layout.FIXED if fba else dasd.recognise(stream.read(_BEGINNING))
        if layout is None:
            raise InvalidSpec(
                f"{disk} has no volume label of an ECKD disk: format the disk with dasdfmt (compatible disk layout), "
                "copy the whole disk, or say --fba if it is an FBA disk"
            )
        made = dasd.size(layout, length, str(disk))
        stream.seek(0)
        with _new(target) as output:
            output.write(header.write(made.units, made.unit, compression))
            with _compressed(output, compression) as body:
                for piece in dasd.content(layout, stream, str(disk)):
                    body.write(piece)
    return made


@contextmanager
def _new(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is whole; one that is there is kept."""
    if target.exists():
        raise InvalidSpec(f"{target} exists: remove it, or name another file")
    scratch = target.with_name(target.name + ".part")
    try:
        with scratch.open("xb") as stream:
            yield stream
        scratch.replace(target)
    except FileExistsError as error:
        raise InvalidSpec(f"{scratch} exists: another run writes it, or was interrupted; remove it then") from error
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def _compressed(output: IO[bytes], level: int) -> Iterator[IO[bytes]]:
    if not level:
        yield output
        return
    with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=output, mtime=0) as body:
        yield body  # type: ignore[misc]


def _words(found: Header) -> str:
    kind = "an FBA disk of {} blocks" if found.unit == "BLK" else "an ECKD disk of {} cylinders"
    return f"{kind.format(found.units)} ({found.size_gb:.2f} GB)"


def _upload(target: Path, name: str, distro: str) -> list[str]:
    """The command that gives it to Glance as the driver wants it."""
    properties = {"os_distro": distro, "hw_architecture": "s390x", "img_hv_type": "zvm"}
    words = [word for key, value in properties.items() for word in ("--property", f"{key}={value}")]
    return [
        "openstack", "image", "create", "--disk-format", "raw", "--container-format", "bare", "--file", str(target),
        *words, name,
    ]  # fmt: skip


def _run(command: list[str]) -> None:
    beside = Path(sys.executable).with_name(command[0])
    found = str(beside) if beside.exists() else shutil.which(command[0])
    if found is None:
        raise click.ClickException(f"there is no openstack client here; where there is one:\n  {shlex.join(command)}")
    result = subprocess.run([found, *command[1:]], check=False)
    if result.returncode:
        raise click.ClickException(f"the upload failed with status {result.returncode}; the image stays in its file")
