"""The virtual terminals that are open: at most one for each partition, shown by VNC or attached as text."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from bigiron.sim.powervm.guests.fleet import Guests, NoPartition, Seat
from bigiron.sim.powervm.management.textline import TextServer
from bigiron.sim.powervm.management.vnc import Stopped, VncLoop, VncServer


@dataclass(frozen=True, slots=True)
class Vterm:
    """An open terminal, shown on a loopback port: `port` is for VNC, `stream` for the text of an attached one."""

    lpar_id: int
    uuid: str
    port: int | None
    codepage: str
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """The answer to a request to open a terminal: the one that is open now, and whether it was open before."""

    vterm: Vterm
    already: bool


class Vterms:
    """Opens and closes terminals of one system's partitions."""

    def __init__(self, guests: Guests) -> None:
        self._guests = guests
        self._open: dict[str, tuple[Vterm, VncServer | TextServer]] = {}
        self._lock = threading.Lock()
        self._loop = VncLoop()
        self._stopping = False
        guests.on_gone(self.drop)

    def open(self, reference: str, vnc: bool, codepage: str) -> Opening:
        """Open a partition's terminal, unless it has one. Raises NoPartition, and Stopped when the simulator ends."""
        seat = self._guests.seat(reference)
        key = seat.uuid.upper()
        with self._lock:
            if self._stopping:
                raise Stopped
            if key in self._open:
                return Opening(self._open[key][0], already=True)
            server = self._vnc(seat) if vnc else self._text(seat)
            port = server.start()
            vterm = Vterm(seat.lpar_id, seat.uuid, port if vnc else None, codepage, None if vnc else port)
            self._open[key] = (vterm, server)
        if not self._guests.has(seat):
            # Deleted meanwhile: `drop` may have come before there was anything to drop.
            self._close_own(key, server)
            raise NoPartition(reference)
        return Opening(vterm, already=False)

    def close(self, reference: str) -> bool:
        """Close a partition's terminal and drop who looks at it; False when none was open. Raises NoPartition."""
        return self._close(self._guests.seat(reference).uuid.upper())

    def list(self) -> list[Vterm]:
        """The open terminals."""
        with self._lock:
            return [vterm for vterm, _server in self._open.values()]

    def find(self, reference: str) -> Vterm | None:
        """A partition's open terminal. Raises NoPartition."""
        key = self._guests.seat(reference).uuid.upper()
        with self._lock:
            return self._open[key][0] if key in self._open else None

    def stop(self) -> None:
        """Close all of them and end the thread that serves them."""
        with self._lock:
            self._stopping = True
        for vterm in self.list():
            self._close(vterm.uuid.upper())
        self._loop.stop()

    def is_open(self, uuid: str) -> bool:
        """Whether the partition of that uuid has an open terminal."""
        with self._lock:
            return uuid.upper() in self._open

    def _text(self, seat: Seat) -> TextServer:
        guest, now, key = seat.guest, self._guests.now, seat.uuid.upper()

        server = TextServer(
            self._loop,
            guest.console,
            type_text=lambda text: guest.type_text(text, now()),
            tick=lambda: guest.advance(now()),
            ended=lambda: self._close_own(key, server),
        )
        return server

    def _vnc(self, seat: Seat) -> VncServer:
        guest, now = seat.guest, self._guests.now
        return VncServer(
            self._loop,
            seat.name,
            guest.console,
            type_text=lambda text: guest.type_text(text, now()),
            tick=lambda: guest.advance(now()),
        )

    def drop(self, uuid: str) -> None:
        """Close the terminal of a partition that may be gone, if it has one."""
        self._close(uuid.upper())

    def _close_own(self, key: str, server: VncServer | TextServer) -> None:
        """Close a terminal unless that was done, and perhaps another opened in its place."""
        with self._lock:
            is_open = self._open.get(key, (None, None))[1] is server
            if is_open:
                del self._open[key]
        if is_open:
            server.close()

    def _close(self, key: str) -> bool:
        with self._lock:
            _vterm, server = self._open.pop(key, (None, None))
        if server:
            server.close()
        return server is not None
