"""Commands with faults, latency and the journal; and how they come in from other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sim.zvm.conftest import Zvm

from bigiron.sim.kernel.faults import BadFault, Fault
from bigiron.sim.zvm import commands
from bigiron.sim.zvm.connector import gateway, layout, presence
from bigiron.sim.zvm.connector.gateway import Gateway
from bigiron.sim.zvm.connector.layout import Layout


def plan(z: Zvm, method: str, path: str, action: str, **values: Any) -> None:
    z.faults.add(Fault.from_json({"method": method, "path": path, "action": action, **values}))


def test_the_journal_tells_function_and_userid(z: Zvm) -> None:
    z.smcli("Image_Query_DM", "-T", "MAINT")
    z.smcli("Image_Query_DM", "-T", "NOBODY")
    z.run("vmcp", "q MAINT")
    z.run("iucvclnt", "maint", "systemctl start x")
    seen = [(e.method, e.path, e.template, e.status) for e in z.journal.entries()]
    assert seen == [
        ("SMAPI", "Image_Query_DM/MAINT", "Image_Query_DM", 0),
        ("SMAPI", "Image_Query_DM/NOBODY", "Image_Query_DM", 400),
        ("CP", "QUERY/MAINT", "QUERY", 1),
        ("IUCV", "systemctl/MAINT", "systemctl", 4),
    ]


def test_a_function_fails_with_the_codes_of_a_fault(z: Zvm) -> None:
    z.create("LINUX")
    plan(z, "SMAPI", "Image_Lock_DM/LINUX", "error", reason="596/6831", message="in use")
    assert z.codes("Image_Lock_DM", "-T", "LINUX") == (596, 6831)
    assert not z.system.state.entries["LINUX"].locked
    plan(z, "SMAPI", "Image_Lock_DM", "busy")
    assert z.codes("Image_Lock_DM", "-T", "LINUX") == (400, 12)
    plan(z, "SMAPI", "Image_Lock_DM", "error", status=500, reason="8")
    assert z.codes("Image_Lock_DM", "-T", "LINUX") == (500, 8)


@pytest.mark.parametrize(("action", "locked"), [("drop_before", False), ("drop_after", True)])
def test_a_connection_breaks_before_or_after_the_effect(action: str, locked: bool, z: Zvm) -> None:
    z.create("LINUX")
    plan(z, "SMAPI", "Image_Lock_DM", action)
    assert z.smcli("Image_Lock_DM", "-T", "LINUX").output.startswith("25 -110 110 (details)")
    assert z.system.state.entries["LINUX"].locked is locked
    assert [entry.fault for entry in z.journal.entries()][-1] == action


def test_a_change_is_made_late(z: Zvm) -> None:
    z.create("LINUX")
    plan(z, "SMAPI", "Image_Lock_DM", "late", seconds=60)
    assert z.smcli("Image_Lock_DM", "-T", "LINUX").output.startswith("25 -110 110 (details)")
    assert not z.system.state.entries["LINUX"].locked
    (pending,) = [thread for thread in threading.enumerate() if thread.name == "late change"]
    z.clock.advance(60)
    pending.join(10)
    assert z.system.state.entries["LINUX"].locked
    with pytest.raises(BadFault, match="SMAPI"):
        plan(z, "CP", "QUERY", "late", seconds=60)


def test_faults_of_other_commands(z: Zvm) -> None:
    z.boot("LINUX")
    plan(z, "VMUR", "punch", "busy")
    assert "concurrent instance of vmur" in z.run("vmur", "punch", "-r", z.file("a.sh", "x")).output
    plan(z, "CP", "TRANSFER", "error", reason="53")
    assert "#53" in z.run("vmcp", "transfer * rdr 0001 to LINUX rdr").output
    plan(z, "IUCV", "pwd", "drop_before")
    assert "Return code 4," in z.run("iucvclnt", "LINUX", "pwd").output
    plan(z, "TOOL", "unpackdiskimage", "error", message="no space left")
    assert z.run("unpackdiskimage", "LINUX", "0100", "/x") == commands.Answer(1, "ERROR: no space left\n")


def test_directory_changes_cost_their_time(z: Zvm) -> None:
    z.commands._latency.select("realistic")
    z.clock.set_scale(1000.0)
    began = z.clock.now()
    z.create("LINUX", disks=[10])
    assert z.clock.now() - began >= 4.0


def test_an_answer_that_is_late_is_told_so(z: Zvm) -> None:
    z.clock.set_scale(1000.0)
    plan(z, "IUCV", "pwd", "hang", seconds=30)
    assert z.commands.run(["iucvclnt", "LINUX", "pwd"], timeout=10).timed_out


def test_smcli_waits_no_longer_than_told(z: Zvm) -> None:
    z.create("LINUX")
    z.clock.set_scale(10_000.0)
    plan(z, "SMAPI", "Image_Lock_DM", "hang", seconds=300)
    assert z.smcli("Image_Lock_DM", "-T", "LINUX").output.startswith("25 -110 110 (details)")
    assert not z.system.state.entries["LINUX"].locked
    plan(z, "SMAPI", "Image_Lock_DM", "hang", seconds=200)
    z.ok("Image_Lock_DM", "-T", "LINUX")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/guests/AA01/action", "/guests/{name}/action"),
        ("/guests/AA01/nic/1000", "/guests/{name}/nic/{name}"),
        ("/guests/stats", "/guests/stats"),
        ("/images/x/root_disk_size", "/images/{name}/root_disk_size"),
        ("/volumes/fcptemplates/1-2", "/volumes/fcptemplates/{name}"),
        ("/host", "/host"),
    ],
)
def test_rest_paths_have_templates(path: str, shown: str) -> None:
    assert gateway.template(path) == shown


def test_paths_that_the_server_has_built_in() -> None:
    for path in (
        "/proc/sysinfo",
        "/etc/zvmsdk/zvmsdk.conf",
        "/var/lib/zvmsdk/guests",
        "/tmp/AA01",
        "/tmp/AA01/iucvauth.sh",
    ):
        assert presence.mapped(path, "/state/root") == f"/state/root{path}"
    for path in (
        "/etc/passwd",
        "/tmp/AA01/image",
        "/tmp/lower/x",
        "/state/root/tmp/AA01",
        "relative",
        7,
        b"/proc/sysinfo",
    ):
        assert presence.mapped(path, "/state/root") == path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sudo", "/opt/zthin/bin/smcli", "X", "-T", "Y"], ["smcli", "X", "-T", "Y"]),
        (["sudo", "vmcp", "q X"], ["vmcp", "q X"]),
        (["/usr/bin/hexdump", "-C", "f"], ["hexdump", "-C", "f"]),
        ("which udevadm &> /dev/null && udevadm settle || udevsettle", ["udevadm", "settle"]),
        ("sudo /sbin/fdisk /dev/dasdb << EOF\ng\nw\nEOF", ["fdisk", "/dev/dasdb"]),
        (["mv", "a", "b"], None),
        (["/usr/bin/cp", "a", "b"], None),
        ("ls -l", None),
    ],
)
def test_commands_that_are_answered(command: Any, words: list[str] | None) -> None:
    if isinstance(command, list) and command[0] == "sudo":
        command = [*command]
    assert presence.program_of(command) == words


@pytest.fixture
def served(z: Zvm, tmp_path: Path) -> Iterator[Layout]:
    """The gateway with what the server's processes find around them; the environment is this one."""
    made = Layout(tmp_path / "connector", tmp_path / "venv")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    layout.prepare(made, 2000, "ECKD:POOL1", "OSDFLT", {"monitor": {"cache_interval": 5}}, "Type: 8561\n")
    answering = Gateway(made.socket, z.commands, z.clock, z.faults, z.journal)
    answering.start()
    yield made
    answering.stop()


