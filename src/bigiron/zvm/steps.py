"""The steps of a spawn: image, directory entry with disks, deploy with config drive, adapters, start.

What fails undoes it by deleting the entry, with which go its disks, adapters, grants and reader files.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from bigiron.errors import Conflict, InvalidSpec, NoCapacity, NotFound, PlatformError
from bigiron.hypervisor import CONFIG_DRIVE, NICS_READY, Key, Step, Values, nic_plugged
from bigiron.model import DiskRole, GuestSpec, ImageSource, NicSpec
from bigiron.zvm import disks
from bigiron.zvm.guests import Guest
from bigiron.zvm.images import ConnectorImage
from bigiron.zvm.parts import Parts

LOG = logging.getLogger(__name__)

GUEST: Key[Guest] = Key("zvm guest")
IMAGE: Key[ConnectorImage] = Key("zvm image")
DEPLOYED: Key[None] = Key("zvm deployed")
MOUNTED: Key[None] = Key("zvm disks told")
PLUGGED: Key[None] = Key("zvm adapters")


def spawn_steps(parts: Parts, spec: GuestSpec) -> Sequence[Step]:
    """The steps that make a guest."""
    root = next(disk for disk in spec.disks if disk.image is not None)
    assert root.image is not None
    steps: list[Step] = [
        EnsureImage(parts, spec, root.image),
        CreateGuest(parts, spec),
        Deploy(parts, spec, root.image),
    ]
    if len(spec.disks) > 1:
        steps.append(TellDisks(parts, spec))
    if spec.nics:
        steps.append(MakeNics(parts, spec))
        steps += [NicMade(nic) for nic in spec.nics]
    return [*steps, StartGuest(parts, spec)]


class EnsureImage(Step):
    """Has the image in the connector; it stays there, whatever becomes of the guest."""

    provides = IMAGE

    def __init__(self, parts: Parts, spec: GuestSpec, image: ImageSource) -> None:
        self.name = f"image {image.id}"
        self._images = parts.images
        self._spec = spec
        self._image = image

    def execute(self, values: Values) -> ConnectorImage:
        # Kept from being removed until it is deployed, which releases it.
        self._images.cache.take(self._image.id.lower(), self._spec.uuid)
        return self._images.ensure(self._image)[0]

    def revert(self, values: Values) -> None:
        self._images.cache.holds.release(self._image.id.lower(), self._spec.uuid)


class CreateGuest(Step):
    """Makes the directory entry with its disks, marked and entered in the ledger."""

    name = "make directory entry"
    needs = (IMAGE,)
    provides = GUEST

    def __init__(self, parts: Parts, spec: GuestSpec) -> None:
        self._parts = parts
        self._spec = spec

    def execute(self, values: Values) -> Guest:
        disk_list = disks.wanted(self._spec, values[IMAGE].disk, self._parts.options)
        try:
            return self._parts.guests.create(self._spec, disk_list)
        except (Conflict, InvalidSpec):
            raise
        except PlatformError as error:
            self._explain(error)
            raise

    def _explain(self, error: PlatformError) -> None:
        """Say so where the pool is too small: the directory manager's own words for that differ."""
        try:
            free = self._parts.host.free_disk_gb()
        except PlatformError:
            return
        asked = sum(disk.size_gb for disk in self._spec.disks)
        if asked > free:
            pool = self._parts.options.disk_pool or "the connector's disk pool"
            raise NoCapacity(
                f"Guest {self._spec.name} asks for {asked:g} GB of disks, and {pool} has {free} GB free."
            ) from error

    def revert(self, values: Values) -> None:
        if self._parts.guests.is_half_made(self._spec.uuid):
            self._parts.guests.remove(self._spec.uuid)


class Deploy(Step):
    """Writes the image to the root disk and puts the config drive into the guest's reader."""

    name = "deploy image"
    provides = DEPLOYED

    def __init__(self, parts: Parts, spec: GuestSpec, image: ImageSource) -> None:
        self.needs = (GUEST, IMAGE, *((CONFIG_DRIVE,) if spec.config_drive else ()))
        self._parts = parts
        self._spec = spec
        self._image = image

    def execute(self, values: Values) -> None:
        guest, image = values[GUEST], values[IMAGE]
        what = f"Deploying image {self._image.name} to guest {guest.name}"
        with contextlib.ExitStack() as stack:
            transport = None
            if self._spec.config_drive:
                drive = self._parts.transfer.config_drive(values[CONFIG_DRIVE], guest.userid, guest.distro)
                transport = stack.enter_context(drive)
            try:
                self._parts.api.deploy(guest.userid, image.name, transport, what)
            except NotFound:
                # Somebody has removed the image from the connector since it was last seen there.
                self._parts.images.forget(image.name)
                image, _ = self._parts.images.ensure(self._image)
                self._parts.api.deploy(guest.userid, image.name, transport, what)
        self._parts.images.cache.holds.release(image.name, self._spec.uuid)


class TellDisks(Step):
    """Has the guest mount its further disks at its first start."""

    name = "tell the guest of its disks"
    needs = (GUEST, DEPLOYED)
    provides = MOUNTED

    def __init__(self, parts: Parts, spec: GuestSpec) -> None:
        self._parts = parts
        self._spec = spec

    def execute(self, values: Values) -> None:
        guest = values[GUEST]
        entry = self._parts.ledger.find(guest.instance)
        told = disks.mounts(entry.disks if entry else (), self._spec, self._parts.options)
        self._parts.api.configure_disks(guest.userid, told, f"Telling guest {guest.name} of its disks")


class MakeNics(Step):
    """Makes the ports' adapters; after the deploy, which empties the reader that their configuration goes to."""

    name = "make adapters"
    provides = PLUGGED

    def __init__(self, parts: Parts, spec: GuestSpec) -> None:
        # One after the other: the connector's host has one card punch.
        self.needs = (GUEST, DEPLOYED, *((MOUNTED,) if len(spec.disks) > 1 else ()))
        self._parts = parts
        self._spec = spec

    def execute(self, values: Values) -> None:
        self._parts.nics.make(values[GUEST], self._spec.nics)


class NicMade(Step):
    """Says that a port's adapter exists."""

    needs = (PLUGGED,)

    def __init__(self, nic: NicSpec) -> None:
        self.name = f"port {nic.id}"
        self.provides = nic_plugged(nic)

    def execute(self, values: Values) -> None:
        return


class StartGuest(Step):
    """Starts the guest, where it is to run, and closes its entry in the ledger."""

    name = "start guest"

    def __init__(self, parts: Parts, spec: GuestSpec) -> None:
        extra = any(disk.role is not DiskRole.ROOT for disk in spec.disks)
        self.needs = (GUEST, DEPLOYED, NICS_READY, *((MOUNTED,) if extra else ()))
        self._parts = parts
        self._spec = spec

    def execute(self, values: Values) -> None:
        guest = values[GUEST]
        if self._spec.power_on:
            self._parts.power.start(guest)
        self._parts.ledger.change(guest.instance, config_drive=self._spec.config_drive)
        self._parts.guests.completed(guest)
