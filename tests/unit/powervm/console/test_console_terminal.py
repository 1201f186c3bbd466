"""Whose a partition's one terminal is, in an event loop with a terminal that the test plays."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bigiron.errors import Busy, PlatformError, Unavailable
from bigiron.powervm.console import terminal as terminals
from bigiron.powervm.console.log import ConsoleLog
from bigiron.powervm.console.terminal import Pauses, Terminal
from bigiron.powervm.console.tools import ALREADY_OPEN, Ran

QUICK = Pauses(retry_s=0.05, linger_s=0.05)
NEVER = Pauses(retry_s=60, linger_s=60)


class FakeAttachment:
    """What the recorder reads from; the test writes to it."""

    def __init__(self, owner: FakeTools) -> None:
        self._owner = owner
        self.fd, self._inner = os.pipe()
        os.set_blocking(self.fd, False)
        self.status = 0

    def write(self, data: bytes) -> None:
        os.write(self._inner, data)

    def read(self, most: int) -> bytes | None:
        return io.FileIO(self.fd, closefd=False).read(most)

    def leave(self, status: int = 0) -> None:
        """The command ends by itself."""
        self.status = status
        os.close(self._inner)
        self._inner = -1

    def end(self) -> Ran:
        os.close(self.fd)
        if self._inner >= 0:
            os.close(self._inner)
        self._owner.said.append("detach")
        return Ran(self.status, "", "it failed" if self.status else "")


class FakeTools:
    """Notes what is asked of it; `trouble` is raised by the next calls for VNC, one each."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attachments: list[FakeAttachment] = []
        self.trouble: list[PlatformError] = []
        self.slow = threading.Event()
        self.slow.set()

    def attach(self, _lpar_id: int) -> FakeAttachment:
        self.said.append("attach")
        self.attachments.append(FakeAttachment(self))
        return self.attachments[-1]

    def serve_vnc(self, _lpar_id: int) -> int:
        self.said.append("vnc")
        self.slow.wait(60)
        if self.trouble:
            raise self.trouble.pop(0)
        return 5905

    def close(self, _lpar_id: int) -> None:
        self.said.append("close")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    monkeypatch.setattr(terminals, "_LET_GO_S", 0.01)
    return FakeTools()


