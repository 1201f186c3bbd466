"""Image sources for tests: bytes in memory, or a size that nobody reads."""

from __future__ import annotations

import hashlib
import io
import uuid
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass
class BytesImage:
    """An image of these bytes; `opened` counts how often it was read, `checksum` replaces the true one."""

    data: bytes
    name: str = "test-image"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    announced: int | None = None
    checksum: str | None = None
    opened: int = 0
    distro: str | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.data) if self.announced is None else self.announced

    @property
    def sha256(self) -> str | None:
        return self.checksum or hashlib.sha256(self.data).hexdigest()

    def open(self) -> BinaryIO:
        self.opened += 1
        return io.BytesIO(self.data)


@dataclass
class SizedImage:
    """An image that is only looked at."""

    size_bytes: int
    name: str = "sized-image"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sha256: str | None = None
    distro: str | None = None

    def open(self) -> BinaryIO:
        raise AssertionError(f"Image {self.name} must not be read")
