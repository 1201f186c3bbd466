"""The stream that an upload reads from: it ends well only where it is exactly what was announced."""

from __future__ import annotations

import hashlib
import io

import pytest

from bigiron.errors import InvalidSpec
from bigiron.powervm.disk.upload import CheckedStream

DATA = bytes(range(256)) * 40


def stream(data: bytes = DATA, size: int = len(DATA), sha256: str | None = None) -> CheckedStream:
    return CheckedStream(io.BytesIO(data), "Image web", size, sha256)


def drain(source: CheckedStream, chunk: int = 1000) -> bytes:
    blocks = []
    while block := source.read(chunk):
        blocks.append(block)
    return b"".join(blocks)


@pytest.mark.parametrize("chunk", [1, 7, len(DATA) - 1, len(DATA), len(DATA) + 1])
def test_what_is_as_announced_passes_unchanged(chunk: int) -> None:
    assert drain(stream(sha256=hashlib.sha256(DATA).hexdigest().upper()), chunk) == DATA


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b""])
def test_a_stream_of_another_length_raises_before_its_last_bytes_are_out(data: bytes) -> None:
    source = stream(data)
    passed = b""
    with pytest.raises(InvalidSpec, match=f"delivered {len(data)} bytes where {len(DATA)}"):
        while block := source.read(1000):
            passed += block
    assert len(passed) < max(1, len(data))
    assert isinstance(source.problem, InvalidSpec)


def test_other_bytes_than_announced_raise() -> None:
    with pytest.raises(InvalidSpec, match="SHA-256"):
        drain(stream(bytes(len(DATA)), sha256=hashlib.sha256(DATA).hexdigest()))


def test_a_source_that_fails_is_remembered_as_the_reason() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the image service went away")

    source = CheckedStream(Broken(), "Image web", 10)
    with pytest.raises(OSError, match="went away"):
        source.read()
    assert isinstance(source.problem, OSError)