def playing(
    tools: FakeTools, tmp_path: Path, play: Callable[[Terminal, ConsoleLog], Awaitable[None]], pauses: Pauses
) -> None:
    """Run a test in an event loop, with the terminal recorded; it is closed in the end."""

    async def run() -> None:
        log = ConsoleLog(tmp_path / "a.log")
        terminal = Terminal(tools, 5, "LPAR web", log, pauses)  # type: ignore[arg-type]
        terminal.record()
        try:
            async with asyncio.timeout(60):
                await play(terminal, log)
        finally:
            await terminal.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_what_is_printed_is_recorded_until_the_end(tools: FakeTools, tmp_path: Path) -> None:
    async def play(_terminal: Terminal, log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        tools.attachments[0].write(b"hello\r\n")
        await until(lambda: log.tail(100) == b"hello\r\n")

    playing(tools, tmp_path, play, NEVER)
    assert tools.said == ["attach", "detach"]


def test_a_terminal_that_cannot_be_had_is_tried_again(tools: FakeTools, tmp_path: Path) -> None:
    async def play(_terminal: Terminal, log: ConsoleLog) -> None:
        for number, (status, reason) in enumerate(((ALREADY_OPEN, b"somebody has"), (1, b"it failed"), (0, b"closed"))):
            await until(lambda: len(tools.attachments) > number)  # noqa: B023 (waited for at once)
            tools.attachments[number].leave(status)
            await until(lambda: tools.said.count("detach") > number)  # noqa: B023
            if number == 0:
                await until(lambda: reason in log.tail(1000))  # noqa: B023
        await until(lambda: len(tools.attachments) > 3)
        tools.attachments[3].write(b"again\r\n")
        await until(lambda: log.tail(1000).endswith(b"again\r\n"))
        assert log.tail(1000).count(b"bigiron") == 1

    playing(tools, tmp_path, play, QUICK)


def test_the_last_viewer_to_leave_gives_the_terminal_back(tools: FakeTools, tmp_path: Path) -> None:
    async def play(terminal: Terminal, log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        assert [await terminal.show(), await terminal.show()] == [5905, 5905]
        assert tools.said == ["attach", "detach", "vnc", "vnc"]
        terminal.leave()
        await asyncio.sleep(0.2)
        assert len(tools.attachments) == 1, "one still looks"
        terminal.leave()
        await until(lambda: len(tools.attachments) == 2)
        assert tools.said[-2:] == ["close", "attach"]
        assert b"shown by VNC" in log.tail(1000)

    playing(tools, tmp_path, play, QUICK)


def test_a_viewer_who_comes_back_soon_finds_the_screen_as_it_was(tools: FakeTools, tmp_path: Path) -> None:
    async def play(terminal: Terminal, _log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        await terminal.show()
        terminal.leave()
        await terminal.show()
        await asyncio.sleep(0.1)
        assert "close" not in tools.said

    playing(tools, tmp_path, play, NEVER)
    assert tools.said[-1] == "close"


def test_a_viewer_who_is_cut_off_does_not_close_the_terminal_of_whoever_did_it(
    tools: FakeTools, tmp_path: Path
) -> None:
    async def play(terminal: Terminal, _log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        await terminal.show()
        tools.trouble = [Busy("open")]
        terminal.leave(cut_off=True)
        await until(lambda: len(tools.attachments) == 2)
        assert tools.said == ["attach", "detach", "vnc", "vnc", "attach"]
        await terminal.show()
        terminal.leave(cut_off=True)
        await until(lambda: len(tools.attachments) == 3)
        assert tools.said[-4:] == ["vnc", "vnc", "close", "attach"], "one that is free or still served is closed"

    playing(tools, tmp_path, play, QUICK)


def test_only_what_was_our_own_is_closed_for_a_viewer(tools: FakeTools, tmp_path: Path) -> None:
    async def ours(terminal: Terminal, log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        tools.attachments[0].write(b"hello")
        await until(lambda: log.tail(100))
        tools.trouble = [Busy("open")]
        await terminal.show()
        assert tools.said == ["attach", "detach", "vnc", "close", "vnc"]

    async def theirs(terminal: Terminal, _log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        tools.attachments[-1].leave(ALREADY_OPEN)
        await until(lambda: tools.said[-1] == "detach")
        tools.trouble = [Busy("open"), Busy("still open")]
        with pytest.raises(Busy, match="still"):
            await terminal.show()
        await until(lambda: tools.said[-1] == "attach")
        assert "close" not in tools.said, "the recorder tries again, and nobody is sent away"

    playing(tools, tmp_path, ours, NEVER)
    tools.said.clear()
    tools.attachments.clear()
    playing(tools, tmp_path, theirs, Pauses(retry_s=60, linger_s=0.05))


def test_a_viewer_who_leaves_while_the_terminal_is_opened_does_not_leave_it_open(
    tools: FakeTools, tmp_path: Path
) -> None:
    async def play(terminal: Terminal, _log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        tools.slow.clear()
        viewer = asyncio.create_task(terminal.show())
        await until(lambda: "vnc" in tools.said)
        viewer.cancel()
        await asyncio.sleep(0.05)
        tools.slow.set()
        with pytest.raises(asyncio.CancelledError):
            await viewer
        await until(lambda: len(tools.attachments) == 2)
        assert tools.said == ["attach", "detach", "vnc", "close", "attach"]

    playing(tools, tmp_path, play, QUICK)


def test_closing_ends_the_connections_and_refuses_new_ones(tools: FakeTools, tmp_path: Path) -> None:
    async def play(terminal: Terminal, _log: ConsoleLog) -> None:
        async def viewer() -> None:
            with terminal.connection():
                await terminal.show()
                try:
                    await asyncio.sleep(60)
                finally:
                    terminal.leave()

        await until(lambda: tools.attachments)
        task: asyncio.Task[Any] = asyncio.create_task(viewer())
        await until(lambda: "vnc" in tools.said)
        await terminal.close()
        assert task.cancelled()
        with pytest.raises(PlatformError, match="closed"):
            await terminal.show()
        terminal.record()
        assert tools.said == ["attach", "detach", "vnc", "close"]

    playing(tools, tmp_path, play, QUICK)


def test_a_trouble_that_is_nobodys_gives_the_terminal_back_to_the_recorder(tools: FakeTools, tmp_path: Path) -> None:
    async def play(terminal: Terminal, _log: ConsoleLog) -> None:
        await until(lambda: tools.attachments)
        tools.trouble = [Unavailable("mkvterm did not end")]
        with pytest.raises(Unavailable):
            await terminal.show()
        await until(lambda: len(tools.attachments) == 2)

    playing(tools, tmp_path, play, QUICK)
