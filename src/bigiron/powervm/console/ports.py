"""A port for each console, for proxies that cannot name the one they want.

Nova 33's proxies fail where a console has an access path. Who reaches such a port reaches its console, as with Nova's
other drivers: VNC can be kept to who has a certificate, and a port is open only while its guest runs, from the first
time that somebody asks for the console.
"""

from __future__ import annotations

import asyncio
import errno
import functools
from collections.abc import Awaitable, Callable

from bigiron.powervm.console.viewers import Viewers

COUNT = 1024
"""Ports that may be used, from the first on."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ConsolePorts:
    """The ports that are open, by the secret of their console; everything here runs in the consoles' event loop."""

    def __init__(self, viewers: Viewers, first: int) -> None:
        """With `first` 0 the machine picks the ports."""
        self._viewers = viewers
        self._first = first
        self._servers: dict[str, asyncio.Server] = {}

    async def open(self, host: str, secret: str) -> int:
        """Listen for a console's viewers, unless that is so; returns the port. Raises OSError."""
        if secret not in self._servers:
            self._servers[secret] = await self._listen(host, functools.partial(self._viewers.serve, secret=secret))
        return int(self._servers[secret].sockets[0].getsockname()[1])

    async def close(self, secret: str) -> None:
        """Close a console's port, if it has one; who is connected already stays."""
        server = self._servers.pop(secret, None)
        if server is not None:
            server.close()

    async def stop(self) -> None:
        """Close all ports."""
        for secret in list(self._servers):
            await self.close(secret)

    async def _listen(self, host: str, serve: Serve) -> asyncio.Server:
        last = min(self._first + COUNT - 1, 65535) if self._first else 0
        for port in range(self._first, last):
            try:
                return await asyncio.start_server(serve, host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        return await asyncio.start_server(serve, host, last)
