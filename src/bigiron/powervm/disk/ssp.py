"""Disks in a shared storage pool: logical units of its default tier, root disks as linked clones of cached images."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from pypowervm.wrappers.cluster import Cluster
from pypowervm.wrappers.storage import SSP, Tier

from bigiron import naming
from bigiron.errors import Conflict, InvalidSpec, PlatformError, Unavailable
from bigiron.model import GuestSpec, ImageSource
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.cache import CachedImage
from bigiron.powervm.disk.driver import Capacity, Disk, DiskDriver, ordinal, role_name, size_gb
from bigiron.powervm.disk.images import PoolImages
from bigiron.powervm.disk.units import Unit, Units
from bigiron.powervm.disk.upload import Uploads
from bigiron.powervm.errors import translated
from bigiron.powervm.mapping import Backing, BackingKind, mapped, users

LOG = logging.getLogger(__name__)

_OURS = re.compile(r"(boot|rescue|swap\d*|eph\d+)_.+")


class SharedStoragePool(DiskDriver):
    """The pool of the cluster that `cluster_name` names, or of the only one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._adapter = connection.adapter
        self._capacity = Capacity(0.0, 0.0)

    def start(self) -> None:
        with translated("Reading the clusters"):
            cluster = self._cluster(Cluster.get(self._adapter))
        self._cluster_name, self._cluster_uuid = str(cluster.name), str(cluster.uuid)
        self._nodes = frozenset(node.vios_uuid.upper() for node in cluster.nodes if node.vios_uuid)
        self._pool_uuid = str(cluster.ssp_uuid)
        with translated(f"Reading the tiers of {self.label}"):
            tiers = Tier.get(self._adapter, parent_type=SSP, parent_uuid=self._pool_uuid)
        tier = next((tier for tier in tiers if tier.is_default), None)
        if tier is None:
            raise InvalidSpec(f"{self.label} has no default tier: make one of its tiers the default.")
        self._tier_uuid = str(tier.uuid)
        self._only_tier = len(tiers) == 1
        self._units = Units(self._adapter, self._tier_uuid)
        self._units.refresh()
        self._images = PoolImages(
            self._units, Uploads(self._connection), self._connection.system_uuid, self._serving, self.capacity
        )
        self.capacity()

    @property
    def label(self) -> str:
        return f"the shared storage pool of cluster {self._cluster_name}"

    @property
    def shared_uuid(self) -> str | None:
        return self._pool_uuid.lower()

    def capacity(self) -> Capacity:
        """One tier is the pool, and the pool tells what is really taken; of several, the units' sizes are summed."""
        with translated(f"Reading the capacity of {self.label}"):
            if self._only_tier:
                pool = SSP.get(self._adapter, uuid=self._pool_uuid)
                self._capacity = Capacity(pool.capacity, pool.capacity - pool.free_space)
            else:
                tier = Tier.get(self._adapter, uuid=self._tier_uuid)
                self._capacity = Capacity(tier.capacity, min(tier.capacity, self._units.used_gb()))
        return self._capacity

    def known_capacity(self) -> Capacity:
        return self._capacity

    def reconcile(self) -> None:
        self._images.clean_remains()

    def ensure_image(self, image: ImageSource) -> Backing:
        return self._images.ensure(image).backing

    def image_key(self, image_id: str) -> str:
        return image_id.lower()

    def cached_images(self) -> Sequence[CachedImage]:
        return self._images.cached()

    def remove_image(self, image: CachedImage) -> bool:
        return self._images.remove(image)

    def create(self, guest: GuestSpec, index: int, image: Backing | None = None) -> Disk:
        serving = tuple(self._serving())
        disk = guest.disks[index]
        name, size = self.name(guest, index), size_gb(disk)
        self._make_way(name)
        if disk.image is None or image is None:
            unit = self._units.create(name, size)
        else:
            unit = self._clone(name, size, disk.image, image)
        return Disk(unit.backing, unit.capacity, serving)

    def discard(self, guest: GuestSpec, index: int) -> None:
        self._units.refresh()
        unit = self._units.named(self.name(guest, index))
        if unit is not None and not unit.in_use and not self._mapping(unit):
            self._units.delete(unit)

    def delete(self, backing: Backing) -> None:
        unit = self._units.by_udid(backing.udid)
        if unit is None:
            self._units.refresh()
            unit = self._units.by_udid(backing.udid)
        if unit is not None:
            self._units.delete(unit)

    def find(self, lpar_uuid: str) -> Sequence[Disk]:
        found: dict[str, Disk] = {}
        for vios in self._connection.vioses.all():
            for backing in mapped(self._connection.vioses.document(vios.uuid), lpar_uuid):
                if backing.kind is BackingKind.LOGICAL_UNIT and _OURS.fullmatch(backing.name):
                    known = found.get(backing.udid[2:])
                    others = known.vios_uuids if known is not None else ()
                    found[backing.udid[2:]] = Disk(backing, self._size(backing), (*others, vios.uuid))
        return list(found.values())

    def name(self, guest: GuestSpec, index: int) -> str:
        kind = role_name(guest.disks[index].role, ordinal(guest, index))
        return naming.logical_unit(kind, guest.name, guest.uuid)

    def grow(self, disk: Disk, size_gb: float) -> None:
        """By a job of the cluster: a unit's own document only takes its capacity when it is made."""
        self._serving()
        self._units.grow(disk.backing.udid, size_gb, self._cluster_uuid)

    def names_of(self, instance_uuid: str) -> re.Pattern[str]:
        return re.compile(rf"(boot|rescue|swap\d*|eph\d+)_.+_{instance_uuid.replace('-', '').lower()[:8]}")

    def leftovers(self, instance_uuid: str) -> Sequence[Backing]:
        self._units.refresh()
        ours = self._units.matching(self.names_of(instance_uuid))
        return [unit.backing for unit in ours if not unit.in_use and not unit.image]

    def _cluster(self, clusters: Sequence[Cluster]) -> Cluster:
        wanted = self._connection.options.cluster_name
        names = ", ".join(sorted(cluster.name for cluster in clusters)) or "none"
        if not wanted and len(clusters) == 1:
            return clusters[0]
        for cluster in clusters:
            if wanted and cluster.name == wanted:
                return cluster
        if not wanted:
            raise InvalidSpec(f"[powervm] cluster_name must name one cluster of this system: it has {names}.")
        raise InvalidSpec(f"[powervm] cluster_name is {wanted}, and the clusters of this system are: {names}.")

    def _serving(self) -> list[str]:
        """The VIOSes of this system that are in the cluster and up."""
        active = self._connection.vioses.active()
        serving = [vios.uuid for vios in active if vios.uuid in self._nodes]
        if not serving:
            raise Unavailable(
                f"None of the VIOSes that are up ({', '.join(vios.name for vios in active)}) is in cluster "
                f"{self._cluster_name}. Start one that is."
            )
        return serving

    def _clone(self, name: str, size: float, image: ImageSource, copy: Backing) -> Unit:
        """A linked clone of the image's copy, which may have gone since: then the image is uploaded once more."""
        source = self._units.by_udid(copy.udid)
        if source is not None:
            try:
                return self._units.create(name, size, source=source)
            except PlatformError:
                self._units.refresh()
                if self._units.by_udid(source.udid) is not None:
                    raise
        return self._units.create(name, size, source=self._images.ensure(image))

    def _make_way(self, name: str) -> None:
        """Delete a unit of that name that an interrupted spawn left; one that is mapped is refused."""
        if self._units.named(name) is None:
            return
        self._units.refresh()
        unit = self._units.named(name)
        if unit is None:
            return
        vios = self._mapping(unit)
        if vios or unit.in_use:
            # The pool is shared: its unit may be mapped by a VIOS of another system, which only the pool knows.
            where = f"VIOS {vios}" if vios else "a VIOS of another system"
            raise Conflict(
                f"Logical unit {name} exists and {where} maps it to a partition. Remove the mapping and the "
                "unit if they are not needed."
            )
        LOG.warning("Removing logical unit %s, which nothing is mapped to, before making it anew", name)
        self._units.delete(unit)

    def _mapping(self, unit: Unit) -> str | None:
        """The name of a VIOS that maps the unit."""
        vioses = self._connection.vioses
        return next((vios.name for vios in vioses.all() if users(vioses.document(vios.uuid), unit.backing)), None)

    def _size(self, backing: Backing) -> float:
        unit = self._units.by_udid(backing.udid)
        return unit.capacity if unit is not None else 0.0
