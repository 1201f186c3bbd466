"""A host's consoles: which guests are recorded, what is kept and what is refused, with a script for mkvterm."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.powervm_host import until

from bigiron.errors import Conflict, InvalidSpec, Unavailable, Unsupported
from bigiron.powervm.console import consoles
from bigiron.powervm.console.consoles import Consoles, ConsoleSettings
from bigiron.powervm.console.ports import COUNT
from bigiron.powervm.console.tools import Tools
from bigiron.powervm.console.vencrypt import VncCertificates
from bigiron.powervm.marks import TERMINALS, Marks
from bigiron.powervm.partition import Lpar

SERIAL = "78A0001"
RUNNING, OFF = "running", "not activated"
MKVTERM = """
test "$3" = --vnc && exit 1
echo "attached $2" >> "$(dirname "$0")/said"
echo "partition $2"
exec sleep 60
"""
EXCLUSIVE = """
open="$(dirname "$0")/open"
mkdir "$open" || exit 3
trap 'kill $!; rmdir "$open"; exit 0' TERM
echo "partition $2"
sleep 60 &
wait
"""
"""As the real one: refused while another has the terminal open."""
RMVTERM = 'echo "closed $2" >> "$(dirname "$0")/said"'


def lpar(number: int, state: str = RUNNING, instance: str | None = "some") -> Lpar:
    return Lpar(
        uuid=f"{number:08d}-0000-4000-8000-000000000000",
        id=number,
        name=f"web-{number}",
        state=state,
        memory_mb=1024,
        memory_held_mb=1024,
        vcpus=1,
        processors=0.1,
        management=False,
        description="",
        instance=instance,
        read_at=0.0,
    )


class Host:
    """The management partition's files, and the partitions as they are known."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.logs = folder / "state" / "consoles"
        self.lpars: list[Lpar] = []
        (self.root / "usr/bin").mkdir(parents=True)
        (self.root / "proc/ppc64").mkdir(parents=True)
        (self.root / "proc/ppc64/lparcfg").write_text(f"serial_number=IBM,02{SERIAL}\n")
        for name, text in (("mkvterm", MKVTERM), ("rmvterm", RMVTERM)):
            (self.root / "usr/bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.root / "usr/bin" / name).chmod(0o755)

    @contextlib.contextmanager
    def consoles(self, serial: str = SERIAL, **settings: Any) -> Iterator[Consoles]:
        made = Consoles(Tools(self.root), serial, lambda: list(self.lpars), ConsoleSettings(self.logs, **settings))
        made.start()
        try:
            yield made
        finally:
            made.stop()
            made.stop()

    def said(self) -> list[str]:
        file = self.root / "usr/bin/said"
        return file.read_text().splitlines() if file.exists() else []

    def log(self, number: int) -> Path:
        return self.logs / f"{lpar(number).uuid}.log"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(consoles, "_LOOK_S", 0.05)
    return Host(tmp_path)


def test_running_guests_of_ours_are_recorded_and_no_others(host: Host) -> None:
    host.lpars = [lpar(5), lpar(6, OFF), lpar(7, instance=None)]
    with host.consoles() as made:
        until(lambda: made.output(host.lpars[0], 100) == b"partition 5\n")
        host.lpars = [lpar(5, OFF), lpar(6)]
        until(lambda: made.output(host.lpars[1], 100) == b"partition 6\n")
        assert sorted(host.said()) == ["attached 5", "attached 6"]
        host.lpars = [lpar(5), lpar(6)]
        until(lambda: made.output(host.lpars[0], 100).count(b"partition 5") == 2)


def test_a_stop_that_fails_leaves_no_thread(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise OSError("no space left on device")

    host.lpars = [lpar(5)]
    with host.consoles() as made:
        monkeypatch.setattr(made, "_end", fail)
        with pytest.raises(OSError, match="no space"):
            made.stop()
        assert not made._loop._thread.is_alive()


def test_a_guest_that_is_about_to_start_is_recorded_before_it_runs(host: Host) -> None:
    host.lpars = [lpar(5, OFF)]
    with host.consoles() as made:
        made.begin(host.lpars[0])
        until(lambda: made.output(host.lpars[0], 100) == b"partition 5\n")
        time.sleep(0.2)
        assert host.said() == ["attached 5"], "and goes on to be while it is off"


def test_a_guest_that_ran_between_two_looks_is_not_taken_for_one_that_is_about_to_start(host: Host) -> None:
    host.lpars = [lpar(5, OFF)]
    with host.consoles() as made:
        made.begin(host.lpars[0])
        until(lambda: made.output(host.lpars[0], 100) == b"partition 5\n")
        made.stopped(host.lpars[0])
        until(lambda: not made._terminals)


def test_a_guest_that_is_started_just_as_its_terminal_is_dropped_is_recorded(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "_LOOK_S", 3600.0)
    (host.root / "usr/bin/mkvterm").write_text(f"#!/bin/sh\n{EXCLUSIVE}\n")
    host.lpars = [lpar(5)]
    with host.consoles() as made:
        until(lambda: made.output(host.lpars[0], 100) == b"partition 5\n")

        async def dropped_and_expected() -> None:
            await asyncio.gather(made._drop_stopped(set()), made._expect(host.lpars[0]))

        made._loop.call(dropped_and_expected(), 20)
        until(lambda: made.output(host.lpars[0], 1000) == b"partition 5\npartition 5\n")


def test_closing_waits_for_a_terminal_that_is_dropped_already(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "_LOOK_S", 3600.0)
    host.lpars = [lpar(5)]
    with host.consoles() as made:
        uuid = host.lpars[0].uuid
        terminal = made._terminals[uuid]
        close = terminal.close
        begun, going_on = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            begun.set()
            await going_on.wait()
            await close()

        async def dropped_and_closed() -> None:
            dropping = asyncio.create_task(made._drop_stopped(set()))
            await begun.wait()
            closing = asyncio.create_task(made._drop(uuid))
            for _ in range(20):  # turns of the loop, more than it would need
                await asyncio.sleep(0)
            assert not closing.done()
            going_on.set()
            await asyncio.gather(dropping, closing)

        monkeypatch.setattr(terminal, "close", slow)
        made._loop.call(dropped_and_closed(), 20)


def test_closing_ends_the_recorder_and_the_terminal_and_forgetting_removes_the_log(host: Host) -> None:
    host.lpars = [lpar(5)]
    with host.consoles() as made:
        until(lambda: made.output(host.lpars[0], 100) != b"")
        gone = host.lpars.pop()
        made.close(gone)
        assert host.said() == ["attached 5", "closed 5"]
        made.forget(gone.uuid)
        assert not host.log(5).exists()


def test_a_terminal_that_cannot_be_closed_does_not_keep_from_trying_to_delete(host: Host) -> None:
    (host.root / "usr/bin/rmvterm").write_text("#!/bin/sh\nexit 1\n")
    with host.consoles() as made:
        made.close(lpar(5))


def test_a_terminal_that_a_process_before_has_served_by_vnc_is_closed_at_the_start(host: Host) -> None:
    (host.root / "usr/bin/mkvterm").write_text(f'#!/bin/sh\ntest "$3" = --vnc && echo 5905 && exit 3\n{MKVTERM}\n')
    host.lpars = [lpar(5), lpar(6)]
    marks = Marks(host.logs, TERMINALS)
    for uuid in (host.lpars[0].uuid, lpar(7).uuid):
        marks.set(uuid)
    with host.consoles(record=False):
        assert host.said() == ["closed 5"]
    assert marks.all() == []


def test_logs_of_partitions_that_are_gone_are_removed_at_the_start(host: Host) -> None:
    host.logs.mkdir(parents=True)
    for number in (5, 6):
        host.log(number).write_bytes(b"before\n")
    host.lpars = [lpar(5, OFF)]
    with host.consoles():
        assert [path.name for path in host.logs.iterdir()] == [host.log(5).name]


@pytest.mark.parametrize("settings", [{"record": False}, {"serial": "78B0002"}])
def test_what_is_off_or_elsewhere_is_refused_with_the_fix(host: Host, settings: dict[str, Any]) -> None:
    host.lpars = [lpar(5)]
    fix = "management_root" if "serial" in settings else "console_recorder"
    with host.consoles(**settings) as made:
        with pytest.raises(Unsupported, match=fix):
            made.output(host.lpars[0], 100)
        with pytest.raises(Unsupported, match="management_root" if "serial" in settings else "vnc"):
            made.vnc(host.lpars[0])
        made.begin(host.lpars[0])
        made.close(host.lpars[0])
        made.forget(host.lpars[0].uuid)
    assert host.said() == ([] if "serial" in settings else ["closed 5"])


def test_each_guest_has_an_address_of_its_own_that_stays(host: Host) -> None:
    host.lpars = [lpar(5), lpar(6)]
    with host.consoles(record=False, vnc_host="127.0.0.1") as made:
        first, second = (made.vnc(each) for each in host.lpars)
        assert made.vnc(host.lpars[0]) == first
        assert (first.host, first.port) == (second.host, second.port)
        assert first.port > 0
        assert first.path != second.path
        assert first.path not in repr(first)
        with pytest.raises(Conflict, match="not activated"):
            made.vnc(dataclasses.replace(host.lpars[0], state=OFF))
        with pytest.raises(Unsupported, match="console_recorder"):
            made.serial(host.lpars[0])


def test_a_serial_console_is_not_a_vnc_console(host: Host) -> None:
    host.lpars = [lpar(5)]
    with host.consoles(vnc_host="127.0.0.1", serial_host="127.0.0.1") as made:
        serial, vnc = made.serial(host.lpars[0]), made.vnc(host.lpars[0])
        assert serial.port == vnc.port
        assert serial.path != vnc.path
        until(lambda: made.output(host.lpars[0], 100) != b"")
        with socket.create_connection((serial.host, serial.port), 20) as viewer:
            viewer.sendall(f"CONNECT {serial.path} HTTP/1.1\r\n\r\n".encode())
            assert viewer.recv(100) == b"HTTP/1.1 200 OK\r\n\r\n"
            viewer.sendall(b"x" * 100_000)
            host.lpars = [lpar(5, OFF)]
            assert viewer.recv(100) == b"", "whoever types more than is taken is sent away like others"


def test_a_port_that_is_taken_is_told_of_and_the_rest_works(host: Host) -> None:
    host.lpars = [lpar(5)]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with host.consoles(vnc_host="127.0.0.1", port=port) as made:
            with pytest.raises(Unavailable, match=f"Port {port} of 127.0.0.1.*vnc_port"):
                made.vnc(host.lpars[0])
            until(lambda: made.output(host.lpars[0], 100) != b"")


def test_consoles_with_ports_of_their_own(host: Host) -> None:
    host.lpars = [lpar(5), lpar(6)]
    with host.consoles(vnc_host="127.0.0.1", serial_host="127.0.0.1", own_ports=True) as made:
        until(lambda: made.output(host.lpars[0], 100) != b"")
        one, other = (made.serial(each) for each in host.lpars)
        assert (one.path, other.path) == (None, None)
        assert made.serial(host.lpars[0]) == one, "a second viewer comes to the same port"
        assert len({one.port, other.port, made.vnc(host.lpars[0]).port}) == 3
        with socket.create_connection((one.host, one.port), 20) as viewer:
            viewer.sendall(b"x" * 100_000)
            host.lpars = [lpar(5, OFF), lpar(6)]
            assert viewer.recv(100) == b"", "nothing was answered, and a stop sends the viewer away"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((one.host, one.port), 20)
        socket.create_connection((other.host, other.port), 20).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other.host, other.port), 20)


def test_a_console_takes_the_first_free_port(host: Host) -> None:
    host.lpars = [lpar(5)]
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with host.consoles(vnc_host="127.0.0.1", port=port, own_ports=True) as made:
            assert port < made.vnc(host.lpars[0]).port < port + COUNT
    with (
        host.consoles(vnc_host="192.0.2.1", port=5901, own_ports=True) as made,
        pytest.raises(Unavailable, match=r"Port 5901 of 192\.0\.2\.1.*server_proxyclient_address"),
    ):
        made.vnc(host.lpars[0])


def test_certificates_that_cannot_be_used_stop_the_start(host: Host) -> None:
    files = VncCertificates("/nowhere/ca", "/nowhere/cert", "/nowhere/key")
    with pytest.raises(InvalidSpec, match="vnc_ca_certs"), host.consoles(vnc_host="127.0.0.1", certificates=files):
        pass
