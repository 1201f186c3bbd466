"""The lab's processes: all work, none is reachable from outside, and they cost what was promised."""

from __future__ import annotations

import json
import os
import signal
import stat
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from tests.support.lab import Lab

from bigiron.lab import spec
from bigiron.lab.paths import LabPaths

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_MEMORY_MIB = 1526
"""1.6 GB, with the console proxies."""
# Twice what is promised: the test machine has other work at the same time.
_UP_SECONDS = 120


def test_everything_works_within_the_memory_promised(lab: Lab) -> None:
    status = lab.json("status")
    assert {row["name"]: row["state"] for row in status["programs"]} == {
        row["name"]: "working" for row in status["programs"]
    }
    assert {
        "broker",
        "keystone",
        "glance",
        "placement",
        "nova",
        "neutron",
        "cinder",
        "nova-compute",
        "nova-novncproxy",
    } <= {row["name"] for row in status["programs"]}
    assert status["memory_mib"] < _MEMORY_MIB


def test_only_loopback_addresses_are_open(lab: Lab) -> None:
    listening = [
        (process.name(), connection.laddr.ip)
        for process in lab.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 7
    assert {address for _, address in listening} == {"127.0.0.1"}


def test_files_are_private(lab: Lab) -> None:
    assert stat.S_IMODE(lab.paths.root.stat().st_mode) == 0o700
    # The simulated management partition is a root file system, whose programs anybody may run.
    management = lab.paths.data / "sim" / "management"
    files = [path for path in lab.paths.root.rglob("*") if path.is_file() and management not in path.parents]
    assert len(files) > 50
    assert [path for path in files if path.stat().st_mode & 0o077 and not path.is_symlink()] == []


def test_no_secret_is_in_a_log_or_a_command_line(lab: Lab) -> None:
    secrets = set(spec.require(lab.paths).secrets.values())
    texts = {str(path): path.read_text(encoding="utf-8", errors="ignore") for path in lab.paths.logs.iterdir()}
    texts |= {str(process.pid): " ".join(process.cmdline()) for process in lab.processes()}
    assert [name for name, text in texts.items() if any(secret in text for secret in secrets)] == []


def test_up_on_a_running_lab_changes_nothing(lab: Lab) -> None:
    before = {row["name"]: row["pid"] for row in lab.json("status")["programs"]}
    again = lab.json("up")
    assert {row["name"]: row["pid"] for row in again["programs"]} == before


def test_other_options_are_refused_while_it_runs(lab: Lab) -> None:
    refused = lab.command("up", "--debug", check=False)
    assert refused.returncode == 1
    assert "bigiron lab down" in refused.stderr


def test_down_and_up_again_keep_the_cloud(lab: Lab) -> None:
    cloud = lab.cloud()
    flavor = cloud.compute.create_flavor(name="kept", ram=512, vcpus=1, disk=1)
    family = lab.processes()
    assert lab.json("down") == {"stopped": True}
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    assert lab.command("status", check=False).returncode == 3
    assert lab.json("up")["working"]
    cloud = lab.cloud()
    assert cloud.compute.find_flavor("kept").id == flavor.id
    cloud.compute.delete_flavor(flavor.id)


def test_exports_are_for_a_shell(lab: Lab) -> None:
    lines = lab.command("env").stdout.splitlines()
    assert all(line.startswith("export OS_") for line in lines)
    assert any(line.startswith("export OS_AUTH_URL=http://127.0.0.1:") for line in lines)


def test_a_program_that_cannot_start_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    document = tmp_path / "broken.yaml"
    document.write_text("this is: no system document\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        other = Lab(LabPaths(Path(folder) / "lab"))
        try:
            failed = other.command("up", "--driver", "powervm", "--system", str(document), check=False)
            assert failed.returncode == 1
            assert "sim ended while it was starting" in failed.stderr
            assert "broken.yaml" in failed.stderr
        finally:
            other.command("destroy")
        assert not other.paths.root.exists()


def test_a_program_that_dies_is_started_again(lab: Lab) -> None:
    victim = next(row["pid"] for row in lab.json("status")["programs"] if row["name"] == "placement")
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + _UP_SECONDS
    while True:
        answer = lab.command("status", "--json", check=False)
        row = next(row for row in json.loads(answer.stdout)["programs"] if row["name"] == "placement")
        if row["state"] == "working" and row["pid"] != victim:
            return
        assert time.monotonic() < deadline, row
        time.sleep(0.5)
