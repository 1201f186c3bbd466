"""The zthin tools: images onto minidisks and back, linking minidisks, and the boot map of FCP disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.linux import images, links
from bigiron.sim.zvm.model import fcp
from bigiron.sim.zvm.model.disks import Written
from bigiron.sim.zvm.model.system import System
from bigiron.sim.zvm.model.values import Minidisk

_RHCOS_ARGUMENTS = 6
_NOT_REACHED = 5
_TRACKS, _LENGTHS = 15, 64
"""Tracks of a cylinder, and bytes that tell of a track's records; of twelve equal ones six do."""


def unpackdiskimage(system: System, arguments: Sequence[str]) -> str:
    """unpackdiskimage USERID VDEV IMAGE [IGNITION TYPE NICS NETWORK]: write an image to a userid's minidisk."""
    if len(arguments) < 3:
        raise images.error("Missing operands: userid, channel and image file")
    userid, vdev, image = arguments[0].upper(), arguments[1], Path(arguments[2])
    bare = len(arguments) >= _RHCOS_ARGUMENTS
    found = None if bare else images.read_header(image)
    _refuse_running(system, userid, "target")
    with links.linked(system, userid, vdev) as disk:
        if found is not None:
            images.check_fits(found, disk)
        elif not image.is_file():
            raise images.error(f"The specified image file was not found: {image}.")
        skip, level = (0, 0) if found is None else (images.HEADER_BYTES, found.compression)
        written = images.unpack(image, system.disks.path(disk), _room(disk), level, skip)
        os_version = written.os_version or _os_of(image)
        files = dict(written.files)
        if bare:
            files["/boot/ignition/config.ign"] = _ignition(arguments[3])
            files["/boot/ignition/network"] = arguments[6] if len(arguments) > _RHCOS_ARGUMENTS else ""
        with system.lock:
            system.disks.write(disk, Written(os_version, "ext4", files))
            system.touch()
    return f"unpackdiskimage {userid} {vdev}: image successfully deployed to disk.\n"


def _room(disk: Minidisk) -> int:
    """How many bytes an image may bring: of an ECKD disk it has, before each track, the lengths of its records."""
    return disk.bytes + (0 if disk.fixed_block else disk.size * _TRACKS * _LENGTHS)


def _os_of(image: Path) -> str:
    """The repository keeps an image as .../netboot/OS/NAME/VDEV: its folder says what is on it."""
    parts = image.parts
    return parts[-3].lower() if len(parts) > 3 and parts[-4] == "netboot" else ""


def _ignition(place: str) -> str:
    try:
        return Path(place.removeprefix("file://")).read_bytes().decode("latin-1")
    except OSError as failure:
        raise images.error(f"failed fetching ignition config from {place}: {failure.strerror}") from failure


def creatediskimage(system: System, arguments: Sequence[str]) -> str:
    """creatediskimage USERID VDEV IMAGE [--compression LEVEL]: make an image of a userid's minidisk."""
    words = list(arguments)
    level = "6"
    if "--compression" in words:
        at = words.index("--compression")
        level = words[at + 1] if at + 1 < len(words) else ""
        del words[at : at + 2]
    if not level.isdigit() or not 0 <= int(level) <= 9:
        raise images.error(f"Compression operand is not between 0 and 9, inclusive: {level}")
    if len(words) < 3:
        raise images.error("Missing operands: userid, channel and image file")
    userid, vdev, image = words[0].upper(), words[1], Path(words[2])
    if image.exists():
        raise images.error("The specified image file already exists.")
    _refuse_running(system, userid, "source")
    with links.linked(system, userid, vdev) as disk:
        try:
            images.pack(system.disks.path(disk), disk, system.disks.written(disk), image, int(level))
        except OSError as failure:
            image.unlink(missing_ok=True)
            raise images.error(f"An error was encountered while creating disk image rc: 1 {failure}") from failure
    return "Image creation successful.\n"


def _refuse_running(system: System, userid: str, role: str) -> None:
    with system.lock:
        if userid in system.state.running:
            raise images.error(f"The specified {role} system is currently running.")


def linkdiskandbringonline(system: System, arguments: Sequence[str]) -> str:
    """linkdiskandbringonline USERID VDEV MODE: the tenth word of its Success line is the device name."""
    userid, vdev = arguments[0], arguments[1]
    with system.lock:
        made, _ = links.link(system, userid, vdev)
    return (
        f"linkdiskandbringonline {userid} start\n"
        f"Success: Userid {userid} vdev {vdev} linked at {made.alias} device name {made.device}\n"
        "linkdiskandbringonline exit\n"
    )


def offlinediskanddetach(system: System, arguments: Sequence[str]) -> str:
    """offlinediskanddetach USERID VDEV."""
    with system.lock:
        links.unlink(system, arguments[0], arguments[1])
    return f"Success: Userid {arguments[0]} vdev {arguments[1]} unlinked\n"


def refresh_bootmap(system: System, arguments: Sequence[str]) -> str:
    """refresh_bootmap --fcpchannel= --wwpn= --lun= --minfcp=: which paths lead to the logical unit."""
    given = dict(word.removeprefix("--").partition("=")[::2] for word in arguments)
    wwpns = [word for word in given.get("wwpn", "").split(",") if word]
    paths: dict[str, list[str]] = {}
    with system.lock:
        for channel in filter(None, given.get("fcpchannel", "").split(",")):
            device = system.state.fcp.get(channel.upper().zfill(4))
            found = [w for w in wwpns if device and fcp.reach(system, device, w, given.get("lun", ""))]
            if found:
                paths[channel] = found
    if len(paths) < max(1, int(given.get("minfcp") or 0)):
        raise ToolError(
            _NOT_REACHED, f"Exit MSG: no path to lun {given.get('lun')} through {given.get('fcpchannel')}\n"
        )
    return f"RESULT PATHS: {','.join(f'{c}:{chr(32).join(w)}' for c, w in paths.items())}\n"


def made_filesystem(system: System, node: str, filesystem: str) -> str:
    """mkfs and mkswap on the first partition of a linked minidisk."""
    with system.lock:
        disk = links.disk_of(system, node)
        system.disks.write(disk, replace(system.disks.written(disk), filesystem=filesystem))
        system.touch()
    return f"{node}: {filesystem} file system made\n"


def formatted(system: System, node: str) -> str:
    """dasdfmt and fdisk's new label: whatever was on a linked minidisk is gone."""
    with system.lock:
        system.disks.create(links.disk_of(system, node))
        system.touch()
    return f"Finished formatting the device {node}.\n"


def present(system: System, node: str) -> str:
    """Programs that only need their device, such as fdasd and blockdev."""
    with system.lock:
        links.disk_of(system, node)
    return ""
