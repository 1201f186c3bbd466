"""The end of the consoles: viewers that do not read, and requests that come just then."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.management import vnc
from bigiron.sim.powervm.management.vnc import Stopped, VncLoop, VncServer

FRAME_REQUEST = bytes([3, 0]) + bytes(8)


class Then:
    """A lock; what is given is done once, just after it was released for the first time."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._do: list[Callable[[], None]] = [do]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_exc: object) -> None:
        self._lock.release()
        while self._do:
            self._do.pop()()


async def _nothing() -> None: ...


def _watch_without_reading(port: int) -> socket.socket:
    """A viewer that asks for one picture after the other and reads none."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.settimeout(60)
    viewer.connect(("127.0.0.1", port))
    viewer.sendall(b"RFB 003.008\n\x01\x01" + FRAME_REQUEST * 1000)
    return viewer


def _is_stuck(server: VncServer) -> bool:
    """Whether a viewer's buffer is too full for more."""
    transports: list[Any] = [viewer._writer.transport for viewer in tuple(server._viewers)]
    return any(transport.get_write_buffer_size() > 64 * 1024 for transport in transports)


def _stop_listening(loop: VncLoop, server: VncServer) -> None:
    assert server._server
    loop.soon(server._server.close)


@pytest.mark.parametrize("closed", [False, True])
def test_a_viewer_that_does_not_read_holds_up_no_end(closed: bool, caplog: pytest.LogCaptureFixture) -> None:
    loop = VncLoop()
    server = VncServer(loop, "one", Console(), lambda _text: None, lambda: None)
    with caplog.at_level(logging.WARNING), _watch_without_reading(server.start()):
        deadline = time.monotonic() + 60
        while not _is_stuck(server):
            assert time.monotonic() < deadline, "its buffer never was full"
            time.sleep(0.01)
        if closed:
            server.close()
        _stop_listening(loop, server)
        loop.stop()
    assert loop._loop.is_closed()
    assert not [said for said in caplog.messages if "did not leave" in said or "socket.send" in said]


def test_a_task_that_does_not_end_does_not_keep_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = VncLoop()
    stays: list[asyncio.Task[None]] = []

    async def stay() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def begin() -> None:
        stays.append(asyncio.create_task(stay()))
        await asyncio.sleep(0)  # it has begun

    loop.call(begin())
    monkeypatch.setattr(vnc, "_CALL_S", 0.1)
    with caplog.at_level(logging.WARNING):
        loop.stop()
    assert "did not leave" in caplog.text


def test_a_request_that_comes_as_the_loop_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, console = VncLoop(), Console()
    open_before = VncServer(loop, "one", console, lambda _text: None, lambda: None)
    open_before.start()
    _stop_listening(loop, open_before)
    refused = []

    def ask() -> None:
        with pytest.raises(Stopped, match="simulator ends"):
            loop.call(_nothing())
        open_before.close()
        refused.append(True)

    monkeypatch.setattr(loop, "_lock", Then(ask))
    loop.stop()
    assert refused and loop._loop.is_closed()
    threads = [thread for thread in threading.enumerate() if thread.name == "vnc"]
    assert threads == []
