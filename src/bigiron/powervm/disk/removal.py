"""Taking a guest's storage away: mappings first, then disks and config drive, as far as each goes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

from bigiron import naming
from bigiron.errors import PlatformError, Unavailable
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import DiskDriver
from bigiron.powervm.management.partition import management_partition
from bigiron.powervm.mapping import Backing, BackingKind, RemoveMappings, Together, mapped
from bigiron.powervm.media import MediaRepositories, Medium

LOG = logging.getLogger(__name__)


def remove_storage(
    connection: Connection,
    driver: DiskDriver,
    media: MediaRepositories,
    instance_uuid: str,
    lpar_id: int | None = None,
    keep_disks: bool = False,
    rescued: bool = False,
) -> None:
    """Unmap and delete what belongs to the guest; goes on after a failure and raises the first error at the end.

    What is mapped is found by its mapping; where nothing is, an interrupted spawn or destroy may have left disks and a
    config drive, which are looked for by name, as is what still presents them to a partition that is gone. `rescued`
    has them looked for in any case: a rescue unmaps some of what it finds, and one that was interrupted leaves some of
    what it made.
    """
    lpar_uuid = naming.lpar_uuid(instance_uuid)
    drives = (naming.config_drive(instance_uuid), naming.rescue_drive(instance_uuid))
    names = re.compile("|".join([driver.names_of(instance_uuid).pattern, *map(re.escape, drives)]))
    disks = [disk.backing for disk in driver.find(lpar_uuid)]
    optical = _config_drives(connection, lpar_uuid)
    # Nothing may be deleted under a guest that still uses it, so a failure here ends it.
    _unmap(connection, RemoveMappings(instance_uuid, lpar_uuid, lpar_id=lpar_id, names=names), disks)
    work: list[Callable[[], None]] = []
    if not keep_disks:
        work += [_deletion(driver, backing) for backing in disks]
        work += [] if disks and not rescued else [lambda: _delete_leftovers(driver, instance_uuid)]
    work += [_medium_deletion(media, medium) for medium in optical]
    work += [] if optical and not rescued else [lambda: media.discard(*drives[: 2 if rescued else 1])]
    errors: list[PlatformError] = []
    for job in work:
        try:
            job()
        except PlatformError as error:
            LOG.warning("Removing the storage of guest %s: %s", instance_uuid, error)
            errors.append(error)
    if errors:
        raise errors[0]


def _config_drives(connection: Connection, lpar_uuid: str) -> list[Medium]:
    return [
        Medium(backing, vios.uuid)
        for vios in connection.vioses.all()
        for backing in mapped(connection.vioses.document(vios.uuid), lpar_uuid)
        if backing.kind is BackingKind.OPTICAL and backing.name.startswith(("cfg_", "rsc_"))
    ]


def _unmap(connection: Connection, own: RemoveMappings, disks: Sequence[Backing]) -> None:
    """Remove the guest's mappings, and those of its disks to the management partition that a snapshot left."""
    vioses, instance_uuid = connection.vioses, own.owner
    parts = [own]
    if (management := management_partition(connection)) is not None and disks:
        parts.append(RemoveMappings(own.owner, management.uuid, only=lambda one: any(map(one.same, disks))))
    change = Together(own.owner, tuple(parts))
    users = [vios for vios in vioses.all() if not change.in_place(vioses.document(vios.uuid))]
    if not users:
        return
    serving = {vios.uuid for vios in vioses.active()}
    vioses.write_all({vios.uuid: change for vios in users if vios.uuid in serving})
    if down := [vios.name for vios in users if vios.uuid not in serving]:
        raise Unavailable(
            f"Guest {instance_uuid} has storage mapped by VIOS {', '.join(down)}, which is down: it cannot be removed "
            "until that VIOS serves again. Bring it up and delete the server once more."
        )


def _deletion(driver: DiskDriver, backing: Backing) -> Callable[[], None]:
    return lambda: driver.delete(backing)


def _medium_deletion(media: MediaRepositories, medium: Medium) -> Callable[[], None]:
    return lambda: media.delete(medium)


def _delete_leftovers(driver: DiskDriver, instance_uuid: str) -> None:
    for backing in driver.leftovers(instance_uuid):
        LOG.info("Deleting %s, which an interrupted operation on guest %s left", backing.name, instance_uuid)
        driver.delete(backing)
