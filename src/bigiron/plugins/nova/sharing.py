"""A pool of disks that several hosts share as one provider in placement: [powervm] ssp_sharing_provider.

The pool's provider has DISK_GB and shares it, by an aggregate, with the compute nodes of the hosts that have the pool;
these then have no DISK_GB of their own. Provider and aggregate have uuids that follow from the pool's, so that every
host finds the same ones. What an operator adds to the provider, traits and aggregates and its reservation, stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import os_resource_classes as orc
import os_traits
from nova import exception

from bigiron.plugins.nova import placement, providers
from bigiron.plugins.nova.placement import Allocations, Placement

Inventory = Mapping[str, Mapping[str, Any]]
PolicyOf = Callable[[Inventory], providers.Policy]
"""The policy for an inventory that is there already."""

_NAMESPACE = uuid.UUID("5f1b4ad0-96d5-5d0e-9c1c-5d3e4b6a8f27")


@dataclass(frozen=True, slots=True)
class SharedPool:
    """The provider and the aggregate of a pool, by what identifies the pool on every host."""

    pool: str

    @property
    def provider(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"provider {self.pool}"))

    @property
    def aggregate(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"aggregate {self.pool}"))

    @property
    def name(self) -> str:
        return f"powervm-ssp-{self.pool}"


def share(
    tree: Any,
    node: str,
    pool: SharedPool,
    total_gb: int,
    policy_of: PolicyOf,
    reader: Placement,
    allocations: Allocations | None,
) -> None:
    """Have the pool's provider give the disks of the node, whose own inventory of disks moves there.

    Raises ReshapeNeeded where the node still has the disks and no allocations are given to move, and ReshapeFailed,
    with the option to change, where the pool may not give as much as servers have.
    """
    mine = tree.data(node)
    own = {name: record for name, record in mine.inventory.items() if name == orc.DISK_GB}
    if own and allocations is None:
        raise exception.ReshapeNeeded()
    everything = reader.tree(pool.provider, pool.name)
    known = everything.data(pool.provider)
    found = _inventory(known.inventory or own, total_gb, policy_of)
    if allocations is not None:
        moved = placement.move(allocations, orc.DISK_GB, mine.uuid, pool.provider)
        _check_room(pool, found, reader.allocated(pool.provider)[orc.DISK_GB] + moved)
        placement.complete(tree, everything)
    elif not tree.exists(pool.provider):
        tree.new_root(pool.name, pool.provider, generation=known.generation)
    tree.update_inventory(pool.provider, found, generation=known.generation)
    tree.update_traits(pool.provider, {*known.traits, os_traits.MISC_SHARES_VIA_AGGREGATE})
    tree.update_aggregates(pool.provider, {*known.aggregates, pool.aggregate})
    tree.add_aggregates(node, pool.aggregate)


def _check_room(pool: SharedPool, inventory: Inventory, wanted_gb: int) -> None:
    """Each host counted the whole pool, so together they may have given more than it has."""
    record = inventory.get(orc.DISK_GB, {"total": 0, "reserved": 0, "allocation_ratio": 1.0})
    size = record["total"] - record["reserved"]
    if wanted_gb > int(size * record["allocation_ratio"]):
        raise exception.ReshapeFailed(
            error=f"Servers have {wanted_gb} GB of the shared storage pool {pool.pool}, whose provider may give "
            f"{int(size * record['allocation_ratio'])} GB. Set disk_allocation_ratio to "
            f"{wanted_gb / max(1, size) + 0.01:.2f} or more on each of its hosts, or ssp_sharing_provider to false."
        )


def unshare(tree: Any, node: str, pool: SharedPool, reader: Placement, allocations: Allocations | None) -> Inventory:
    """Have the node give its disks itself again, if a pool's provider gave them; the provider stays for other hosts.

    Returns the inventory that was in force until now. Raises ReshapeNeeded where no allocations are given to move.
    """
    mine = tree.data(node)
    if pool.aggregate not in mine.aggregates:
        return dict(mine.inventory)
    if allocations is None:
        raise exception.ReshapeNeeded()
    everything = reader.tree(pool.provider, pool.name)
    placement.complete(tree, everything)
    ours = set(placement.consumers(allocations, mine.uuid))
    placement.move({name: allocations[name] for name in ours}, orc.DISK_GB, pool.provider, mine.uuid)
    tree.remove_aggregates(node, pool.aggregate)
    return dict(everything.data(pool.provider).inventory)


def _inventory(known: Inventory, total_gb: int, policy_of: PolicyOf) -> dict[str, dict[str, Any]]:
    """The pool's inventory: of what hosts could set differently, what is there stays."""
    made = providers.disk_inventory(total_gb, policy_of(known))
    kept = known.get(orc.DISK_GB)
    if not made:
        return {name: dict(record) for name, record in known.items()}
    if kept is not None:
        made[orc.DISK_GB]["reserved"] = min(total_gb, kept["reserved"])
    return made
