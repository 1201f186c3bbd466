"""The management partition's SCSI: a mapping, a scan, a device with the disk's bytes, and its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.simulator import document

from bigiron.sim.powervm.model import backing, blocks, mappings, pool
from bigiron.sim.powervm.model.storage import Content, LogicalUnit
from bigiron.sim.powervm.server import Settings, Simulator

IMAGE = b"boot block" * 1000


@dataclass
class Bench:
    """A simulator with an image and a guest's disk that is its clone."""

    simulator: Simulator
    disk: LogicalUnit

    @property
    def world(self) -> Any:
        return self.simulator.world

    @property
    def root(self) -> Path:
        return self.simulator.management_root

    def map(self) -> int:
        """Map the disk to the management partition; returns the client adapter's slot."""
        with self.world.lock:
            vios = self.world.vioses[0]
            mappings.connect(self.world, vios, self.world.management, backing.UNIT, self.disk.udid)
            self.world.changed(vios, "ViosSCSIMapping")
            return int(vios.servers[-1].client_slot)

    def unmap(self) -> None:
        with self.world.lock:
            mappings.replace(self.world, self.world.vioses[0], [])

    def scan_file(self, slot: int) -> Path:
        (found,) = self.root.glob(f"sys/bus/vio/devices/{0x30000000 | slot:x}/host*/scsi_host/host*/scan")
        return found

    def scan(self, slot: int) -> Path:
        """Scan and return the device."""
        write(self.scan_file(slot), "- - -")
        until(lambda: bool(self.links()), "a device appears")
        return self.links()[0].resolve()

    def links(self) -> list[Path]:
        return list(self.root.glob(f"dev/disk/by-id/*{self.disk.udid[-32:]}"))


def write(path: Path, text: str) -> None:
    """As the superuser does, whom no mode keeps from it."""
    path.chmod(0o600)
    path.write_text(text)


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Simulator(document(), tmp_path / "sim", Settings()) as simulator:
        world = simulator.world
        with world.lock:
            (tier,) = world.state.pools[0].tiers
            image = pool.create(world, tier, pool.UnitSpec("image_linux", 1.0, type=pool.IMAGE))
            upload = tmp_path / "upload"
            upload.write_bytes(IMAGE)
            image.content = Content(file=world.store(upload), size=len(IMAGE), sha256="")
            disk = pool.create(world, tier, pool.UnitSpec("boot_web", 2.0, cloned_from=image.udid))
        yield Bench(simulator, disk)


def test_a_mapped_disk_appears_after_a_scan_and_not_before(bench: Bench) -> None:
    slot = bench.map()
    time.sleep(0.1)
    assert bench.links() == []
    device = bench.scan(slot)
    assert device.parent == bench.root / "dev"
    assert device.stat().st_size == 2 << 30
    assert (bench.root / "sys/block" / device.name / "size").read_text() == f"{(2 << 30) // 512}\n"


def test_a_scan_that_is_no_scan_finds_nothing(bench: Bench) -> None:
    scan = bench.scan_file(bench.map())
    write(scan, "all of it")
    until(lambda: scan.stat().st_size == 0, "the words are taken")
    assert bench.links() == []


def test_the_device_reads_as_the_image_and_takes_no_room(bench: Bench) -> None:
    device = bench.scan(bench.map())
    with device.open("rb") as file:
        assert file.read(len(IMAGE) + 1000) == IMAGE + bytes(1000)
        file.seek(-4096, 2)
        assert file.read() == bytes(4096)
    assert device.stat().st_blocks * 512 < 1 << 20


def test_what_the_guest_writes_is_read_and_leaves_the_image_alone(bench: Bench) -> None:
    slot = bench.map()
    device = bench.scan(slot)
    with bench.world.lock:
        blocks.write(bench.world, bench.disk, 10, b"written")
        blocks.write(bench.world, bench.disk, (2 << 30) - 4, b"last")
        with pytest.raises(ValueError, match="outside"):
            blocks.write(bench.world, bench.disk, (2 << 30) - 3, b"last")
    with device.open("rb") as file:
        assert file.read(30) == IMAGE[:10] + b"written" + IMAGE[17:30]
        file.seek(-4, 2)
        assert file.read() == b"last"
    image = next(u for u in bench.world.state.pools[0].units if u.is_image)
    assert Path(bench.world.media_dir, image.content.file).read_bytes() == IMAGE


def test_a_device_goes_when_it_is_deleted_and_comes_back_with_a_scan(bench: Bench) -> None:
    slot = bench.map()
    device = bench.scan(slot)
    write(bench.root / "sys/block" / device.name / "device/delete", "1")
    until(lambda: not bench.links(), "the device goes")
    assert not device.exists()
    assert not (bench.root / "sys/block" / device.name).is_symlink()
    assert bench.scan(slot) == device


def test_a_device_and_its_adapter_go_with_the_mapping(bench: Bench) -> None:
    slot = bench.map()
    device = bench.scan(slot)
    bench.unmap()
    assert bench.links() == []
    assert not device.exists()
    assert list((bench.root / "sys/bus/vio/devices").iterdir()) == []
    assert list((bench.root / "sys/block").iterdir()) == []


def test_a_restart_finds_what_is_mapped(bench: Bench, tmp_path: Path) -> None:
    bench.scan(bench.map())
    bench.simulator.stop()
    bench.simulator = Simulator(document(), tmp_path / "sim", Settings())
    with bench.simulator:
        (link,) = bench.links()
        with link.open("rb") as file:
            assert file.read(len(IMAGE)) == IMAGE
