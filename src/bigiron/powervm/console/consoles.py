"""The consoles of a host's guests: follows which of them run, records what they print and shows them by VNC."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bigiron.errors import Conflict, PlatformError, Unavailable, Unsupported
from bigiron.model import ConsoleAddress, PowerState
from bigiron.powervm.connection import Connection
from bigiron.powervm.console.log import ConsoleLog
from bigiron.powervm.console.loop import LoopThread
from bigiron.powervm.console.ports import ConsolePorts
from bigiron.powervm.console.terminal import Pauses, Terminal, close_shown
from bigiron.powervm.console.tools import Tools
from bigiron.powervm.console.vencrypt import VncCertificates, server_context
from bigiron.powervm.console.viewers import Kind, Viewers, Wanted
from bigiron.powervm.marks import TERMINALS, Marks
from bigiron.powervm.partition import Lpar

LOG = logging.getLogger(__name__)

_LOOK_S = 1.0
_CLOSE_S = 60.0
_STARTING_S = 120.0
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Where logs are kept, and the addresses for VNC and serial consoles; no host, no console of that kind."""

    folder: Path
    record: bool = True
    vnc_host: str = ""
    serial_host: str = ""
    port: int = 0
    own_ports: bool = False
    """Each console on a port of its own, from `port` on, instead of all on that one."""
    certificates: VncCertificates | None = None
    pauses: Pauses = field(default_factory=Pauses)


def make_consoles(connection: Connection) -> Consoles:
    """The consoles of a connection's system, not started yet."""
    options = connection.options
    settings = ConsoleSettings(
        options.state_path / "consoles",
        options.console_recorder,
        options.vnc_host,
        options.serial_host,
        options.vnc_port,
        options.console_own_ports,
        options.vnc_certificates,
    )
    serial = str(connection.system.mtms.serial)
    return Consoles(Tools(options.management_root), serial, connection.mirror.lpars, settings)


