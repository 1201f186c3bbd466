"""The management partition's commands, with scripts in their place."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import pytest

from bigiron.errors import Busy, PlatformError, Unavailable
from bigiron.powervm.console import tools
from bigiron.powervm.console.tools import Attachment, Ran, Tools

SERIAL = "78A0001"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/ppc64").mkdir(parents=True)
    (tmp_path / "proc/ppc64/lparcfg").write_text("lparcfg 1.9\nserial_number=IBM,0278A0001\npartition_id=2\n")
    (tmp_path / "usr/bin").mkdir(parents=True)
    for name in ("mkvterm", "rmvterm"):
        script(tmp_path, name, "exit 0")
    return tmp_path


def script(root: Path, name: str, text: str) -> None:
    path = root / "usr/bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def answering(*ran: Ran) -> tuple[Callable[[Sequence[str]], Ran], list[Sequence[str]]]:
    asked: list[Sequence[str]] = []
    answers = iter(ran)

    def run(argv: Sequence[str]) -> Ran:
        asked.append(argv)
        return next(answers)

    return run, asked


def read_all(attachment: Attachment) -> bytes:
    """What is printed until the command ends."""
    shown, deadline = b"", time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            shown += os.read(attachment.fd, 1000)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return shown
    raise AssertionError(f"the command does not end: {shown!r}")


def test_they_are_only_used_for_the_system_that_they_belong_to(root: Path) -> None:
    assert Tools(root).available(SERIAL)
    assert not Tools(root).available("78B0002")
    (root / "proc/ppc64/lparcfg").unlink()
    assert not Tools(root).available(SERIAL)


def test_without_mkvterm_there_are_none(root: Path) -> None:
    (root / "usr/bin/mkvterm").unlink()
    assert not Tools(root).available(SERIAL)


@pytest.mark.parametrize("status", [0, 3])
def test_the_port_is_the_first_line(root: Path, status: int) -> None:
    run, asked = answering(Ran(status, "5903\nmore\n", ""))
    assert Tools(root, run).serve_vnc(5) == 5903
    assert asked == [[str(root / "usr/bin/mkvterm"), "--id", "5", "--vnc", "--local"]]


def test_a_terminal_that_is_open_otherwise_is_busy_and_the_message_says_how_to_close_it(root: Path) -> None:
    run, _asked = answering(Ran(3, "", "it is open already"))
    with pytest.raises(Busy, match="rmvterm --id 5"):
        Tools(root, run).serve_vnc(5)


def test_what_a_command_complains_of_is_told(root: Path) -> None:
    script(root, "mkvterm", "echo no such partition >&2; exit 1")
    script(root, "rmvterm", "echo no such partition >&2; exit 1")
    with pytest.raises(Unavailable, match=r"ended with 1: no such partition"):
        Tools(root).serve_vnc(77)
    with pytest.raises(PlatformError, match=r"ended with 1: no such partition"):
        Tools(root).close(77)


def test_a_command_that_hangs_or_is_not_there_is_unavailable(root: Path) -> None:
    script(root, "rmvterm", "exec sleep 60")
    with mock.patch.object(tools, "_RUN_S", 0.2), pytest.raises(Unavailable, match="did not end"):
        Tools(root).close(5)
    gone = Tools(root)
    (root / "usr/bin/mkvterm").unlink()
    (root / "usr/bin/rmvterm").unlink()
    for use in (gone.attach, gone.serve_vnc, gone.close):
        with pytest.raises(Unavailable, match="cannot be run"):
            use(5)


def test_an_attached_terminal_is_a_terminal_and_gives_the_bytes_as_they_are(root: Path) -> None:
    script(root, "mkvterm", 'test -t 0 && test -t 1 && printf "a\\nb\\r\\n"; echo oops >&2; exit 3')
    attachment = Tools(root).attach(5)
    assert read_all(attachment) == b"a\nb\r\n"
    assert attachment.end() == Ran(3, "", "oops")


@pytest.mark.parametrize(
    ("text", "status"),
    [("exec sleep 60", -signal.SIGTERM), ("trap '' TERM; while :; do sleep 0.1; done", -signal.SIGKILL)],
)
def test_a_command_that_does_not_end_is_ended(root: Path, text: str, status: int) -> None:
    script(root, "mkvterm", f"echo ready; {text}")
    attachment = Tools(root).attach(5)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert os.read(attachment.fd, 100)
            break
        except BlockingIOError:
            time.sleep(0.01)
    with mock.patch.object(tools, "_END_S", 0.5):
        assert attachment.end().status == status
