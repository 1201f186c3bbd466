"""Cached images in a pool of disks."""

from __future__ import annotations

from dataclasses import dataclass

from bigiron import imagecache
from bigiron.imagecache import ImageCache as ImageCache
from bigiron.powervm.mapping import Backing


@dataclass(frozen=True)
class CachedImage(imagecache.CachedImage):
    """An image in the pool, and what stands for it there."""

    backing: Backing


def cached(key: str, backing: Backing, in_use: bool) -> CachedImage:
    """The image that is this disk of the pool."""
    return CachedImage(key, backing.name, in_use, backing)
