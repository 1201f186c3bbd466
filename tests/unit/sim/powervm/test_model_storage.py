"""Volume groups, the shared pool, mappings and uploads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from bigiron.sim.powervm.errors import BadRequest, Busy
from bigiron.sim.powervm.model import backing, blocks, groups, lpars, mappings, pool, uploads
from bigiron.sim.powervm.model.groups import DiskSpec, MediaSpec, RepositorySpec
from bigiron.sim.powervm.model.mappings import Wanted
from bigiron.sim.powervm.model.partition import RUNNING, Lpar, Vios
from bigiron.sim.powervm.model.pool import UnitSpec
from bigiron.sim.powervm.model.storage import LogicalUnit, Tier, VolumeGroup
from bigiron.sim.powervm.model.world import World

from .rich_world import plain_world, spec


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = plain_world()
    made.media_dir = tmp_path / "media"
    return made


@pytest.fixture
def vios(world: World) -> Vios:
    return world.vioses[0]


@pytest.fixture
def group(vios: Vios) -> VolumeGroup:
    return next(g for g in vios.groups if g.name == "datavg")


@pytest.fixture
def tier(world: World) -> Tier:
    return world.state.pools[0].tiers[0]


@pytest.fixture
def lpar(world: World) -> Lpar:
    return lpars.create(world, spec("a"))


@dataclass
class File:
    filename: str
    file_type: str
    vios_uuid: str | None
    size: int
    target_udid: str | None = None
    sha256: str | None = None


def upload(world: World, tmp_path: Path, record: File, data: bytes) -> None:
    path = tmp_path / "incoming"
    path.write_bytes(data)
    world.file_uploaded(record, path)


def files_after_a_save(world: World) -> list[Path]:
    """What is left of contents once the server has saved the state, which is when it removes files."""
    world.remove_files(world.released())
    return list(world.media_dir.iterdir())


class TestGroups:
    def test_space_is_accounted(self, world: World, vios: Vios, group: VolumeGroup) -> None:
        groups.apply(world, vios, group, [DiskSpec(None, "d1", 100)], RepositorySpec("VMLibrary", 10))
        assert group.free == group.capacity - 110
        with pytest.raises(BadRequest, match="501 GB would be needed"):
            kept = DiskSpec(group.disks[0].udid, "d1", 100)
            groups.apply(world, vios, group, [kept, DiskSpec(None, "d2", 391)], RepositorySpec("VMLibrary", 10))
        assert [d.name for d in group.disks] == ["d1"]

    def test_disks_grow_and_do_not_shrink(self, world: World, vios: Vios, group: VolumeGroup) -> None:
        groups.apply(world, vios, group, [DiskSpec(None, "d1", 5)], None)
        udid = group.disks[0].udid
        groups.apply(world, vios, group, [DiskSpec(udid, "d1", 9)], None)
        assert (group.disks[0].udid, group.disks[0].capacity) == (udid, 9)
        with pytest.raises(BadRequest, match="cannot shrink"):
            groups.apply(world, vios, group, [DiskSpec(udid, "d1", 5)], None)

    @pytest.mark.parametrize(
        ("disks", "message"),
        [
            ([DiskSpec(None, "x" * 16, 1)], "longer than 15"),
            ([DiskSpec(None, "d", 1), DiskSpec(None, "d", 1)], "already exists"),
            ([DiskSpec("03nowhere", "d", 1)], "no virtual disk d"),
            ([DiskSpec(None, "d", 0)], "above zero"),
            ([DiskSpec(None, "d", 1, base="03nowhere")], "no BaseImage"),
        ],
    )
    def test_disks_are_checked(
        self, world: World, vios: Vios, group: VolumeGroup, disks: list[DiskSpec], message: str
    ) -> None:
        before = world.to_state()
        with pytest.raises(BadRequest, match=message):
            groups.apply(world, vios, group, disks, None)
        assert world.to_state()["vioses"] == before["vioses"]

    def test_names_are_the_whole_vioses(self, world: World, vios: Vios, group: VolumeGroup) -> None:
        other = next(g for g in vios.groups if g is not group)
        groups.apply(world, vios, other, [DiskSpec(None, "d1", 1)], None)
        with pytest.raises(BadRequest, match="d1 already exists on vios1, in volume group rootvg"):
            groups.apply(world, vios, group, [DiskSpec(None, "d1", 1)], None)

    def test_a_refused_list_leaves_the_disks_that_it_names(self, world: World, vios: Vios, group: VolumeGroup) -> None:
        groups.apply(world, vios, group, [DiskSpec(None, "d1", 5)], None)
        larger = DiskSpec(group.disks[0].udid, "renamed", 9)
        with pytest.raises(BadRequest, match="no BaseImage"):
            groups.apply(world, vios, group, [larger, DiskSpec(None, "d2", 1, base="03nowhere")], None)
        assert [(d.name, d.capacity) for d in group.disks] == [("d1", 5)]

    def test_what_is_mapped_stays(self, world: World, vios: Vios, group: VolumeGroup, lpar: Lpar) -> None:
        groups.apply(world, vios, group, [DiskSpec(None, "d1", 5)], None)
        mappings.connect(world, vios, lpar, backing.DISK, group.disks[0].udid)
        with pytest.raises(BadRequest, match="VirtualDisk d1 of vios1 is mapped"):
            groups.apply(world, vios, group, [], None)

    def test_media_must_fit_their_repository(self, world: World, vios: Vios, group: VolumeGroup) -> None:
        with pytest.raises(BadRequest, match="2 GB would be needed"):
            groups.apply(world, vios, group, [], RepositorySpec("VMLibrary", 1, (MediaSpec("m", size=2),)))


class TestPool:
    def test_types_show_in_the_udid(self, world: World, tier: Tier) -> None:
        image = pool.create(world, tier, UnitSpec("i", 1, type=pool.IMAGE))
        clone = pool.create(world, tier, UnitSpec("c", 2, cloned_from="27" + image.udid[2:]))
        assert (image.udid[:2], clone.udid[:2]) == ("29", "27")
        assert clone.cloned_from == image.udid

    @pytest.mark.parametrize(
        ("unit", "message"),
        [
            (UnitSpec("", 1), "0 characters"),
            (UnitSpec("x" * 80, 1), "80 characters"),
            (UnitSpec("x", 0), "above zero"),
            (UnitSpec("x", 1, type="Odd"), "unknown"),
            (UnitSpec("x", 1, cloned_from="27ff"), "no unit 27ff to clone"),
            (UnitSpec("x", 5000), "does not fit"),
            (UnitSpec("x", 2001, thin=False), "does not fit"),
        ],
    )
    def test_units_are_checked(self, world: World, tier: Tier, unit: UnitSpec, message: str) -> None:
        with pytest.raises(BadRequest, match=message):
            pool.create(world, tier, unit)
        assert tier.units == []

    def test_a_mapped_unit_grows_and_its_vios_shows_it(self, world: World, tier: Tier, vios: Vios, lpar: Lpar) -> None:
        unit = pool.create(world, tier, UnitSpec("boot", 2))
        mappings.connect(world, vios, lpar, backing.UNIT, unit.udid)
        version = vios.version
        pool.check_growth(world, unit, 5)
        pool.grow(world, unit, 5)
        assert (unit.capacity, vios.version > version) == (5, True)

    @pytest.mark.parametrize(
        ("thin", "capacity", "message"),
        [(True, 2, "only grow"), (True, 1, "only grow"), (True, 5000, "does not fit"), (False, 2001, "does not fit")],
    )
    def test_growth_is_checked(self, world: World, tier: Tier, thin: bool, capacity: float, message: str) -> None:
        unit = pool.create(world, tier, UnitSpec("boot", 2, thin=thin))
        with pytest.raises(BadRequest, match=message):
            pool.check_growth(world, unit, capacity)

    def test_a_clone_is_not_smaller_than_its_source(self, world: World, tier: Tier) -> None:
        image = pool.create(world, tier, UnitSpec("i", 5, type=pool.IMAGE))
        with pytest.raises(BadRequest, match="cannot be smaller"):
            pool.create(world, tier, UnitSpec("c", 4, cloned_from=image.udid))

    def test_thick_units_take_space_and_thin_ones_do_not(self, world: World, tier: Tier) -> None:
        pool.create(world, tier, UnitSpec("thin", 100))
        assert tier.used == 0
        pool.create(world, tier, UnitSpec("thick", 100, thin=False))
        assert tier.used == 100

    def test_what_units_share_counts_as_long_as_one_has_it(
        self, world: World, vios: Vios, tier: Tier, tmp_path: Path
    ) -> None:
        image = pool.create(world, tier, UnitSpec("i", 1, type=pool.IMAGE))
        upload(world, tmp_path, File("i", uploads.IMAGE, vios.uuid, 8 << 20, target_udid=image.udid), b"x" * (8 << 20))
        clones = [pool.create(world, tier, UnitSpec(n, 1, cloned_from=image.udid)) for n in "ab"]
        assert tier.used == pytest.approx(8 / 1024, abs=1e-4)
        pool.delete(world, tier, image)
        assert tier.used == pytest.approx(8 / 1024, abs=1e-4)
        blocks.write(world, clones[0], (3 << 20) - 1, b"two megabytes")
        assert tier.used == pytest.approx(10 / 1024, abs=1e-4)
        blocks.write(world, clones[0], 3 << 20, b"again")
        pool.delete(world, tier, clones[1])
        assert tier.used == pytest.approx(10 / 1024, abs=1e-4)
        pool.delete(world, tier, clones[0])
        assert tier.used == 0

    def test_a_full_pool_takes_nothing_more(self, world: World, vios: Vios, tier: Tier, tmp_path: Path) -> None:
        thin, image = (pool.create(world, tier, UnitSpec(n, 1)) for n in ("thin", "image"))
        pool.create(world, tier, UnitSpec("thick", tier.capacity - 1 / 1024, thin=False))
        before = tier.version
        blocks.write(world, thin, 0, b"a megabyte")
        assert tier.version > before
        assert tier.used == tier.capacity
        blocks.write(world, thin, 5, b"the same one")
        file = thin.content
        with pytest.raises(OSError, match="pool of thin is full"):
            blocks.write(world, thin, 1 << 20, b"the next one")
        assert thin.content is file
        with pytest.raises(BadRequest, match="more than is free in the tier of image"):
            uploads.check(world, File("i", uploads.IMAGE, vios.uuid, 2 << 20, target_udid=image.udid))
        with pytest.raises(BadRequest, match="more than is free"):
            upload(world, tmp_path, File("i", uploads.IMAGE, vios.uuid, 0, target_udid=image.udid), bytes(2 << 20))
        assert image.content is None

    def test_a_list_of_changes_is_all_or_nothing(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        unit, mapped = (pool.create(world, tier, UnitSpec(n, 1)) for n in ("unit", "mapped"))
        mappings.connect(world, vios, lpar, backing.UNIT, mapped.udid)
        shared, half = world.state.pools[0], tier.capacity * 0.6
        for gone, specs, message in (
            ([unit, mapped], [], "vios1 maps it"),
            ([unit], [UnitSpec("x", 1), UnitSpec("x" * 80, 1)], "80 characters"),
            ([], [UnitSpec("x", half, thin=False), UnitSpec("y", half, thin=False)], "does not fit"),
            ([unit], [UnitSpec("x", 1, cloned_from=unit.udid)], "cloned and removed at once"),
        ):
            with pytest.raises(BadRequest, match=message):
                pool.change(world, shared, gone, specs)
            assert tier.units == [unit, mapped]
        pool.change(world, shared, [unit], [UnitSpec("x", half, thin=False)])
        assert [u.name for u in tier.units] == ["mapped", "x"]
        unit = tier.units[1]
        pool.change(world, shared, [unit], [UnitSpec("y", half, thin=False)])
        assert [u.name for u in tier.units] == ["mapped", "y"]

    def test_a_mapped_unit_stays(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        unit = pool.create(world, tier, UnitSpec("u", 1))
        mappings.connect(world, vios, lpar, backing.UNIT, unit.udid)
        with pytest.raises(BadRequest, match="vios1 maps it as vtscsi0"):
            pool.delete(world, tier, unit)


class TestMappings:
    def wanted(self, lpar: Lpar, unit: LogicalUnit, **changes: object) -> Wanted:
        values: dict[str, object] = {"client": lpar.uuid, "server_slot": None, "client_slot": None,
                                     "kind": backing.UNIT, "key": unit.udid, **changes}  # fmt: skip
        return Wanted(**values)  # type: ignore[arg-type]

    def test_a_new_pair_then_a_joined_one(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        first, second = (pool.create(world, tier, UnitSpec(n, 1)) for n in ("u1", "u2"))
        mappings.replace(world, vios, [self.wanted(lpar, first)])
        (server,) = vios.servers
        assert (server.name, server.client, server.client_id) == ("vhost0", lpar.uuid, lpar.id)
        both = [self.wanted(lpar, u, server_slot=server.slot) for u in (first, second)]
        mappings.replace(world, vios, both)
        assert [(t.name, t.lua[:4]) for t in vios.servers[0].targets] == [("vtscsi0", "0x81"), ("vtscsi1", "0x82")]
        mappings.replace(world, vios, both[1:])
        assert [t.key for t in vios.servers[0].targets] == [second.udid]
        mappings.replace(world, vios, [])
        assert vios.servers == []

    def test_new_mappings_with_one_client_slot_share_a_pair(
        self, world: World, vios: Vios, tier: Tier, lpar: Lpar
    ) -> None:
        units = [pool.create(world, tier, UnitSpec(f"u{n}", 1)) for n in range(2)]
        mappings.replace(world, vios, [self.wanted(lpar, u, client_slot=7) for u in units])
        assert [(s.client_slot, len(s.targets)) for s in vios.servers] == [(7, 2)]

    def test_the_same_list_again_changes_nothing(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        unit = pool.create(world, tier, UnitSpec("u", 1))
        mappings.replace(world, vios, [self.wanted(lpar, unit)])
        version = vios.version
        mappings.replace(world, vios, [self.wanted(lpar, unit, server_slot=vios.servers[0].slot)])
        assert vios.version == version

    def test_one_bad_mapping_refuses_the_list(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        unit = pool.create(world, tier, UnitSpec("u", 1))
        good = self.wanted(lpar, unit)
        for bad, message in (
            (self.wanted(lpar, unit, key="27ff", label="ghost"), "no LogicalUnit 'ghost'"),
            (self.wanted(lpar, unit, client="0" * 8), "no partition 00000000"),
            (self.wanted(lpar, unit, client=None), "needs an AssociatedLogicalPartition"),
            (self.wanted(lpar, unit, server_slot=99), "no server adapter in slot 99"),
        ):
            with pytest.raises(BadRequest, match=message):
                mappings.replace(world, vios, [good, bad])
            assert vios.servers == []

    def test_a_running_client_without_rmc_gets_no_new_pair(
        self, world: World, vios: Vios, tier: Tier, lpar: Lpar
    ) -> None:
        unit = pool.create(world, tier, UnitSpec("u", 1))
        lpar.state = RUNNING
        with pytest.raises(BadRequest, match="HSCL294D"):
            mappings.replace(world, vios, [self.wanted(lpar, unit)])

    def test_a_disk_of_a_volume_group_is_not_mapped(self, world: World, vios: Vios, lpar: Lpar) -> None:
        volume = next(v for v in vios.volumes if v.name == "hdisk1")
        with pytest.raises(BadRequest, match="hdisk1 of vios1 belongs to datavg"):
            mappings.replace(world, vios, [Wanted(lpar.uuid, None, None, backing.VOLUME, volume.udid)])
        assert vios.servers == []

    @pytest.mark.parametrize("kind", [backing.DISK, backing.VOLUME])
    def test_a_disk_has_one_client_and_the_management_partition(
        self, world: World, vios: Vios, group: VolumeGroup, lpar: Lpar, kind: str
    ) -> None:
        groups.apply(world, vios, group, [DiskSpec(None, "d1", 5)], None)
        volume = next(v for v in vios.volumes if v.fibre_channel)
        key = group.disks[0].udid if kind == backing.DISK else volume.udid
        other = lpars.create(world, spec("b"))
        assert world.management is not None
        mappings.replace(world, vios, [Wanted(lpar.uuid, None, None, kind, key)])
        first = Wanted(lpar.uuid, vios.servers[0].slot, None, kind, key)
        with pytest.raises(BadRequest, match="is in use: vhost0 serves it as vtscsi0"):
            mappings.replace(world, vios, [first, Wanted(other.uuid, None, None, kind, key)])
        mappings.replace(world, vios, [first, Wanted(world.management.uuid, None, None, kind, key)])
        assert [s.client for s in vios.servers] == [lpar.uuid, world.management.uuid]
        mappings.replace(world, vios, [Wanted(other.uuid, None, None, kind, key)])
        assert [s.client for s in vios.servers] == [other.uuid]

    def test_media_are_taken_out_and_put_in(self, world: World, vios: Vios, group: VolumeGroup, lpar: Lpar) -> None:
        media = RepositorySpec("VMLibrary", 1, (MediaSpec("m1"), MediaSpec("m2")))
        groups.apply(world, vios, group, [], media)
        mappings.connect(world, vios, lpar, backing.MEDIA, "0em1")
        slot = vios.servers[0].slot
        drive = {"client": lpar.uuid, "server_slot": slot, "client_slot": None, "target_name": "vtopt0"}
        mappings.replace(world, vios, [Wanted(**drive)])  # type: ignore[arg-type]
        assert vios.servers[0].targets[0].kind == backing.EMPTY
        mappings.replace(world, vios, [Wanted(**drive, kind=backing.MEDIA, key="0em2")])  # type: ignore[arg-type]
        assert [(t.name, t.key) for t in vios.servers[0].targets] == [("vtopt0", "0em2")]

    def test_the_unit_and_the_client_count_as_changed(self, world: World, vios: Vios, tier: Tier, lpar: Lpar) -> None:
        unit, other = (pool.create(world, tier, UnitSpec(n, 1)) for n in ("u", "other"))
        before = (unit.version, lpar.version, other.version)
        mappings.replace(world, vios, [self.wanted(lpar, unit)])
        assert unit.version > before[0]
        assert lpar.version > before[1]
        assert other.version == before[2]


class TestUploads:
    def test_an_iso_becomes_media(self, world: World, vios: Vios, group: VolumeGroup, tmp_path: Path) -> None:
        groups.apply(world, vios, group, [], RepositorySpec("VMLibrary", 1))
        data = b"iso" * 1000
        digest = hashlib.sha256(data).hexdigest()
        upload(world, tmp_path, File("c.iso", uploads.ISO, vios.uuid, len(data), sha256=digest), data)
        assert group.repository is not None
        (media,) = group.repository.media
        assert media.content is not None
        assert (media.udid, media.content.sha256) == ("0ec.iso", digest)
        assert (world.media_dir / media.content.file).read_bytes() == data
        with pytest.raises(BadRequest, match="already exists"):
            upload(world, tmp_path, File("c.iso", uploads.ISO, vios.uuid, len(data)), data)
        groups.apply(world, vios, group, [], RepositorySpec("VMLibrary", 1))
        assert files_after_a_save(world) == []

    def test_an_image_fills_its_unit_and_lives_as_long_as_its_clones(
        self, world: World, vios: Vios, tier: Tier, tmp_path: Path
    ) -> None:
        image = pool.create(world, tier, UnitSpec("i", 1, type=pool.IMAGE))
        upload(world, tmp_path, File("i", uploads.IMAGE, vios.uuid, 4, target_udid=image.udid), b"data")
        clone = pool.create(world, tier, UnitSpec("c", 1, cloned_from=image.udid))
        pool.delete(world, tier, image)
        assert clone.content is not None
        assert (world.media_dir / clone.content.file).read_bytes() == b"data"
        pool.delete(world, tier, clone)
        assert files_after_a_save(world) == []

    def test_what_cannot_be_placed_is_refused(self, world: World, vios: Vios, tier: Tier) -> None:
        unit = pool.create(world, tier, UnitSpec("u", 1))
        for record, message in (
            (File("c.iso", uploads.ISO, vios.uuid, 1), "no media repository"),
            (File("i", uploads.IMAGE, vios.uuid, 1), "needs a TargetDeviceUniqueDeviceID"),
            (File("i", uploads.IMAGE, vios.uuid, 1, target_udid="27ff"), "no device with the udid 27ff"),
            (File("i", uploads.IMAGE, vios.uuid, 2**31, target_udid=unit.udid), "does not fit on u"),
            (File("i", "BROKERED_TAPE", vios.uuid, 1), "BROKERED_TAPE"),
        ):
            with pytest.raises(BadRequest, match=message):
                uploads.check(world, record)

    def test_a_vios_that_is_down_takes_nothing(self, world: World, vios: Vios) -> None:
        vios.rmc = "inactive"
        with pytest.raises(Busy, match="vios1 cannot be reached"):
            uploads.check(world, File("c.iso", uploads.ISO, vios.uuid, 1))
