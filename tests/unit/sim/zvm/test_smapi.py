"""SMAPI functions: what they print and refuse."""

from __future__ import annotations

import pytest
from tests.support import zvm
from tests.unit.sim.zvm.conftest import BOOT_SECONDS, Zvm

from bigiron.sim.zvm.audit import audit
from bigiron.sim.zvm.smapi import protocol
from bigiron.sim.zvm.smapi.table import FUNCTIONS


def test_arguments_are_read_as_getopt_does() -> None:
    call = protocol.parse(
        ["Image_Deactivate", "--addRCheader", "-T", "ME", "-T", "linux", "-f IMMED", "-k", "a=b=c", "-k 'd=e'",
         "--timeout", "240"]
    )  # fmt: skip
    assert (call.target, call.option("f"), call.keyword("A"), call.keyword("d")) == ("LINUX", "IMMED", "b=c", "e")


def test_there_are_all_functions_that_the_connector_uses() -> None:
    assert len(FUNCTIONS) >= 45


def test_refusals_have_a_header_and_a_text(z: Zvm) -> None:
    answer = z.smcli("Image_Query_DM", "-T", "NOBODY")
    assert answer.output == (
        "8 400 4 (details) Image or profile definition not found\nFailed\n  Return Code: 400\n  Reason Code: 4\n"
        "  Description: Image or profile definition not found\n"
    )


def test_misuse(z: Zvm) -> None:
    assert z.smcli("Image_Query_DM").output.startswith("24 0 0 (details)")
    assert "Unsupported API function name Image_Explode" in z.smcli("Image_Explode", "-T", "X").output


def test_minidisks_lie_side_by_side(z: Zvm) -> None:
    z.create("ONE", disks=[100, 200])
    z.create("TWO", disks=[50])
    z.ok("Image_Disk_Delete_DM", "-T", "ONE", "-v", "0100", "-e", "0")
    space = ("-q", "3", "-e", "3", "-T", "DUMMY", "-n", "POOL1")
    assert z.ok("Image_Volume_Space_Query_DM", *space) == [
        "VOL001 3390-54 101 200 300 ONE 0101 POOL1 VOL001",
        "VOL001 3390-54 301 50 350 TWO 0100 POOL1 VOL001",
    ]
    free = ("-q", "2", "-e", "3", "-T", "DUMMY", "-n", "POOL1")
    assert z.ok("Image_Volume_Space_Query_DM", *free) == [
        "VOL001 3390-54 1 100 POOL1 VOL001",
        "VOL001 3390-54 351 59751 POOL1 VOL001",
        "VOL002 3390-54 1 60101 POOL1 VOL002",
    ]
    assert z.ok("Image_Volume_Space_Query_DM", "-q", "1", "-e", "3", "-n", "*") == [
        "POOL1 VOL001 VOL002", "FBAPOOL FBA001"
    ]  # fmt: skip
    assert "VOL002 3390-54 60102" in z.ok("Image_Volume_Space_Query_DM", "-q", "1", "-e", "1", "-n", "*")
    z.add_disk("TWO", "0101", 100)
    assert z.system.disk("TWO", "0101").start == 1  # type: ignore[union-attr]


def test_minidisks_that_cannot_be(z: Zvm) -> None:
    z.create("ONE", disks=[100])
    words = ("-t", "3390", "-a", "AUTOG", "-r", "POOL1", "-u", "1", "-f", "1", "-m", "MR")
    assert z.codes("Image_Disk_Create_DM", "-T", "ONE", "-v", "0100", *words, "-z", "10") == (408, 4)
    assert z.codes("Image_Disk_Create_DM", "-T", "ONE", "-v", "0101", *words, "-z", "60102") == (408, 24)
    assert z.codes("Image_Disk_Create_DM", "-T", "ONE", "-v", "XYZ", *words, "-z", "10") == (8, 3003)
    fba = ("-t", "9336", "-a", "AUTOG", "-r", "POOL1", "-u", "1", "-f", "1", "-m", "MR")
    assert z.codes("Image_Disk_Create_DM", "-T", "ONE", "-v", "0101", *fba, "-z", "10") == (408, 24)
    assert z.codes("Image_Disk_Delete_DM", "-T", "ONE", "-v", "0199", "-e", "0") == (208, 36)
    z.system.state.entries.pop("ONE")


