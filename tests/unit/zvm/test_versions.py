"""What the connector's version decides, on answers recorded from 1.6.3 and from 1.6.7."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.images import BytesImage
from tests.support.zvm_host import disk_image
from tests.unit.zvm.recorded import Recorded, done, failed

from bigiron import naming
from bigiron.errors import Conflict, InvalidSpec, Unavailable, Unsupported
from bigiron.model import DiskRole, DiskSpec, GuestSpec
from bigiron.zvm import directory, resize
from bigiron.zvm.api import Api
from bigiron.zvm.guests import Guests
from bigiron.zvm.ledger import HeldDisk, Ledger, LedgerEntry
from bigiron.zvm.rest import Connector

INSTANCE = "5d4b5c2e-1111-4222-8333-444455556666"
MADE = [{"size": "3g", "is_boot_disk": True, "format": "none", "disk_pool": "ECKD:POOL1", "vdev": "0100"}]
ENTRY_163 = [
    "USER AA01 ****** 1024M 64G G ", "INCLUDE OSDFLT", "MACHINE ESA 64", "ACCOUNT AA01",
    f"* NOVA:{INSTANCE.upper()}", "COMMAND SET VCONFIG MODE LINUX", "COMMAND DEFINE CPU 00 TYPE IFL",
    "COMMAND DEFINE CPU 01 TYPE IFL", "SHARE RELATIVE 200", "IPL 0100", "COMMAND DEF STOR RESERVED 64512M",
    "MDISK 0100 3390 1 4370 VOL001 MR", "NICDEF 1000 TYPE QDIO MACID 123456", "NICDEF 1000 LAN SYSTEM VS9", "",
]  # fmt: skip


def _api(recorded: Recorded, connector: Callable[..., Connector], version: str, **options: Any) -> Api:
    versions = {"version": version, "api_version": "1.0", "max_version": "1.0", "min_version": "1.0"}
    recorded.on("GET", "/", done(versions))
    api = Api(connector(**options))
    assert api.read_version() == version
    return api


def _spec(**fields: Any) -> GuestSpec:
    image = BytesImage(disk_image(), distro="rhel9.4")
    values: dict[str, Any] = {
        "uuid": INSTANCE, "name": "instance-1", "memory_mb": 1024, "vcpus": 2,
        "disks": (DiskSpec(DiskRole.ROOT, 3, image),),
    }  # fmt: skip
    return GuestSpec(**{**values, **fields})


@pytest.mark.parametrize("version", ["1.6.3", "1.6.7"])
def test_the_mark_reaches_the_directory(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path, version: str
) -> None:
    guests = Guests(_api(recorded, connector, version), Ledger(tmp_path))
    recorded.on("POST", "/guests", done(MADE))
    guest = guests.create(_spec(), [{"size": "3g", "is_boot_disk": True}])
    (body,) = recorded.bodies("POST", "/guests")
    mark = f"NOVA:{INSTANCE.upper()}"
    if version == "1.6.3":
        assert "comments" not in body["guest"]
        assert body["guest"]["account"] == f"{guest.userid}\n* {mark}"
    else:
        assert body["guest"]["comments"] == [mark]
        assert "account" not in body["guest"]
    assert body["guest"]["disk_list"] == [{"size": "3g", "is_boot_disk": True}]
    assert (body["guest"]["max_mem"], body["guest"]["max_cpu"]) == ("64g", 64)


def test_an_account_of_the_operators_own(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path
) -> None:
    for version, account in (("1.6.3", f"DEPT42\n* NOVA:{INSTANCE.upper()}"), ("1.6.7", "DEPT42")):
        guests = Guests(_api(recorded, connector, version, account="DEPT42"), Ledger(tmp_path / version))
        recorded.on("POST", "/guests", done(MADE))
        guests.create(_spec(), [])
        assert recorded.bodies("POST", "/guests")[-1]["guest"]["account"] == account


def test_an_entry_is_read(recorded: Recorded, connector: Callable[..., Connector]) -> None:
    api = _api(recorded, connector, "1.6.3")
    recorded.on("GET", "/guests/AA01/user_direct", done({"user_direct": ENTRY_163}))
    entry = api.entry("AA01")
    assert (entry.userid, entry.instance) == ("AA01", INSTANCE)
    assert (entry.memory_mb, entry.max_memory_mb) == (1024, 65536)
    assert (entry.vcpus, entry.max_cpus, len(entry.made_cpus)) == (2, 64, 2)
    assert [disk.vdev for disk in entry.minidisks] == ["0100"]
    assert entry.nics == ("1000",)


def test_added_processors_count_once() -> None:
    lines = [*ENTRY_163, "CPU 00", "CPU 01", "CPU 02", "CPU 03"]
    assert directory.parse("AA01", lines).vcpus == 4


def test_processors_that_a_guest_was_made_with(recorded: Recorded, connector: Callable[..., Connector]) -> None:
    entry = directory.parse("AA01", ENTRY_163)
    with pytest.raises(Unsupported, match=r"1\.6\.3 cannot"):
        resize._check(_api(recorded, connector, "1.6.3"), entry, _spec(vcpus=1))
    resize._check(_api(recorded, connector, "1.6.7"), entry, _spec(vcpus=1))
    with pytest.raises(InvalidSpec, match="65536 MB"):
        resize._check(_api(recorded, connector, "1.6.7"), entry, _spec(memory_mb=70000))


def test_memory_in_four_digits() -> None:
    assert resize.memory_text("one", 9999) == "9999m"
    assert resize.memory_text("one", 12288) == "12g"
    with pytest.raises(InvalidSpec, match="multiple of 1024"):
        resize.memory_text("one", 12000)


def test_a_clash_takes_the_next_userid_and_sixteen_are_enough(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path
) -> None:
    guests = Guests(_api(recorded, connector, "1.6.3"), Ledger(tmp_path))
    taken = failed(8, 400, 8, 1, "Image name already defined")
    recorded.on("POST", "/guests", taken, taken, done(MADE))
    candidates = list(naming.userids(INSTANCE, "NV"))
    for userid in candidates:
        recorded.on("GET", f"/guests/{userid}/user_direct", done({"user_direct": ["USER X ****** 1G 2G G"]}))
    assert guests.create(_spec(), []).userid == candidates[2]

    recorded.on("POST", "/guests", taken)
    fresh = Guests(_api(recorded, connector, "1.6.3"), Ledger(tmp_path / "other"))
    with pytest.raises(Conflict, match="userid_prefix"):
        fresh.create(_spec(), [])
    assert not fresh.is_half_made(INSTANCE)


def test_a_guest_of_the_same_instance_is_not_undone(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path
) -> None:
    guests = Guests(_api(recorded, connector, "1.6.3"), Ledger(tmp_path))
    recorded.on("POST", "/guests", failed(8, 400, 8, 1))
    first = next(iter(naming.userids(INSTANCE, "NV")))
    recorded.on("GET", f"/guests/{first}/user_direct", done({"user_direct": ENTRY_163}))
    with pytest.raises(Conflict, match="has a guest already"):
        guests.create(_spec(), [])
    assert not guests.is_half_made(INSTANCE)


def test_userids_are_well_formed() -> None:
    found = list(naming.userids(INSTANCE, "nv"))
    assert len(found) == len(set(found)) == 16
    assert all(len(userid) == 8 and userid.isalnum() and userid.startswith("NV") for userid in found)
    assert found == list(naming.userids(INSTANCE.upper(), "NV"))


def test_a_ledger_survives(tmp_path: Path) -> None:
    disks = HeldDisk("0100", DiskRole.ROOT, 3.0), HeldDisk("0101", DiskRole.EPHEMERAL, 1.0, found=True)
    entry = LedgerEntry(INSTANCE, "NVAAAAAA", "one", True, "rhel9.4", 1024, 2, disks)
    Ledger(tmp_path).put(entry)
    again = Ledger(tmp_path)
    assert again.find(INSTANCE.upper()) == entry
    again.change(INSTANCE, making=False, paused=True)
    assert Ledger(tmp_path).entries()[0].paused
    again.drop(INSTANCE)
    assert Ledger(tmp_path).entries() == []
    (tmp_path / "zvm-guests" / "x.json").write_text('{"instance": "x"}')
    assert Ledger(tmp_path).entries() == []


# What is found at the start, and a guest that goes while the process ends


def _entry(userid: str, *more: str) -> dict[str, Any]:
    return done({"user_direct": [f"USER {userid} ****** 1G 2G G", *more]})


def test_an_odd_entry_of_another_does_not_keep_the_service_down(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guests = Guests(_api(recorded, connector, "1.6.7"), Ledger(tmp_path))
    recorded.on("GET", "/guests", done(["NVOTHER", "NV000001"]))
    recorded.on("GET", "/guests/NVOTHER/user_direct", done({"user_direct": ["USER NVOTHER NOLOG"]}))
    mark, root = f"* NOVA:{INSTANCE.upper()}", "MDISK 0100 3390 1 4370 VOL001 MR"
    recorded.on("GET", "/guests/NV000001/user_direct", _entry("NV000001", mark, root))
    guests.load()
    assert [guest.userid for guest in guests.all()] == ["NV000001"]
    assert "NVOTHER" in caplog.text


def test_a_connector_that_goes_away_at_the_start_is_no_odd_entry(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path
) -> None:
    guests = Guests(_api(recorded, connector, "1.6.7"), Ledger(tmp_path))
    recorded.on("GET", "/guests", done(["NV000001"]))
    recorded.on("GET", "/guests/NV000001/user_direct", failed(101, 101, 1, 110), status=500)
    with pytest.raises(Unavailable):
        guests.load()


def test_a_guest_that_the_connector_has_lost_is_named(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path)
    ledger.put(LedgerEntry(INSTANCE, "NV000001", "instance-1", making=False))
    guests = Guests(_api(recorded, connector, "1.6.7"), ledger)
    recorded.on("GET", "/guests", done([]))
    guests.load()
    assert guests.all() == []
    assert "instance-1 (NV000001)" in caplog.text and "register_vm" in caplog.text
    assert ledger.find(INSTANCE) is not None, "a delete still finds it"


def test_a_delete_does_not_go_on_asking_when_the_process_ends(
    recorded: Recorded, connector: Callable[..., Connector], tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    ledger.put(LedgerEntry(INSTANCE, "NV000001", "instance-1", making=False))
    guests = Guests(_api(recorded, connector, "1.6.7"), ledger)
    recorded.on("GET", "/guests/NV000001/user_direct", _entry("NV000001", f"* NOVA:{INSTANCE.upper()}"))
    recorded.on("DELETE", "/guests/NV000001")
    guests.stop()
    with pytest.raises(Unavailable, match="NV000001"):
        guests.remove(INSTANCE)
    assert recorded.paths().count("DELETE /guests/NV000001") == 1
    assert ledger.find(INSTANCE) is not None
