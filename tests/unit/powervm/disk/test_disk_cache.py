"""Which cached images go: ages on disk, holds of builds under way, and what the platform shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bigiron.errors import PlatformError
from bigiron.imagecache import ImageHolds
from bigiron.powervm.disk.cache import CachedImage, ImageCache, cached
from bigiron.powervm.mapping import Backing, BackingKind

A, B = "a" * 36, "b" * 36


class Shelf:
    """Images in a list, and a clock that the test sets."""

    def __init__(self, folder: Path, *keys: str) -> None:
        self.folder = folder
        self.images = [_image(key) for key in keys]
        self.now = 1000.0
        self.cache = self.restarted()
        self.refuse: set[str] = set()

    def restarted(self) -> ImageCache:
        self.cache = ImageCache(self.folder, lambda: self.now)
        return self.cache

    def remove(self, image: CachedImage) -> bool:
        if image.key in self.refuse:
            raise PlatformError(f"{image.key} cannot go")
        self.images.remove(image)
        return True

    def trim(self, *used: str, age: float = 100.0) -> Sequence[str]:
        return self.cache.trim(lambda: list(self.images), self.remove, used, age)


def _image(key: str, in_use: bool = False) -> CachedImage:
    return cached(key, Backing(BackingKind.LOGICAL_UNIT, f"image_{key}", f"27{key}"), in_use)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "state", A, B)


def test_an_image_goes_once_it_is_old_enough(shelf: Shelf) -> None:
    assert shelf.trim() == []
    shelf.now += 99
    assert shelf.trim() == []
    shelf.now += 1
    assert shelf.trim() == [A, B]


def test_the_age_is_kept_over_a_restart(shelf: Shelf) -> None:
    shelf.trim()
    shelf.now += 100
    shelf.restarted()
    assert shelf.trim() == [A, B]


def test_a_use_begins_the_age_anew_also_over_a_restart(shelf: Shelf) -> None:
    shelf.trim()
    with shelf.cache.using(A, "web-1"):
        pass
    shelf.now += 100
    shelf.restarted()
    assert shelf.trim() == [B]
    assert shelf.trim(A) == []
    shelf.now += 100
    assert shelf.trim() == []


def test_what_is_used_held_or_shown_in_use_stays(shelf: Shelf) -> None:
    shelf.images = [_image(A), _image(B, in_use=True), _image("c")]
    shelf.cache.take("c", "web-1")
    assert shelf.trim(A, age=0) == []
    shelf.cache.holds.release("c", "web-2")
    assert shelf.trim(A, age=0) == []
    shelf.cache.holds.release("c", "web-1")
    assert shelf.trim(A, age=0) == ["c"]


def test_a_failure_ends_neither_the_others_nor_unsaid(shelf: Shelf) -> None:
    shelf.refuse = {A}
    with pytest.raises(PlatformError, match="cannot go"):
        shelf.trim(age=0)
    assert [image.key for image in shelf.images] == [A]
    shelf.refuse = set()
    assert shelf.trim(age=0) == [A]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "b"}'])
def test_a_broken_file_only_costs_the_ages(shelf: Shelf, text: str) -> None:
    shelf.trim()
    (shelf.folder / "unused-images.json").write_text(text)
    shelf.now += 100
    assert shelf.trim() == []
    shelf.now += 100
    assert shelf.trim() == [A, B]


def test_an_image_that_nobody_got_is_not_held(shelf: Shelf) -> None:
    shelf.trim()
    in_the_way = shelf.folder / "unused-images.part"
    in_the_way.mkdir()
    with pytest.raises(OSError, match="unused-images"), shelf.cache.using(A, "web-1"):
        pass
    in_the_way.rmdir()
    shelf.now += 100
    assert shelf.trim() == [A, B]


def test_a_clock_set_back_makes_nothing_older(shelf: Shelf) -> None:
    shelf.trim()
    shelf.now -= 1000
    assert shelf.trim() == []
    shelf.now += 99
    assert shelf.trim() == []


def test_who_wants_an_image_that_is_being_removed_waits() -> None:
    holds = ImageHolds()
    inside, taken = threading.Event(), threading.Event()

    def take() -> None:
        inside.set()
        holds.take(A, "web-1")
        taken.set()

    with holds.removal(A) as free:
        assert free
        thread = _started(take)
        assert inside.wait(10)
        assert not taken.wait(0.1)
    assert taken.wait(10)
    thread.join()
    with holds.removal(A) as free:
        assert not free


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
