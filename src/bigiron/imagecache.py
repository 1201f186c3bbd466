"""Which cached images go, and when: those that nobody has used for long enough, with the age kept on disk.

An image is in use while a server of this host was made from it, while the pool shows a disk of any host that depends on
it, and while a build here is between having it and having made its disk.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bigiron.errors import PlatformError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedImage:
    """An image on the platform; `key` is what its name has of the image's id, `in_use` what the platform shows."""

    key: str
    name: str
    in_use: bool


ImageT = TypeVar("ImageT", bound=CachedImage)


class ImageHolds:
    """Who needs which cached image just now, by its key; who removes one has it alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: defaultdict[str, set[str]] = defaultdict(set)
        self._removing: set[str] = set()

    def take(self, key: str, owner: str) -> None:
        """The owner needs the image from now on; waits for a removal that is under way."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._removing)
            self._holders[key].add(owner)

    def release(self, key: str, owner: str) -> None:
        """The owner needs it no more; harmless when repeated."""
        with self._changed:
            holders = self._holders.get(key)
            if holders is not None:
                holders.discard(owner)
                if not holders:
                    del self._holders[key]

    def held(self, key: str) -> bool:
        """Whether anybody needs it."""
        with self._changed:
            return key in self._holders

    @contextlib.contextmanager
    def removal(self, key: str) -> Iterator[bool]:
        """Inside, nobody can take the image; yields False, and then nothing may be removed, where somebody has it."""
        with self._changed:
            free = key not in self._holders and key not in self._removing
            if free:
                self._removing.add(key)
        try:
            yield free
        finally:
            if free:
                with self._changed:
                    self._removing.discard(key)
                    self._changed.notify_all()


class ImageAges:
    """Since when each image is unused, in seconds since the epoch, in a file that survives the process."""

    def __init__(self, state_path: Path) -> None:
        self._file = state_path / "unused-images.json"
        self._lock = threading.Lock()

    def look(self, unused: Collection[str], now: float) -> dict[str, float]:
        """Note what is unused now and forget the rest; returns since when each has been."""
        with self._lock:
            known = self._read()
            since = {key: min(known.get(key, now), now) for key in unused}
            if since != known:
                self._write(since)
            return since

    def used(self, key: str) -> None:
        """The image is in use just now: its age begins anew."""
        with self._lock:
            known = self._read()
            if known.pop(key, None) is not None:
                self._write(known)

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._file.read_text())
            return {str(key): float(since) for key, since in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            LOG.warning("%s cannot be read; unused images count as unused from now on: %s", self._file, error)
            return {}

    def _write(self, since: dict[str, float]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._file.with_suffix(".part")
        with part.open("w") as file:
            json.dump(since, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)


class ImageCache:
    """The cached images of one pool as this host uses them; `clock` tells seconds since the epoch."""

    def __init__(self, state_path: Path, clock: Callable[[], float] = time.time) -> None:
        self.holds = ImageHolds()
        self._ages = ImageAges(state_path)
        self._clock = clock
        self._trimming = threading.Lock()

    @contextlib.contextmanager
    def using(self, key: str, owner: str) -> Iterator[None]:
        """The owner needs the image inside."""
        self.take(key, owner)
        try:
            yield
        finally:
            self.holds.release(key, owner)

    def take(self, key: str, owner: str) -> None:
        """The owner needs the image until it is released; its age begins anew."""
        self.holds.take(key, owner)
        try:
            self._ages.used(key)
        except BaseException:
            # As of a file that cannot be written: who has not got the image releases nothing.
            self.holds.release(key, owner)
            raise

    def trim(
        self,
        read: Callable[[], Sequence[ImageT]],
        remove: Callable[[ImageT], bool],
        used: Collection[str],
        min_age_s: float,
    ) -> Sequence[str]:
        """Remove what has been unused for at least that long; returns the keys of what went.

        `remove` says whether it removed the image: it looks once more. Goes on after a failure and raises the first.
        """
        with self._trimming:
            images = {image.key: image for image in read()}
            unused = [k for k, image in images.items() if k not in used and not image.in_use and not self.holds.held(k)]
            now = self._clock()
            since = self._ages.look(unused, now)
            gone: list[str] = []
            errors: list[PlatformError] = []
            for key in sorted(unused):
                if now - since[key] < min_age_s:
                    continue
                try:
                    with self.holds.removal(key) as free:
                        if free and remove(images[key]):
                            gone.append(key)
                except PlatformError as error:
                    LOG.warning("Cached image %s could not be removed: %s", images[key].name, error)
                    errors.append(error)
            if errors:
                raise errors[0]
            return gone