def test_what_a_running_machine_has(z: Zvm) -> None:
    z.boot("LINUX")
    z.add_disk("LINUX", "0101", 50)
    z.ok("Image_Disk_Create", "-T", "LINUX", "-v", "0101", "-m", "MR")
    lines = z.ok("Image_Disk_Query", "-T", "LINUX", "-k", "vdasd_id=all")
    assert len(lines) == 16 and lines[8:] == [
        "DASD VDEV: 0101", "  RDEV: 2000", "  Access type: R/W", "  Device type: 3390", "  Device size: 50",
        "  Device units: Cylinders", "  Device volume label: VOL001", "",
    ]  # fmt: skip
    assert z.codes("Image_Disk_Create", "-T", "LINUX", "-v", "0101", "-m", "MR") == (204, 4)
    assert z.codes("Image_Disk_Delete_DM", "-T", "LINUX", "-v", "0101", "-e", "0") == (596, 6831)
    z.ok("Image_Disk_Delete", "-T", "LINUX", "-v", "0101")
    z.ok("Image_Disk_Delete_DM", "-T", "LINUX", "-v", "0101", "-e", "0")


def test_logging_on_and_off(z: Zvm) -> None:
    assert z.codes("Image_Activate", "-T", "NOBODY") == (200, 4)
    z.create("LINUX")
    assert z.codes("Image_Deactivate", "-T", "LINUX", "-f", "IMMED") == (200, 12)
    z.ok("Image_Activate", "-T", "LINUX")
    assert z.codes("Image_Activate", "-T", "LINUX") == (200, 8)
    z.system.logoff_seconds = 5.0
    z.ok("Image_Deactivate", "-T", "LINUX")
    assert z.codes("Image_Deactivate", "-T", "LINUX") == (200, 16)
    assert z.run("vmcp", "query user LINUX").output.startswith("HCPCQU361E LOGOFF/FORCE pending for user LINUX")
    z.clock.advance(5.0)
    assert z.run("vmcp", "query user LINUX").output.startswith("HCPCQU045E LINUX not logged on")


def test_the_console_goes_to_the_connectors_reader(z: Zvm) -> None:
    z.create("LINUX")
    assert z.codes("Image_Console_Get", "-T", "LINUX") == (8, 8)
    z.ok("Image_Activate", "-T", "LINUX")
    z.ok("Image_Console_Get", "-T", "LINUX")
    header, line = z.run("vmur", "list").output.splitlines()
    assert header.split()[:3] == ["ORIGINID", "FILE", "CLASS"]
    assert line.split()[0] == "LINUX" and line.split()[2:4] == ["T", "CON"]
    assert [finding["kind"] for finding in audit(z.system)] == ["left-over-spool-file"]
    assert "XAUTOLOG information for LINUX" in z.run("vmur", "re", "-t", "-O", line.split()[1]).output
    assert audit(z.system) == [] and z.codes("Image_Console_Get", "-T", "LINUX") == (8, 8)


def test_performance_is_of_those_that_run(z: Zvm) -> None:
    z.boot("LINUX")
    for name in ("LINUX", "MAINT"):
        z.ok("Name_List_Add", "-T", "NLC00001", "-n", name)
    assert z.ok("Name_List_Query", "-T", "NLC00001") == ["LINUX", "MAINT"]
    z.clock.advance(100.0)
    lines = z.ok("System_Image_Performance_Query", "-T", "ZCC00001", "-T", "NLC00001")
    figures = dict(line.split(": ", 1) for line in lines if line)
    assert lines[-2:] == ['Guest name: "LINUX"', ""] and figures["Guest CPUs"] == '"1"'
    assert figures["Max memory"] == f'"{2048 * 1024} KB"'
    assert figures["Elapsed time"] == f'"{int((100 + BOOT_SECONDS) * 1e6)} uS"'
    assert z.ok("Image_Performance_Query", "-T", "MAINT", "-c", "1") == []
    for name in ("LINUX", "MAINT"):
        z.ok("Name_List_Remove", "-T", "NLC00001", "-n", name)
    assert z.codes("Name_List_Query", "-T", "NLC00001") == (4, 4)


