"""One partition's virtual terminal, and whose it is: the recorder's, until somebody looks at it by VNC.

Everything here runs in the consoles' event loop. The recorder also gives way to whoever opens or closes the terminal
on the management partition, and takes it again some time after they have left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bigiron.errors import Busy, PlatformError
from bigiron.powervm.console.log import ConsoleLog
from bigiron.powervm.console.tools import ALREADY_OPEN, Attachment, Ran, Tools

LOG = logging.getLogger(__name__)

_CHUNK = 65536
_SURE_S = 5.0
"""An attached command that has lasted for so long was not refused, even if nothing was printed."""
_LET_GO_S = 1.0
_FULL_S = 0.05

Listener = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds: until the recorder tries again, and until it takes over from the last viewer, who may come back."""

    retry_s: float = 10.0
    linger_s: float = 60.0


class Terminal:
    """The terminal of one running guest."""

    def __init__(
        self,
        tools: Tools,
        lpar_id: int,
        name: str,
        log: ConsoleLog | None,
        pauses: Pauses,
        note: Callable[[bool], None] = lambda _shown: None,
    ) -> None:
        """Without a log nothing is recorded. `note` is called, in a thread, before it is served and after its end."""
        self.name = name
        self._note = note
        self._tools = tools
        self._lpar_id = lpar_id
        self._log = log
        self._pauses = pauses
        self._turn = asyncio.Lock()
        self._recorder: asyncio.Task[None] | None = None
        self._viewers = 0
        self._shown = False
        self._cut_off = False
        self._lingering: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[Any]] = set()
        self._attached_at: float | None = None
        self._heard = False
        self._attachment: Attachment | None = None
        self._listeners: set[Listener] = set()
        self._closed = False

    def record(self) -> None:
        """Begin to record, unless that is under way."""
        if self._log is not None and self._recorder is None and not self._closed:
            self._recorder = asyncio.create_task(self._record(self._log))

    async def show(self) -> int:
        """A viewer comes: returns the loopback port where the terminal is served. Raises PlatformError.

        Every call that returns wants its `leave`.
        """
        async with self._turn:
            if self._closed:
                raise PlatformError(f"The console of {self.name} is closed.")
            self._stop_lingering()
            ours = self._holds()
            await self._stop_recorder("the console was shown by VNC")
            try:
                port = await self._serve(ours)
            except BaseException:
                self._linger()
                raise
            self._viewers += 1
            self._cut_off = False
            return port

    def leave(self, cut_off: bool = False) -> None:
        """A viewer has left, or was cut off: then the terminal may be somebody else's already."""
        self._viewers -= 1
        self._cut_off = self._cut_off or cut_off
        self._linger()

    @contextlib.contextmanager
    def line(self, listener: Listener) -> Iterator[None]:
        """Have the listener called with what is printed, and with nothing when the recorder ends. Raises Busy."""
        if self._attachment is None:
            raise Busy(f"The console of {self.name} is not the recorder's now: it is shown by VNC or opened by hand.")
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def type_text(self, data: bytes) -> None:
        """Type on the recorder's terminal, which takes as much as it has room for. Raises Busy."""
        while data:
            if self._attachment is None:
                raise Busy(f"The console of {self.name} is not the recorder's any more.")
            written = self._attachment.write(data)
            data = data[written:]
            if not written:
                await asyncio.sleep(_FULL_S)

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        """While the calling task carries a viewer's bytes: `close` ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            yield
        finally:
            self._connections.discard(task)

    async def close(self) -> None:
        """End the recorder and send the viewers away."""
        self._closed = True
        self._stop_lingering()
        connections = [task for task in self._connections if task is not asyncio.current_task()]
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        async with self._turn:
            await self._stop_recorder(None)
            await self._stop_showing()

    # Whose turn it is

    async def _serve(self, ours: bool) -> int:
        """Have it served; what still holds the terminal may be closed where that was `ours` just now."""
        serving = asyncio.ensure_future(asyncio.to_thread(self._open_vnc, ours))
        try:
            return await asyncio.shield(serving)
        finally:
            # A viewer who goes away meanwhile must not leave a terminal that nobody knows to be open.
            await asyncio.wait({serving})
            self._shown = self._shown or serving.exception() is None

    def _holds(self) -> bool:
        """Whether the terminal is surely the recorder's."""
        if self._attached_at is None:
            return False
        return self._heard or time.monotonic() - self._attached_at >= _SURE_S

    def _open_vnc(self, ours: bool) -> int:
        self._note(True)
        try:
            return self._tools.serve_vnc(self._lpar_id)
        except Busy as error:
            LOG.debug("%s", error)
        if ours:
            self._tools.close(self._lpar_id)
        else:
            # A command of the recorder's that has just ended may not have let go yet; others are left alone.
            time.sleep(_LET_GO_S)
        return self._tools.serve_vnc(self._lpar_id)

    def _linger(self) -> None:
        if self._viewers == 0 and self._lingering is None and not self._closed:
            self._lingering = asyncio.create_task(self._take_back())

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    async def _take_back(self) -> None:
        """The last viewer left some time ago: the recorder goes on."""
        await asyncio.sleep(self._pauses.linger_s)
        async with self._turn:
            self._lingering = None
            if self._viewers == 0 and not self._closed:
                await self._stop_showing()
                self.record()

    async def _stop_showing(self) -> None:
        if self._shown:
            self._shown = False
            try:
                await asyncio.to_thread(self._close_vnc, self._cut_off)
            except PlatformError as error:
                LOG.warning("The terminal of %s is not closed: %s", self.name, error)

    def _close_vnc(self, cut_off: bool) -> None:
        if cut_off:
            close_shown(self._tools, self._lpar_id)
        else:
            self._tools.close(self._lpar_id)
        self._note(False)

    async def _stop_recorder(self, reason: str | None) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
        if self._log is not None and reason is not None:
            self._log.lost(reason)

    # The recorder

    async def _record(self, log: ConsoleLog) -> None:
        while True:
            try:
                ran = await self._session(log)
                reason = _why(ran)
            except (PlatformError, OSError) as error:
                reason = str(error)
            log.lost(reason)
            LOG.debug("The console of %s is not recorded for now: %s", self.name, reason)
            # Who closed the terminal wants it, so this is also the time to open it.
            await asyncio.sleep(self._pauses.retry_s)

    async def _session(self, log: ConsoleLog) -> Ran:
        """Record until the terminal is closed."""
        attachment = self._tools.attach(self._lpar_id)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._attached_at, self._heard, self._attachment = time.monotonic(), False, attachment
        loop.add_reader(attachment.fd, functools.partial(self._drain, attachment, log, ended))
        try:
            await ended
        finally:
            self._attached_at = self._attachment = None
            loop.remove_reader(attachment.fd)
            self._tell(b"")
            # Not to be cancelled: the next command must find the terminal free.
            ran = await asyncio.shield(asyncio.to_thread(attachment.end))
        return ran

    def _drain(self, attachment: Attachment, log: ConsoleLog, ended: asyncio.Future[None]) -> None:
        """Take what the terminal has; its end is an end of file or, on a pseudo-terminal, an error."""
        try:
            data = attachment.read(_CHUNK)
        except OSError:
            data = b""
        if data is None:
            return
        if data:
            self._heard = True
            log.append(data)
            self._tell(data)
        elif not ended.done():
            ended.set_result(None)

    def _tell(self, data: bytes) -> None:
        for listener in tuple(self._listeners):
            listener(data)


def close_shown(tools: Tools, lpar_id: int) -> None:
    """Close a terminal that was served by VNC, unless somebody has opened it otherwise since. Raises PlatformError."""
    try:
        # Told by the port that it prints.
        tools.serve_vnc(lpar_id)
    except Busy:
        return
    tools.close(lpar_id)


def _why(ran: Ran) -> str:
    if ran.status == ALREADY_OPEN:
        return "somebody has the terminal open on the management partition"
    if ran.status == 0:
        return "somebody closed the terminal on the management partition"
    return f"mkvterm ended with {ran.status}: {ran.complaint or 'no message'}"
