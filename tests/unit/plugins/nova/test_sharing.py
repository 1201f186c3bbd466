"""A pool's provider in the tree that Nova hands over, with Nova's own tree and a report client of the test's."""

from __future__ import annotations

from typing import Any

import pytest
from nova import exception
from nova.compute.provider_tree import ProviderTree
from nova.scheduler.client.report import ProviderAllocInfo

from bigiron.plugins.nova import providers, sharing
from bigiron.plugins.nova.placement import Placement
from bigiron.plugins.nova.providers import Policy

NODE = "11111111-1111-4111-8111-111111111111"
POOL = sharing.SharedPool("e357a79a-7a3d-35b6-8405-55ab6a2d0de7")
OWN_DISK = {"VCPU": {"total": 8}, **providers.disk_inventory(500, Policy({"DISK_GB": 1.0}))}


class Client:
    """Keeps a tree as the report client does."""

    def __init__(self) -> None:
        self.tree = ProviderTree()
        self.made = 0

    def get_provider_tree_and_ensure_root(self, context: Any, uuid: str, *, name: str) -> ProviderTree:
        if not self.tree.exists(uuid):
            self.tree.new_root(name, uuid, generation=0)
            self.made += 1
        return self.tree

    def get_allocations_for_resource_provider(self, context: Any, uuid: str) -> ProviderAllocInfo:
        return ProviderAllocInfo({"a": {"resources": {"VCPU": 2}}, "b": {"resources": {"VCPU": 1, "MEMORY_MB": 512}}})


class World:
    """A compute node's tree as Nova hands it over, afresh each time, and what placement has of the pool."""

    def __init__(self, inventory: dict[str, Any] | None = None) -> None:
        self.client = Client()
        self.tree = ProviderTree()
        self.tree.new_root("power1", NODE, generation=1)
        self.tree.update_inventory(NODE, inventory or {"VCPU": {"total": 8}})

    def share(self, total_gb: int = 500, allocations: Any = None, **policy: Any) -> Any:
        sharing.share(
            self.tree,
            "power1",
            POOL,
            total_gb,
            lambda known: Policy({"DISK_GB": known.get("DISK_GB", {}).get("allocation_ratio", 1.0)}, **policy),
            Placement(lambda: self.client),
            allocations,
        )
        return self.tree.data(POOL.provider)


def allocation(provider: str = NODE, disk_gb: int = 20) -> dict[str, Any]:
    return {"allocations": {provider: {"generation": 3, "resources": {"DISK_GB": disk_gb}}}, "consumer_generation": 1}


def test_every_host_finds_the_same_provider_and_aggregate() -> None:
    again = sharing.SharedPool(POOL.pool)
    assert (again.provider, again.aggregate) == (POOL.provider, POOL.aggregate)
    assert len({POOL.provider, POOL.aggregate, POOL.pool, sharing.SharedPool("other").provider}) == 4


def test_the_pool_gives_the_disks_and_the_node_is_in_its_aggregate() -> None:
    world = World()
    pool = world.share(reserved_disk_gb=7)
    assert (pool.inventory["DISK_GB"]["total"], pool.inventory["DISK_GB"]["reserved"]) == (500, 7)
    assert pool.traits == {"MISC_SHARES_VIA_AGGREGATE"}
    assert pool.aggregates == world.tree.data(NODE).aggregates == {POOL.aggregate}
    assert pool.parent_uuid is None and pool.name == POOL.name
    assert world.client.made == 1


def test_what_placement_has_of_the_pool_stays() -> None:
    world = World()
    known = world.client.get_provider_tree_and_ensure_root(None, POOL.provider, name=POOL.name)
    record = {**providers.disk_inventory(400, Policy({"DISK_GB": 1.5}))["DISK_GB"], "reserved": 50}
    known.update_inventory(POOL.provider, {"DISK_GB": record}, generation=9)
    known.update_traits(POOL.provider, {"CUSTOM_FAST"})
    known.update_aggregates(POOL.provider, {"zone"})
    pool = world.share(500, reserved_disk_gb=7)
    assert pool.generation == 9
    assert pool.inventory["DISK_GB"]["total"] == 500
    assert (pool.inventory["DISK_GB"]["reserved"], pool.inventory["DISK_GB"]["allocation_ratio"]) == (50, 1.5)
    assert pool.traits == {"CUSTOM_FAST", "MISC_SHARES_VIA_AGGREGATE"}
    assert pool.aggregates == {"zone", POOL.aggregate}
    unread = world.share(0).inventory
    assert unread == {"DISK_GB": record}, "a pool that cannot be read just now keeps what placement has"