def test_the_system_itself(z: Zvm) -> None:
    lines = z.ok("System_Processor_Query")
    assert lines[:4] == ["Partition mode: Z/VM", "", "ADDRESS STATUS TYPE CORE_ID", "0000 MASTER-PROCESSOR IFL 0000"]
    assert lines[-1] == "0008 STANDBY IFL 0008"
    storage, ipl = z.ok("System_Information_Query", "-T", "dummy", "-k", "STORAGE=")
    assert [word.partition("=")[0] for word in ipl.split()[5:]] == ["IPL_TIME", "IPL_DATE", "IPL_TIME_ZONE"]
    assert storage.split()[0] == "STORAGE=TOTAL=256G" and storage.split()[4] == "STANDBY=0G"
    [used] = z.ok("System_Performance_Information_Query", "-T", "dummy", "-k", "detailed_cpu=show=no")
    assert used == f"MEMORY_IN_USE={(1024 + 3 * 1024) * 1024 // 4}"
    assert z.codes("SSI_Query") == (4, 3008)


def test_adapters_take_three_devices(z: Zvm) -> None:
    z.create("LINUX", disks=[10])
    create = ("Virtual_Network_Adapter_Create_Extended_DM", "-T", "LINUX", "-k", "adapter_type=QDIO")
    z.ok(*create, "-k", "image_device_number=1000", "-k", "mac_id=123456")
    for taken in ("1000", "1002", "0FFE", "0100"):
        assert z.codes(*create, "-k", f"image_device_number={taken}") == (404, 4)
    assert z.codes(*create, "-k", "image_device_number=2000", "-k", "mac_id=12") == (8, 3003)
    assert z.codes("Virtual_Network_Adapter_Disconnect_DM", "-T", "LINUX", "-v", "1000") == (212, 32)
    z.ok("Virtual_Network_Adapter_Connect_Vswitch_DM", "-T", "LINUX", "-v", "1000", "-n", "VSWFLAT")
    z.ok("Virtual_Network_Adapter_Disconnect_DM", "-T", "LINUX", "-v", "1000")
    z.ok("Virtual_Network_Adapter_Delete_DM", "-T", "LINUX", "-v", "1000")
    assert z.codes("Virtual_Network_Adapter_Delete_DM", "-T", "LINUX", "-v", "1000") == (404, 8)


def test_coupling_needs_a_right(z: Zvm) -> None:
    z.boot("LINUX")
    z.ok("Virtual_Network_Adapter_Create_Extended", "-T", "LINUX", "-k", "image_device_number=1000")
    couple = ("Virtual_Network_Adapter_Connect_Vswitch", "-T", "LINUX", "-v", "1000", "-n")
    assert z.codes(*couple, "NOPE") == (212, 40)
    assert z.codes(*couple, "VSWFLAT") == (212, 8)
    change = ("Virtual_Network_Vswitch_Set_Extended", "-T", "ZCC00001", "-k", "switch_name=VSWFLAT", "-k")
    z.ok(*change, "grant_userid=LINUX")
    z.ok(*couple, "VSWFLAT")
    assert z.codes(*couple, "VSWFLAT") == (204, 20)
    lines = z.ok("Virtual_Network_Adapter_Query_Extended", "-T", "LINUX", "-k", "image_device_number=*")
    assert lines[0] == "adapter_count=1" and "lan_name=VSWFLAT" in lines and lines[-1] == "adapter_info_end"
    z.ok(*change, "revoke_userid=LINUX")
    assert z.codes("Virtual_Network_Adapter_Disconnect", "-T", "LINUX", "-v", "1000") == (204, 48)
    z.ok("Virtual_Network_Adapter_Delete", "-T", "LINUX", "-v", "1000")
    assert z.codes("Virtual_Network_Adapter_Delete", "-T", "LINUX", "-v", "1000") == (204, 8)


def test_virtual_switches(z: Zvm) -> None:
    words = ("-T", "ZCC00001", "-k", "switch_name=VS9", "-k", "vlan_id=AWARE", "-k", "real_device_address='6250 6253'")
    z.ok("Virtual_Network_Vswitch_Create_Extended", *words)
    assert z.codes("Virtual_Network_Vswitch_Create_Extended", *words) == (212, 36)
    assert z.ok("Virtual_Network_Vswitch_Query", "-T", "ZCC00001", "-s", "*") == [
        "VSWITCH:  Name: VS9", "VSWITCH:  Name: VSWFLAT", "VSWITCH:  Name: VSWVLAN"
    ]  # fmt: skip
    change = ("Virtual_Network_Vswitch_Set_Extended", "-T", "ZCC00001", "-k", "grant_userid=MAINT", "-k")
    z.ok(*change, "switch_name=VS9", "-k", "user_vlan_id=5")
    assert z.codes(*change, "switch_name=VSWFLAT", "-k", "user_vlan_id=5") == (396, 2846)
    lines = z.ok("Virtual_Network_Vswitch_Query_Extended", "-T", "ZCC00001", "-k", "switch_name=VS9")
    assert lines[0] == " switch_name: VS9" and lines[20] == " VLAN_counters: OFF" and " switch_status: 8" in lines
    assert "real_device_address: 6253" in lines and lines[-2:] == ["vlan_count: 1", "user_vlan_id: 0005"]
    z.ok("Virtual_Network_Vswitch_Delete_Extended", "-T", "ZCC00001", "-k", "switch_name=VS9", "-k", "persist=YES")
    assert z.codes("Virtual_Network_Vswitch_Query_Extended", "-k", "switch_name=VS9") == (212, 40)


