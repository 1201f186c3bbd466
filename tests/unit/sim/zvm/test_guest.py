"""Guests: their boot, the activation engine on what was punched, and commands over IUCV."""

from __future__ import annotations

import io
import tarfile

import pytest
from tests.support import zvm
from tests.unit.sim.zvm.conftest import BOOT_SECONDS, Zvm

from bigiron.sim.zvm.audit import audit
from bigiron.sim.zvm.guest import iucv
from bigiron.sim.zvm.guest.files import AUTHORIZED_USERID, CONFIG_DRIVE
from bigiron.sim.zvm.model.virtual_machine import DOWN, UP

UUID = "0f2dc1a8-6c7a-4f0e-9d3c-0a5c5a0f4c11"


def doscript(**members: str) -> bytes:
    """An archive of scripts, as the Cloud Connector punches them."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return target.getvalue()


def reboot(z: Zvm, userid: str) -> None:
    z.ok("Image_Deactivate", "-T", userid)
    z.ok("Image_Activate", "-T", userid)
    z.clock.advance(BOOT_SECONDS)
    z.vmcp("query userid")


def test_a_guest_is_up_when_its_boot_is_over(z: Zvm) -> None:
    z.boot("LINUX")
    assert z.iucv("LINUX", "echo 'ping'") == "ping\n"
    assert z.system.state.running["LINUX"].phase == UP
    assert z.vmcp("q LINUX") == "LINUX    - DSC\n"


def test_until_then_it_does_not_answer(z: Zvm) -> None:
    z.boot("LINUX")
    z.ok("Image_Deactivate", "-T", "LINUX")
    for _ in range(2):
        answer = z.run("iucvclnt", "LINUX", "pwd")
        assert (answer.status, "Return code 4, Reason code 101." in answer.output) == (iucv.SOCKET, True)
        if "LINUX" not in z.system.state.running:
            z.ok("Image_Activate", "-T", "LINUX")
    z.clock.advance(BOOT_SECONDS)
    assert z.iucv("LINUX", "pwd") == "/\n"
    z.ok("Image_Pause", "-T", "LINUX", "-k", "PAUSE=YES")
    assert "Reason code 110." in z.run("iucvclnt", "LINUX", "pwd").output


def test_scripts_and_archives_are_processed_in_order(z: Zvm) -> None:
    z.boot("LINUX")
    z.punch("LINUX", "first.sh", "echo one > /etc/order\n")
    z.punch("LINUX", "second.sh", "echo two >> /etc/order\nexit 3\n")
    network = doscript(
        invokeScript__sh="#!/bin/bash\nrm -f /etc/net/ifcfg-*\ncat 0000 > /etc/net/ifcfg-enc1000\nsleep 2\n"
        "/bin/bash /tmp/znetconfig.sh\nrm -rf invokeScript.sh\n",
        **{"0000": "IPADDR=10.0.0.5\n"},
    )
    z.punch("LINUX", "network.doscript", network)
    z.punch("LINUX", "other.txt", "not for the engine")
    z.punch("LINUX", "classa.sh", "echo never > /etc/never\n", spool_class="A")
    answer = z.run("iucvclnt", "LINUX", "systemctl start zvmguestconfigure.service")
    assert answer.status == iucv.FAILED and "Reason code 1." in answer.output
    assert "status=3/FAILURE" in z.iucv("LINUX", "systemctl status zvmguestconfigure.service")
    files = z.files("LINUX")
    assert files["/etc/order"] == "one\ntwo\n" and files["/etc/net/ifcfg-enc1000"] == "IPADDR=10.0.0.5\n"
    assert "/etc/never" not in files
    assert [file.name for file in z.system.spool.reader("LINUX")] == ["other", "classa"]


def test_what_was_punched_before_the_first_boot_configures_it(z: Zvm) -> None:
    z.boot("LINUX")
    z.ok("Image_Deactivate", "-T", "LINUX")
    meta_data = {"uuid": UUID, "hostname": "web-1.example", "public_keys": {"k": zvm.KEY}}
    z.punch("LINUX", "cfgdrive.iso", zvm.config_drive(meta_data, b"#cloud-config"))
    z.ok("Image_Activate", "-T", "LINUX")
    z.clock.advance(BOOT_SECONDS)
    files = z.files("LINUX")
    assert (files["/etc/hostname"], files["/root/.ssh/authorized_keys"]) == ("web-1\n", f"{zvm.KEY}\n")
    assert CONFIG_DRIVE not in files and z.system.spool.reader("LINUX") == []
    text = z.system.console("LINUX").text
    assert f"DataSourceConfigDrive [net,ver=2] for instance {UUID}" in text and text.endswith("web-1 login: \n")
    reboot(z, "LINUX")
    assert "this instance is configured already" in z.system.console("LINUX").text


def test_a_broken_config_drive_is_told(z: Zvm) -> None:
    z.boot("LINUX")
    z.punch("LINUX", "cfgdrive.iso", b"this is no ISO file" * 10)
    reboot(z, "LINUX")
    assert "no config drive: cfgdrive.iso" in z.system.console("LINUX").text


def test_only_the_authorized_userid_is_obeyed(z: Zvm) -> None:
    z.boot("LINUX")
    z.iucv("LINUX", f"echo -n SOMEBODY > {AUTHORIZED_USERID}")
    answer = z.run("iucvclnt", "LINUX", "pwd")
    assert (answer.status, "Return code 1, Reason code 0." in answer.output) == (iucv.UNAUTHORIZED, True)


def test_a_disk_is_mounted_with_the_file_system_that_it_has(z: Zvm) -> None:
    z.boot("LINUX")
    z.add_disk("LINUX", "0101", 20)
    z.ok("Image_Disk_Create", "-T", "LINUX", "-v", "0101", "-m", "MR")
    link = z.run("linkdiskandbringonline", "LINUX", "0101", "MR").output
    device = next(line for line in link.splitlines() if line.startswith("Success")).split()[10]
    assert [finding["kind"] for finding in audit(z.system)] == ["linked-disk"]
    node = f"/dev/{device}"
    for words in (["dasdfmt", "-y", node], ["fdasd", "-a", node], ["mkfs.xfs", "-f", f"{node}1"]):
        assert z.run(*words).status == 0
    assert z.run("offlinediskanddetach", "LINUX", "0101").status == 0
    assert z.run("dasdfmt", "-y", f"/dev/{device}").status == 1
    for wanted, found in (("ext4", "holds xfs, not ext4"), ("xfs", "is mounted on /mnt/x")):
        words = f"action=addMdisk vaddr=0101 filesys={wanted} mntdir=/mnt/x"
        script = doscript(invokeScript__sh=f"#!/bin/bash \n/bin/bash setupDisk '{words}' \n", setupDisk="")
        z.punch("LINUX", "aemod.doscript", script)
        z.iucv("LINUX", "/usr/bin/zvmguestconfigure start")
        assert found in z.system.console("LINUX").text
    assert z.files("LINUX")["/etc/fstab"].split()[1:3] == ["/mnt/x", "xfs"]


def test_shutting_down_and_restarting(z: Zvm) -> None:
    z.boot("LINUX")
    z.iucv("LINUX", "shutdown -r now")
    assert z.run("iucvclnt", "LINUX", "pwd").status == iucv.SOCKET
    z.clock.advance(BOOT_SECONDS)
    z.vmcp("query userid")
    z.clock.advance(BOOT_SECONDS)
    assert z.iucv("LINUX", "pwd") == "/\n"
    z.iucv("LINUX", "shutdown -h now")
    z.clock.advance(BOOT_SECONDS)
    z.vmcp("query userid")
    assert z.system.state.running["LINUX"].phase == DOWN


def test_processors_are_defined_within_the_limit(z: Zvm) -> None:
    z.boot("LINUX")
    z.iucv("LINUX", "vmcp def cpu 01 02")
    assert z.iucv("LINUX", "lscpu --parse=ADDRESS").splitlines()[-1] == "0"
    assert z.iucv("LINUX", "lscpu --parse=ADDRESS --offline").splitlines()[-2:] == ["1", "2"]
    z.iucv("LINUX", "chcpu -r")
    assert z.iucv("LINUX", "lscpu --parse=ADDRESS").splitlines()[-3:] == ["0", "1", "2"]
    assert "Reason code 45." in z.run("iucvclnt", "LINUX", "vmcp def cpu 01").output
    assert "Reason code 1458." in z.run("iucvclnt", "LINUX", "vmcp def cpu 09").output


def test_memory_comes_from_what_is_reserved(z: Zvm) -> None:
    z.boot("LINUX")
    assert "Total online memory:     2G" in z.iucv("LINUX", "lsmem")
    assert "Reason code 1452." in z.run("iucvclnt", "LINUX", "vmcp def storage standby 1024M").output
    z.system.state.running["LINUX"].reserved_mb = 4096
    z.iucv("LINUX", "vmcp def storage standby 1024M")
    assert z.run("iucvclnt", "LINUX", "chmem -e 2048M").status == iucv.FAILED
    z.iucv("LINUX", "chmem -e 1024M")
    assert "Total online memory:     3G" in z.iucv("LINUX", "lsmem -b")


def test_memory_comes_from_what_is_on_standby_since_the_logon(z: Zvm) -> None:
    z.create("LINUX", "COMMAND DEF STOR INITIAL STANDBY REMAINDER")
    z.ok("Image_Activate", "-T", "LINUX")
    machine = z.system.state.running["LINUX"]
    assert (machine.memory_mb, machine.standby_mb) == (2048, 6144)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ls /etc/*-release", "/etc/os-release\n"),
        ("grep -v ^# /etc/os-release", 'VERSION_ID="9.4"'),
        ("uname -srm", "s390x\n"),
        ('cat /proc/cmdline | tr " " "\\n" | grep -a "^root=" | cut -c6-', "/dev/dasda1\n"),
        ("readlink -f /dev/dasda1", "/dev/dasda1\n"),
        ('cat /proc/dasd/devices | grep -i "is dasda" ', "0.0.0100(ECKD)"),
    ],
)
def test_what_a_capture_asks(command: str, said: str, z: Zvm) -> None:
    z.boot("LINUX")
    assert said in z.iucv("LINUX", command)


def test_an_unknown_command_fails(z: Zvm) -> None:
    z.boot("LINUX")
    assert "Return code 8, Reason code 127." in z.run("iucvclnt", "LINUX", "frobnicate now").output


def test_a_guest_boots_from_a_volume(z: Zvm) -> None:
    loaddev = ("LOADDEV PORTNAME 20076D8500005182", "LOADDEV LUN 2222000000000000", "DEDICATE 1A03 1A03")
    z.create("VOLUME", *loaddev)
    z.ok("Image_IPL_Set_DM", "-T", "VOLUME", "-s", "1A03")
    z.punch("VOLUME", "iucvauth.sh", f"echo -n ZCC00001 > {AUTHORIZED_USERID}\n")
    z.ok("Image_Activate", "-T", "VOLUME")
    z.clock.advance(BOOT_SECONDS)
    assert z.iucv("VOLUME", 'cat /proc/cmdline | tr " " "\\n" | grep -a "^root=" | cut -c6-') == "/dev/mapper/mpatha1\n"
    reboot(z, "VOLUME")
    assert z.iucv("VOLUME", "pwd") == "/\n"
    z.ok("Image_SCSI_Characteristics_Define_DM", "-T", "VOLUME", "-p", "20076D8500005182", "-l", "9999000000000000")
    reboot(z, "VOLUME")
    assert "disabled wait" in z.system.console("VOLUME").text
