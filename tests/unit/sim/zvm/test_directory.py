"""Directory entries: their statements, locks, and the SMAPI functions that change them."""

from __future__ import annotations

import pytest
from tests.unit.sim.zvm.conftest import Zvm

from bigiron.sim.zvm.errors import SmapiError
from bigiron.sim.zvm.model import directory
from bigiron.sim.zvm.model.directory import Entry
from bigiron.sim.zvm.model.values import Minidisk, Nic

ENTRY = Entry(
    "LINUX",
    directory.parse(
        "LINUX",
        "USER LINUX LBYONLY 2G 64G G\nINCLUDE OSDFLT\nMACHINE ESA 32\nCOMMAND DEFINE CPU 00 TYPE IFL\n"
        "COMMAND DEFINE CPU 01 TYPE IFL\nCPU 03\nIPL 100\nCOMMAND DEF STOR RESERVED 62G\n"
        "LOADDEV PORTNAME 5005076802400C1A\n"
        "DEDICATE 1A02 1A02\nMDISK 0100 3390 1 4370 VOL001 MR\nMDISK 0101 FB-512 V-DISK 1024 MWV\n"
        "NICDEF 1000 TYPE QDIO MACID 123456\nNICDEF 1000 LAN SYSTEM VSW1 VLAN 9 PORTTYPE ACCESS\n"
        "* NOVA:1234\n*DVHOPT LNK0\n",
    ),
)


def test_what_an_entry_defines() -> None:
    assert directory.memory_mb(ENTRY) == 2048 and directory.reserved_mb(ENTRY) == 62 * 1024
    assert directory.cpu_addresses(ENTRY) == ["00", "01", "03"] and directory.max_cpus(ENTRY) == 32
    assert directory.ipl_device(ENTRY) == "0100" and directory.profiles(ENTRY) == ["OSDFLT"]
    assert directory.minidisks(ENTRY) == [
        Minidisk("0100", "3390", 1, 4370, "VOL001", "MR"), Minidisk("0101", "FB-512", 0, 1024, "", "MWV")
    ]  # fmt: skip
    assert directory.nics(ENTRY) == [Nic("1000", "123456", "VSW1", 9, "ACCESS")]
    assert directory.dedicated(ENTRY) == {"1A02": "1A02"} and directory.loaddev(ENTRY)["PORT"] == "5005076802400C1A"
    assert not any(line.startswith("*DVHOPT") for line in ENTRY.lines)


def test_uncoupling_keeps_the_adapter() -> None:
    [nic] = directory.nics(directory.uncoupled(ENTRY, "1000"))
    assert nic == Nic("1000", "123456")


@pytest.mark.parametrize("text", ["", "MDISK 0100", "USER OTHER X 1G 1G G", "USER LINUX", "USER LINUX X lots 1G G"])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(SmapiError):
        directory.parse("LINUX", text)


def test_storage_and_class_may_be_left_out() -> None:
    for text in ("USER LINUX NOLOG", "USER LINUX LBYONLY 1M"):
        entry = Entry("LINUX", directory.parse("LINUX", f"{text}\nCOMMAND DEF STOR INITIAL STANDBY REMAINDER"))
        assert (directory.memory_mb(entry), directory.standby_mb(entry)) == (1, 0)


def test_an_entry_is_created_once(z: Zvm) -> None:
    z.create("LINUX")
    assert z.ok("Image_Query_DM", "-T", "LINUX")[0] == "USER LINUX LBYONLY 2048m 8G G"
    assert z.ok("Image_Query_DM", "-T", "linux")[-1].startswith("*DVHOPT")
    text = z.file("again", "USER LINUX LBYONLY 1G 1G G\n")
    assert z.codes("Image_Create_DM", "-T", "LINUX", "-f", text) == (400, 8)
    assert "LINUX" in z.ok("Image_Name_Query_DM")
    assert z.codes("Image_Query_DM", "-T", "NOBODY") == (400, 4)


