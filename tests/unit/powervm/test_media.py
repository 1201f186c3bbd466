"""Config drives in the media repositories of simulated VIOSes, over HTTP."""

from __future__ import annotations

import copy
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pypowervm.wrappers.vios_file import File, FileType
from tests.support.powervm_host import DOCUMENT, Host, guest_spec, serve, until

from bigiron import naming
from bigiron.errors import InvalidSpec, Unavailable
from bigiron.powervm.connection import Connection
from bigiron.powervm.disk.groups import VolumeGroups
from bigiron.powervm.disk.upload import Uploads
from bigiron.powervm.mapping import AddMappings
from bigiron.powervm.media import MediaRepositories
from bigiron.sim.kernel.faults import Action

GROUP = "/rest/api/uom/VirtualIOServer/{uuid}/VolumeGroup/{uuid}"
FILE, CONTENTS = "/rest/api/web/File", "/rest/api/web/File/contents/{uuid}"


@pytest.fixture
def media(connection: Connection) -> MediaRepositories:
    return MediaRepositories(connection, VolumeGroups(connection))


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    path = tmp_path / "config.iso"
    path.write_bytes(b"CD001" * 10000)
    return path


def instance() -> str:
    return str(uuid.uuid4())


def without_repositories() -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    for vios in document["vioses"]:
        for group in vios["volume_groups"]:
            group.pop("repository_gb", None)
    return document


def test_an_upload_takes_three_requests_and_a_deletion_two(host: Host, media: MediaRepositories, iso: Path) -> None:
    media.upload(naming.config_drive(instance()), iso)
    guest = instance()
    calls = host.calls(lambda: media.upload(naming.config_drive(guest), iso))
    assert calls == {f"PUT {FILE}": 1, f"PUT {CONTENTS}": 1, f"DELETE {FILE}/{{uuid}}": 1}
    name = naming.config_drive(guest)
    assert name in host.media("vios1")
    repository = host.group("vios1", "rootvg").repository
    stored = next(medium for medium in repository.media if medium.name == name)
    assert (host.world.media_dir / stored.content.file).read_bytes() == iso.read_bytes()
    assert not host.simulator.files.records()


def test_a_descriptor_that_is_left_goes_at_the_next_start_and_no_other(
    host: Host, connection: Connection, media: MediaRepositories, iso: Path
) -> None:
    host.fault("DELETE", f"{FILE}/{{uuid}}", Action.ERROR, times=2)
    media.upload(naming.config_drive(instance()), iso)
    vios = host.vios("vios1").uuid
    foreign = File.bld(connection.adapter, "somebody.iso", FileType.MEDIA_ISO, vios, f_size=10).create()
    assert len(host.simulator.files.records()) == 2
    calls = host.calls(Uploads(connection).reconcile)
    assert calls == {f"GET {FILE}": 1, f"DELETE {FILE}/{{uuid}}": 1}
    assert [record.uuid for record in host.simulator.files.records()] == [foreign.uuid]
    assert not host.calls(Uploads(connection).reconcile)


def test_a_deletion_takes_the_medium_and_no_other(host: Host, media: MediaRepositories, iso: Path) -> None:
    kept, gone = instance(), instance()
    media.upload(naming.config_drive(kept), iso)
    medium = media.upload(naming.config_drive(gone), iso)
    calls = host.calls(lambda: media.delete(medium))
    assert calls == {f"GET {GROUP}": 1, f"POST {GROUP}": 1}
    media.delete(medium)
    assert host.media("vios1") == [naming.config_drive(kept)]


def test_concurrent_deletions_share_updates(host: Host, media: MediaRepositories, iso: Path) -> None:
    uploaded = [media.upload(naming.config_drive(instance()), iso) for _ in range(8)]

    def work() -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(media.delete, uploaded))

    calls = host.calls(work)
    assert host.media("vios1") == []
    assert calls[f"GET {GROUP}"] + calls[f"POST {GROUP}"] < 16


