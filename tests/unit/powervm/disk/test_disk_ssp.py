"""Disks in a simulated shared storage pool, over HTTP."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.images import BytesImage, SizedImage
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, serve

from bigiron import naming
from bigiron.errors import Conflict, InvalidSpec, NoCapacity, PlatformError, Timeout, Unavailable
from bigiron.model import DiskRole, DiskSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import GIB
from bigiron.powervm.disk.images import PoolImages
from bigiron.powervm.disk.ssp import SharedStoragePool
from bigiron.powervm.disk.units import Units
from bigiron.powervm.disk.upload import Uploads
from bigiron.powervm.mapping import AddMappings
from bigiron.sim.kernel.faults import Action

DATA = b"ppc64le boot image" * 4000
UNITS = "/rest/api/uom/Tier/{uuid}/LogicalUnit"
CONTENTS = "/rest/api/web/File/contents/{uuid}"


@pytest.fixture
def pool(connection: Connection) -> SharedStoragePool:
    pool = SharedStoragePool(connection)
    pool.start()
    return pool


def content(host: Host, unit: str) -> bytes:
    return bytes((host.world.media_dir / host.units[unit].content.file).read_bytes())


def images(connection: Connection, host: str, wait_s: float = 20.0) -> PoolImages:
    """The image cache as another host of the same pool has it."""
    pool = SharedStoragePool(connection)
    pool.start()
    units = Units(connection.adapter, pool._tier_uuid)
    serving = pool._serving
    return PoolImages(units, Uploads(connection), host, serving, pool.capacity, wait_s=wait_s, pause_s=(0.01, 0.05))


def test_the_pool_is_found_and_tells_its_capacity(pool: SharedStoragePool) -> None:
    assert pool.capacity().total_gb == 100
    assert pool.known_capacity().free_gb == 100
    assert "cluster1" in pool.label


def test_an_image_is_uploaded_once_and_cloned_with_one_request(host: Host, pool: SharedStoragePool) -> None:
    image = BytesImage(DATA, "web server")
    copy = pool.ensure_image(image)
    assert content(host, copy.name) == DATA
    assert host.units[copy.name].is_image
    assert not host.simulator.files.records()
    assert list(host.units) == [copy.name], "no claim is left"
    guest = guest_spec(image)
    calls = host.calls(lambda: pool.create(guest, 0, pool.ensure_image(image)))
    assert calls == {f"PUT {UNITS}": 1}
    unit = host.units[naming.logical_unit("boot", guest.name, guest.uuid)]
    assert (unit.capacity, unit.cloned_from, unit.thin) == (2, host.units[copy.name].udid, True)
    assert image.opened == 1


def test_a_disk_without_image_is_empty(host: Host, pool: SharedStoragePool) -> None:
    guest = guest_spec(disks=(DiskSpec(DiskRole.EPHEMERAL, 3), DiskSpec(DiskRole.EPHEMERAL, 4)))
    disks = [pool.create(guest, index) for index in range(2)]
    assert [(disk.backing.name.split("_")[0], disk.size_gb) for disk in disks] == [("eph0", 3), ("eph1", 4)]
    assert all(unit.cloned_from is None for unit in host.units.values())
    assert {len(disk.vios_uuids) for disk in disks} == {2}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (BytesImage(DATA, announced=len(DATA) + 1), "were announced"),
        (BytesImage(DATA, announced=len(DATA) - 1), "were announced"),
        (BytesImage(DATA, checksum="0" * 64), "SHA-256"),
    ],
)
def test_an_image_that_is_not_as_announced_leaves_nothing(
    host: Host, pool: SharedStoragePool, image: BytesImage, reason: str
) -> None:
    with pytest.raises(InvalidSpec, match=reason):
        pool.ensure_image(image)
    assert not host.units
    assert not host.simulator.files.records()


def test_an_image_larger_than_the_pool_is_refused_before_anything_is_made(host: Host, pool: SharedStoragePool) -> None:
    image = SizedImage(101 * GIB)
    with pytest.raises(NoCapacity, match=r"disk of 101 GB.*100\.0 GB in all"):
        pool.check(guest_spec(image, disks=(DiskSpec(DiskRole.ROOT, 0, image),)))
    with pytest.raises(NoCapacity, match=r"needs 101 GB.*100\.0 of 100\.0 GB free"):
        pool.ensure_image(image)
    assert not host.units


def test_an_image_larger_than_the_disk_is_refused_without_a_request(host: Host, pool: SharedStoragePool) -> None:
    guest = guest_spec(SizedImage(3 * GIB))

    def check() -> None:
        with pytest.raises(InvalidSpec):
            pool.check(guest)

    assert not host.calls(check)


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize(
    ("method", "path", "nth"),
    [("PUT", UNITS, 1), ("PUT", UNITS, 2), ("PUT", "/rest/api/web/File", 1), ("PUT", CONTENTS, 1)],
)
def test_an_upload_that_fails_leaves_nothing_and_the_next_one_works(
    host: Host, pool: SharedStoragePool, method: str, path: str, nth: int, action: Action
) -> None:
    image = BytesImage(DATA)
    # On both VIOSes, else the other takes the upload.
    host.fault(method, path, action, nth=nth, times=2 if "File" in path and action is not Action.ERROR else 1)
    with pytest.raises(PlatformError):
        pool.ensure_image(image)
    assert host.faults_fired()
    assert not host.units
    assert not host.simulator.files.records()
    assert content(host, pool.ensure_image(image).name) == DATA


def test_an_upload_that_one_vios_does_not_take_goes_through_the_other(host: Host, pool: SharedStoragePool) -> None:
    host.fault("PUT", CONTENTS, Action.DROP_BEFORE)
    image = BytesImage(DATA)
    assert content(host, pool.ensure_image(image).name) == DATA
    assert image.opened == 2


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize("path", ["/rest/api/web/File/{uuid}", UNITS + "/{uuid}"])
def test_a_clean_up_that_fails_once_is_done_again(
    host: Host, pool: SharedStoragePool, path: str, action: Action
) -> None:
    host.fault("DELETE", path, action)
    copy = pool.ensure_image(BytesImage(DATA))
    assert host.faults_fired()
    assert list(host.units) == [copy.name]
    assert not host.simulator.files.records()


def test_many_guests_of_a_new_image_share_one_upload(host: Host, pool: SharedStoragePool) -> None:
    image = BytesImage(DATA)
    with ThreadPoolExecutor(8) as threads:
        copies = list(threads.map(lambda _: pool.ensure_image(image), range(8)))
    assert len(set(copies)) == 1
    assert image.opened == 1


def test_two_hosts_that_want_one_image_upload_it_once(host: Host, connection: Connection) -> None:
    image = BytesImage(DATA * 50)
    hosts = [images(connection, f"host{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        copies = list(threads.map(lambda cache: cache.ensure(image), hosts))
    assert {copy.name for copy in copies} == set(host.units)
    assert image.opened == 1


def test_what_another_host_is_still_uploading_is_not_cloned(host: Host, connection: Connection) -> None:
    image = BytesImage(DATA)
    uploading, proceed = threading.Event(), threading.Event()

    class Slow(BytesImage):
        def open(self) -> object:  # type: ignore[override]
            uploading.set()
            assert proceed.wait(10)
            return super().open()

    first, second = images(connection, "host1"), images(connection, "host2", wait_s=0.3)
    with ThreadPoolExecutor(1) as threads:
        upload = threads.submit(first.ensure, Slow(DATA, id=image.id))
        assert uploading.wait(10)
        assert any(unit.is_image and unit.capacity >= 1 for unit in host.units.values()), "the copy is there, unfilled"
        with pytest.raises(Timeout, match=r"delete the logical unit part[0-9a-f]{8}_" + image.id):
            second.ensure(image)
        proceed.set()
        assert second.ensure(image).uuid == upload.result(10).uuid


def test_an_upload_that_died_with_its_process_is_begun_again_by_its_host(host: Host, connection: Connection) -> None:
    image = BytesImage(DATA)
    dying = images(connection, "host1")
    dying._units.create(f"part{dying._token}_{image.id}", 0.001, image=True)
    dying._units.create(naming.image_unit(image.name, image.id), 1, image=True)
    copy = images(connection, "host1").ensure(image)
    assert list(host.units) == [copy.name]
    assert content(host, copy.name) == DATA


def test_an_image_that_went_since_it_was_cached_is_uploaded_again(host: Host, pool: SharedStoragePool) -> None:
    image = BytesImage(DATA)
    copy = pool.ensure_image(image)
    with host.world.lock:
        for tier in host.world.state.pools[0].tiers:
            tier.units.clear()
    guest = guest_spec(image)
    pool.create(guest, 0, copy)
    assert host.units[naming.logical_unit("boot", guest.name, guest.uuid)].content is not None


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
def test_a_disk_whose_creation_ended_nobody_knows_how_can_be_discarded(
    host: Host, pool: SharedStoragePool, action: Action
) -> None:
    image = BytesImage(DATA)
    copy = pool.ensure_image(image)
    guest = guest_spec(image)
    host.fault("PUT", UNITS, action)
    with pytest.raises(PlatformError):
        pool.create(guest, 0, copy)
    pool.discard(guest, 0)
    assert list(host.units) == [copy.name]


def test_a_disk_is_deleted_by_what_its_mapping_says_even_after_a_restart(host: Host, connection: Connection) -> None:
    first = SharedStoragePool(connection)
    first.start()
    disk = first.create(guest_spec(), 0)
    second = SharedStoragePool(connection)
    second.start()
    seen_by_vios = type(disk.backing)(disk.backing.kind, disk.backing.name, "29" + disk.backing.udid[2:])
    second.delete(seen_by_vios)
    second.delete(seen_by_vios)
    assert not host.units


def test_mapped_disks_are_found_and_left_alone_by_a_discard(host: Host, tmp_path: Path) -> None:
    with host.platform() as platform:
        pool = platform._started.disks
        guest = guest_spec()
        lpar = platform._started.guests.create(guest)
        disk = pool.create(guest, 0)
        change = AddMappings(guest.uuid, lpar.uuid, (disk.backing,))
        platform.connection.vioses.write_all(dict.fromkeys(disk.vios_uuids, change))
        (found,) = pool.find(lpar.uuid)
        assert found.backing.same(disk.backing)
        assert sorted(found.vios_uuids) == sorted(disk.vios_uuids)
        pool.discard(guest, 0)
        assert pool.leftovers(guest.uuid) == []
        with pytest.raises(Conflict, match="maps it to a partition"):
            pool.create(guest, 0)
        assert disk.backing.name in host.units
        platform.destroy(guest.uuid)
    assert not host.units


def test_a_disk_that_another_system_maps_stays(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with host.platform() as platform:
        pool = platform._started.disks
        guest = guest_spec()
        lpar = platform._started.guests.create(guest)
        disk = pool.create(guest, 0)
        change = AddMappings(guest.uuid, lpar.uuid, (disk.backing,))
        platform.connection.vioses.write_all(dict.fromkeys(disk.vios_uuids, change))
        with monkeypatch.context() as patch:
            # As a VIOS of another system would map it: none of this system's documents shows that.
            patch.setattr(pool, "_mapping", lambda unit: None)
            deleted = host.calls(lambda: pool.discard(guest, 0))
            with pytest.raises(Conflict, match="a VIOS of another system maps it"):
                pool.create(guest, 0)
        assert not any(call.startswith("DELETE") for call in deleted)
        assert host.units[disk.backing.name].udid[2:] == disk.backing.udid[2:]
        platform.destroy(guest.uuid)


def test_leftovers_are_the_guests_own(host: Host, pool: SharedStoragePool) -> None:
    image = BytesImage(DATA)
    mine, other = guest_spec(image), guest_spec(image)
    for guest in (mine, other):
        pool.create(guest, 0, pool.ensure_image(image))
    assert [one.name for one in pool.leftovers(mine.uuid)] == [naming.logical_unit("boot", mine.name, mine.uuid)]


def test_a_leftover_of_the_same_name_makes_way(host: Host, pool: SharedStoragePool) -> None:
    guest = guest_spec()
    before = pool.create(guest, 0)
    after = pool.create(guest, 0)
    assert before.backing.udid != after.backing.udid
    assert len(host.units) == 1


@pytest.mark.parametrize(("name", "found"), [("cluster2", "cluster1"), ("", None)])
def test_the_cluster_must_be_the_one_named_or_the_only_one(tmp_path: Path, name: str, found: str | None) -> None:
    clusters = DOCUMENT["clusters"] if found else [*DOCUMENT["clusters"], {**DOCUMENT["clusters"][0], "name": "other"}]
    with serve(tmp_path, {**DOCUMENT, "clusters": clusters}) as host:
        connection = host.connect(cluster_name=name)
        with pytest.raises(InvalidSpec, match=r"\[powervm\] cluster_name.*cluster1"):
            SharedStoragePool(connection).start()
        connection.close()


def test_a_pool_that_no_running_vios_shares_is_unavailable(host: Host, pool: SharedStoragePool) -> None:
    pool._nodes = frozenset()
    with pytest.raises(Unavailable, match=r"vios1, vios2.*cluster1"):
        pool.create(guest_spec(), 0)
