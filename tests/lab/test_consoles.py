"""Consoles through nova-novncproxy and nova-serialproxy, as a user reaches them: by the address that Nova gives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncvnc2
import numpy
import pytest
import requests
from openstack.connection import Connection
from PIL import Image
from tests.support.lab import Lab
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

_WAIT = 120
_PICTURE = "BIGIRON_CONSOLE_PICTURE"
"""Names a file to keep the picture in: docs/images/console.png is one."""


@pytest.fixture
def server(lab: Lab, cloud: Connection, parts: dict[str, str]) -> Iterator[Any]:
    """A server that has booted to its login prompt."""
    compute = cloud.compute
    server = compute.create_server(
        name="power-1", image_id=parts["image_id"], flavor_id=parts["flavor_id"], config_drive=True,
        networks=[{"uuid": parts["network_id"]}],
    )  # fmt: skip
    server = compute.wait_for_server(server, wait=_WAIT, interval=1)
    platform = lab.platform()
    assert platform is not None
    platform.await_boot(server.id, "power-1", _WAIT)
    yield server
    compute.delete_server(server.id)
    compute.wait_for_delete(server, interval=1, wait=_WAIT)
    assert platform.ask("/audit") == []


def address(cloud: Connection, server: Any, protocol: str, kind: str) -> str:
    """What `openstack console url show` prints."""
    body = {"remote_console": {"protocol": protocol, "type": kind}}
    answer = cloud.compute.post(f"/servers/{server.id}/remote-consoles", json=body, microversion="2.6")
    answer.raise_for_status()
    return str(answer.json()["remote_console"]["url"])


@contextlib.contextmanager
def web_socket(url: str) -> Iterator[socket.socket]:
    """The far end of a web socket as a plain one."""
    near, far = socket.socketpair()
    with connect(url, open_timeout=30, max_size=None) as opened:

        def inward() -> None:
            with contextlib.suppress(ConnectionClosed, OSError):
                for frame in opened:
                    far.sendall(frame.encode("latin-1") if isinstance(frame, str) else frame)
            # A mere close would not wake the other thread.
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)

        def outward() -> None:
            with contextlib.suppress(ConnectionClosed, OSError):
                while data := far.recv(65536):
                    opened.send(data)

        for work in (inward, outward):
            threading.Thread(target=work, daemon=True).start()
        try:
            yield near
        finally:
            near.close()
            far.close()


def browser_url(url: str) -> str:
    """The web socket that noVNC's page opens: the page's host, and the path that its query names."""
    parts = urlsplit(url)
    (path,) = parse_qs(parts.query)["path"]
    return f"ws://{parts.netloc}/{path}"


def shown(pixels: Any) -> tuple[int, int]:
    """How many pixels are not black, and in how many lines of text there are some."""
    lit = pixels[:, :, :3].any(axis=2)
    lines = numpy.array_split(lit, 24)
    return int(lit.sum()), sum(bool(line.any()) for line in lines)


async def look(connection: socket.socket) -> tuple[Any, Any]:
    """The screen at the login prompt, and after a login that failed."""

    async def opener(_host: str, _port: int) -> Any:
        connection.setblocking(False)
        return await asyncio.open_connection(sock=connection)

    async def grown(client: asyncvnc2.Client, pixels: int) -> Any:
        while True:
            picture = await client.screenshot()
            if shown(picture)[0] > pixels:
                return picture
            await asyncio.sleep(0.2)

    async with asyncio.timeout(60), asyncvnc2.connect("", 0, opener=opener) as client:
        client.keyboard.press("Return")
        first = await grown(client, 0)
        for typed in ("root", ""):
            before = shown(await client.screenshot())[0]
            client.keyboard.write(typed)
            client.keyboard.press("Return")
            last = await grown(client, before + 100)
        return first, last


def test_the_screen_by_vnc(cloud: Connection, server: Any) -> None:
    url = address(cloud, server, "vnc", "novnc")
    page = requests.get(url, timeout=30)
    assert page.status_code == 200
    assert "noVNC" in page.text
    with web_socket(browser_url(url)) as connection:
        prompt, refused = asyncio.run(look(connection))
    lit, lines = shown(prompt)
    height, width = prompt.shape[:2]
    # Text covers some of each line that it is in, and never most of the screen.
    assert 0 < lit < height * width / 4
    assert lines >= 1
    assert shown(refused)[1] >= 2
    if _PICTURE in os.environ:
        picture = Path(os.environ[_PICTURE])
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(refused[:, :, :3]).quantize(16).save(picture, optimize=True)


def test_a_wrong_token_opens_nothing(cloud: Connection, server: Any) -> None:
    url = browser_url(address(cloud, server, "vnc", "novnc"))
    with web_socket(url.replace("token=", "token=0")) as connection:
        connection.settimeout(30)
        assert connection.recv(100) == b""


def test_the_terminal_as_a_stream(cloud: Connection, server: Any) -> None:
    url = address(cloud, server, "serial", "serial")
    assert url.startswith("ws://127.0.0.1:")
    with web_socket(url) as connection:
        connection.settimeout(30)
        seen = b""
        deadline = time.monotonic() + 60
        connection.sendall(b"\r")
        while b"login:" not in seen and time.monotonic() < deadline:
            seen += connection.recv(4096)
    assert b"login:" in seen