class Consoles:
    """All consoles; where the management partition's tools are missing, it says so and does nothing."""

    def __init__(
        self, tools: Tools, serial: str, lpars: Callable[[], Iterable[Lpar]], settings: ConsoleSettings
    ) -> None:
        """`lpars` gives the partitions as they are known, without asking the platform."""
        self._tools = tools
        self._lpars = lpars
        self._settings = settings
        self._local = tools.available(serial)
        self._following = False
        self._loop = LoopThread("powervm consoles")
        self._terminals: dict[str, Terminal] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        """By partition, what closes its last terminal; there is no other until that is done."""
        self._logs: dict[str, ConsoleLog] = {}
        self._secrets: dict[tuple[str, Kind], str] = {}
        self._starting: dict[str, float] = {}
        self._shown = Marks(settings.folder, TERMINALS)
        self._port = 0
        self._trouble = ""
        self._follower: asyncio.Task[None] | None = None

    # Life

    def start(self) -> None:
        """Begin to follow the guests; a port that is taken is told of when somebody wants a console.

        Raises InvalidSpec for certificates that cannot be used.
        """
        if not self._local:
            LOG.info("Consoles are not available: this is not the system's management partition, or it has no mkvterm.")
            return
        self._sweep()
        self._close_forgotten()
        hosts = {self._settings.vnc_host, self._settings.serial_host} - {""}
        if not (self._settings.record or hosts):
            return
        certificates = self._settings.certificates
        context = server_context(certificates) if certificates is not None and self._settings.vnc_host else None
        self._viewers = Viewers(self._find, context)
        self._ports = ConsolePorts(self._viewers, self._settings.port)
        self._loop.start()
        self._following = True
        if hosts and not self._settings.own_ports:
            self._listen(hosts)
        self._loop.call(self._begin(), _CLOSE_S)

    def _listen(self, hosts: Collection[str]) -> None:
        try:
            self._port = self._loop.call(self._viewers.listen(hosts, self._settings.port), _CLOSE_S)
        except OSError as error:
            self._trouble = self._no_port(hosts, error)
            LOG.error("%s", self._trouble)

    def _no_port(self, hosts: Collection[str], error: OSError) -> str:
        return (
            f"Port {self._settings.port} of {' and '.join(hosts)} cannot be used for consoles ({error}): set [powervm] "
            "vnc_port to a free port, and server_proxyclient_address in [vnc] and proxyclient_address in "
            "[serial_console] to an address of this machine, and restart nova-compute."
        )

    def stop(self) -> None:
        """End the recorders and send the viewers away; safe to call twice."""
        if self._following:
            self._following = False
            try:
                with contextlib.suppress(TimeoutError):
                    self._loop.call(self._end(), _CLOSE_S)
            finally:
                self._loop.stop(_CLOSE_S)

    # What is asked for

    def output(self, lpar: Lpar, limit: int) -> bytes:
        """The last so many bytes that a guest printed. Raises Unsupported where nothing is recorded."""
        self._check_local()
        if not self._settings.record:
            raise Unsupported("Consoles are not recorded on this host: set [powervm] console_recorder = true.")
        return self._log(lpar.uuid).tail(limit)

    def vnc(self, lpar: Lpar) -> ConsoleAddress:
        """Where a running guest's console is shown. Raises Unsupported, Conflict and Unavailable."""
        self._check_local()
        if not self._settings.vnc_host:
            raise Unsupported("Consoles are not shown by VNC on this host: set [vnc] enabled = true.")
        return self._address(lpar, Kind.VNC, self._settings.vnc_host)

    def serial(self, lpar: Lpar) -> ConsoleAddress:
        """Where a running guest's console is a stream of bytes. Raises as `vnc`."""
        self._check_local()
        if not (self._settings.serial_host and self._settings.record):
            raise Unsupported(
                "There are no serial consoles on this host: set [serial_console] enabled = true and [powervm] "
                "console_recorder = true."
            )
        return self._address(lpar, Kind.SERIAL, self._settings.serial_host)

    def _address(self, lpar: Lpar, kind: Kind, host: str) -> ConsoleAddress:
        if self._trouble:
            raise Unavailable(self._trouble)
        if lpar.power is not PowerState.RUNNING:
            raise Conflict(f"LPAR {lpar.name} is {lpar.state}, and only a running one has a console to show.")
        secret = self._secrets.setdefault((lpar.uuid, kind), secrets.token_urlsafe(_SECRET_BYTES))
        if not self._settings.own_ports:
            return ConsoleAddress(host, self._port, secret)
        try:
            return ConsoleAddress(host, self._loop.call(self._ports.open(host, secret), _CLOSE_S))
        except OSError as error:
            raise Unavailable(self._no_port([host], error)) from error

    def begin(self, lpar: Lpar) -> None:
        """The guest is about to be started: record from its first line on."""
        if self._following:
            self._log(lpar.uuid).whole()
            with contextlib.suppress(TimeoutError):
                self._loop.call(self._expect(lpar), _CLOSE_S)

    def stopped(self, lpar: Lpar) -> None:
        """The guest does not run any more; it may have, for less time than passes between two looks."""
        self._starting.pop(lpar.uuid, None)

    def close(self, lpar: Lpar) -> None:
        """The partition is about to be deleted, which an open terminal forbids, whoever has it open."""
        if not self._local:
            return
        try:
            if self._following:
                self._loop.call(self._drop(lpar.uuid), _CLOSE_S)
            self._tools.close(lpar.id)
        except (PlatformError, TimeoutError) as error:
            # Whether it matters, the deletion will tell.
            LOG.warning("The terminal of LPAR %s may still be open: %s", lpar.name, error)

    def forget(self, lpar_uuid: str) -> None:
        """The partition is gone, and with it goes what it printed."""
        if not self._local:
            return
        for kind in Kind:
            self._secrets.pop((lpar_uuid, kind), None)
        self._log(lpar_uuid).remove()
        self._logs.pop(lpar_uuid, None)

    def _check_local(self) -> None:
        if not self._local:
            raise Unsupported(
                "Consoles are only available where nova-compute runs on the management partition of the system "
                "(NovaLink), with mkvterm below [powervm] management_root."
            )

    # In the loop

    async def _begin(self) -> None:
        self._look()
        self._follower = asyncio.create_task(self._follow())

    async def _end(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
        await self._viewers.stop()
        await self._ports.stop()
        await asyncio.gather(*[self._give_up(uuid) for uuid in {*self._terminals, *self._closing}])

    async def _follow(self) -> None:
        """States come from memory, so looking at all of them costs no call; and no way to change one is missed."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self._drop_stopped(self._look())
            except Exception:
                # A task that ends here would leave new guests without a recorder until the next restart.
                LOG.exception("The consoles could not be brought up to date")

    def _look(self) -> set[str]:
        """Take on the guests that run; returns their uuids."""
        running = {lpar.uuid: lpar for lpar in self._lpars() if lpar.instance and lpar.power is PowerState.RUNNING}
        for lpar in running.values():
            if lpar.uuid not in self._closing:
                self._terminal(lpar)
        now = time.monotonic()
        for uuid in [uuid for uuid, until in list(self._starting.items()) if uuid in running or until <= now]:
            self._starting.pop(uuid, None)
        return set(running) | set(self._starting)

    async def _drop_stopped(self, wanted: set[str]) -> None:
        await asyncio.gather(*[self._give_up(uuid) for uuid in set(self._terminals) - wanted])

    async def _expect(self, lpar: Lpar) -> None:
        self._starting[lpar.uuid] = time.monotonic() + _STARTING_S
        while lpar.uuid in self._closing:
            # The next recorder must find the terminal free; whether it was closed well is told elsewhere.
            await asyncio.wait({self._closing[lpar.uuid]})
        self._terminal(lpar)

    async def _drop(self, uuid: str) -> None:
        await self._give_up(uuid)

    def _give_up(self, uuid: str) -> asyncio.Future[None]:
        """Let go of a partition's terminal now, so that nobody takes it up again; the result waits for its end."""
        self._starting.pop(uuid, None)
        terminal = self._terminals.pop(uuid, None)
        if uuid not in self._closing:
            self._closing[uuid] = asyncio.create_task(self._close(uuid, terminal))
            self._closing[uuid].add_done_callback(lambda _task: self._closing.pop(uuid, None))
        # Several may wait for it, and one that gives up must not end it for the others.
        return asyncio.shield(self._closing[uuid])

    async def _close(self, uuid: str, terminal: Terminal | None) -> None:
        for secret in [secret for (owner, _kind), secret in tuple(self._secrets.items()) if owner == uuid]:
            await self._ports.close(secret)
        if terminal is not None:
            await terminal.close()

    def _terminal(self, lpar: Lpar) -> Terminal:
        if lpar.uuid not in self._terminals:
            log = self._log(lpar.uuid) if self._settings.record else None
            note = functools.partial(self._note_shown, lpar.uuid)
            terminal = Terminal(self._tools, lpar.id, f"LPAR {lpar.name}", log, self._settings.pauses, note)
            self._terminals[lpar.uuid] = terminal
            terminal.record()
        return self._terminals[lpar.uuid]

    def _find(self, secret: str) -> Wanted | None:
        wanted = secret.encode()
        for (uuid, kind), own in tuple(self._secrets.items()):
            if uuid in self._terminals and secrets.compare_digest(own.encode(), wanted):
                return self._terminals[uuid], kind
        return None

    # Terminals that outlive this process

    def _note_shown(self, uuid: str, shown: bool) -> None:
        (self._shown.set if shown else self._shown.clear)(uuid)

    def _close_forgotten(self) -> None:
        """Close what an earlier process served by VNC and was not there to close: the recorder waits for it."""
        lpars = {lpar.uuid: lpar for lpar in self._lpars()}
        for uuid in self._shown.all():
            try:
                if uuid in lpars:
                    close_shown(self._tools, lpars[uuid].id)
                self._shown.clear(uuid)
            except PlatformError as error:
                LOG.warning("The terminal of LPAR %s is not closed: %s", lpars[uuid].name, error)

    # Logs

    def _log(self, uuid: str) -> ConsoleLog:
        if uuid not in self._logs:
            self._logs.setdefault(uuid, ConsoleLog(self._settings.folder / f"{uuid}.log"))
        return self._logs[uuid]

    def _sweep(self) -> None:
        """Remove what partitions left that went while this process did not run."""
        known = {lpar.uuid for lpar in self._lpars()}
        for path in self._settings.folder.glob("*.log"):
            if path.stem not in known:
                path.unlink(missing_ok=True)