def test_a_profile_must_be_there(z: Zvm) -> None:
    text = z.file("entry", "USER LINUX LBYONLY 1G 1G G\nINCLUDE NOPE\n")
    assert z.codes("Image_Create_DM", "-T", "LINUX", "-f", text) == (436, 4)
    assert z.codes("Image_Query_DM", "-T", "LINUX") == (400, 4)


def test_a_locked_entry_takes_no_change_but_its_replacement(z: Zvm) -> None:
    z.create("LINUX", disks=[10])
    text = z.file("new", "USER LINUX LBYONLY 4G 8G G\nMDISK 0100 3390 1 10 VOL001 MR\n")
    assert z.codes("Image_Replace_DM", "-T", "LINUX", "-f", text) == (400, 24)
    z.ok("Image_Lock_DM", "-T", "LINUX")
    assert z.codes("Image_Lock_DM", "-T", "LINUX") == (400, 12)
    nic = ("-k", "image_device_number=1000", "-k", "adapter_type=QDIO")
    assert z.codes("Virtual_Network_Adapter_Create_Extended_DM", "-T", "LINUX", *nic) == (400, 12)
    assert z.codes("Image_Delete_DM", "-T", "LINUX", "-e", "0") == (400, 12)
    z.ok("Image_Replace_DM", "-T", "LINUX", "-f", text)
    assert directory.memory_mb(z.system.state.entries["LINUX"]) == 4096
    z.ok("Virtual_Network_Adapter_Create_Extended_DM", "-T", "LINUX", *nic)
    assert z.codes("Image_Unlock_DM", "-T", "LINUX") == (400, 24)


def test_a_replacement_without_a_minidisk_frees_it(z: Zvm) -> None:
    z.create("LINUX", disks=[10, 20])
    kept = z.system.disk("LINUX", "0100")
    assert kept is not None
    text = z.file("new", f"USER LINUX LBYONLY 4G 8G G\nMDISK 0100 3390 {kept.start} {kept.size} {kept.volume} MR\n")
    z.ok("Image_Lock_DM", "-T", "LINUX")
    z.ok("Image_Replace_DM", "-T", "LINUX", "-f", text)
    assert [path.name for path in (z.system.folder / "dasd").iterdir()] == [kept.key]


def test_a_userid_that_is_logged_on_is_not_deleted(z: Zvm) -> None:
    z.boot("LINUX")
    assert z.codes("Image_Delete_DM", "-T", "LINUX", "-e", "0") == (596, 6831)
    z.ok("Image_Deactivate", "-T", "LINUX", "-f IMMED")
    z.ok("Image_Delete_DM", "-T", "LINUX", "-e", "0")
    assert not list((z.system.folder / "dasd").iterdir())


def test_processors_and_share(z: Zvm) -> None:
    z.create("LINUX", "SHARE RELATIVE 100")
    z.ok("Image_Definition_Update_DM", "-T", "LINUX", "-k", "CPU=CPUADDR=02", "-k", "CPU=CPUADDR=03",
         "-k", "SHARE=RELATIVE=400")  # fmt: skip
    lines = z.ok("Image_Query_DM", "-T", "LINUX")
    assert {"CPU 02", "CPU 03", "SHARE RELATIVE 400"} <= set(lines) and "SHARE RELATIVE 100" not in lines
    z.ok("Image_Definition_Delete_DM", "-T", "LINUX", "-k", "CPU=CPUADDR=03")
    assert z.codes("Image_Definition_Delete_DM", "-T", "LINUX", "-k", "CPU=CPUADDR=03") == (8, 4)


def test_boot_devices(z: Zvm) -> None:
    z.create("LINUX")
    z.ok("Image_IPL_Set_DM", "-T", "LINUX", "-s", "1A00", "-p", "selfport=1")
    z.ok("Image_SCSI_Characteristics_Define_DM", "-T", "LINUX", "-p", "20076D8500005182", "-l", "2222000000000000")
    entry = z.system.state.entries["LINUX"]
    assert directory.ipl_device(entry) == "1A00" and directory.loaddev(entry)["LUN"] == "2222000000000000"
    z.ok("Image_IPL_Delete_DM", "-T", "LINUX")
    assert directory.ipl_device(z.system.state.entries["LINUX"]) is None
