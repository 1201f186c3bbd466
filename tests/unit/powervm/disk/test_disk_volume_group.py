"""Disks in a volume group of a simulated VIOS, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.images import BytesImage, SizedImage
from tests.support.powervm_host import Host, guest_spec

from bigiron import naming
from bigiron.errors import Conflict, InvalidSpec, NoCapacity, PlatformError, Unavailable
from bigiron.model import DiskRole, DiskSpec
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.driver import GIB
from bigiron.powervm.disk.groups import VolumeGroups
from bigiron.powervm.disk.volume_group import LocalVolumeGroup
from bigiron.powervm.mapping import AddMappings
from bigiron.sim.kernel.faults import Action

DATA = b"ppc64le boot image" * 4000
GROUP = "/rest/api/uom/VirtualIOServer/{uuid}/VolumeGroup/{uuid}"
LOCAL = {"disk_driver": "localdisk", "volume_group_name": "datavg"}


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    connection = host.connect(**LOCAL)
    yield connection
    connection.close()


def started(connection: Connection) -> LocalVolumeGroup:
    driver = LocalVolumeGroup(connection, VolumeGroups(connection))
    driver.start()
    return driver


@pytest.fixture
def driver(connection: Connection) -> LocalVolumeGroup:
    return started(connection)


def disks(host: Host) -> dict[str, object]:
    return {disk.name: disk for disk in host.group("vios1", "datavg").disks}


def content(host: Host, name: str) -> bytes:
    disk = next(disk for disk in host.group("vios1", "datavg").disks if disk.name == name)
    return bytes((host.world.media_dir / disk.content.file).read_bytes())


def test_the_group_is_found_and_tells_its_capacity(driver: LocalVolumeGroup) -> None:
    capacity = driver.capacity()
    assert capacity == driver.known_capacity()
    assert 30 < capacity.total_gb <= 40
    assert capacity.used_gb == 0
    assert driver.label == "volume group datavg of VIOS vios1"


def test_a_copy_may_take_longer_than_other_requests(host: Host) -> None:
    image = BytesImage(DATA)
    connection = host.connect(**LOCAL, rest_timeout=3.0)
    driver = started(connection)
    copy = driver.ensure_image(image)
    host.fault("POST", GROUP, Action.HANG, seconds=4)
    guest = guest_spec(image)
    made = driver.create(guest, 0, copy)
    assert host.faults_fired()
    assert content(host, made.backing.name) == DATA
    connection.close()


def test_a_root_disk_is_a_copy_of_the_cached_image(host: Host, driver: LocalVolumeGroup) -> None:
    image = BytesImage(DATA)
    first, second = guest_spec(image), guest_spec(image)
    made = [driver.create(guest, 0, driver.ensure_image(image)) for guest in (first, second)]
    names = [naming.volume_group_disk("b", guest.uuid) for guest in (first, second)]
    assert [disk.backing.name for disk in made] == names
    assert set(disks(host)) == {naming.volume_group_image(image.id), *names}
    assert [content(host, name) for name in names] == [DATA, DATA]
    assert made[0].vios_uuids == (host.vios("vios1").uuid.upper(),)
    assert image.opened == 1


def test_concurrent_disks_of_a_cached_image_take_few_updates(host: Host, driver: LocalVolumeGroup) -> None:
    image = BytesImage(DATA)
    copy_ = driver.ensure_image(image)
    driver._group.fresh()
    guests = [guest_spec(image, disks=(DiskSpec(DiskRole.ROOT, 1, image),)) for _ in range(8)]

    def work() -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda guest: driver.create(guest, 0, copy_), guests))

    calls = host.calls(work)
    assert set(calls) == {f"POST {GROUP}"}
    assert calls[f"POST {GROUP}"] < 8
    assert len(disks(host)) == 9


def test_disks_of_every_role_have_names_of_their_own(host: Host, driver: LocalVolumeGroup) -> None:
    roles = (DiskRole.ROOT, DiskRole.EPHEMERAL, DiskRole.EPHEMERAL, DiskRole.SWAP)
    guest = guest_spec(disks=tuple(DiskSpec(role, 1) for role in roles))
    made = [driver.create(guest, index) for index in range(4)]
    assert [disk.backing.name[:2] for disk in made] == ["b_", "e_", "f_", "s_"]
    assert {one.name for one in driver.leftovers(guest.uuid)} == set(disks(host))
    for disk in made:
        driver.delete(disk.backing)
    assert not disks(host)


@pytest.mark.parametrize("announced", [len(DATA) - 1, len(DATA) + 1])
def test_an_image_that_is_not_as_announced_leaves_nothing(host: Host, driver: LocalVolumeGroup, announced: int) -> None:
    with pytest.raises(InvalidSpec, match="were announced"):
        driver.ensure_image(BytesImage(DATA, announced=announced))
    assert not disks(host)
    assert not host.simulator.files.records()


def test_what_does_not_fit_is_refused_before_anything_is_made(host: Host, driver: LocalVolumeGroup) -> None:
    with pytest.raises(NoCapacity, match="asks for 45 GB of disks"):
        driver.check(guest_spec(disks=tuple(DiskSpec(DiskRole.EPHEMERAL, 15) for _ in range(3))))
    with pytest.raises(NoCapacity, match="needs 41 GB in volume group datavg of VIOS vios1"):
        driver.ensure_image(SizedImage(41 * GIB))
    assert not disks(host)


def test_of_disks_that_together_do_not_fit_only_the_last_fails(host: Host, driver: LocalVolumeGroup) -> None:
    guests = [guest_spec(disks=(DiskSpec(DiskRole.EPHEMERAL, 15),)) for _ in range(3)]

    def create(index: int) -> bool:
        try:
            driver.create(guests[index], 0)
        except NoCapacity:
            return False
        return True

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(create, range(3))) == [False, True, True]
    assert len(disks(host)) == 2


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", GROUP), ("PUT", "/rest/api/web/File"), ("PUT", "/rest/api/web/File/contents/{uuid}")],
)
def test_an_upload_that_fails_leaves_nothing_and_the_next_one_works(
    host: Host, driver: LocalVolumeGroup, method: str, path: str, action: Action
) -> None:
    image = BytesImage(DATA)
    host.fault(method, path, action)
    failed = False
    try:
        driver.ensure_image(image)
    except PlatformError:
        failed = True
    assert host.faults_fired()
    # A creation whose answer was lost is found to have happened when the group is read again.
    assert failed or (method, action) == ("POST", Action.DROP_AFTER)
    assert bool(disks(host)) is not failed
    assert not host.simulator.files.records()
    assert content(host, driver.ensure_image(image).name) == DATA


def test_an_upload_that_died_with_its_process_is_begun_again(host: Host, connection: Connection) -> None:
    image = BytesImage(DATA)
    dying = started(connection)
    name = naming.volume_group_image(image.id)
    dying._marks.set(name)
    dying.create(guest_spec(uuid=image.id, disks=(DiskSpec(DiskRole.ROOT, 1),)), 0)
    with host.world.lock:
        (disk,) = host.group("vios1", "datavg").disks
        disk.name = name
        host.world.touch(host.group("vios1", "datavg"))
    copy_ = started(connection).ensure_image(image)
    assert content(host, copy_.name) == DATA
    assert not dying._marks.is_set(name)


def test_a_stale_copy_of_the_group_is_read_again(host: Host, driver: LocalVolumeGroup) -> None:
    host.fault("POST", GROUP, Action.STALE)
    driver.create(guest_spec(), 0)
    assert host.faults_fired()
    assert len(disks(host)) == 1


def test_a_mapped_disk_is_found_and_never_discarded(host: Host) -> None:
    with host.platform(**LOCAL) as platform:
        driver = platform._started.disks
        guest = guest_spec()
        lpar = platform._started.guests.create(guest)
        disk = driver.create(guest, 0)
        change = AddMappings(guest.uuid, lpar.uuid, (disk.backing,))
        platform.connection.vioses.write_all(dict.fromkeys(disk.vios_uuids, change))
        (found,) = driver.find(lpar.uuid)
        assert (found.backing.name, found.size_gb) == (disk.backing.name, 2)
        driver.discard(guest, 0)
        with pytest.raises(Conflict, match="is mapped to a partition"):
            driver.create(guest, 0)
        assert driver.leftovers(guest.uuid) == []
        assert set(disks(host)) == {disk.backing.name}
        platform.destroy(guest.uuid)
        assert not disks(host)


def test_the_option_must_name_a_group_of_one_vios(host: Host) -> None:
    for name, reason in (
        ("", r"must name the group.*datavg of VIOS vios1"),
        ("novg", r"is novg, and the VIOSes have: .*datavg of VIOS vios1"),
        ("rootvg", r"is rootvg, and VIOSes vios1 and vios2 each have"),
    ):
        connection = host.connect(**{**LOCAL, "volume_group_name": name})
        with pytest.raises(InvalidSpec, match=reason):
            started(connection)
        connection.close()


def test_a_group_that_a_vios_may_have_which_is_still_down_is_waited_for(host: Host) -> None:
    with host.world.lock:
        vios = host.vios("vios1")
        vios.state, vios.rmc = "not activated", "inactive"
        host.world.changed(vios, "PartitionState")
    connection = host.connect(**LOCAL)
    with pytest.raises(Unavailable, match="VIOS vios1 does not serve"):
        started(connection)
    connection.close()


def test_a_group_whose_vios_went_down_is_unavailable(host: Host, driver: LocalVolumeGroup) -> None:
    with host.world.lock:
        vios = host.vios("vios1")
        vios.state, vios.rmc = "not activated", "inactive"
        host.world.changed(vios, "PartitionState")
    driver._connection.vioses.load()
    with pytest.raises(Unavailable, match="VIOS vios1, which has volume group datavg of VIOS vios1, is down"):
        driver.create(guest_spec(), 0)
