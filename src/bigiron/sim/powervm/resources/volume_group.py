"""VolumeGroup: virtual disks and the media repository of a VIOS."""

from __future__ import annotations

from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import groups
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.reach import need_vios
from bigiron.sim.powervm.model.storage import MediaRepository, VolumeGroup
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import Resource, Update
from bigiron.sim.powervm.resources import markup, storage_parts
from bigiron.sim.powervm.resources.markup import Holder, Rows, typed

_REPOSITORY: Rows = (
    (
        "OpticalMedia",
        lambda w, r: Holder([typed("VirtualOpticalMedia", storage_parts.OPTICAL_MEDIA, w, m) for m in r.media]),
    ),
    ("RepositoryName", lambda w, r: r.name),
    ("RepositorySize", lambda w, r: r.size),
)


def repository(world: World, found: MediaRepository) -> etree._Element:
    """A media repository, for a <MediaRepositories>."""
    return typed("VirtualMediaRepository", _REPOSITORY, world, found)


def _rows(vios: Vios, group: VolumeGroup) -> Rows:
    disk_rows = storage_parts.virtual_disk_rows(vios, group)
    members = [v for v in vios.volumes if v.group == group.name]
    return (
        ("AvailableSize", lambda w, g: g.free),
        ("BackingDeviceCount", len(members)),
        ("FreeSpace", lambda w, g: g.free),
        ("GroupCapacity", lambda w, g: g.capacity),
        ("GroupName", lambda w, g: g.name),
        ("GroupSerialID", lambda w, g: g.serial),
        ("GroupState", "active"),
        ("MaximumLogicalVolumes", 1024),
        ("MediaRepositories", lambda w, g: Holder([repository(w, g.repository)] if g.repository else [])),
        ("PhysicalVolumes", lambda w, g: Holder(storage_parts.volumes(w, members))),
        ("UniqueDeviceID", lambda w, g: g.udid),
        ("VirtualDisks", lambda w, g: Holder([typed("VirtualDisk", disk_rows, w, d) for d in g.disks])),
    )


class VolumeGroups(Resource):
    """Volume groups, under their VIOS."""

    type = "VolumeGroup"
    parents = frozenset({"VirtualIOServer"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(parent.groups)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        vios = next(v for v in world.vioses if obj in v.groups)
        return markup.fill(markup.root(self.type, obj.uuid), _rows(vios, obj), world, obj)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        need_vios(parent)
        disks = markup.child(body.element, "VirtualDisks")
        specs = [_read_disk(e) for e in markup.children(disks, "VirtualDisk")]
        repositories = markup.child(body.element, "MediaRepositories")
        found = markup.children(repositories, "VirtualMediaRepository")
        if len(found) > 1:
            raise BadRequest(f"Volume group {obj.name} can hold one media repository, not {len(found)}.")
        if found and any(g.repository for g in parent.groups if g is not obj):
            raise BadRequest(
                f"Virtual I/O Server {parent.name} already has a media repository in another volume group."
            )
        groups.apply(world, parent, obj, specs, _read_repository(found[0]) if found else None)
        return obj


def _read_disk(element: etree._Element) -> groups.DiskSpec:
    capacity = markup.decimal(element, "DiskCapacity")
    if capacity is None:
        raise BadRequest("A VirtualDisk needs DiskCapacity.")
    return groups.DiskSpec(
        udid=markup.text(element, "UniqueDeviceID"),
        name=markup.needed(element, "DiskName"),
        capacity=capacity,
        label=markup.text(element, "DiskLabel") or "None",
        base=markup.text(element, "BaseImage"),
        file_format=markup.text(element, "FileFormat"),
    )


def _read_repository(element: etree._Element) -> groups.RepositorySpec:
    media = markup.children(markup.child(element, "OpticalMedia"), "VirtualOpticalMedia")
    size = markup.decimal(element, "RepositorySize")
    if size is None:
        raise BadRequest("A VirtualMediaRepository needs RepositorySize.")
    return groups.RepositorySpec(
        name=markup.needed(element, "RepositoryName"),
        size=size,
        media=tuple(
            groups.MediaSpec(
                name=markup.needed(e, "MediaName"),
                udid=markup.text(e, "MediaUDID"),
                size=markup.decimal(e, "Size") or 0.0,
                mount=markup.text(e, "MountType") or "rw",
            )
            for e in media
        ),
    )
