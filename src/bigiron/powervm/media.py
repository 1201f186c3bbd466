"""Optical media for config drives: in the media repository of a VIOS, uploaded as a file and deleted with its guest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypowervm.const import UOM_NS
from pypowervm.wrappers.storage import VG, VMediaRepos

from bigiron.errors import Busy, InvalidSpec, PlatformError, Unavailable
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.groups import Group, VolumeGroups
from bigiron.powervm.disk.upload import CheckedStream, Uploads
from bigiron.powervm.mapping import Backing, BackingKind, users
from bigiron.powervm.vios import WRITE_TIMEOUT_S

LOG = logging.getLogger(__name__)

_NS = f"{{{UOM_NS}}}"
_REPOSITORY = "vopt"


@dataclass(frozen=True, slots=True)
class Medium:
    """An optical medium and the VIOS that has it."""

    backing: Backing
    vios_uuid: str


@dataclass(frozen=True, slots=True)
class _AddRepository:
    owner: str
    size_gb: int

    def in_place(self, doc: VG) -> bool:
        return len(doc.vmedia_repos) > 0

    def apply(self, doc: VG) -> None:
        doc.vmedia_repos.append(VMediaRepos.bld(doc.adapter, _REPOSITORY, str(self.size_gb)))


@dataclass(frozen=True, slots=True)
class _RemoveMedium:
    owner: str
    name: str

    def in_place(self, doc: VG) -> bool:
        return not _media(doc, self.name)

    def apply(self, doc: VG) -> None:
        for node in _media(doc, self.name):
            node.getparent().remove(node)


class MediaRepositories:
    """The media repositories of the VIOSes that are up."""

    def __init__(self, connection: Connection, groups: VolumeGroups) -> None:
        self._options = connection.options
        self._vioses = connection.vioses
        self._groups = groups
        self._uploads = Uploads(connection)
        self._creating = threading.Lock()
        self._created: set[str] = set()

    def upload(self, name: str, iso: Path) -> Medium:
        """Make the file an optical medium of that name, on the first VIOS with a repository that takes it."""
        groups = self._repositories()
        for number, group in enumerate(groups, start=1):
            try:
                self._upload(group, name, iso)
                return Medium(Backing(BackingKind.OPTICAL, name), group.vios.uuid)
            except (Busy, Unavailable) as error:
                if number == len(groups):
                    raise
                LOG.warning("VIOS %s does not take config drive %s, trying another: %s", group.vios.name, name, error)
        raise AssertionError("a repository always exists here")

    def delete(self, medium: Medium) -> None:
        """Delete a medium that is mapped no more; one that is gone already is no error.

        Raises Unavailable while its VIOS is down: a config drive holds secrets and must not be forgotten there.
        """
        for vios in self._vioses.all():
            if vios.uuid == medium.vios_uuid and vios not in self._vioses.active():
                raise Unavailable(
                    f"Config drive {medium.backing.name} is in the media repository of VIOS {vios.name}, which is "
                    "down. Bring it up and delete the server once more."
                )
        for group in self._with_repository():
            if group.vios.uuid == medium.vios_uuid:
                # Uploads change the group behind the writer's back; it reads once for all that wait for it.
                group.writer.invalidate()
                group.writer.submit(_RemoveMedium(medium.backing.name, medium.backing.name), WRITE_TIMEOUT_S)

    def find(self, name: str) -> Medium | None:
        """The medium of that name, mapped or not, on a VIOS that is up."""
        for group in self._with_repository():
            if _media(group.writer.document(), name):
                return Medium(Backing(BackingKind.OPTICAL, name), group.vios.uuid)
        return None

    def discard(self, *names: str) -> None:
        """Delete the media of these names wherever they are unmapped."""
        for group in self._with_repository():
            for name in names:
                self._discard_unmapped(group, name)

    def load(self) -> None:
        """Read the volume groups now, so that the first guest need not wait for it."""
        self._groups.active()

    def _upload(self, group: Group, name: str, iso: Path) -> None:
        try:
            self._send(group, name, iso)
        except PlatformError as error:
            # Either an interrupted spawn left a medium of that name, or ours arrived and only the answer was lost.
            if not self._discard_unmapped(group, name):
                raise
            LOG.info("Optical medium %s was on VIOS %s already, uploading it again: %s", name, group.vios.name, error)
            self._send(group, name, iso)

    def _send(self, group: Group, name: str, iso: Path) -> None:
        size = iso.stat().st_size
        try:
            with iso.open("rb") as source:
                self._uploads.optical(group.vios.uuid, name, size, CheckedStream(source, f"Config drive {iso}", size))
        finally:
            group.writer.invalidate()

    def _discard(self, group: Group, name: str) -> bool:
        """Delete the medium from the group's repository; says whether it was there."""
        if not _media(group.fresh(), name):
            return False
        group.writer.submit(_RemoveMedium(owner=name, name=name), WRITE_TIMEOUT_S)
        return True

    def _discard_unmapped(self, group: Group, name: str) -> bool:
        document = self._vioses.document(group.vios.uuid)
        return not users(document, Backing(BackingKind.OPTICAL, name)) and self._discard(group, name)

    def _with_repository(self) -> Sequence[Group]:
        # From memory: asking a document that uploads have outdated would cost a request in every spawn.
        return [group for group in self._groups.active() if group.has_repository or group.uuid in self._created]

    def _repositories(self) -> Sequence[Group]:
        """The groups with a repository, made now in the group that the option names if there is none."""
        with self._creating:
            return self._with_repository() or [self._create()]

    def _create(self) -> Group:
        wanted = self._options.vopt_media_volume_group
        groups = self._groups.named(wanted)
        if not groups:
            names = ", ".join(sorted(group.label for group in self._groups.active())) or "none"
            raise InvalidSpec(
                f"No VIOS that is up has a media repository for config drives, and none has the volume group {wanted} "
                f"to create one in. Set [powervm] vopt_media_volume_group to one of: {names}."
            )
        size = self._options.vopt_media_rep_size_gb
        LOG.info("Creating a media repository of %d GB in %s", size, groups[0].label)
        groups[0].writer.submit(_AddRepository(owner=_REPOSITORY, size_gb=size), WRITE_TIMEOUT_S)
        self._created.add(groups[0].uuid)
        return groups[0]


def _media(doc: VG, name: str) -> list[Any]:
    nodes = doc.element.element.iter(f"{_NS}VirtualOpticalMedia")
    return [node for node in nodes if node.findtext(f"{_NS}MediaName") == name]
