"""The connector's Linux: vmcp, vmur, the zthin tools and what shows files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.support import zvm
from tests.unit.sim.zvm.conftest import Zvm

from bigiron.sim.zvm.errors import ToolError
from bigiron.sim.zvm.linux import host, images
from bigiron.sim.zvm.model.disks import Written, data_end
from bigiron.sim.zvm.model.values import Minidisk

DISK = Minidisk("0100", "3390", 1, 10, "VOL001")
CONTENT = bytes(range(256)) * 300 + b"\0" * 200_000 + b"end"


def test_cp_answers(z: Zvm) -> None:
    assert z.vmcp("query userid") == "ZCC00001 AT ZVMSIM1\n"
    assert z.vmcp("q cplevel").splitlines()[2].startswith("IPL at ")
    answer = z.run("vmcp", "q", "MAINT")
    assert (answer.status, answer.output) == (
        1, "HCPCQU045E MAINT not logged on\nError: non-zero CP response for command 'Q MAINT': #45\n"
    )  # fmt: skip
    assert z.run("vmcp", "q NOBODY").output.startswith("HCPCQV003E Invalid option - NOBODY")
    assert z.run("vmcp", "frob").output.startswith("HCPCMD001E Unknown CP command: FROB")


def test_spool_files_travel(z: Zvm) -> None:
    z.create("LINUX")
    z.punch("LINUX", "some.sh", "echo\n", spool_class="x")
    [file] = z.system.spool.reader("LINUX")
    assert (file.spool_class, file.origin, file.name, file.type) == ("X", "ZCC00001", "some", "sh")
    assert z.system.spool.content(file) == b"echo\n" and z.system.spool.reader("ZCC00001") == []
    z.ok("System_RDR_File_Manage", "-T", "LINUX", "-k", "spoolids=all")
    assert z.system.spool.reader("LINUX") == []


def test_what_cannot_be_punched_or_sent(z: Zvm) -> None:
    assert z.run("vmur", "punch", "-r", "/nowhere").status == 1
    z.run("vmur", "punch", "-r", z.file("a.sh", "x"))
    assert "HCPTRN053E NOBODY" in z.run("vmcp", "transfer * rdr 0001 to NOBODY rdr").output
    assert z.run("vmcp", "change rdr 0042 class X").status == 1
    z.vmcp("purge rdr 0001")
    assert z.system.spool.files == []


def test_numbers_begin_anew_past_those_in_use(z: Zvm) -> None:
    z.run("vmur", "punch", "-r", z.file("a.sh", "x"))
    z.system.spool.following = 9999
    numbers = [z.run("vmur", "punch", "-r", z.file("b.sh", "x")).output.split()[4] for _ in range(2)]
    assert numbers == ["9999", "0002"]


@pytest.mark.parametrize("compression", [0, 6])
@pytest.mark.parametrize("written", [Written(), Written("rhel9.4", "ext4", {"/etc/hostname": "a\xff"})])
def test_an_image_comes_back_as_it_was(compression: int, written: Written, tmp_path: Path) -> None:
    source, image, target = tmp_path / "source", tmp_path / "image", tmp_path / "target"
    source.write_bytes(CONTENT)
    with source.open("r+b") as stream:
        stream.truncate(DISK.bytes)
    target.write_bytes(b"what was there before" * 100_000)
    images.pack(source, DISK, written, image, compression)
    header = images.read_header(image)
    assert (header.size, header.unit, header.compression, header.fixed_block) == (10, "CYL", compression, False)
    assert images.unpack(image, target, DISK.bytes, compression) == written
    assert target.read_bytes() == source.read_bytes()
    assert image.stat().st_size < 400_000 and data_end(target) <= len(CONTENT) + 70_000


def test_a_full_disk_with_the_lengths_of_its_records_comes_back_as_it_was(z: Zvm, tmp_path: Path) -> None:
    captured = tmp_path / "captured"
    made = zvm.image(2, b"\1" * (2 * 737280 + 2 * 15 * 6))
    z.create("LINUX", disks=[2])
    assert z.run("unpackdiskimage", "LINUX", "0100", z.file("made", made)).status == 0
    assert z.run("creatediskimage", "LINUX", "0100", str(captured), "--compression", "0").status == 0
    assert captured.read_bytes().startswith(made)


def test_images_that_cannot_be_unpacked(z: Zvm, tmp_path: Path) -> None:
    z.create("LINUX", disks=[50])
    cases = {
        "Disk image type not recognized": b"text" * 500,
        "dummy image file": zvm.image(0, b""),
        "Target disk is too small": zvm.image(51, CONTENT),
        "not a fixed-block volume": zvm.image(50, CONTENT).replace(b"CKD", b"FBA").replace(b"CYL", b"BLK"),
        "zcat": zvm.image(50, gzip.compress(CONTENT)[:-30], compression=6),
    }
    for said, data in cases.items():
        answer = z.run("unpackdiskimage", "LINUX", "0100", z.file("image", data))
        assert (answer.status, said in answer.output) == (3, True), answer.output
    assert "not found" in z.run("unpackdiskimage", "LINUX", "0100", "/nowhere").output
    assert "Failed to connect disk" in z.run("unpackdiskimage", "LINUX", "0199", z.file("i", zvm.image(5, b"x"))).output
    assert not z.system.disks.holds_data(z.system.disk("LINUX", "0100"))  # type: ignore[arg-type]
    assert z.system.state.links == {}


def test_a_capture_refuses_what_it_must(z: Zvm) -> None:
    z.boot("LINUX")
    target = str(z.folder / "out")
    assert "currently running" in z.run("creatediskimage", "LINUX", "0100", target).output
    z.ok("Image_Deactivate", "-T", "LINUX")
    assert "between 0 and 9" in z.run("creatediskimage", "LINUX", "0100", target, "--compression", "11").output
    assert z.run("creatediskimage", "LINUX", "0100", target, "--compression", "0").status == 0
    assert "already exists" in z.run("creatediskimage", "LINUX", "0100", target).output
    assert Path(target).read_bytes()[:20] == b"xCAT CKD Disk Image:"


def test_hexdump_shows_what_hexdump_shows(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(zvm.image(3338, b""))
    assert host.hexdump(["-C", "-n", "112", str(path)], tmp_path).splitlines() == [
        "00000000  78 43 41 54 20 43 4b 44  20 44 69 73 6b 20 49 6d  |xCAT CKD Disk Im|",
        "00000010  61 67 65 3a 20 20 20 20  20 20 20 20 33 33 33 38  |age:        3338|",
        "00000020  20 43 59 4c 20 48 4c 65  6e 3a 20 30 30 35 35 20  | CYL HLen: 0055 |",
        "00000030  47 5a 49 50 3a 20 30 20  20 20 20 20 20 20 20 20  |GZIP: 0         |",
        "00000040  20 20 20 20 20 20 20 20  20 20 20 20 20 20 20 20  |                |",
        "*",
        "00000070",
    ]


def test_scp_copies_between_files_of_this_machine(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.write_text("content")
    host.scp(["-B", "-P", "22", "-o StrictHostKeyChecking=no", f"me@host:{source}", str(target)], tmp_path)
    assert target.read_text() == "content"
    target.unlink()
    host.scp(["-P", "22", "-o", "StrictHostKeyChecking=no", "-r", str(source), f"me@host:{target}"], tmp_path)
    assert target.read_text() == "content"
    with pytest.raises(ToolError, match="No such file"):
        host.scp([f"me@host:{tmp_path}/none", str(target)], tmp_path)


def test_channel_paths_and_layers(z: Zvm) -> None:
    assert z.run("lschp", "10").output.splitlines()[2:] == ["0.10   1     1     25    -    -       0240"]
    assert '"layer_name": "ZVMSIM1"' in z.run("zhypinfo", "-j").output
    assert z.run("frobnicate").status == 127


def test_paths_of_a_boot_volume(z: Zvm) -> None:
    words = ["--wwpn=20076D8500005182,1111111111111111", "--lun=2222000000000000", "--wwid="]
    answer = z.run("refresh_bootmap", "--fcpchannel=1a00,1b00", *words, "--minfcp=2")
    assert answer.output == "RESULT PATHS: 1a00:20076D8500005182,1b00:20076D8500005182\n"
    assert z.run("refresh_bootmap", "--fcpchannel=1a00,9999", *words, "--minfcp=2").status == 5
