"""The VNC port with real sockets, in front of a server that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from bigiron.errors import Busy, InvalidSpec
from bigiron.powervm.console.vencrypt import VncCertificates, server_context
from bigiron.powervm.console.viewers import Kind, Viewers

VERSION = b"RFB 003.008\n"
CONNECT = b"CONNECT secret HTTP/1.1\r\n\r\n"

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FakeTerminal:
    """Served at a port; counts who looks."""

    name = "LPAR web"

    def __init__(self) -> None:
        self.port = 0
        self.looking = 0
        self.busy = False
        self.cut_off: list[bool] = []

    async def show(self) -> int:
        if self.busy:
            raise Busy("somebody has it")
        self.looking += 1
        return self.port

    def leave(self, cut_off: bool) -> None:
        self.looking -= 1
        self.cut_off.append(cut_off)

    @contextlib.contextmanager
    def connection(self) -> Iterator[None]:
        yield


class Stage:
    """A VNC port whose secret is `secret`, and the server behind it."""

    def __init__(self, serve: Callable[[Pair], Awaitable[None]], context: ssl.SSLContext | None) -> None:
        self.terminal = FakeTerminal()
        self.port = 0
        self._serve = serve
        self.find = lambda secret: (self.terminal, Kind.VNC) if secret == "secret" else None
        self._viewers = Viewers(self.find, context)  # type: ignore[arg-type]

    async def __aenter__(self) -> Stage:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve((reader, writer))
            writer.close()

        self._server = await asyncio.start_server(served, "127.0.0.1", 0)
        self.terminal.port = self._server.sockets[0].getsockname()[1]
        self.port = await self._viewers.listen(["127.0.0.1"], 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._viewers.stop()

    async def connect(self) -> Pair:
        """A viewer whose path was taken."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(CONNECT)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"
        return reader, writer

    async def left(self) -> None:
        """Nobody looks any more."""
        while self.terminal.looking:
            await asyncio.sleep(0.01)


async def echo(served: Pair) -> None:
    while data := await served[0].read(1000):
        served[1].write(data)


async def nothing_but_none(served: Pair) -> None:
    """A VNC server until the security result, which then echoes."""
    await offering(b"\x01\x01")(served)


def offering(types: bytes) -> Callable[[Pair], Awaitable[None]]:
    async def serve(served: Pair) -> None:
        reader, writer = served
        writer.write(VERSION)
        assert await reader.readexactly(12) == VERSION
        writer.write(types)
        if await reader.read(1) == b"\x01":
            writer.write(bytes(4))
            await echo(served)

    return serve


def play(scene: Callable[[Stage], Awaitable[None]], serve: Callable[[Pair], Awaitable[None]] = echo,
         context: ssl.SSLContext | None = None) -> None:  # fmt: skip
    async def run() -> None:
        async with asyncio.timeout(60), Stage(serve, context) as stage:
            await scene(stage)

    asyncio.run(run())


def test_bytes_pass_both_ways_until_one_side_ends() -> None:
    async def scene(stage: Stage) -> None:
        viewers = [await stage.connect() for _ in range(3)]
        for number, (reader, writer) in enumerate(viewers):
            writer.write(b"%d" % number * 300_000)
            assert await reader.readexactly(300_000) == b"%d" % number * 300_000
        for _reader, writer in viewers:
            writer.close()
        await stage.left()
        assert stage.terminal.cut_off == [False] * 3

    play(scene)


def test_a_viewer_who_is_cut_off_is_told_from_one_who_leaves() -> None:
    async def hang_up(served: Pair) -> None:
        await served[0].read(1)

    async def scene(stage: Stage) -> None:
        reader, writer = await stage.connect()
        writer.write(b"x")
        assert await reader.read() == b""
        await stage.left()
        assert stage.terminal.cut_off == [True]
        writer.close()

    play(scene, hang_up)


def test_bytes_that_come_with_the_request_are_not_lost() -> None:
    async def scene(stage: Stage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(CONNECT + b"early")
        assert await reader.readexactly(24) == b"HTTP/1.1 200 OK\r\n\r\nearly"
        writer.close()

    play(scene)


@pytest.mark.parametrize("busy", [True, False])
def test_a_console_that_cannot_be_shown_is_unavailable(busy: bool) -> None:
    async def scene(stage: Stage) -> None:
        stage.terminal.busy = busy
        stage.terminal.port = 1
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(CONNECT)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()
        await stage.left()

    play(scene)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for authority in ("ours", "theirs"):
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(folder / f"{authority}-ca.pem"))
        certificate = ca.issue_cert("host.example.org")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{authority}.pem"))
    return folder


def context_of(folder: Path) -> ssl.SSLContext:
    own = str(folder / "ours.pem")
    return server_context(VncCertificates(str(folder / "ours-ca.pem"), own, own))


async def greet(viewer: Pair, chosen: int = 19, version: bytes = b"\x00\x02", subtype: int = 260) -> bytes:
    """A viewer's part until TLS begins; returns what the last answer was."""
    reader, writer = viewer
    assert await reader.readexactly(12) == VERSION
    writer.write(VERSION)
    assert await reader.readexactly(2) == b"\x01\x13"
    writer.write(bytes([chosen]))
    if chosen != 19:
        return await reader.read()
    assert await reader.readexactly(2) == b"\x00\x02"
    writer.write(version)
    if version != b"\x00\x02":
        return await reader.read()
    assert await reader.readexactly(6) == b"\x00\x01" + struct.pack(">I", 260)
    writer.write(struct.pack(">I", subtype))
    return await reader.readexactly(1)


@pytest.mark.parametrize("whose", ["ours", "theirs", None])
def test_with_tls_only_a_certificate_of_our_authority_gets_in(certificates: Path, whose: str | None) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificates / "ours-ca.pem")
    if whose:
        client.load_cert_chain(certificates / f"{whose}.pem")

    async def scene(stage: Stage) -> None:
        viewer = await stage.connect()
        assert await greet(viewer) == b"\x01"
        try:
            await viewer[1].start_tls(client)
            viewer[1].write(b"hello")
            answer = await viewer[0].readexactly(9)
        except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
            answer = b""
        assert answer == (bytes(4) + b"hello" if whose == "ours" else b"")
        viewer[1].close()
        await stage.left()

    play(scene, nothing_but_none, context_of(certificates))


@pytest.mark.parametrize(
    ("wish", "answer"), [({"chosen": 1}, b""), ({"version": b"\x00\x01"}, b"\x01"), ({"subtype": 257}, b"\x00")]
)
def test_who_does_not_want_tls_is_dropped(certificates: Path, wish: dict[str, int], answer: bytes) -> None:
    async def scene(stage: Stage) -> None:
        viewer = await stage.connect()
        assert await greet(viewer, **wish) == answer  # type: ignore[arg-type]
        assert await viewer[0].read() == b""
        viewer[1].close()
        await stage.left()

    play(scene, nothing_but_none, context_of(certificates))


def test_a_server_that_wants_a_password_is_not_shown(certificates: Path) -> None:
    async def scene(stage: Stage) -> None:
        reader, writer = await stage.connect()
        assert await reader.readexactly(12) == VERSION
        writer.write(VERSION)
        assert await reader.read() == b""
        writer.close()
        await stage.left()

    play(scene, offering(b"\x01\x02"), context_of(certificates))


def test_certificates_that_cannot_be_read_are_named_with_their_options(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"vnc_server_cert \(/nowhere/cert.pem\)"):
        server_context(VncCertificates("/nowhere/ca.pem", "/nowhere/cert.pem", "/nowhere/key.pem"))
