"""Images of Glance on their way to a platform: looked at before they are trusted, and qcow2 made raw."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.support import qcow2

from bigiron import errors
from bigiron.plugins.nova import inspection
from bigiron.plugins.nova.image import ConvertedImage, Download, GlanceImage, can_convert

DISK_BYTES = 3 << 20
CONTENT = b"a bootable system " * 9000
ISO = bytes(0x8001) + b"CD001" + bytes(2048)


def source(content: bytes) -> Download:
    def download() -> Iterable[bytes]:
        return [content[start : start + 50000] for start in range(0, len(content), 50000)]

    return download


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are converted; QEMU's own program does it, where it is installed."""
    if not can_convert():
        qcow2.install(tmp_path / "bin")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "images"


def converted(content: bytes, folder: Path) -> ConvertedImage:
    return ConvertedImage("some-id", "linux", source(content), folder)


def test_a_qcow2_image_has_the_size_and_the_bytes_of_its_disk(folder: Path) -> None:
    image = converted(qcow2.write(CONTENT, DISK_BYTES), folder)
    assert image.size_bytes == DISK_BYTES
    for _ in range(2):
        with image.open() as stream:
            assert stream.read() == CONTENT.ljust(DISK_BYTES, b"\0")
    assert list(folder.iterdir()) == []


def test_the_size_may_be_known(folder: Path) -> None:
    def never() -> Iterable[bytes]:
        raise AssertionError("must not be read")

    assert ConvertedImage("some-id", "linux", never, folder, size_bytes=DISK_BYTES).size_bytes == DISK_BYTES


@pytest.mark.parametrize(
    "content",
    [
        qcow2.write(CONTENT, DISK_BYTES, backing="/etc/shadow"),
        qcow2.write(CONTENT, DISK_BYTES, data_file=True),
        CONTENT,
        ISO,
    ],
)
def test_what_refers_to_other_files_or_is_no_qcow2_is_refused_at_once(folder: Path, content: bytes) -> None:
    with pytest.raises(errors.InvalidSpec, match="some-id is registered as qcow2"):
        converted(content, folder)
    assert list(folder.iterdir()) == []


def test_a_header_that_changes_after_it_was_looked_at_is_refused(folder: Path) -> None:
    image = ConvertedImage(
        "some-id", "linux", source(qcow2.write(CONTENT, DISK_BYTES, "/etc/shadow")), folder, size_bytes=1
    )
    with pytest.raises(errors.InvalidSpec, match="safety check"):
        image.open()
    assert list(folder.iterdir()) == []


def test_an_image_that_breaks_off_is_refused(folder: Path) -> None:
    whole = qcow2.write(CONTENT, DISK_BYTES)
    image = ConvertedImage("some-id", "linux", source(whole[: 6 * qcow2.CLUSTER]), folder, len(whole))
    with pytest.raises(errors.InvalidSpec, match="393216 bytes where"):
        image.open()
    assert list(folder.iterdir()) == []


def test_without_the_program_the_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(errors.Unsupported, match="qemu-utils"):
        converted(qcow2.write(CONTENT, DISK_BYTES), folder)


def test_a_folder_that_cannot_be_used_is_named_with_its_option(folder: Path) -> None:
    folder.touch()
    with pytest.raises(errors.PlatformError, match="image_conversion_path"):
        converted(qcow2.write(CONTENT, DISK_BYTES), folder)


@pytest.mark.parametrize("content", [qcow2.write(CONTENT, DISK_BYTES), ISO])
def test_a_raw_image_that_is_something_else_gives_no_byte(folder: Path, content: bytes) -> None:
    stream = GlanceImage("some-id", "linux", len(content), source(content), folder).open()
    with pytest.raises(errors.InvalidSpec, match="some-id is registered as raw"):
        stream.read(1)


def test_a_raw_image_may_have_a_partition_table(folder: Path) -> None:
    table = bytearray(512)
    table[446:462] = bytes([0x80, 0, 2, 0, 0x41, 0, 0x10, 0, 1, 0, 0, 0, 0, 8, 0, 0])
    table[510:512] = b"\x55\xaa"
    content = bytes(table) + CONTENT * 20
    assert GlanceImage("some-id", "aix", len(content), source(content), folder).open().read() == content


def test_what_an_earlier_process_left_is_removed(folder: Path) -> None:
    (folder / f"{inspection.SCRATCH}x").mkdir(parents=True)
    (folder / f"{inspection.SCRATCH}x" / "image").write_bytes(b"x")
    (folder / "other").touch()
    inspection.clear(folder)
    assert [path.name for path in folder.iterdir()] == ["other"]
