"""The audit finds each kind of leftover and inconsistency, and nothing on a clean system."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.files import FileRecord
from bigiron.sim.powervm.model import adapters, backing, bridges, fibre, groups, lpars, mappings, pool, taps
from bigiron.sim.powervm.model.network import VirtualEthernet, VirtualSwitch
from bigiron.sim.powervm.model.partition import Lpar
from bigiron.sim.powervm.model.storage import Content
from bigiron.sim.powervm.model.world import World

from .rich_world import plain_world, spec


def guest(world: World) -> Lpar:
    return lpars.create(world, spec("a"))


def unit(world: World, **changes: object) -> pool.LogicalUnit:
    return pool.create(world, world.state.pools[0].tiers[0], pool.UnitSpec("u", 1, **changes))  # type: ignore[arg-type]


def mapped(world: World) -> Lpar:
    made = guest(world)
    mappings.connect(world, world.vioses[0], made, backing.UNIT, unit(world).udid)
    return made


def shared_unit(world: World) -> None:
    mapped(world)
    other = lpars.create(world, spec("b"))
    mappings.connect(world, world.vioses[1], other, backing.UNIT, world.vioses[0].servers[0].targets[0].key)


def media(world: World) -> None:
    vios = world.vioses[0]
    spec = groups.RepositorySpec("VMLibrary", 1, (groups.MediaSpec("m", size=0.1),))
    groups.apply(world, vios, vios.groups[0], [], spec)


def disk(world: World) -> None:
    vios = world.vioses[0]
    groups.apply(world, vios, vios.groups[0], [groups.DiskSpec(None, "d", 1)], None)


def dead_client(world: World) -> None:
    lpars.delete(world, mapped(world))


def vanished_unit(world: World) -> None:
    mapped(world)
    world.state.pools[0].tiers[0].units.clear()


def dead_fibre_client(world: World) -> None:
    made = guest(world)
    fibre.replace(world, world.vioses[0], [fibre.Wanted(made.uuid, None, None, "fcs0")])
    lpars.delete(world, made)


def orphan_trunk(world: World) -> None:
    world.vioses[0].trunks.append(bridges.new_trunk(world, world.vioses[0], 0, 1, 7))


def missing_network(world: World) -> None:
    world.state.networks.clear()


def overcommitted(world: World) -> None:
    world.vioses[0].memory.desired = world.system.memory


def same_mac(world: World) -> None:
    made = guest(world)
    for _ in range(2):
        adapters.create(world, made, adapters.AdapterSpec(switch_id=0, pvid=1))
    made.adapters[1].mac = made.adapters[0].mac


def same_slot(world: World) -> None:
    made = guest(world)
    for _ in range(2):
        adapters.create(world, made, adapters.AdapterSpec(switch_id=0, pvid=1))
    made.adapters[1].slot = made.adapters[0].slot


def uneven(world: World) -> None:
    world.state.bridges[0].seas[0].trunks[0].tagged.append(99)


def empty_image(world: World) -> None:
    unit(world, type=pool.IMAGE)


def emptied(world: World) -> None:
    mapped(world)
    world.vioses[0].servers[0].targets.clear()


def on_ovs(world: World, vlan: int = 7, port: str = "p1") -> VirtualEthernet:
    """A trunk adapter of the management partition on the private switch; returns a guest's adapter on its VLAN."""
    if all(switch.name != taps.PRIVATE_SWITCH for switch in world.state.switches):
        world.state.switches.append(VirtualSwitch(uuid=world.new_uuid("switch"), id=9, name=taps.PRIVATE_SWITCH))
    made = adapters.create(world, lpars.create(world, spec(port)), adapters.AdapterSpec(switch_id=9, pvid=vlan))
    extras: dict[str, str | int | bool] = {
        "device": f"tap{port}", "ovs_bridge": "br-int", "ovs_external_ids": f"iface-id={port},attached-mac={made.mac}",
    }  # fmt: skip
    trunk = adapters.AdapterSpec(switch_id=9, pvid=vlan, trunk_priority=1, extras=extras)
    assert world.management is not None
    adapters.create(world, world.management, trunk)
    assert audit(world) == []
    return made


def trunk_alone(world: World) -> None:
    on_ovs(world).pvid = 8


def guest_alone(world: World) -> None:
    on_ovs(world)
    assert world.management is not None
    world.management.adapters.pop()


def two_on_a_vlan(world: World) -> None:
    on_ovs(world)
    on_ovs(world, 8, "p2").pvid = 7


def another_mac(world: World) -> None:
    on_ovs(world).mac = "FA163E000001"


def lost_device(world: World) -> None:
    on_ovs(world)
    taps.detach_all(world)


def same_port(world: World) -> None:
    on_ovs(world)
    made = on_ovs(world, 8, "p2")
    assert world.management is not None
    world.management.adapters[-1].ovs_external_ids = f"iface-id=p1,attached-mac={made.mac}"


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (dead_client, "orphan-server-adapter"),
        (vanished_unit, "mapping-without-storage"),
        (emptied, "empty-server-adapter"),
        (shared_unit, "shared-disk"),
        (dead_fibre_client, "orphan-fibre-adapter"),
        (unit, "unmapped-logical-unit"),
        (empty_image, "empty-image"),
        (disk, "unmapped-disk"),
        (media, "unmapped-media"),
        (orphan_trunk, "orphan-trunk"),
        (trunk_alone, "orphan-trunk"),
        (guest_alone, "client-without-trunk"),
        (two_on_a_vlan, "shared-private-vlan"),
        (another_mac, "wrong-attached-mac"),
        (lost_device, "lost-device"),
        (same_port, "duplicate-interface"),
        (missing_network, "vlan-without-network"),
        (overcommitted, "memory-overcommitted"),
        (same_mac, "duplicate-mac"),
        (same_slot, "slot-conflict"),
        (uneven, "uneven-bridge"),
    ],
)
def test_each_harm_is_found(harm: Callable[[World], object], kind: str) -> None:
    world = plain_world()
    assert audit(world) == []
    harm(world)
    assert kind in {finding["kind"] for finding in audit(world)}


def test_files_that_came_and_stayed_are_found() -> None:
    waiting = FileRecord("1", "disk", "BROKERED_DISK_IMAGE", None, None, 4, None, "", 0)
    assert audit(plain_world(), [waiting]) == []
    [finding] = audit(plain_world(), [waiting, dataclasses.replace(waiting, received=4)])
    assert (finding["kind"], finding["object"]) == ("left-over-file", "disk")


def test_guests_in_use_and_cached_images_are_no_leftovers() -> None:
    world = plain_world()
    mapped(world)
    vios = world.vioses[0]
    assert world.management is not None
    mappings.connect(world, vios, world.management, backing.UNIT, vios.servers[0].targets[0].key)
    image = unit(world, type=pool.IMAGE)
    image.content = Content(file="f", size=1, sha256="")
    disk(world)
    world.vioses[0].groups[0].disks[0].content = Content(file="g", size=1, sha256="")
    assert audit(world) == []