def test_byte_stats_have_their_places(z: Zvm) -> None:
    z.create("LINUX", "NICDEF 1000 TYPE QDIO MACID 000001", "NICDEF 1000 LAN SYSTEM VSWVLAN VLAN 9")
    z.ok("Image_Activate", "-T", "LINUX")
    z.clock.advance(10.0)
    lines = z.ok("Virtual_Network_Vswitch_Query_Byte_Stats", "-T", "ME", "-k", "switch_name=*")
    assert lines[0] == "vswitch count: 2" and lines[3:5] == ["vswitch name: VSWFLAT", "uplink count: 1"]
    first = 5 + 9 + 8
    assert lines[first] == "nic count: 0" and lines[first + 1 : first + 3] == ["vlan count: 0", ""]
    assert lines[-11:] == [
        "nic_id: LINUX 1000", "nic_fr_rx: 80", "nic_fr_rx_dsc: 0", "nic_fr_rx_err: 0", "nic_fr_tx: 60",
        "nic_fr_tx_dsc: 0", "nic_fr_tx_err: 0", "nic_rx: 72000", "nic_tx: 36000", "vlan count: 0", "",
    ]  # fmt: skip


def test_fcp_devices_have_one_owner(z: Zvm) -> None:
    for userid in ("ONE", "TWO"):
        z.boot(userid)
        z.ok("Image_Device_Dedicate_DM", "-T", userid, "-v", "1a02", "-r", "1a02", "-R", "0")
    assert [finding["kind"] for finding in audit(z.system)] == ["shared-fcp-device"]
    z.ok("Image_Device_Dedicate", "-T", "ONE", "-v", "1a02", "-r", "1a02", "-R", "0")
    assert z.codes("Image_Device_Dedicate", "-T", "TWO", "-v", "1a02", "-r", "1a02", "-R", "0") == (204, 12)
    lines = z.ok("System_WWPN_Query", "-T", "ME", "-k OWNER=YES")
    assert len(lines) == 16 * 6 and lines[12:18] == [
        "FCP device number: 1A02", "  Status: Active", "  NPIV world wide port number: C05076DE33001A02",
        "  Channel path ID: 10", "  Physical world wide port number: C05076DE33001910", "  Owner: ONE",
    ]  # fmt: skip
    z.ok("Image_Device_Undedicate", "-T", "ONE", "-v", "1a02")
    assert z.codes("Image_Device_Undedicate", "-T", "ONE", "-v", "1a02") == (204, 8)
    z.ok("Image_Device_Undedicate_DM", "-T", "ONE", "-v", "1a02")
    assert z.codes("Image_Device_Undedicate_DM", "-T", "ONE", "-v", "1a02") == (404, 8)


def test_nobody_is_relocated_outside_of_a_cluster(z: Zvm) -> None:
    z.boot("LINUX")
    assert z.codes("VMRELOCATE", "-T", "LINUX", "-k", "action=TEST", "-k", "destination=Z2") == (4, 3000)
    assert z.codes("VMRELOCATE", "-T", "LINUX", "-k", "action=MOVE", "-k", "destination=Z2") == (8, 3000)


@pytest.mark.parametrize("kind", ["none", "realistic"])
def test_what_a_function_costs_is_known(kind: str) -> None:
    from bigiron.sim.zvm.latency import PROFILES

    costs = set(PROFILES["realistic"].costs)
    assert {function.cost for function in FUNCTIONS.values()} <= costs and set(PROFILES[kind].costs) <= costs


def test_example_images_are_what_the_tools_make() -> None:
    assert zvm.image(3338, b"")[:58] == b"xCAT CKD Disk Image:        3338 CYL HLen: 0055 GZIP: 0   "
