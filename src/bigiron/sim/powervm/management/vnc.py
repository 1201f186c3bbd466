"""A VNC server (RFB 3.8, RFC 6143) that shows a console: no authentication, loopback only, Raw encoding.

PyPI holds RFB clients, but no server that is kept up. One event loop in one thread serves the consoles that are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from bigiron.sim.powervm.guests.console import Console
from bigiron.sim.powervm.management.keys import Keyboard
from bigiron.sim.powervm.management.screen import CELL_HEIGHT, HEIGHT, ROWS, WIDTH, PixelFormat, Screen

LOG = logging.getLogger(__name__)

_VERSION = b"RFB 003.008\n"
_SECURITY_NONE = 1
_RAW = 0
_HANDSHAKE_S = 10.0
_CALL_S = 10.0
_TICK_S = 0.2
_PASTE_LIMIT = 64 * 1024

T = TypeVar("T")


class Stopped(Exception):
    """The loop has ended, as the simulator ends."""

    def __init__(self) -> None:
        super().__init__("the simulator ends and opens no terminal any more")


class VncLoop:
    """The thread whose event loop all VNC servers share; it starts with the first of them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result. Raises Stopped."""
        with self._lock:
            if self._stopped:
                coroutine.close()
                raise Stopped
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop.run_forever, name="vnc", daemon=True)
                self._thread.start()
            # Still under the lock, so that `stop`, which cancels what is under way, finds it in the loop.
            outcome = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return outcome.result(_CALL_S)
        except CancelledError:
            raise Stopped from None

    def soon(self, function: Callable[[], object]) -> None:
        """Run a function in the loop, from any thread; nothing after the loop was stopped."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """End the thread, and with it every connection; `call` is refused from now on."""
        with self._lock:
            self._stopped = True
            thread, self._thread = self._thread, None
        if thread:
            try:
                asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result(_CALL_S)
            except TimeoutError:
                LOG.warning("a viewer of a console did not leave within %.0f s", _CALL_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_CALL_S)
            if thread.is_alive():
                LOG.warning("the thread of the consoles did not end within %.0f s", _CALL_S)
                return
        self._loop.close()


async def _cancel_others() -> None:
    """End every other task of the loop and wait until their connections are closed."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class VncServer:
    """One console on one port of the loopback address, for any number of viewers."""

    def __init__(
        self, loop: VncLoop, name: str, console: Console, type_text: Callable[[str], None], tick: Callable[[], None]
    ) -> None:
        """`type_text` takes what viewers type; `tick` is called while someone watches, to bring the console up to date.

        Both are called in the loop's thread and must not wait.
        """
        self.name = name
        self.type_text = type_text
        self._tick = tick
        self.screen = Screen()
        self._loop = loop
        self._console = console
        self._shown = 0
        self._viewers: set[_Viewer] = set()
        self._stop_listening: Callable[[], None] = lambda: None
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> int:
        """Listen on a free port and return it; the screen shows what is printed from now on."""
        self._tick()
        self._shown = self._console.end
        port = self._loop.call(self._listen())
        self._stop_listening = self._console.listen(lambda: self._loop.soon(self._wake))
        return port

    def close(self) -> None:
        """Drop the viewers and the port."""
        self._stop_listening()
        with contextlib.suppress(Stopped):  # the end of the loop has dropped them
            self._loop.call(self._shut())

    def refresh(self) -> None:
        """Bring the screen up to the console's end."""
        excerpt = self._console.read(self._shown)
        self._shown = excerpt.end
        if excerpt.text:
            self.screen.feed(excerpt.text)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        self._ticking = asyncio.create_task(self._keep_ticking())
        return port

    async def _keep_ticking(self) -> None:
        while True:
            if self._viewers:
                self._tick()
            await asyncio.sleep(_TICK_S)

    async def _shut(self) -> None:
        if self._server:
            self._server.close()
        if self._ticking:
            self._ticking.cancel()
        for viewer in tuple(self._viewers):
            viewer.close()

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.send_changes()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        viewer = _Viewer(self, reader, writer)
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                await viewer.shake_hands()
            self._tick()
            self._viewers.add(viewer)
            await viewer.serve()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            LOG.debug("a viewer of %s left", self.name)
        except ValueError as error:
            LOG.warning("a viewer of %s was dropped: %s", self.name, error)
        finally:
            self._viewers.discard(viewer)
            viewer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class _Viewer:
    """One connection: what its client asked for and what it was last sent."""

    def __init__(self, server: VncServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._format = PixelFormat()
        self._keyboard = Keyboard()
        self._seen = (0,) * ROWS
        self._waiting = False

    async def shake_hands(self) -> None:
        """Agree on the version and on no security, and tell size, pixel format and name."""
        self._writer.write(_VERSION)
        version = await self._reader.readexactly(len(_VERSION))
        if version != _VERSION:
            raise ValueError(f"it speaks {version!r}; this server speaks RFB 3.8 only")
        self._writer.write(bytes([1, _SECURITY_NONE]))
        chosen = (await self._reader.readexactly(1))[0]
        if chosen != _SECURITY_NONE:
            reason = b"only security type None is offered"
            self._writer.write(struct.pack(">II", 1, len(reason)) + reason)
            raise ValueError(f"it chose security type {chosen}, only None (1) is offered")
        self._writer.write(struct.pack(">I", 0))
        await self._reader.readexactly(1)  # ClientInit: every viewer shares the console
        name = self._server.name.encode()
        self._writer.write(struct.pack(">HH", WIDTH, HEIGHT) + self._format.pack())
        self._writer.write(struct.pack(">I", len(name)) + name)

    async def serve(self) -> None:
        """Handle the client's messages until it leaves."""
        handlers = {
            0: self._set_pixel_format,
            2: self._set_encodings,
            3: self._update_request,
            4: self._key_event,
            5: self._pointer_event,
            6: self._cut_text,
        }
        while not self._writer.is_closing():
            kind = (await self._reader.readexactly(1))[0]
            if kind not in handlers:
                raise ValueError(f"it sent a message of unknown type {kind}")
            await handlers[kind]()
            await self._writer.drain()

    def close(self) -> None:
        """End the connection at once: a viewer that does not read would keep it open for what it was not sent."""
        self._writer.transport.abort()

    def send_changes(self) -> None:
        """Answer the request that waits, if any line changed since the last answer."""
        if not self._waiting:
            return
        self._server.refresh()
        versions = self._server.screen.versions()
        rows = [row for row in range(ROWS) if versions[row] != self._seen[row]]
        if not rows:
            return
        self._waiting = False
        self._seen = versions
        self._writer.write(struct.pack(">BxH", 0, len(rows)))
        for row in rows:
            self._writer.write(struct.pack(">HHHHi", 0, row * CELL_HEIGHT, WIDTH, CELL_HEIGHT, _RAW))
            self._writer.write(self._format.translate(self._server.screen.draw(row)))

    async def _set_pixel_format(self) -> None:
        wire = await self._reader.readexactly(19)
        self._format = PixelFormat.unpack(wire[3:])
        self._seen = (0,) * ROWS

    async def _set_encodings(self) -> None:
        _padding, count = struct.unpack(">BH", await self._reader.readexactly(3))
        await self._reader.readexactly(4 * count)  # every client must take Raw

    async def _update_request(self) -> None:
        incremental, *_area = struct.unpack(">BHHHH", await self._reader.readexactly(9))
        if not incremental:
            self._seen = (0,) * ROWS
        self._waiting = True
        self.send_changes()

    async def _key_event(self) -> None:
        pressed, keysym = struct.unpack(">BxxI", await self._reader.readexactly(7))
        text = self._keyboard.event(keysym, bool(pressed))
        if text:
            self._server.type_text(text)

    async def _pointer_event(self) -> None:
        await self._reader.readexactly(5)  # a serial console has no pointer

    async def _cut_text(self) -> None:
        (length,) = struct.unpack(">xxxi", await self._reader.readexactly(7))
        # A negative length marks the extended clipboard, whose capabilities this server did not announce.
        if abs(length) > _PASTE_LIMIT:
            raise ValueError(f"it pasted {abs(length)} bytes; at most {_PASTE_LIMIT} are taken")
        text = await self._reader.readexactly(abs(length))
        if length > 0:
            self._server.type_text(text.decode("latin-1").replace("\n", "\r"))
