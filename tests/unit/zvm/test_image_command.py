"""`bigiron image`: what z/VM's tools write back to a disk is the disk that the image was made of."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support import dasd

from bigiron.sim.zvm.linux import images
from bigiron.zvm import cli, header


def _run(*words: object) -> Result:
    return CliRunner().invoke(cli.image, [str(word) for word in words])


def _disk(folder: Path, content: bytes) -> Path:
    path = folder / "disk"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("compression", [0, 6])
@pytest.mark.parametrize("shown", [dasd.blocks, dasd.raw_tracks])
def test_an_eckd_disk_comes_back_as_it_was(tmp_path: Path, shown: object, compression: int) -> None:
    assert callable(shown)
    target = tmp_path / "rhel94.img"
    result = _run("zvm", _disk(tmp_path, shown()), target, "--compression", compression, "--os-distro", "rhel9.4")
    assert result.exit_code == 0, result.output
    found = images.read_header(target)
    assert (found.tag, found.size, found.unit, found.compression) == (images.CKD_TAG, 2, "CYL", compression)
    body = target.read_bytes()[header.HEADER_BYTES :]
    assert dasd.decoded(gzip.decompress(body) if compression else body) == dasd.raw_tracks()
    for word in ("os_distro=rhel9.4", "hw_architecture=s390x", "img_hv_type=zvm", "--disk-format raw", " rhel94\n"):
        assert word in result.output


def test_an_fba_disk_keeps_its_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2 * 9
    target = tmp_path / "fba.img"
    assert _run("zvm", "--fba", _disk(tmp_path, content), target).exit_code == 0
    found = images.read_header(target)
    assert (found.tag, found.size, found.unit) == (images.FBA_DISK_TAG, 9, "BLK")
    assert gzip.decompress(target.read_bytes()[header.HEADER_BYTES :]) == content
    assert "an FBA disk of 9 blocks" in _run("show", target).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(dasd.BLOCK * 180), "format the disk with dasdfmt"),
        (dasd.blocks()[: -dasd.BLOCK], "copy the whole disk"),
        (b"", "no volume label"),
    ],
)
def test_what_is_no_whole_disk_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes, said: str) -> None:
    result = _run("zvm", _disk(tmp_path, content), tmp_path / "made.img")
    assert result.exit_code == 1 and said in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_a_track_without_an_end_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    tracks = bytearray(dasd.raw_tracks())
    tracks[3 * dasd.RAW_TRACK + 16 : 3 * dasd.RAW_TRACK + 24] = b"\0\0\0\3\1\0\xff\xff"
    result = _run("zvm", _disk(tmp_path, bytes(tracks)), tmp_path / "made.img")
    assert result.exit_code == 1 and "track 3 of" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


def test_an_image_that_is_there_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "made.img"
    target.write_text("mine")
    result = _run("zvm", _disk(tmp_path, dasd.blocks()), target)
    assert result.exit_code == 1 and "remove it, or name another file" in result.output
    assert target.read_text() == "mine"


def test_an_upload_needs_the_distribution_and_what_is_no_image_is_not_shown(tmp_path: Path) -> None:
    disk = _disk(tmp_path, dasd.blocks())
    assert "--upload needs --os-distro" in _run("zvm", disk, tmp_path / "made.img", "--upload", "x").output
    assert "no z/VM disk image" in _run("show", disk).output
