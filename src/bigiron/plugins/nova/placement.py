"""What placement has of the host and of the pool of disks that it shares, through Nova's own report client.

The tree that Nova hands to a driver has the compute node alone (since 2026.2), so a provider that several hosts share
must be asked for. Everything goes through the report client's cache: it costs one request to placement in minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nova import context as nova_context
from nova import exception

Allocations = Mapping[str, Mapping[str, Any]]
"""By consumer, in the shape of placement's GET /allocations/{consumer}."""


class Placement:
    """Reads of placement; `client` gives the compute manager's report client."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def allocated(self, provider_uuid: str) -> Counter[str]:
        """How much of each resource class consumers have of a provider."""
        found = self._client().get_allocations_for_resource_provider(nova_context.get_admin_context(), provider_uuid)
        total: Counter[str] = Counter()
        for each in found.allocations.values():
            total.update(each["resources"])
        return total

    def tree(self, uuid: str, name: str) -> Any:
        """Every provider that Nova knows of, with one outside the compute node's tree among them.

        That one is made, and still empty, where placement has it not.
        """
        client, context = self._client(), nova_context.get_admin_context()
        try:
            return client.get_provider_tree_and_ensure_root(context, uuid, name=name)
        except exception.ResourceProviderCreationFailed:
            # Another host has made it since we looked, and Nova takes its name for somebody else's: look again.
            return client.get_provider_tree_and_ensure_root(context, uuid, name=name)


def complete(tree: Any, known: Any) -> None:
    """Put what is known beside the compute node's tree into it, as it is.

    In a move of allocations Nova takes what it knows and does not find here for what is to be removed.
    """
    for uuid in known.get_provider_uuids():
        if tree.exists(uuid):
            continue
        data = known.data(uuid)
        if data.parent_uuid is None:
            tree.new_root(data.name, uuid, generation=data.generation)
        else:
            tree.new_child(data.name, data.parent_uuid, uuid=uuid, generation=data.generation)
        tree.update_inventory(uuid, data.inventory)
        tree.update_traits(uuid, data.traits)
        tree.update_aggregates(uuid, data.aggregates)


def move(allocations: Allocations, resource: str, source: str, target: str) -> int:
    """Have every consumer's share of a resource class come from another provider, in place; returns how much moved."""
    moved = 0
    for consumer in allocations.values():
        by_provider = consumer["allocations"]
        amount = by_provider.get(source, {}).get("resources", {}).pop(resource, 0)
        if not amount:
            continue
        if not by_provider[source]["resources"]:
            del by_provider[source]
        resources = by_provider.setdefault(target, {"resources": {}})["resources"]
        resources[resource] = resources.get(resource, 0) + amount
        moved += amount
    return moved


def consumers(allocations: Allocations, provider: str) -> Iterable[str]:
    """Those who have something of a provider."""
    return [consumer for consumer, each in allocations.items() if provider in each["allocations"]]