def environment(served: Layout, answer: str) -> dict[str, str]:
    return {
        "PATH": f"{served.programs}:{os.environ['PATH']}", "PYTHONPATH": str(served.site),
        presence.SOCKET: str(served.socket), presence.ROOT: str(served.root), presence.ANSWER: answer,
    }  # fmt: skip


SCRIPT = """
import json, os, subprocess, time
out = {"user": subprocess.check_output(["sudo", "/sbin/vmcp", "query userid"]).decode()}
try:
    subprocess.check_output(["sudo", "vmcp", "q MAINT"], stderr=subprocess.STDOUT)
except subprocess.CalledProcessError as error:
    out["off"] = [error.returncode, error.output.decode()]
out["sysinfo"] = open("/proc/sysinfo").read()
os.makedirs("/tmp/AA01")
with open("/tmp/AA01/iucvauth.sh", "w") as stream:
    stream.write("here")
out["listed"] = os.listdir("/tmp/AA01")
out["dump"] = subprocess.check_output(["/usr/bin/hexdump", "-C", "-n", "4", "/tmp/AA01/iucvauth.sh"]).decode()
import shutil
shutil.rmtree("/tmp/AA01")
out["gone"] = not os.path.exists("/tmp/AA01")
began = time.monotonic()
time.sleep(3600)
out["waited"] = time.monotonic() - began < 60
print(json.dumps(out))
"""


