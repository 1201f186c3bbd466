"""A console as a stream of bytes for one client: what an attached `mkvterm` shows and types.

The client is attached for as long as its connection lives, and sees only what is printed meanwhile: the hypervisor
keeps nothing for a terminal that nobody has open.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
from collections.abc import Callable

from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.management.vnc import Stopped, VncLoop

LOG = logging.getLogger(__name__)

_CONNECT_S = 10.0
_TICK_S = 0.2
_CHUNK = 4096


class TextServer:
    """One console on one port of the loopback address, for one client; `ended` is called when that one has left."""

    def __init__(
        self,
        loop: VncLoop,
        console: Console,
        type_text: Callable[[str], None],
        tick: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        """`type_text` and `tick` as VncServer's; `ended` is called in a thread of its own."""
        self._loop = loop
        self._console = console
        self._type_text = type_text
        self._tick = tick
        self._ended = ended
        self._shown = 0
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._stop_listening: Callable[[], None] = lambda: None

    def start(self) -> int:
        """Listen on a free port and return it; text counts from now on."""
        self._tick()
        self._shown = self._console.end
        port = self._loop.call(self._listen())
        self._stop_listening = self._console.listen(lambda: self._loop.soon(self._changed.set))
        return port

    def close(self) -> None:
        """Drop the client and the port."""
        self._stop_listening()
        with contextlib.suppress(Stopped):  # the end of the loop has dropped them
            self._loop.call(self._shut())

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        self._task = asyncio.create_task(self._expect())
        return port

    async def _expect(self) -> None:
        """A command that dies before it connects must not hold the terminal."""
        await asyncio.sleep(_CONNECT_S)
        if self._writer is None:
            self._leave()

    async def _shut(self) -> None:
        if self._server:
            self._server.close()
        if self._task:
            self._task.cancel()
        if self._writer:
            self._writer.close()

    def _leave(self) -> None:
        """Tell that the client left: not in the loop's thread, where whoever is told could not wait for the loop."""
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().run_in_executor(None, self._ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        if self._task:
            self._task.cancel()
        self._task = asyncio.create_task(self._show(writer))
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while data := await reader.read(_CHUNK):
                self._type_text(decoder.decode(data))
        except ConnectionError:
            LOG.debug("the client of a terminal left")
        finally:
            self._task.cancel()
            writer.close()
            self._leave()

    async def _show(self, writer: asyncio.StreamWriter) -> None:
        """Send what is printed; a line ends in carriage return and newline, as a terminal's does."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._changed.clear()
                excerpt = self._console.read(self._shown)
                self._shown = excerpt.end
                if excerpt.text:
                    writer.write(excerpt.text.replace("\n", "\r\n").encode())
                    await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):
                        await self._changed.wait()
                self._tick()