def test_disks_of_the_node_move_only_with_their_allocations() -> None:
    world = World(OWN_DISK)
    with pytest.raises(exception.ReshapeNeeded):
        world.share()
    assert not world.tree.exists(POOL.provider) and not world.tree.data(NODE).aggregates
    mixed = allocation()
    mixed["allocations"][NODE]["resources"]["VCPU"] = 1
    allocations = {"only disk": allocation(disk_gb=20), "mixed": mixed, "other": allocation("elsewhere")}
    world.share(allocations=allocations)
    assert allocations["only disk"]["allocations"] == {POOL.provider: {"resources": {"DISK_GB": 20}}}
    assert allocations["mixed"]["allocations"][NODE]["resources"] == {"VCPU": 1}
    assert allocations["mixed"]["allocations"][POOL.provider] == {"resources": {"DISK_GB": 20}}
    assert allocations["other"] == allocation("elsewhere")


def test_more_than_the_pool_may_give_is_refused_with_the_option_to_set() -> None:
    world = World(OWN_DISK)
    allocations = {str(number): allocation(disk_gb=200) for number in range(3)}
    with pytest.raises(exception.ReshapeFailed, match=r"Servers have 600 GB .* disk_allocation_ratio to 1.21 or more"):
        world.share(allocations=allocations)
    assert not world.tree.exists(POOL.provider)


def test_a_ratio_that_an_operator_set_moves_along() -> None:
    world = World({"DISK_GB": {**OWN_DISK["DISK_GB"], "allocation_ratio": 2.0}})
    allocations = {str(number): allocation(disk_gb=200) for number in range(3)}
    shared = world.share(allocations=allocations).inventory
    assert shared["DISK_GB"]["allocation_ratio"] == 2.0
    world.client.tree.update_inventory(POOL.provider, shared)
    assert sharing.unshare(world.tree, "power1", POOL, Placement(lambda: world.client), {}) == shared


def test_they_come_back_the_same_way() -> None:
    world = World()
    world.share()
    with pytest.raises(exception.ReshapeNeeded):
        sharing.unshare(world.tree, "power1", POOL, Placement(lambda: world.client), None)
    mine = {"allocations": {NODE: {"resources": {"VCPU": 1}}, POOL.provider: {"resources": {"DISK_GB": 20}}}}
    theirs = {"allocations": {POOL.provider: {"resources": {"DISK_GB": 30}}}}
    sharing.unshare(world.tree, "power1", POOL, Placement(lambda: world.client), {"mine": mine, "theirs": theirs})
    assert mine["allocations"] == {NODE: {"resources": {"VCPU": 1, "DISK_GB": 20}}}
    assert theirs["allocations"] == {POOL.provider: {"resources": {"DISK_GB": 30}}}
    assert world.tree.data(NODE).aggregates == set()


def test_what_else_nova_knows_is_not_taken_for_removed() -> None:
    world = World(OWN_DISK)
    other, child = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
    known = world.client.tree
    known.new_root("nfs", other, generation=5)
    known.new_child("share", other, uuid=child, generation=6)
    known.update_inventory(other, {"DISK_GB": {"total": 9}})
    known.update_traits(child, {"CUSTOM_FAST"})
    known.update_aggregates(other, {"zone"})
    world.share(allocations={})
    kept = world.tree.data(other)
    assert (kept.generation, kept.inventory, kept.aggregates) == (5, {"DISK_GB": {"total": 9}}, {"zone"})
    assert world.tree.data(child).parent_uuid == other and world.tree.data(child).traits == {"CUSTOM_FAST"}


def test_a_node_that_never_shared_is_left_alone() -> None:
    world = World(OWN_DISK)
    sharing.unshare(world.tree, "power1", POOL, Placement(lambda: world.client), None)
    assert world.tree.data(NODE).inventory == OWN_DISK


def test_allocations_of_a_provider_are_summed() -> None:
    assert Placement(lambda: Client()).allocated(NODE) == {"VCPU": 3, "MEMORY_MB": 512}