@pytest.mark.parametrize("answer", [presence.IN_PROCESS, presence.PROGRAMS])
def test_a_process_finds_a_zvm_around_it(answer: str, served: Layout, z: Zvm) -> None:
    z.clock.set_scale(10_000.0)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment(served, answer), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert out["user"] == "ZCC00001 AT ZVMSIM1\n" and out["off"][0] == 1 and "HCPCQU045E" in out["off"][1]
    assert out["sysinfo"] == "Type: 8561\n" and out["listed"] == ["iucvauth.sh"] and "|here|" in out["dump"]
    assert out["gone"] and out["waited"] and not (served.root / "tmp" / "AA01").exists()


def test_the_server_is_told_its_folders(served: Layout) -> None:
    text = (served.home / "zvmsdk.conf").read_text()
    assert "bind_port = 2000" in text and "disk_pool = ECKD:POOL1" in text and "cache_interval = 5" in text
    assert served.token.stat().st_mode & 0o077 == 0 and served.socket.stat().st_mode & 0o077 == 0
    secret = served.token.read_text()
    layout.prepare(served, 2001, "ECKD:POOL1", "OSDFLT", {}, "")
    assert served.token.read_text() == secret


def test_a_socket_has_a_path_that_is_short_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Layout(tmp_path / ("a" * 60) / ("b" * 60), tmp_path / "venv")
    with tempfile.TemporaryDirectory(prefix="zvm-", dir="/tmp") as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        assert len(str(deep.socket)) < 108 and deep.socket != Layout(deep.folder / "c", tmp_path).socket
        layout.prepare(deep, 2000, "ECKD:POOL1", "OSDFLT", {}, "")
        assert deep.socket.parent.stat().st_mode & 0o777 == 0o700
        deep.socket.parent.chmod(0o755)
        with pytest.raises(PermissionError, match="shorter --state"):
            layout.prepare(deep, 2000, "ECKD:POOL1", "OSDFLT", {}, "")


def test_an_environment_without_the_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(layout.NoConnector, match="make connector"):
        layout.check(tmp_path)


def test_rest_requests_are_struck_and_noted(z: Zvm, served: Layout) -> None:
    line = presence.Line(str(served.socket))
    plan(z, "POST", "/guests/{name}/action", "busy")
    told = {"method": "POST", "path": "/guests/AA01/action", "query": ""}
    fault = line.ask({"request": told})["fault"]
    assert (fault["action"], fault["status"], fault["body"]["overallRC"]) == ("error", 503, 503)
    assert line.ask({"request": told})["fault"] is None
    line.ask({"answered": {**told, "status": 200, "received": 5, "sent": 7, "seconds": 0.1, "fault": ""}})
    line.close()
    [entry] = [e for e in z.journal.entries() if e.method == "POST"]
    assert (entry.template, entry.status, entry.response_bytes) == ("/guests/{name}/action", 200, 7)
