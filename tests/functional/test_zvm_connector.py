"""Guests through the real z/VM Cloud Connector, over its REST API, down to the simulated z/VM."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.functional.zvm_base import (  # noqa: F401 - fixtures
    CONTENT,
    CYLINDERS,
    IMAGE,
    create,
    deploy,
    left_as_found,
    running,
    served_api,
    served_system,
)
from tests.support import zvm

from bigiron.sim.zvm import overview
from bigiron.sim.zvm.linux import images
from bigiron.sim.zvm.server import Simulator

UUID = "0f2dc1a8-6c7a-4f0e-9d3c-0a5c5a0f4c11"
PORT = {
    "ip_addr": "10.0.0.5", "gateway_addr": "10.0.0.1", "dns_addr": ["10.0.0.2"], "cidr": "10.0.0.0/24",
    "mac_addr": "02:00:00:12:34:56", "nic_id": "port-1",
}  # fmt: skip


NOT_TOLD = ("sles15.4",)
"""Where the published server fails once the adapter is gone, when it would tell the guest: nobody told it of DNS."""


def guest(simulator: Simulator, userid: str) -> dict[str, Any]:
    with simulator.system.lock:
        simulator.system.settle()
        entry = simulator.system.state.entries[userid]
        return {**overview.guest(simulator.system, entry), **overview.files(simulator.system, userid)}


def console(simulator: Simulator, userid: str) -> str:
    with simulator.system.lock:
        return simulator.system.console(userid).text


def test_the_host_is_described(api: zvm.Api) -> None:
    host = api.call("GET", "/host")
    assert host["hypervisor_hostname"] == "ZVMSIM1" and host["zcc_userid"] == "ZCC00001"
    assert host["hypervisor_type"] == "zvm" and host["hypervisor_version"] == 730
    assert (host["vcpus"], host["vcpus_used"]) == (9, 8)
    assert host["memory_mb"] == 262144.0 and host["cpu_info"] == {"architecture": "s390x", "cec_model": "8561"}
    assert host["ipl_time"].startswith("IPL at ")
    assert host["disk_total"] == 83 and host["disk_used"] == 0
    assert api.call("GET", "/host/guests") == ["DIRMAINT", "MAINT", "TCPIP", "ZCC00001"]
    assert api.call("GET", "/host/diskpool?poolname=FBA:FBAPOOL")["disk_total"] == 100
    assert api.call("GET", "/host/volume?volumename=VOL001") == {"volume_type": "3390-54", "volume_size": "60102"}
    assert api.call("GET", "/host/ssi") == []


def test_a_guest_lives_its_whole_life(api: zvm.Api, simulator: Simulator) -> None:
    # The published server drops `comments` on the way to the directory, and passes on every line of the account.
    mark = f"LIFE\n* NOVA:{UUID.upper()}"
    disks = create(api, "LIFE", {"size": "200", "format": "ext4"}, comments=["dropped"], account=mark)
    assert [disk["vdev"] for disk in disks] == ["0100", "0101"]
    assert guest(simulator, "LIFE")["comments"] == [f"NOVA:{UUID}".upper()]
    deploy(api, "LIFE", uuid=UUID, hostname="web-1.novalocal", public_keys={"mine": zvm.KEY})
    mounted = {"vdev": "0101", "format": "ext4", "mntdir": "/mnt/data"}
    api.call("PUT", "/guests/LIFE/disks", {"disk_info": {"disk_list": [mounted]}})
    interface = {"os_version": "rhel9.4", "guest_networks": [PORT]}
    [network] = api.call("POST", "/guests/LIFE/interface", {"interface": interface})
    assert network["nic_vdev"] == "1000"
    couple = {"couple": True, "vswitch": "VSWVLAN", "vlan_id": 100}
    api.call("PUT", "/guests/LIFE/nic/1000", {"info": couple})
    assert api.call("GET", "/guests/LIFE/power_state") == "off"
    assert guest(simulator, "LIFE")["reader"] == [
        "0001 X cfgdrive.iso", "0002 X iucvauth.sh", "0003 X aemod.doscript", "0004 X network.doscript"
    ]  # fmt: skip

    api.act("LIFE", "start", timeout=60)

    now = guest(simulator, "LIFE")
    assert (now["state"], now["guest"], now["hostname"], now["reader"]) == ("on", "up", "web-1", [])
    assert now["nics"] == [
        {
            "vdev": "1000",
            "mac": "02:00:00:12:34:56",
            "lan": "VSWVLAN",
            "vlan": 100,
            "coupled": "VSWVLAN",
            "vlans": [100],
        }
    ]
    assert now["files"]["/etc/iucv_authorized_userid"] == "ZCC00001"
    assert 'IPADDR="10.0.0.5"' in now["files"]["/etc/sysconfig/network-scripts/ifcfg-enc1000"]
    assert now["files"]["/etc/fstab"] == "/dev/disk/by-path/ccw-0.0.0101-part1 /mnt/data ext4 defaults 0 0\n"
    assert now["files"]["/root/.ssh/authorized_keys"].strip() == zvm.KEY
    assert now["config_drive"]["meta_data"]["uuid"] == UUID and now["config_drive"]["label"] == "config-2"
    assert "web-1 login:" in api.act("LIFE", "get_console_output")

    api.call("DELETE", "/guests/LIFE")


def test_a_guest_tells_of_itself(api: zvm.Api) -> None:
    running(api, "TELLS")
    info = api.call("GET", "/guests/TELLS/info")
    assert (info["power_state"], info["num_cpu"], info["online_cpu_num"]) == ("on", 2, 2)
    assert (info["max_mem_kb"], info["os_distro"]) == (2048 * 1024, "rhel9.4") and info["cpu_time_us"] > 0
    stats = api.call("GET", "/guests/stats?userid=TELLS")["TELLS"]
    assert stats["guest_cpus"] == 2 and 0 < stats["used_cpu_time_us"] < stats["elapsed_cpu_time_us"]
    assert 0 < stats["used_mem_kb"] < stats["max_mem_kb"]
    assert api.call("GET", "/guests/TELLS")["user_direct"][0] == "USER TELLS LBYONLY 2048m 8g G"
    api.call("DELETE", "/guests/TELLS")


def test_power_goes_as_it_is_asked(api: zvm.Api, simulator: Simulator) -> None:
    running(api, "POWER")
    api.act("POWER", "pause")
    assert guest(simulator, "POWER")["state"] == "paused"
    api.act("POWER", "unpause")
    api.act("POWER", "reboot")
    api.act("POWER", "start", timeout=60)
    assert console(simulator, "POWER").count("Linux version") == 2
    api.act("POWER", "softstop", timeout=60, poll_interval=2)
    assert api.call("GET", "/guests/POWER/power_state_real") == "off"
    assert "System halted" in console(simulator, "POWER")
    api.act("POWER", "start", timeout=60)
    api.act("POWER", "reset")
    api.act("POWER", "start", timeout=60)
    assert console(simulator, "POWER").count("Linux version") == 4
    api.act("POWER", "stop")
    assert api.call("GET", "/guests/POWER/power_state") == "off"
    api.call("DELETE", "/guests/POWER")


@pytest.mark.parametrize(
    "os_version", ["rhel7.9", "rhel8.6", "rhel9.4", "sles12.5", "sles15.4", "ubuntu20.04", "ubuntu22.04"]
)
def test_every_distribution_finds_its_network(os_version: str, api: zvm.Api, simulator: Simulator) -> None:
    api.import_image("distro", zvm.image(CYLINDERS, CONTENT), os_version)
    create(api, "DISTRO")
    api.act("DISTRO", "deploy", image="distro", hostname="told")
    interface = {"os_version": os_version, "guest_networks": [PORT]}
    api.call("POST", "/guests/DISTRO/interface", {"interface": interface})
    api.act("DISTRO", "start", timeout=60)
    now = guest(simulator, "DISTRO")
    assert (now["os"], now["hostname"]) == (os_version, "told")
    assert any("10.0.0.5" in text for path, text in now["files"].items() if path.startswith("/etc/"))
    assert "not simulated" not in console(simulator, "DISTRO")
    assert api.call("GET", "/guests/DISTRO/info")["os_distro"] == os_version
    unplugged = {"interface": {"os_version": os_version, "vdev": "1000"}}
    if os_version in NOT_TOLD:
        with pytest.raises(zvm.Refused, match="dns_v4"):
            api.call("DELETE", "/guests/DISTRO/interface", unplugged)
    else:
        api.call("DELETE", "/guests/DISTRO/interface", unplugged)
    api.act("DISTRO", "reset")
    api.act("DISTRO", "start", timeout=60)
    assert "not simulated" not in console(simulator, "DISTRO") and guest(simulator, "DISTRO")["nics"] == []
    api.call("DELETE", "/guests/DISTRO")
    api.call("DELETE", "/images/distro")


def test_adapters_come_and_go_while_a_guest_runs(api: zvm.Api, simulator: Simulator) -> None:
    running(api, "PLUGS")
    nic = {"vdev": "2000", "nic_id": "port-2", "mac_addr": "02:00:00:12:34:57", "active": True}
    assert api.call("POST", "/guests/PLUGS/nic", {"nic": nic}) == "2000"
    api.call("PUT", "/vswitches/VSWFLAT", {"vswitch": {"grant_userid": "PLUGS"}})
    api.call("PUT", "/guests/PLUGS/nic/2000", {"info": {"couple": True, "vswitch": "VSWFLAT", "active": True}})
    [adapter] = api.call("GET", "/guests/PLUGS/adapters")["adapters"]
    assert (adapter["lan_name"], adapter["mac_address"]) == ("VSWFLAT", "02:00:00:12:34:57")
    [counted] = api.call("GET", "/guests/interfacestats?userid=PLUGS")["PLUGS"]
    assert (counted["vswitch_name"], counted["nic_vdev"]) == ("VSWFLAT", "2000")
    switch = api.call("GET", "/vswitches/VSWFLAT")
    assert list(switch["authorized_users"]) == ["PLUGS"] and list(switch["adapters"]) == ["PLUGS_2000"]
    [row] = api.call("GET", "/guests/nics?nic_id=port-2")
    assert (row["userid"], row["interface"], row["switch"]) == ("PLUGS", "2000", "VSWFLAT")
    api.call("PUT", "/guests/PLUGS/nic/2000", {"info": {"couple": False, "active": True}})
    assert guest(simulator, "PLUGS")["nics"][0]["coupled"] == ""
    api.call("DELETE", "/guests/PLUGS/nic/2000", {"active": True})
    assert guest(simulator, "PLUGS")["nics"] == []
    # The server revokes, with a guest, the grants of the switches that its adapters are coupled to, and no others.
    api.call("PUT", "/vswitches/VSWFLAT", {"vswitch": {"revoke_userid": "PLUGS"}})
    api.call("DELETE", "/guests/PLUGS")


def test_two_adapters_of_a_guest_have_vlans_of_their_own(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "VLANS")
    deploy(api, "VLANS")
    for vdev, vlan in (("1000", 100), ("1003", 200)):
        api.call("POST", "/guests/VLANS/nic", {"nic": {"vdev": vdev, "mac_addr": f"02:00:00:00:0{vlan // 100}:00"}})
        api.call("PUT", f"/guests/VLANS/nic/{vdev}", {"info": {"couple": True, "vswitch": "VSWVLAN", "vlan_id": vlan}})
    api.act("VLANS", "start")
    assert [(nic["coupled"], nic["vlans"]) for nic in guest(simulator, "VLANS")["nics"]] == [
        ("VSWVLAN", [100]), ("VSWVLAN", [200])
    ]  # fmt: skip
    api.call("DELETE", "/guests/VLANS")


def test_without_a_grant_an_adapter_gets_no_network(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "NOGRANT")
    deploy(api, "NOGRANT")
    api.call("POST", "/guests/NOGRANT/nic", {"nic": {"vdev": "1000", "mac_addr": "02:00:00:00:00:09"}})
    api.call("PUT", "/guests/NOGRANT/nic/1000", {"info": {"couple": True, "vswitch": "VSWVLAN"}})
    api.act("NOGRANT", "start")
    assert guest(simulator, "NOGRANT")["nics"][0]["coupled"] == ""
    assert "HCPCPL6011E" in console(simulator, "NOGRANT")
    api.call("PUT", "/vswitches/VSWVLAN", {"vswitch": {"grant_userid": "NOGRANT"}})
    vlan = {"userid": "NOGRANT", "vlanid": 300}
    api.call("PUT", "/vswitches/VSWVLAN", {"vswitch": {"user_vlan_id": vlan}})
    api.act("NOGRANT", "reset")
    assert guest(simulator, "NOGRANT")["nics"][0]["vlans"] == [300]
    api.call("PUT", "/vswitches/VSWVLAN", {"vswitch": {"revoke_userid": "NOGRANT"}})
    assert guest(simulator, "NOGRANT")["nics"][0]["coupled"] == ""
    api.call("DELETE", "/guests/NOGRANT")


def test_minidisks_come_and_go(api: zvm.Api, simulator: Simulator) -> None:
    running(api, "DISKS")
    [disk] = api.call("POST", "/guests/DISKS/disks", {"disk_info": {"disk_list": [{"size": "300", "format": "xfs"}]}})
    assert disk["vdev"] == "0101"
    added = guest(simulator, "DISKS")["disks"][1]
    assert (added["size"], added["filesystem"], added["volume"]) == (300, "xfs", "VOL001")
    with pytest.raises(zvm.Refused):
        api.call("DELETE", "/guests/DISKS/disks", {"vdev_info": {"vdev_list": ["0101"]}})
    api.act("DISKS", "stop")
    api.call("DELETE", "/guests/DISKS/disks", {"vdev_info": {"vdev_list": ["0101"]}})
    assert [each["vdev"] for each in guest(simulator, "DISKS")["disks"]] == ["0100"]
    api.call("DELETE", "/guests/DISKS")


def test_minidisks_of_a_fixed_block_pool(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "BLOCKS", {"size": "64m", "format": "ext4", "disk_pool": "FBA:FBAPOOL"})
    disk = guest(simulator, "BLOCKS")["disks"][1]
    assert (disk["type"], disk["size"], disk["volume"], disk["filesystem"]) == ("FB-512", 131072, "FBA001", "ext4")
    api.call("DELETE", "/guests/BLOCKS")


def test_processors_and_memory_grow_while_a_guest_runs(api: zvm.Api, simulator: Simulator) -> None:
    running(api, "GROWS")
    api.act("GROWS", "live_resize_cpus", cpu_cnt=4)
    api.act("GROWS", "live_resize_mem", size="4g")
    info = api.call("GET", "/guests/GROWS/info")
    assert (info["num_cpu"], info["online_cpu_num"], info["max_mem_kb"]) == (4, 4, 4 * 1024 * 1024)
    api.act("GROWS", "stop")
    api.act("GROWS", "resize_mem", size="3g")
    api.act("GROWS", "start", timeout=60)
    assert guest(simulator, "GROWS")["memory_mb"] == 3072
    assert guest(simulator, "GROWS")["cpus"] == ["00", "01", "02", "03"]
    api.call("DELETE", "/guests/GROWS")


def test_a_capture_holds_the_disk_byte_for_byte(api: zvm.Api, tmp_path: Path) -> None:
    create(api, "ORIGIN")
    deploy(api, "ORIGIN")
    api.act("ORIGIN", "capture", image="copy", compress_level=0)
    exported = api.export_image("copy", tmp_path)
    assert images.read_header(tmp_path / "copy.exported") == images.Header(images.CKD_TAG, CYLINDERS + 10, "CYL", 0)
    assert exported[512:].startswith(CONTENT) and not exported[512 + len(CONTENT) :].split(b"{")[0].strip(b"\0")
    api.call("DELETE", "/images/copy")
    api.call("DELETE", "/guests/ORIGIN")


def test_a_running_guest_is_captured_and_its_image_boots(api: zvm.Api, simulator: Simulator, tmp_path: Path) -> None:
    create(api, "SOURCE")
    deploy(api, "SOURCE", uuid=UUID, hostname="first")
    api.act("SOURCE", "start", timeout=60)
    api.act("SOURCE", "capture", image="snap")
    api.act("SOURCE", "start", timeout=60)
    assert guest(simulator, "SOURCE")["hostname"] == "first"
    create(api, "TARGET")
    api.act("TARGET", "deploy", image="snap")
    api.act("TARGET", "start", timeout=60)
    copied = guest(simulator, "TARGET")
    assert (copied["hostname"], copied["os"], copied["guest"]) == ("first", "rhel9.4", "up")
    for userid in ("SOURCE", "TARGET"):
        api.call("DELETE", f"/guests/{userid}")
    api.call("DELETE", "/images/snap")


def test_iucv_obeys_only_the_userid_it_was_told(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "STRANGER")
    deploy(api, "STRANGER")
    with simulator.system.lock:
        [script] = simulator.system.spool.reader("STRANGER")
        simulator.system.spool.remove(script)
    api.act("STRANGER", "start")
    simulator.clock.advance(60)
    answer = simulator.commands.run(["iucvclnt", "STRANGER", "pwd"])
    assert (answer.status, "UNAUTHORIZED_ERROR" in answer.output) == (1, True)
    api.call("DELETE", "/guests/STRANGER")


def test_a_disk_that_holds_nothing_does_not_boot(api: zvm.Api, simulator: Simulator) -> None:
    create(api, "EMPTY")
    api.act("EMPTY", "start")
    assert "disabled wait" in api.act("EMPTY", "get_console_output")
    assert guest(simulator, "EMPTY")["guest"] == ""
    api.call("DELETE", "/guests/EMPTY")


def test_sixteen_guests_eight_at_a_time(api: zvm.Api) -> None:
    def live(number: int) -> str:
        userid = f"MANY{number:04d}"
        running(api, userid)
        return str(api.call("GET", f"/guests/{userid}/power_state"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(live, range(16))) == {"on"}
        list(pool.map(lambda number: api.call("DELETE", f"/guests/MANY{number:04d}"), range(16)))


REFUSED: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("a profile that is not there", {"user_profile": "NOPE", "disk_list": []}, (404, 404, 1)),
    ("a disk that no volume holds", {"disk_list": [{"size": "100g", "is_boot_disk": True}]}, (8, 408, 24)),
    ("a pool that is not there", {"disk_list": [{"size": "1g", "disk_pool": "ECKD:NOPE"}]}, (8, 596, 3541)),
]


@pytest.mark.parametrize(("wrong", "codes"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_a_guest_that_cannot_be_is_refused(api: zvm.Api, wrong: dict[str, Any], codes: tuple[int, int, int]) -> None:
    with pytest.raises(zvm.Refused) as refused:
        api.call("POST", "/guests", {"guest": {"userid": "NEVER", "vcpus": 1, "memory": 1024, **wrong}})
    assert refused.value.codes == codes
    api.call("DELETE", "/guests/NEVER")


def test_a_userid_that_is_taken_is_refused(api: zvm.Api) -> None:
    with pytest.raises(zvm.Refused) as refused:
        create(api, "MAINT")
    assert (refused.value.status, refused.value.codes) == (409, (8, 400, 8))


def test_an_image_that_does_not_fit_is_refused(api: zvm.Api) -> None:
    api.import_image("large", zvm.image(CYLINDERS + 100, CONTENT))
    create(api, "NARROW")
    with pytest.raises(zvm.Refused, match="Target disk is too small"):
        api.act("NARROW", "deploy", image="large")
    deploy(api, "NARROW")
    api.act("NARROW", "start", timeout=60)
    with pytest.raises(zvm.Refused, match="currently running"):
        api.act("NARROW", "deploy", image=IMAGE)
    api.call("DELETE", "/guests/NARROW")
    api.call("DELETE", "/images/large")


def test_what_is_no_image_is_refused(api: zvm.Api) -> None:
    with pytest.raises(zvm.Refused, match="does not contain"):
        api.import_image("text", b"this is no disk image at all\n" * 100)
