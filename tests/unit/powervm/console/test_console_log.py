"""The file that keeps the last part of a console."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bigiron.powervm.console.log import ConsoleLog


def test_what_was_printed_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "consoles" / "a.log")
    assert log.tail(100) == b""
    log.append(b"one\r\n")
    log.append(b"two\r\n")
    assert log.tail(100) == b"one\r\ntwo\r\n"
    assert log.tail(5) == b"two\r\n"
    assert log.path.stat().st_mode & 0o777 == 0o600
    log.remove()
    log.remove()
    assert log.tail(100) == b""


def test_the_file_is_cut_back_to_its_last_part(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "a.log", kept=1000)
    for number in range(500):
        log.append(b"%04d\n" % number)
        assert log.path.stat().st_size <= 2000
    assert log.tail(10_000).endswith(b"0498\n0499\n")
    assert len(log.tail(10_000)) >= 1000
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [log.path]


def test_a_gap_is_one_line_with_its_first_reason(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "a.log")
    log.append(b"before\r\n")
    log.lost("shown by VNC")
    log.lost("mkvterm ended with 1")
    assert log.tail(1000).count(b"not recorded since") == 1
    log.append(b"after\r\n")
    log.append(b"and on\r\n")
    text = log.tail(1000)
    assert text.startswith(b"before\r\n\r\n[bigiron: not recorded from ")
    assert text.endswith(b": shown by VNC]\r\nafter\r\nand on\r\n")


def test_the_tail_with_an_open_gap_keeps_to_the_limit(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "a.log")
    log.append(b"x" * 1000)
    log.lost("shown by VNC")
    assert len(log.tail(200)) == 200
    assert log.tail(200).endswith(b"shown by VNC]\r\n")


def test_a_new_process_goes_on_after_a_gap_unless_the_guest_was_off(tmp_path: Path) -> None:
    ConsoleLog(tmp_path / "a.log").append(b"before\r\n")
    later = ConsoleLog(tmp_path / "a.log")
    assert b"nova-compute was not running" in later.tail(1000)
    later.append(b"after\r\n")
    assert b"nova-compute was not running" in later.tail(1000)
    started = ConsoleLog(tmp_path / "a.log")
    started.whole()
    assert started.tail(7) == b"after\r\n"


def test_a_disk_that_takes_nothing_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    log = ConsoleLog(blocked / "a.log")
    with caplog.at_level(logging.WARNING):
        log.append(b"one")
        log.append(b"two")
    assert len(caplog.records) == 1
    blocked.unlink()
    log.append(b"three")
    assert log.tail(100) == b"three"
