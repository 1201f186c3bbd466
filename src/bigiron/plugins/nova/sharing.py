"""A pool of disks that several hosts share as one provider in placement: [powervm] ssp_sharing_provider.

The pool's provider has DISK_GB and shares it, by an aggregate, with the compute nodes of the hosts that have the pool;
these then have no DISK_GB of their own. Provider and aggregate have uuids that follow from the pool's, so that every
host finds the same ones. What an operator adds to the provider, traits and aggregates and its reservation, stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import os_resource_classes as orc
import os_traits
from nova import exception

from bigiron.plugins.nova import placement, providers
from bigiron.plugins.nova.placement import Allocations, Placement

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
    policy_of: Any,
    reader: Placement,
    allocations: Allocations | None,
) -> None:
    """Have the pool's provider give the disks of the node, whose own inventory of disks moves there.

    `policy_of` gives the policy for an inventory that is there already. Raises ReshapeNeeded where the node still has
    the disks and no allocations are given to move.
    """
    mine = tree.data(node)
    if orc.DISK_GB in mine.inventory:
        if allocations is None:
            raise exception.ReshapeNeeded()
        placement.move(allocations, orc.DISK_GB, mine.uuid, pool.provider)
    everything = reader.tree(pool.provider, pool.name)
    known = everything.data(pool.provider)
    if allocations is not None:
        placement.complete(tree, everything)
    elif not tree.exists(pool.provider):
        tree.new_root(pool.name, pool.provider, generation=known.generation)
    tree.update_inventory(pool.provider, _inventory(known.inventory, total_gb, policy_of), generation=known.generation)
    tree.update_traits(pool.provider, {*known.traits, os_traits.MISC_SHARES_VIA_AGGREGATE})
    tree.update_aggregates(pool.provider, {*known.aggregates, pool.aggregate})
    tree.add_aggregates(node, pool.aggregate)


def unshare(tree: Any, node: str, pool: SharedPool, reader: Placement, allocations: Allocations | None) -> None:
    """Have the node give its disks itself again, if a pool's provider gave them; the provider stays for other hosts.

    Raises ReshapeNeeded where it did and no allocations are given to move.
    """
    mine = tree.data(node)
    if pool.aggregate not in mine.aggregates:
        return
    if allocations is None:
        raise exception.ReshapeNeeded()
    placement.complete(tree, reader.tree(pool.provider, pool.name))
    ours = set(placement.consumers(allocations, mine.uuid))
    placement.move({name: allocations[name] for name in ours}, orc.DISK_GB, pool.provider, mine.uuid)
    tree.remove_aggregates(node, pool.aggregate)


def _inventory(known: Mapping[str, Mapping[str, Any]], total_gb: int, policy_of: Any) -> dict[str, dict[str, Any]]:
    """The pool's inventory: of what hosts could set differently, what is there stays."""
    made = providers.disk_inventory(total_gb, policy_of(known))
    kept = known.get(orc.DISK_GB)
    if not made:
        return {name: dict(record) for name, record in known.items()}
    if kept is not None:
        made[orc.DISK_GB]["reserved"] = min(total_gb, kept["reserved"])
    return made
