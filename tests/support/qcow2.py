"""qcow2 images for tests: written by hand, and a stand-in for `qemu-img` that really converts them.

Version 3 of the format, with clusters of 64 KiB and one L1 table: docs/interop/qcow2.rst of QEMU. The stand-in serves
where QEMU's own program is not installed; it knows the two commands that Nova runs, `info` and `convert`.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

CLUSTER = 1 << 16
_HEADER = ">4sIQIIQIIQQIIQQQQII"
_LENGTH = 104
_COPIED = 1 << 63
_OFFSET = (1 << 56) - 512


def write(content: bytes, disk_bytes: int, backing: str = "", data_file: bool = False) -> bytes:
    """An image of a disk of that size that begins with the content; clusters of zeros are not in it."""
    name = backing.encode()
    table: list[int] = []
    clusters: list[bytes] = []
    first = 5
    for start in range(0, disk_bytes, CLUSTER):
        piece = content[start : start + CLUSTER].ljust(CLUSTER, b"\0")
        present = piece.strip(b"\0") != b""
        table.append(_COPIED | (first + len(clusters)) * CLUSTER if present else 0)
        clusters += [piece] if present else []
    assert len(table) <= CLUSTER // 8, "one L2 table must do"
    counts = struct.pack(">H", 1) * (first + len(clusters))
    header = struct.pack(
        _HEADER,
        b"QFI\xfb", 3, _LENGTH if name else 0, len(name), 16, disk_bytes, 0, 1, 3 * CLUSTER,
        CLUSTER, 1, 0, 0, 4 if data_file else 0, 0, 0, 4, _LENGTH,
    )  # fmt: skip
    blocks = [
        header + name,
        struct.pack(">Q", 2 * CLUSTER),
        counts,
        struct.pack(">Q", _COPIED | 4 * CLUSTER),
        b"".join(struct.pack(">Q", entry) for entry in table),
        *clusters,
    ]
    return b"".join(block.ljust(CLUSTER, b"\0") for block in blocks)


def announcing(disk_bytes: int) -> bytes:
    """An image whose header tells of a disk of that size, to be looked at and not converted."""
    image = bytearray(write(b"x", CLUSTER))
    struct.pack_into(">Q", image, 24, disk_bytes)
    return bytes(image)


def disk_size(image: bytes) -> int:
    """The size of the disk in the image; raises ValueError where it is no image."""
    if image[:4] != b"QFI\xfb":
        raise ValueError("not a qcow2 image")
    return int(struct.unpack_from(">Q", image, 24)[0])


def to_raw(image: bytes, target: Path) -> None:
    """Write the disk in the image."""
    size = disk_size(image)
    (l1,) = struct.unpack_from(">Q", image, 40)
    (entry,) = struct.unpack_from(">Q", image, l1)
    with target.open("wb") as file:
        for number in range(-(-size // CLUSTER)):
            (where,) = struct.unpack_from(">Q", image, (entry & _OFFSET) + 8 * number)
            if where & _OFFSET:
                file.seek(number * CLUSTER)
                file.write(image[where & _OFFSET :][:CLUSTER])
        file.truncate(size)


def install(folder: Path) -> None:
    """Put the stand-in into a folder, to be set in PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "qemu-img"
    program.write_text(f"#!{sys.executable}\nimport runpy\nrunpy.run_path({__file__!r}, run_name='__main__')\n")
    program.chmod(0o755)


def main(argv: list[str]) -> int:
    """`info [options] FILE` and `convert -t MODE -O raw -f qcow2 FROM TO`."""
    command, *rest = argv
    if command == "info":
        (path,) = [word for word in rest if Path(word).exists()]
        size = disk_size(Path(path).read_bytes())
        print(json.dumps({"filename": path, "format": "qcow2", "virtual-size": size, "actual-size": 1}))
        return 0
    if command == "convert":
        source, target = rest[-2:]
        to_raw(Path(source).read_bytes(), Path(target))
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
