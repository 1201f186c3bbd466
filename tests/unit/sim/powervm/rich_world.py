"""A world that holds at least one of everything: what the fidelity and resource tests look at."""

from __future__ import annotations

from pathlib import Path

from bigiron.sim.powervm import documents
from bigiron.sim.powervm.model import adapters, backing, bridges, fibre, groups, lpars, mappings, networks, pool, vnics
from bigiron.sim.powervm.model.partition import RUNNING, Lpar, Memory, Processors, TaggedIO, Vios
from bigiron.sim.powervm.model.world import World

SYSTEMS = Path(__file__).parents[4] / "examples" / "systems"


class StillClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time


SRIOV = [
    {"ports": [{"label": "physnet1"}, {"label": "physnet2", "link": "down"}]},
    {"ports": [{"label": "physnet1"}], "personality": "MIN_CAPACITY"},
    {"ports": [{}], "mode": "Dedicated"},
]


def plain_world(**more: object) -> World:
    """The world of one-host.yaml."""
    return World.from_document({**documents.read(SYSTEMS / "one-host.yaml"), **more}, StillClock())


def shared(**changes: object) -> Processors:
    values: dict[str, object] = {
        "units": 0.5, "min_units": 0.1, "max_units": 1.0, "vcpus": 1, "min_vcpus": 1, "max_vcpus": 2, **changes
    }  # fmt: skip
    return Processors(**values)  # type: ignore[arg-type]


def spec(name: str, **changes: object) -> lpars.PartitionSpec:
    values: dict[str, object] = {
        "name": name, "memory": Memory(desired=2048, minimum=1024, maximum=4096), "processors": shared(), **changes
    }  # fmt: skip
    return lpars.PartitionSpec(**values)  # type: ignore[arg-type]


def rich_world() -> World:
    """one-host.yaml with partitions of every kind, and storage of every kind mapped."""
    world = plain_world(sriov_adapters=SRIOV)
    guest = lpars.create(world, spec("linux1", fields={"nvram": "QUJD", "description": "openstack:1"}))
    lpars.create(world, spec("dedicated1", processors=Processors(dedicated=True, vcpus=2, min_vcpus=1, max_vcpus=4)))
    fields = {"tagged_io": TaggedIO(), "restricted_io": True, "source": "b", "secure_boot": 2}
    lpars.create(world, spec("ibmi1", type="OS400", fields=fields))
    vios = world.vioses[0]
    _storage(world, vios, guest)
    fibre.replace(world, vios, [fibre.Wanted(client=guest.uuid, server_slot=None, client_slot=None, port="fcs0")])
    extras: dict[str, str | int | bool] = {
        "ovs_bridge": "br-int", "ovs_external_ids": "iface-id=1", "configured_mtu": 1500, "device": "tap0", "qos": 1,
    }  # fmt: skip
    adapters.create(
        world, guest, adapters.AdapterSpec(switch_id=0, pvid=100, tagged=(53, 54), trunk_priority=1, extras=extras)
    )
    bridges.apply_groups(world, world.state.bridges[0], [(1, ()), (4093, (1000, 1001))])
    ways = (vnics.BackingSpec(vios.uuid, 1, 0, priority=1), vnics.BackingSpec(world.vioses[1].uuid, 2, 0, 4.0))
    vnics.create(world, guest, vnics.VnicSpec(ways, pvid=100))
    vios.trunks.append(bridges.new_trunk(world, vios, 1, 77, 1))
    guest.state, guest.rmc, guest.rmc_address = RUNNING, "active", "10.0.0.50"
    vios.ethernet[1].address = "10.0.0.99"
    world.state.console.authorized_keys = ["ssh-rsa AAAA key"]
    networks.sync(world)
    return world


def _storage(world: World, vios: Vios, guest: Lpar) -> None:
    tier = world.state.pools[0].tiers[0]
    image = pool.create(world, tier, pool.UnitSpec("image1", 1, type=pool.IMAGE))
    clone = pool.create(world, tier, pool.UnitSpec("boot1", 10, cloned_from=image.udid))
    group = next(g for g in vios.groups if g.name == "datavg")
    repository = groups.RepositorySpec("VMLibrary", 1, (groups.MediaSpec("cfg.iso", size=0.01),))
    groups.apply(world, vios, group, [groups.DiskSpec(None, "disk1", 5)], repository)
    assert group.repository is not None
    volume = next(v for v in vios.volumes if v.fibre_channel)
    volume.label = "dm9sMQ=="
    for kind, key in (
        (backing.UNIT, clone.udid),
        (backing.DISK, group.disks[0].udid),
        (backing.MEDIA, group.repository.media[0].udid),
        (backing.VOLUME, volume.udid),
    ):
        mappings.connect(world, vios, guest, kind, key)


def instances(world: World, kind: str) -> list[tuple[object, object]]:
    """(parent, object) of every object of a type, wherever it can stand."""
    from bigiron.sim.powervm.resources import RESOURCES

    resource = RESOURCES[kind]
    if "" in resource.parents or "ManagedSystem" in resource.parents:
        parent = None if "" in resource.parents else world.system
        return [(parent, obj) for obj in resource.instances(world, parent)]
    found = []
    for parent_kind in sorted(resource.parents):
        for _, parent in instances(world, parent_kind):
            found += [(parent, obj) for obj in resource.instances(world, parent)]
    return found
