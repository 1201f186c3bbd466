"""What the demo boots on each platform: an image as that platform takes it, and a flavor."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bigiron.lab.demo_platform import Platform
from bigiron.lab.demo_powervm import PowerVM
from bigiron.lab.demo_zvm import ZVM
from bigiron.lab.errors import LabError
from bigiron.lab.paths import program
from bigiron.lab.spec import PLATFORM_TITLES, Host, LabSpec

NAME = "demo"
_IMAGE_BYTES = 16 * 1024 * 1024
_COMMAND_SECONDS = 120
# An ECKD disk as Linux shows it: blocks of 4096 bytes, 180 in a cylinder. The first three hold what the disk is IPLed
# by and its label, the next track its table of contents.
_BLOCK = 4096
_CYLINDER_BLOCKS = 180
_LABELS = {0: ("IPL1", 28), 1: ("IPL2", 148), 2: ("VOL1", 84)}
_DIRECTORY = range(12, 24)
_DIRECTORY_BYTES = 140
_FILLER = b"\xe5"
_CYLINDERS, _FULL_CYLINDERS = 20, 10
_DISTRO = "rhel9.4"
ZVM_PROPERTIES = {"os_distro": _DISTRO, "hw_architecture": "s390x", "img_hv_type": "zvm"}
"""What an image for z/VM must say of itself."""
_EXTRA_SPECS = {
    "powervm:proc_units": "0.5",
    "powervm:uncapped": "true",
    "powervm:shared_weight": "128",
    "powervm:availability_priority": "127",
}


@dataclass(frozen=True, slots=True)
class Role:
    """One server of the demo. `platform` is None with Nova's fake driver, which has none to look at.

    `make_image` writes an image to a file and returns what there is to say of it.
    """

    name: str
    title: str
    make_image: Callable[[Path], str]
    platform: Platform | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    nothing_left: str = ""

    @property
    def compute(self) -> str:
        """The program whose log says more."""
        return self.platform.sim.replace("sim", "nova-compute") if self.platform else "nova-compute"


def roles(lab: LabSpec) -> list[Role]:
    """One for each platform that the lab has hosts of."""
    makers = {"powervm": _on_powervm, "zvm": _on_zvm}
    found = [makers[platform](lab, lab.hosts_of(platform)[0]) for platform in lab.platform_names]
    return found or [Role(NAME, "", _plain)]


def platform(lab: LabSpec, host: Host) -> Platform:
    """The simulated system of a compute host."""
    kinds: dict[str, type[Platform]] = {"powervm": PowerVM, "zvm": ZVM}
    return kinds[host.platform](lab.url(host.named("sim_control")), host.named("sim"))


def _on_powervm(lab: LabSpec, host: Host) -> Role:
    return Role(
        NAME, PLATFORM_TITLES["powervm"], _plain, platform(lab, host), {"hw_architecture": "ppc64le"}, _EXTRA_SPECS,
        "no partition, disk, mapping, medium or adapter",
    )  # fmt: skip


def _on_zvm(lab: LabSpec, host: Host) -> Role:
    return Role(
        f"{NAME}-zvm", PLATFORM_TITLES["zvm"], dasd_image, platform(lab, host), ZVM_PROPERTIES,
        nothing_left="no userid, minidisk, adapter, reader file or grant",
    )  # fmt: skip


def _content() -> Iterator[bytes]:
    """Not compressible and the same each time, as an installed system is."""
    number = 0
    while True:
        yield hashlib.sha256(f"bigiron {number}".encode()).digest()
        number += 1


def _plain(target: Path) -> str:
    pieces = _content()
    target.write_bytes(b"".join(next(pieces) for _ in range(_IMAGE_BYTES // 32)))
    return f"{_IMAGE_BYTES >> 20} MB, raw"


def dasd_image(target: Path) -> str:
    """Make a small z/VM disk image as a user would, of a disk that was copied."""
    disk = target.with_suffix(".dasd")
    try:
        disk.write_bytes(_dasd())
        result = subprocess.run(
            [program("bigiron"), "image", "zvm", str(disk), str(target), "--os-distro", _DISTRO],
            capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False,
        )  # fmt: skip
    finally:
        disk.unlink(missing_ok=True)
    if result.returncode:
        raise LabError(f"bigiron image zvm failed: {result.stderr.strip()}")
    return f"an ECKD disk of {_CYLINDERS} cylinders, made by `bigiron image zvm`"


def _dasd() -> bytes:
    pieces = _content()
    blocks = []
    for number in range(_FULL_CYLINDERS * _CYLINDER_BLOCKS):
        block = b"".join(next(pieces) for _ in range(_BLOCK // 32))
        if number in _LABELS:
            word, length = _LABELS[number]
            block = (word.encode("cp037") + block)[:length].ljust(_BLOCK, _FILLER)
        elif number in _DIRECTORY:
            block = block[:_DIRECTORY_BYTES].ljust(_BLOCK, _FILLER)
        blocks.append(block)
    return b"".join(blocks).ljust(_CYLINDERS * _CYLINDER_BLOCKS * _BLOCK, b"\0")
