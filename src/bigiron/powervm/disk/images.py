"""The images kept in a shared storage pool, uploaded once for all the hosts that share it.

Hosts know nothing of each other but the pool, which has no lock and no rename. So a host that wants to upload first
creates a tiny unit, its claim, and then reads the pool: only if its claim is the only one does it go on; otherwise it
takes its claim back and waits a random while. Of two hosts that claim, the later to read sees both claims, so never do
both go on. An image counts as complete only when it is there and nobody claims it. A claim names its host, which
therefore recognises what an earlier life of its process left half-done, and removes it.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from bigiron import naming
from bigiron.errors import Busy, NoCapacity, PlatformError, Timeout, Unavailable
from bigiron.model import ImageSource
from bigiron.powervm.disk.cache import CachedImage, cached
from bigiron.powervm.disk.driver import Capacity, image_gb
from bigiron.powervm.disk.units import Unit, Units
from bigiron.powervm.disk.upload import CheckedStream, Uploads

LOG = logging.getLogger(__name__)

_IMAGE = re.compile(r"image_.*_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_CLAIM = re.compile(r"part[0-9a-f]{8}_.+")
_CLAIM_GB = 0.001
_WAIT_S = 1800.0
_PAUSE_S = (1.0, 5.0)


class PoolImages:
    """The image cache of one tier; `host` must differ between the hosts that share it."""

    def __init__(
        self,
        units: Units,
        uploads: Uploads,
        host: str,
        vioses: Callable[[], Sequence[str]],
        capacity: Callable[[], Capacity],
        wait_s: float = _WAIT_S,
        pause_s: tuple[float, float] = _PAUSE_S,
    ) -> None:
        self._units = units
        self._uploads = uploads
        self._token = hashlib.sha256(host.encode()).hexdigest()[:8]
        self._vioses = vioses
        self._capacity = capacity
        self._wait_s = wait_s
        self._pause_s = pause_s
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def known(self, image: ImageSource) -> Unit | None:
        """The complete copy of the image, from what is known; the image's id finds it, whatever its name is now."""
        if self._units.matching(_claims(image)):
            return None
        return next((unit for unit in self._units.matching(_copies(image.id)) if unit.image), None)

    def ensure(self, image: ImageSource) -> Unit:
        """The complete copy of the image, uploaded by this host or waited for if it is not there.

        Raises Timeout, naming the claim, where another host neither finishes nor gives up.
        """
        if (unit := self.known(image)) is not None:
            return unit
        with self._locks[image.id]:
            if (unit := self.known(image)) is not None:
                return unit
            deadline = time.monotonic() + self._wait_s
            while True:
                self._units.refresh()
                self._clean_own_remains(image)
                if (unit := self.known(image)) is not None:
                    return unit
                if not self._units.matching(_claims(image)) and (unit := self._try_upload(image)) is not None:
                    return unit
                self._pause(image, deadline)

    def cached(self) -> Sequence[CachedImage]:
        """The pool's images, read now; one is in use while any host has a disk cloned from it."""
        self._units.refresh()
        return self._complete()

    def remove(self, image: CachedImage) -> bool:
        """Delete the image unless the pool, read once more, shows it in use; says whether it was deleted."""
        with self._locks[image.key]:
            self._units.refresh()
            now = next((each for each in self._complete() if each.backing == image.backing), None)
            unit = self._units.by_udid(image.backing.udid)
            if now is None or now.in_use or unit is None:
                return False
            self._units.delete(unit)
            LOG.info("Removed image %s, which nobody used: logical unit %s", image.key, unit.name)
            return True

    def _complete(self) -> Sequence[CachedImage]:
        units = self._units.matching(_IMAGE)
        claimed = {claim.name.partition("_")[2] for claim in self._units.matching(_CLAIM)}
        return [
            cached(found[1], unit.backing, unit.in_use or self._units.has_clones(unit))
            for unit in units
            if unit.image and (found := _IMAGE.fullmatch(unit.name)) and found[1] not in claimed
        ]

    def clean_remains(self) -> None:
        """Remove what uploads of an earlier life left; only for when nothing of this host's is under way."""
        self._units.refresh()
        for claim in self._units.matching(re.compile(rf"part{self._token}_.+")):
            image_id = claim.name.partition("_")[2]
            LOG.warning("An upload of image %s was interrupted; removing what it left", image_id)
            for unit in self._units.matching(_copies(image_id)):
                self._units.delete(unit)
            self._units.delete(claim)

    def _try_upload(self, image: ImageSource) -> Unit | None:
        """Claim and upload; None where another host is at it too."""
        name = _claim(self._token, image)
        try:
            claim = self._units.create(name, _CLAIM_GB, image=True)
        except PlatformError:
            self._remove_named(name)
            raise
        try:
            self._units.refresh()
            if [unit.uuid for unit in self._units.matching(_claims(image))] != [claim.uuid]:
                return None
            present = next((unit for unit in self._units.matching(_copies(image.id)) if unit.image), None)
            return present or self._upload(image)
        finally:
            self._release(claim)

    def _upload(self, image: ImageSource) -> Unit:
        size = image_gb(image)
        pool = self._capacity()
        if size > pool.free_gb:
            raise NoCapacity(
                f"Image {image.name} needs {size} GB in the shared storage pool, which has {pool.free_gb:.1f} of "
                f"{pool.total_gb:.1f} GB free. Delete what is not needed or enlarge the pool."
            )
        name = naming.image_unit(image.name, image.id)
        try:
            unit = self._units.create(name, size, image=True)
            self._fill(unit, image)
        except Exception:
            # Whatever broke it, an incomplete copy must be gone before the claim is.
            self._remove_named(name)
            raise
        LOG.info("Uploaded image %s (%s) as logical unit %s", image.name, image.id, name)
        return unit

    def _fill(self, unit: Unit, image: ImageSource) -> None:
        """Upload through the first VIOS, or through the next where that one does not serve."""
        vioses = self._vioses()
        for number, vios in enumerate(vioses, start=1):
            with image.open() as source:
                stream = CheckedStream(source, f"Image {image.name} ({image.id})", image.size_bytes, image.sha256)
                try:
                    self._uploads.disk(vios, unit.name, unit.udid, image.size_bytes, image.sha256, stream)
                    return
                except (Busy, Unavailable) as error:
                    if number == len(vioses):
                        raise
                    LOG.warning("Uploading image %s through VIOS %s failed, trying another: %s", image.id, vios, error)

    def _clean_own_remains(self, image: ImageSource) -> None:
        """Under the image's lock, a claim of ours is of an earlier life: its copy is incomplete."""
        claim = self._units.named(_claim(self._token, image))
        if claim is not None:
            LOG.warning("An upload of image %s was interrupted; removing what it left", image.id)
            for unit in self._units.matching(_copies(image.id)):
                self._units.delete(unit)
            self._units.delete(claim)

    def _release(self, claim: Unit) -> None:
        try:
            self._units.delete(claim)
        except PlatformError as error:
            LOG.info("Deleting logical unit %s again: %s", claim.name, error)
            self._remove_named(claim.name)

    def _remove_named(self, name: str) -> None:
        """Delete units of that name, as part of cleaning up: a failure is logged and the first error stands."""
        try:
            self._units.refresh()
            while (unit := self._units.named(name)) is not None:
                self._units.delete(unit)
        except PlatformError as error:
            LOG.warning("Logical unit %s could not be removed: %s", name, error)

    def _pause(self, image: ImageSource, deadline: float) -> None:
        if time.monotonic() >= deadline:
            claims = ", ".join(unit.name for unit in self._units.matching(_claims(image)))
            raise Timeout(
                f"Another host has been uploading image {image.name} ({image.id}) for more than {self._wait_s:.0f} s. "
                f"If it is down, delete the logical unit {claims or _claim('*', image)}."
            )
        time.sleep(random.uniform(*self._pause_s))


def _claim(token: str, image: ImageSource) -> str:
    return f"part{token}_{image.id.lower()}"


def _claims(image: ImageSource) -> re.Pattern[str]:
    return re.compile(rf"part[0-9a-f]{{8}}_{re.escape(image.id.lower())}")


def _copies(image_id: str) -> re.Pattern[str]:
    return re.compile(rf"image_.*_{re.escape(image_id.lower())}")
