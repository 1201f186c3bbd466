"""Consoles for nova-novncproxy: one port for all guests, passed through to what `mkvterm` serves on loopback ports.

The proxy first names what it wants, as `CONNECT path HTTP/1.1`; the path is a secret of each guest, so that nobody gets
from one console to another. After the answer the bytes are the RFB protocol's and are not looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Callable

from bigiron.errors import AuthError, PlatformError
from bigiron.powervm.console.terminal import Terminal
from bigiron.powervm.console.vencrypt import Pair, secure

LOG = logging.getLogger(__name__)

_REQUEST = re.compile(rb"CONNECT (\S{1,255}) HTTP/1\.[01]\r\n")
_REQUEST_S = 10.0
_REQUEST_LIMIT = 4096
_CONNECT_S = 10.0
_STUCK_S = 60.0
_CHUNK = 65536
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n\r\n"
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Viewers:
    """The listening port; each connection is a task of the consoles' event loop."""

    def __init__(self, find: Callable[[str], Terminal | None]) -> None:
        """`find` gives the terminal that a path is the secret of."""
        self._find = find
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Begin to listen, with a context for TLS only; returns the port. Raises OSError."""
        self._context = context
        self._server = await asyncio.start_server(self._serve, host, port, limit=_REQUEST_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port; who is connected already stays."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            terminal = await self._wanted(reader)
            if terminal is None:
                await _say(writer, _BAD_REQUEST)
            else:
                await self._view(terminal, (reader, writer))
        except AuthError as error:
            LOG.warning("%s", error)
        except (ConnectionError, TimeoutError) as error:
            LOG.debug("A viewer left: %r", error)
        except Exception:
            # Without this the loop would report it, without a word of what it was about.
            LOG.exception("A connection to the VNC port failed")
        finally:
            await _end(writer)

    async def _wanted(self, reader: asyncio.StreamReader) -> Terminal | None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return None
        matched = _REQUEST.match(head)
        return self._find(matched[1].decode("ascii", "replace")) if matched else None

    async def _view(self, terminal: Terminal, viewer: Pair) -> None:
        with terminal.connection():
            try:
                port = await terminal.show()
            except PlatformError as error:
                LOG.warning("The console of %s cannot be shown: %s", terminal.name, error)
                await _say(viewer[1], _UNAVAILABLE)
                return
            try:
                await _relay(viewer, port, self._context)
            finally:
                terminal.leave()


async def _relay(viewer: Pair, port: int, context: ssl.SSLContext | None) -> None:
    """Pass bytes both ways until one side ends."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            served = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        LOG.warning("mkvterm's VNC port %d does not answer: %s", port, error)
        await _say(viewer[1], _UNAVAILABLE)
        return
    try:
        for _reader, writer in (viewer, served):
            _watch_peer(writer)
        await _say(viewer[1], _OK)
        if context is not None:
            await secure(viewer, served, context)
        ways = [
            asyncio.create_task(_pass_on(viewer[0], served[1])),
            asyncio.create_task(_pass_on(served[0], viewer[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        await _end(served[1])


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """A viewer may be idle for hours, but one that takes no bytes is gone."""
    while data := await source.read(_CHUNK):
        target.write(data)
        async with asyncio.timeout(_STUCK_S):
            await target.drain()


async def _say(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)
    async with asyncio.timeout(_STUCK_S):
        await writer.drain()


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