@pytest.mark.parametrize("action", [Action.ERROR, Action.DROP_BEFORE, Action.DROP_AFTER])
@pytest.mark.parametrize(("method", "path"), [("PUT", FILE), ("PUT", CONTENTS), ("DELETE", FILE + "/{uuid}")])
def test_after_a_failure_there_is_one_medium_or_none(
    host: Host, media: MediaRepositories, iso: Path, method: str, path: str, action: Action
) -> None:
    media.upload(naming.config_drive(instance()), iso)
    guest = instance()
    host.fault(method, path, action)
    before = {vios: list(host.media(vios)) for vios in ("vios1", "vios2")}
    try:
        medium = media.upload(naming.config_drive(guest), iso)
    except Exception:  # noqa: BLE001 - which error it is depends on the fault
        media.discard(naming.config_drive(guest))
    else:
        assert sum(host.media(vios).count(naming.config_drive(guest)) for vios in before) == 1
        media.delete(medium)
    assert host.faults_fired()
    assert {vios: host.media(vios) for vios in before} == before
    assert not host.simulator.files.records()


def test_a_leftover_of_the_same_name_is_replaced(host: Host, media: MediaRepositories, iso: Path) -> None:
    guest = instance()
    media.upload(naming.config_drive(guest), iso)
    iso.write_bytes(b"other" * 500)
    media.upload(naming.config_drive(guest), iso)
    assert host.media("vios1") == [naming.config_drive(guest)]
    (stored,) = host.group("vios1", "rootvg").repository.media
    assert stored.content.size == 2500


def test_the_other_vios_takes_it_when_the_first_is_busy(host: Host, media: MediaRepositories, iso: Path) -> None:
    # Once and the three times that the client tries again.
    host.fault("PUT", FILE, Action.BUSY, times=4)
    guest = instance()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pypowervm.helpers.vios_busy.SLEEP", lambda _: None)
        medium = media.upload(naming.config_drive(guest), iso)
    assert medium.vios_uuid == host.vios("vios2").uuid.upper()
    assert (host.media("vios1"), host.media("vios2")) == ([], [naming.config_drive(guest)])


def test_a_vios_that_is_down_is_passed_over(host: Host, iso: Path) -> None:
    with host.world.lock:
        vios = host.vios("vios1")
        vios.state, vios.rmc = "not activated", "inactive"
    connection = host.connect()
    medium = MediaRepositories(connection, VolumeGroups(connection)).upload(naming.config_drive(instance()), iso)
    connection.close()
    assert medium.vios_uuid == host.vios("vios2").uuid.upper()


def test_a_medium_of_a_vios_that_is_down_is_not_forgotten(host: Host, iso: Path) -> None:
    connection = host.connect()
    media = MediaRepositories(connection, VolumeGroups(connection))
    guest = instance()
    medium = media.upload(naming.config_drive(guest), iso)
    with host.world.lock:
        vios = host.vios("vios1")
        vios.state, vios.rmc = "not activated", "inactive"
        host.world.changed(vios, "PartitionState")
    until(lambda: len(connection.vioses.active()) == 1)
    with pytest.raises(Unavailable, match="media repository of VIOS vios1, which is down"):
        media.delete(medium)
    connection.close()
    assert host.media("vios1") == [naming.config_drive(guest)]


def test_a_repository_is_made_where_there_is_none(tmp_path: Path, iso: Path) -> None:
    with serve(tmp_path, without_repositories()) as host:
        connection = host.connect(vopt_media_rep_size_gb=2)
        media = MediaRepositories(connection, VolumeGroups(connection))
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: media.upload(naming.config_drive(instance()), iso), range(4)))
        connection.close()
        assert host.group("vios1", "rootvg").repository.size == 2
        assert len(host.media("vios1")) == 4
        assert host.group("vios2", "rootvg").repository is None


def test_a_group_that_is_not_there_is_named_with_the_option(tmp_path: Path, iso: Path) -> None:
    with serve(tmp_path, without_repositories()) as host:
        connection = host.connect(vopt_media_volume_group="mediavg")
        media = MediaRepositories(connection, VolumeGroups(connection))
        with pytest.raises(InvalidSpec, match=r"vopt_media_volume_group to one of: .*datavg of VIOS vios1"):
            media.upload(naming.config_drive(instance()), iso)
        connection.close()


def test_a_mapped_medium_is_not_discarded(host: Host, iso: Path) -> None:
    with host.platform() as platform:
        parts = platform._started
        guest = guest_spec()
        lpar = parts.guests.create(guest)
        medium = parts.media.upload(naming.config_drive(guest.uuid), iso)
        change = AddMappings(guest.uuid, lpar.uuid, (medium.backing,))
        platform.connection.vioses.write(medium.vios_uuid, change)
        parts.media.discard(naming.config_drive(guest.uuid))
        assert host.media("vios1") == [medium.backing.name]
        platform.destroy(guest.uuid)
        assert host.media("vios1") == []
