"""The management partition over its real control address: its tree, its commands, and VNC with a real client."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncvnc2
import pytest
from tests.support.guest_world import META_DATA, client_of, guest_world, power_on

from bigiron.sim.kernel.clock import Clock
from bigiron.sim.kernel.control import Control
from bigiron.sim.kernel.serving import HttpServer
from bigiron.sim.powervm.errors import BadRequest
from bigiron.sim.powervm.guests.fleet import NoPartition, Seat
from bigiron.sim.powervm.management.endpoint import Simulator
from bigiron.sim.powervm.management.partition import ManagementPartition
from bigiron.sim.powervm.management.screen import HEIGHT, WIDTH
from bigiron.sim.powervm.model import lpars
from bigiron.sim.powervm.model.world import World

BOOT_SECONDS = 10.0
WHITE = (192, 192, 192)


@dataclass(frozen=True, slots=True)
class Platform:
    """A served management partition."""

    world: World
    clock: Clock
    partition: ManagementPartition
    simulator: Simulator
    root: Path

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the tree's commands."""
        argv = [str(self.root / "usr/bin" / command), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def console(self, since: int = 0) -> dict[str, Any]:
        """The client partition's console."""
        status, answer = self.simulator.ask("GET", f"/consoles/5?since={since}")
        assert status == 200
        return dict(answer)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    clock = Clock(scale=0)
    world = guest_world(tmp_path / "media", clock, {"meta_data.json": META_DATA})
    world.rmc_seconds = BOOT_SECONDS
    control = Control()
    partition = ManagementPartition(world, control)
    server = HttpServer(("127.0.0.1", 0), control, threads=4)
    server.bind()
    server.start()
    root = tmp_path / "management"
    partition.present(root, server.url)
    yield Platform(world, clock, partition, Simulator(server.url), root)
    partition.disconnect()
    server.stop()
    partition.stop()


@pytest.fixture
def booted(platform: Platform) -> Platform:
    power_on(platform.world)
    platform.clock.advance(BOOT_SECONDS)
    return platform


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def greeting(port: int) -> bytes:
    """What a VNC server says first."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        return client.recv(12)


def test_the_tree_says_who_the_partition_is(platform: Platform) -> None:
    lparcfg = (platform.root / "proc/ppc64/lparcfg").read_text().splitlines()
    clocks = [line for line in (platform.root / "proc/cpuinfo").read_text().splitlines() if line.startswith("clock")]
    assert "partition_id=2" in lparcfg
    assert "serial_number=IBM,78A0001" in lparcfg
    assert float(clocks[0].split()[-1].removesuffix("MHz")) == 3800.0
    assert (platform.root / "dev/disk/by-id").is_dir()
    assert (platform.root / "sys/bus/vio/devices").is_dir()


def test_a_second_start_keeps_what_lies_in_the_tree(platform: Platform) -> None:
    link = platform.root / "dev/disk/by-id/scsi-1"
    link.touch()
    platform.partition.present(platform.root, "http://127.0.0.1:1")
    assert link.exists()
    assert json.loads((platform.root / "endpoints.json").read_text()) == {"control": "http://127.0.0.1:1"}
    refused = platform.run("mkvterm", "--id", "5", "--vnc", "--local")
    assert refused.returncode == 1
    assert "http://127.0.0.1:1" in refused.stderr


def test_mkvterm_opens_once_and_rmvterm_closes(platform: Platform) -> None:
    first = platform.run("mkvterm", "--id", "5", "--vnc", "--local")
    assert first.returncode == 0, first.stderr
    again = platform.run("mkvterm", "--id", "5", "--vnc", "--local")
    assert (again.returncode, again.stdout) == (3, first.stdout)
    port = int(first.stdout)
    assert greeting(port) == b"RFB 003.008\n"
    assert platform.run("rmvterm", "--id", "5").returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)
    assert platform.run("rmvterm", "--id", "5").returncode == 0, "closing what is closed is no error"
    assert platform.run("mkvterm", "--id", "5", "--vnc", "--local").returncode == 0


def test_an_unknown_partition_is_refused(platform: Platform) -> None:
    for command in (("mkvterm", "--id", "77", "--vnc", "--local"), ("rmvterm", "--id", "77")):
        answer = platform.run(*command)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "77" in answer.stderr


def attach(platform: Platform) -> subprocess.Popen[bytes]:
    """Attach to the client partition's terminal; returns when it is open."""
    argv = [str(platform.root / "usr/bin/mkvterm"), "--id", "5"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    until(lambda: platform.partition.vterms.find("5") is not None, "the terminal is open")
    return process


def test_a_terminal_attached_as_text_shows_types_and_keeps_others_out(booted: Platform) -> None:
    with attach(booted) as attached:
        assert attached.stdin and attached.stdout
        outside = booted.run("mkvterm", "--id", "5", "--vnc", "--local")
        assert (outside.returncode, outside.stdout) == (3, ""), "no port: it is not a VNC terminal"
        attached.stdin.write(b"root\n")
        attached.stdin.flush()
        until(lambda: booted.console()["text"].endswith("login: root\nPassword: "), "the guest took the input")
        shown = b""
        while not shown.endswith(b"Password: "):
            shown += attached.stdout.read1()
        assert shown == b"root\r\nPassword: ", "only what was printed since it was opened"
        attached.stdin.close()
        assert attached.wait(60) == 0
    until(lambda: booted.partition.vterms.find("5") is None, "the terminal is closed")


def test_who_is_attached_is_sent_away_when_the_terminal_is_closed(booted: Platform) -> None:
    with attach(booted) as attached:
        assert booted.run("rmvterm", "--id", "5").returncode == 0
        assert attached.wait(60) == 0


def test_a_terminal_does_not_outlive_its_command(booted: Platform) -> None:
    with attach(booted) as attached:
        attached.kill()
    until(lambda: booted.partition.vterms.find("5") is None, "the terminal is closed")
    assert booted.run("mkvterm", "--id", "5", "--vnc", "--local").returncode == 0


def test_a_partition_with_an_open_terminal_is_not_deleted(platform: Platform) -> None:
    lpar = client_of(platform.world)
    platform.run("mkvterm", "--id", "5", "--vnc", "--local")
    with platform.world.lock, pytest.raises(BadRequest, match=r"HSCL151B.*open virtual terminal"):
        lpars.delete(platform.world, lpar)
    platform.run("rmvterm", "--id", "5")
    with platform.world.lock:
        lpars.delete(platform.world, lpar)
    assert platform.world.partition(lpar.uuid) is None


def test_pgrep_tells_the_codepage_of_open_terminals(platform: Platform) -> None:
    assert platform.run("pgrep", "mkvtermutil", "--list-full").returncode == 1
    platform.run("mkvterm", "--id", "5", "--vnc", "--local", "--consolesettings", "codepage=037")
    found = platform.run("pgrep", "mkvtermutil", "--list-full")
    assert found.returncode == 0
    assert "--id 5" in found.stdout
    assert "--codepage 037" in found.stdout


def test_a_vnc_client_sees_what_was_printed_since_the_terminal_is_open_and_types(platform: Platform) -> None:
    port = int(platform.run("mkvterm", "--id", "5", "--vnc", "--local").stdout)
    power_on(platform.world)
    platform.clock.advance(BOOT_SECONDS)
    booted = platform
    before = booted.console()["end"]

    async def session() -> tuple[Any, Any]:
        async with asyncio.timeout(60), asyncvnc2.connect("127.0.0.1", port) as client:
            first = (await client.screenshot()).copy()
            client.keyboard.write("Root")
            client.keyboard.press("Return")
            while "Password:" not in booted.console(before)["text"]:
                await asyncio.sleep(0.05)
            return first, (await client.screenshot()).copy()

    first, second = asyncio.run(session())
    assert first.shape == (HEIGHT, WIDTH, 4)
    lit = (first[:, :, :3] == WHITE).all(axis=2).sum()
    assert 500 < lit < WIDTH * HEIGHT / 4, "there is text, and most of the screen is dark"
    assert (first != second).any()
    assert booted.console(before)["text"] == "Root\nPassword: "


def test_a_vnc_client_is_sent_what_is_printed_while_it_watches(platform: Platform) -> None:
    port = int(platform.run("mkvterm", "--id", "5", "--vnc", "--local").stdout)

    async def session() -> tuple[int, int]:
        async with asyncio.timeout(60), asyncvnc2.connect("127.0.0.1", port) as client:
            dark = (await client.screenshot())[:, :, :3].any(axis=2).sum()
            power_on(platform.world)
            client.video.refresh()
            await client.read()
            return int(dark), int(client.video.as_rgba()[:, :, :3].any(axis=2).sum())

    dark, lit = asyncio.run(session())
    assert dark < 100 < lit


def test_a_vnc_client_of_another_version_is_dropped(platform: Platform) -> None:
    port = int(platform.run("mkvterm", "--id", "5", "--vnc", "--local").stdout)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        assert client.recv(12) == b"RFB 003.008\n"
        client.sendall(b"RFB 003.003\n")
        assert client.recv(1) == b""
    assert greeting(port) == b"RFB 003.008\n"


def test_a_deleted_partition_closes_its_terminal(booted: Platform) -> None:
    port = int(booted.run("mkvterm", "--id", "5", "--vnc", "--local").stdout)
    with booted.world.lock:
        lpar = booted.partition.guests._find("5")
        booted.world.forget(lpar)
        booted.world.removed(lpar)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)
    assert booted.simulator.ask("GET", "/vterms") == (200, [])


@pytest.mark.parametrize("vnc", [True, False])
def test_a_partition_that_is_deleted_as_its_terminal_opens_has_none(
    booted: Platform, vnc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = booted.partition.guests.seat

    def deleted_then(reference: str) -> Seat:
        found = seat(reference)
        monkeypatch.setattr(booted.partition.guests, "seat", seat)
        with booted.world.lock:
            lpar = client_of(booted.world)
            booted.world.forget(lpar)
            booted.world.removed(lpar)
        return found

    monkeypatch.setattr(booted.partition.guests, "seat", deleted_then)
    uuid = client_of(booted.world).uuid
    with pytest.raises(NoPartition):
        booted.partition.vterms.open("5", vnc, "037")
    assert booted.partition.vterms.list() == [] and not booted.partition.vterms.is_open(uuid)


def test_the_control_address_shows_and_types(booted: Platform) -> None:
    answer = booted.console()
    assert (answer["id"], answer["name"], answer["start"]) == (5, "web1-c5d2f1b4", 0)
    assert booted.simulator.ask("POST", "/consoles/5/input", "root\r")[0] == 200
    assert booted.console(answer["end"])["text"] == "root\nPassword: "
    status, guests = booted.simulator.ask("GET", "/guests")
    assert status == 200
    assert [one["guest"] for one in guests if one["id"] == 5] == ["up"]
    assert booted.simulator.ask("GET", "/networks") == (200, [])


def test_bad_control_requests_are_told_what_is_wrong(platform: Platform) -> None:
    for method, path, body, status, part in (
        ("GET", "/consoles/nosuch", None, 404, "nosuch"),
        ("GET", "/consoles/5?since=x", None, 400, "since=x"),
        ("POST", "/vterms", {"vnc": True}, 400, "id"),
        ("GET", "/vterms/5", None, 404, "no open terminal"),
        ("GET", "/consoles", None, 404, ""),
    ):
        got, answer = platform.simulator.ask(method, path, body)
        assert got == status, (path, answer)
        assert part in answer["error"]


def test_a_console_reader_waits_for_text(platform: Platform) -> None:
    status, answer = platform.simulator.ask("GET", "/consoles/5?since=0&wait=0.3")
    assert (status, answer["text"]) == (200, "")
    power_on(platform.world)
    _status, answer = platform.simulator.ask("GET", "/consoles/5?since=0&wait=20")
    assert "power on" in answer["text"]


def test_a_client_of_the_rest_api_closes_terminals_too(booted: Platform) -> None:
    booted.run("mkvterm", "--id", "5", "--vnc", "--local")
    with booted.world.lock:
        for hook in booted.world.vterm_hooks:
            hook(client_of(booted.world))
    assert booted.simulator.ask("GET", "/vterms") == (200, [])


def test_no_terminal_opens_once_the_simulator_ends(platform: Platform) -> None:
    platform.partition.disconnect()
    for vnc in (True, False):
        status, answer = platform.simulator.ask("POST", "/vterms", {"id": "5", "vnc": vnc})
        assert (status, "simulator ends" in answer["error"]) == (503, True)
    assert platform.simulator.ask("GET", "/vterms") == (200, [])
