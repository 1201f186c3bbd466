"""Consoles for nova-novncproxy and nova-serialproxy: one port for all guests.

The proxy first names what it wants, as `CONNECT path HTTP/1.1`; the path is a secret of each guest, so that nobody gets
from one console to another. After the answer the bytes of a VNC console are the RFB protocol's: they are passed on to
what `mkvterm` serves on a loopback port, and not looked at. Those of a serial console are the terminal's own, shared
with the recorder. On a port of one console alone (console/ports.py) nothing is named and nothing answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import re
import socket
import ssl
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from bigiron.errors import AuthError, Busy, PlatformError
from bigiron.powervm.console.terminal import Terminal
from bigiron.powervm.console.vencrypt import Pair, secure

LOG = logging.getLogger(__name__)

_REQUEST = re.compile(rb"CONNECT (\S{1,255}) HTTP/1\.[01]\r\n")
_REQUEST_S = 10.0
_REQUEST_LIMIT = 4096
_CONNECT_S = 10.0
_STUCK_S = 60.0
_CHUNK = 65536
_BACKLOG = 1024 * 1024
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n\r\n"
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Kind(enum.Enum):
    """What a viewer speaks."""

    VNC = "vnc"
    SERIAL = "serial"


Wanted = tuple[Terminal, Kind]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A connection; only one that named what it wants expects an answer."""

    pair: Pair
    named: bool

    async def answer(self, answer: bytes) -> None:
        """Answer the request, if there was one. Raises OSError and TimeoutError."""
        writer = self.pair[1]
        if self.named:
            writer.write(answer)
        async with asyncio.timeout(_STUCK_S):
            await writer.drain()


class Viewers:
    """The listening port; each connection is a task of the consoles' event loop."""

    def __init__(self, find: Callable[[str], Wanted | None], context: ssl.SSLContext | None = None) -> None:
        """`find` gives the terminal that a path is the secret of, and for whom; with a context VNC is TLS only."""
        self._find = find
        self._context = context
        self._server: asyncio.Server | None = None

    async def listen(self, hosts: Collection[str], port: int) -> int:
        """Begin to listen; returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self.serve, list(hosts), port, limit=_REQUEST_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port; who is connected already stays."""
        if self._server is not None:
            self._server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: str = "") -> None:
        """Serve a connection to its end; without a secret the viewer has to name one first."""
        viewer = Viewer((reader, writer), named=not secret)
        try:
            wanted = self._find(secret) if secret else await self._wanted(reader)
            if wanted is None:
                await viewer.answer(_BAD_REQUEST)
                return
            terminal, kind = wanted
            with terminal.connection():
                await (self._view if kind is Kind.VNC else _talk)(terminal, viewer)
        except AuthError as error:
            LOG.warning("%s", error)
        except (ConnectionError, TimeoutError) as error:
            LOG.debug("A viewer left: %r", error)
        except Exception:
            # Without this the loop would report it, without a word of what it was about.
            LOG.exception("A connection to the VNC port failed")
        finally:
            await _end(writer)

    async def _wanted(self, reader: asyncio.StreamReader) -> Wanted | None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return None
        matched = _REQUEST.match(head)
        return self._find(matched[1].decode("ascii", "replace")) if matched else None

    async def _view(self, terminal: Terminal, viewer: Viewer) -> None:
        try:
            port = await terminal.show()
        except PlatformError as error:
            LOG.warning("The console of %s cannot be shown: %s", terminal.name, error)
            await viewer.answer(_UNAVAILABLE)
            return
        cut_off = False
        try:
            cut_off = await _relay(viewer, port, self._context)
        finally:
            terminal.leave(cut_off)


async def _talk(terminal: Terminal, viewer: Viewer) -> None:
    """A serial console: what the recorder reads, and what the viewer types."""
    reader, writer = viewer.pair
    ended = asyncio.Event()

    def printed(data: bytes) -> None:
        # The recorder waits for nobody: who takes nothing is dropped.
        if not data or writer.transport.get_write_buffer_size() > _BACKLOG:
            ended.set()
        else:
            writer.write(data)

    async def typed() -> None:
        while data := await reader.read(_CHUNK):
            await terminal.type_text(data)

    try:
        with terminal.line(printed):
            _watch_peer(writer)
            await viewer.answer(_OK)
            await _first_of(typed(), ended.wait())
    except Busy as error:
        LOG.warning("%s", error)
        await viewer.answer(_UNAVAILABLE)


async def _first_of(*works: Coroutine[Any, Any, Any]) -> int:
    """Run them until one ends, and end the others; returns which one it was."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(number for number, task in enumerate(tasks) if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(viewer: Viewer, port: int, context: ssl.SSLContext | None) -> bool:
    """Pass bytes both ways until one side ends; returns whether that was the terminal's."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            served = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        LOG.warning("mkvterm's VNC port %d does not answer: %s", port, error)
        await viewer.answer(_UNAVAILABLE)
        return True
    try:
        for _reader, writer in (viewer.pair, served):
            _watch_peer(writer)
        await viewer.answer(_OK)
        if context is not None:
            await secure(viewer.pair, served, context)
        reader, writer = viewer.pair
        return await _first_of(_pass_on(reader, served[1]), _pass_on(served[0], writer)) == 1
    finally:
        await _end(served[1])


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """A viewer may be idle for hours, but one that takes no bytes is gone."""
    while data := await source.read(_CHUNK):
        target.write(data)
        async with asyncio.timeout(_STUCK_S):
            await target.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close; what a peer that takes nothing has not been sent is thrown away."""
    writer.close()
    try:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(1.0):
                await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()


def _watch_peer(writer: asyncio.StreamWriter) -> None:
    """A viewer whose machine has gone without a word must not keep the recorder from its work."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
