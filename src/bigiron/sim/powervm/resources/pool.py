"""Cluster, SharedStoragePool, Tier and LogicalUnit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.model import backing, pool
from bigiron.sim.powervm.model.partition import Vios
from bigiron.sim.powervm.model.storage import SharedStoragePool, Tier
from bigiron.sim.powervm.model.system import ManagedSystem
from bigiron.sim.powervm.model.world import World
from bigiron.sim.powervm.resource import JobHandler, Resource, Update
from bigiron.sim.powervm.resources import markup, storage_parts
from bigiron.sim.powervm.resources.cluster_jobs import grow_unit
from bigiron.sim.powervm.resources.markup import Holder, Link, Rows, typed
from bigiron.sim.powervm.resources.system import MACHINE

_NODE: Rows = (
    ("HostName", lambda w, v: f"{v.name}.example.com"),
    ("PartitionID", lambda w, v: v.id),
    ("PartitionName", lambda w, v: v.name),
    ("MachineTypeModelAndSerialNumber", MACHINE),
    ("VirtualIOServerLevel", lambda w, v: v.os_version.removeprefix("VIOS ")),
    ("VirtualIOServer", lambda w, v: Link(w.href(ManagedSystem.KIND, w.system.uuid, Vios.KIND, v.uuid))),
    ("State", lambda w, v: "Up" if v.is_up else "Down"),
)
_CLUSTER: Rows = (
    ("ClusterName", lambda w, c: c.name),
    ("ClusterID", lambda w, c: c.id),
    ("RepositoryDisk", lambda w, c: Holder(storage_parts.volumes(w, c.repository))),
    ("ClusterSharedStoragePool", lambda w, c: Link(w.href(SharedStoragePool.KIND, c.pool))),
    ("Node", lambda w, c: Holder([typed("Node", _NODE, w, w.vios(uuid)) for uuid in c.nodes])),
)


def _unit_rows(used: set[tuple[str, str]]) -> Rows:
    rows = list(storage_parts.LOGICAL_UNIT)
    rows.insert(-1, ("InUse", lambda w, u: (backing.UNIT, u.udid) in used))
    return rows


def _units(world: World, found: SharedStoragePool) -> Holder:
    rows = _unit_rows(backing.mapped_keys(world))
    return Holder([typed("LogicalUnit", rows, world, u) for u in found.units])


def _used(found: SharedStoragePool) -> float:
    return sum(t.used for t in found.tiers)


def _capacity(found: SharedStoragePool) -> float:
    return sum(t.capacity for t in found.tiers)


def _promised(found: SharedStoragePool) -> float:
    return sum(u.capacity for u in found.units)


_POOL: Rows = (
    ("LogicalUnits", _units),
    ("MultiDataTierConfigured", lambda w, p: len(p.tiers) > 1),
    ("MultiFailureGroupConfigured", False),
    ("PhysicalVolumes", lambda w, p: Holder(storage_parts.volumes(w, p.volumes))),
    ("Capacity", lambda w, p: _capacity(p)),
    ("FreeSpace", lambda w, p: _capacity(p) - _used(p)),
    ("OverCommitSpace", lambda w, p: max(0.0, _promised(p) - _capacity(p))),
    ("TotalLogicalUnitSize", lambda w, p: _promised(p)),
    ("AlertThreshold", lambda w, p: f"{p.threshold}%"),
    ("StoragePoolName", lambda w, p: p.name),
    ("UniqueDeviceID", lambda w, p: p.udid),
)
_FAILURE_GROUP: Rows = (
    ("Name", "Default"),
    ("UniqueDeviceID", lambda w, t: f"26{t.udid[2:]}"),
    ("Capacity", lambda w, t: t.capacity),
    ("State", "Online"),
    ("PhysicalVolumes", lambda w, t: Holder(storage_parts.volumes(w, pool.owner(w, t).volumes))),
)
_TIER: Rows = (
    ("Name", lambda w, t: t.name),
    ("UniqueDeviceID", lambda w, t: t.udid),
    ("Type", "UnrestrictedSystemTier"),
    ("IsDefault", lambda w, t: t.default),
    ("Capacity", lambda w, t: t.capacity),
    ("MirrorState", "NotMirrored"),
    ("FailureGroups", lambda w, t: Holder([typed("FailureGroup", _FAILURE_GROUP, w, t)])),
    ("AssociatedSharedStoragePool", lambda w, t: Link(w.href(SharedStoragePool.KIND, pool.owner(w, t).uuid))),
)


class Clusters(Resource):
    """Clusters of VIOSes."""

    type = "Cluster"
    parents = frozenset({""})
    searches = {"ClusterName": lambda c: c.name}
    jobs: Mapping[str, JobHandler] = {"GrowLogicalUnit": grow_unit}

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.clusters)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _CLUSTER, world, obj)


class SharedStoragePools(Resource):
    """Shared storage pools."""

    type = "SharedStoragePool"
    parents = frozenset({""})
    searches = {"StoragePoolName": lambda p: p.name}

    def instances(self, world: World, parent: Any) -> list[Any]:
        return list(world.state.pools)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _POOL, world, obj)

    def update(self, world: World, parent: Any, obj: Any, body: Update) -> Any:
        """Clients of the old kind add and remove logical units by changing the pool's list of them."""
        listed = markup.children(markup.child(body.element, "LogicalUnits"), "LogicalUnit")
        kept = {markup.text(e, "UniqueDeviceID") for e in listed}
        gone = [u for u in obj.units if u.udid not in kept]
        pool.change(world, obj, gone, [read_unit(e) for e in listed if markup.text(e, "UniqueDeviceID") is None])
        return obj


class Tiers(Resource):
    """Tiers, at the root and under their pool."""

    type = "Tier"
    parents = frozenset({"", "SharedStoragePool"})
    groups = frozenset({"TierThreshold"})

    def instances(self, world: World, parent: Any) -> list[Any]:
        return [t for p in world.state.pools if parent is None or p is parent for t in p.tiers]

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        return markup.fill(markup.root(self.type, obj.uuid), _TIER, world, obj)


class LogicalUnits(Resource):
    """Logical units, under their tier."""

    type = "LogicalUnit"
    parents = frozenset({"Tier"})

    def instances(self, world: World, parent: Tier) -> list[Any]:
        return list(parent.units)

    def uuid(self, obj: Any) -> str:
        return str(obj.uuid)

    def render(self, world: World, obj: Any, groups: frozenset[str]) -> etree._Element:
        used = {(backing.UNIT, obj.udid)} if backing.users(world, backing.UNIT, obj.udid) else set()
        return markup.fill(markup.root(self.type, obj.uuid), _unit_rows(used), world, obj)

    def create(self, world: World, parent: Tier, body: Update) -> Any:
        return pool.create(world, parent, read_unit(body.element))

    def delete(self, world: World, parent: Tier, obj: Any) -> None:
        pool.delete(world, parent, obj)


def read_unit(element: etree._Element) -> pool.UnitSpec:
    """A logical unit as a client asks for it."""
    capacity = markup.decimal(element, "UnitCapacity")
    if capacity is None:
        raise BadRequest("A LogicalUnit needs UnitCapacity.")
    return pool.UnitSpec(
        name=markup.needed(element, "UnitName"),
        capacity=capacity,
        thin=markup.flag(element, "ThinDevice") is not False,
        type=markup.text(element, "LogicalUnitType") or pool.DISK,
        cloned_from=markup.text(element, "ClonedFrom"),
    )
