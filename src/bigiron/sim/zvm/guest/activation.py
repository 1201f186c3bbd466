"""The activation engine, zvmguestconfigure: it reads the class X files of a guest's reader and acts on each.

`sh` is run, `doscript` is unpacked and its invokeScript.sh run, `iso` is kept as the config drive; others are left.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

from bigiron.sim.zvm.guest import volumes
from bigiron.sim.zvm.guest.files import CONFIG_DRIVE, Files
from bigiron.sim.zvm.guest.shell import Shell
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import SpoolFile
from bigiron.sim.zvm.model.virtual_machine import VirtualMachine

_CLASS = "X"


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended, and what it printed."""

    status: int
    output: tuple[str, ...]


def run(system: System, machine: VirtualMachine, files: Files) -> Result:
    """Process a guest's reader, in the order of its files. The caller holds the system's lock."""
    said = ["zvmguestconfigure is starting"]
    status = 0
    for file in system.spool.reader(machine.userid):
        if file.spool_class != _CLASS:
            continue
        said.append(f"Downloading record {file.number:04d}: {file.name}.{file.type}")
        content = system.spool.content(file)
        if file.type in ("sh", "iso", "doscript"):
            system.spool.remove(file)
        if file.type == "sh":
            status, lines = _script(system, machine, files, file, content.decode("utf-8", "replace"))
            said += lines
        elif file.type == "doscript":
            said += _archive(system, machine, files, content)
        elif file.type == "iso":
            files.write(CONFIG_DRIVE, content)
    said.append(f"zvmguestconfigure has successfully processed the reader files with exit code: {status}.")
    files.save()
    system.touch()
    return Result(status, tuple(said))


def _script(system: System, machine: VirtualMachine, files: Files, file: SpoolFile, text: str) -> tuple[int, list[str]]:
    if file.name == "atvol":
        status, line = volumes.attach(system, machine, files, text)
        return status, [line]
    if file.name == "devol":
        status, line = volumes.detach(files, text)
        return status, [line]
    if file.name == "gpartvol":
        return 0, ["the root partition has the whole disk already"]
    return _run(machine, Shell(files), text)


def _run(machine: VirtualMachine, shell: Shell, text: str) -> tuple[int, list[str]]:
    status = shell.run(text)
    machine.hostname = shell.hostname or machine.hostname
    return status, shell.output


def _archive(system: System, machine: VirtualMachine, files: Files, content: bytes) -> list[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = {m.name: _member(archive, m) for m in archive.getmembers() if m.isfile()}
    except tarfile.TarError as error:
        return [f"tar: {error}"]
    script = members.get("invokeScript.sh")
    if script is None:
        return ["bash: invokeScript.sh: No such file or directory"]
    programs = {"setupDisk": lambda words: _setup_disk(system, machine, files, words)}
    return _run(machine, Shell(files, members, programs), script.decode("utf-8", "replace"))[1]


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def _setup_disk(system: System, machine: VirtualMachine, files: Files, words: list[str]) -> str:
    """setupDisk action=addMdisk vaddr= filesys= mntdir=: enter a minidisk into /etc/fstab and mount it."""
    given = dict(word.partition("=")[::2] for word in " ".join(words).split())
    vdev = given.get("vaddr", "").upper().zfill(4)
    disk = system.disk(machine.userid, vdev)
    if given.get("action") != "addMdisk":
        return f"setupDisk (Error) action {given.get('action')} is not simulated"
    if disk is None or vdev not in machine.disks:
        return f"setupDisk (Error) Could not activate the virtual device {vdev.lower()}"
    found = "swap" if disk.virtual else system.disks.written(disk).filesystem
    wanted, target = given.get("filesys", ""), given.get("mntdir", "")
    if found != wanted:
        return f"setupDisk (Error) {vdev.lower()} holds {found or 'no file system'}, not {wanted}"
    path = f"/dev/disk/by-path/ccw-0.0.{vdev.lower()}-part1"
    lines = [line for line in files.text("/etc/fstab").splitlines() if line.split()[:1] != [path]]
    options = "swap defaults 0 0" if wanted == "swap" else f"{wanted} defaults 0 0"
    files.write("/etc/fstab", "".join(f"{line}\n" for line in [*lines, f"{path} {target} {options}"]).encode())
    return f"{path} is {'swap space' if wanted == 'swap' else 'mounted on ' + target}"
